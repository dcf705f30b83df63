"""Hooks that judge prompts and answers: the chain that runs them, the built-in term list, the window for streams."""

from pulse_gateway.moderation.chain import FAILED_CATEGORY, Chain, HookSpec, LocalModerator, Stage, content_blocked
from pulse_gateway.moderation.moderator import ALLOWED, Content, Moderator, Verdict
from pulse_gateway.moderation.term_file import Severity, Term
from pulse_gateway.moderation.term_moderator import TermModerator
from pulse_gateway.moderation.terms import Match, TermList
from pulse_gateway.moderation.window import AnswerWindow

__all__ = [
    "ALLOWED",
    "FAILED_CATEGORY",
    "AnswerWindow",
    "Chain",
    "Content",
    "HookSpec",
    "LocalModerator",
    "Match",
    "Moderator",
    "Severity",
    "Stage",
    "Term",
    "TermList",
    "TermModerator",
    "Verdict",
    "content_blocked",
]
