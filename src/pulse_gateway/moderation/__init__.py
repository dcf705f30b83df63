"""Hooks that judge prompts and answers: the chain that runs them, the built-in term list, the window for streams.

The term list is loaded once it is asked for: its tables are most of this package, and most gateways do without.
"""

from typing import TYPE_CHECKING, Any

from pulse_gateway.moderation.chain import FAILED_CATEGORY, Chain, HookSpec, LocalModerator, Stage, content_blocked
from pulse_gateway.moderation.moderator import ALLOWED, Content, Moderator, Verdict
from pulse_gateway.moderation.window import AnswerWindow

if TYPE_CHECKING:
    from pulse_gateway.moderation.term_file import Severity, Term
    from pulse_gateway.moderation.term_moderator import TermModerator
    from pulse_gateway.moderation.terms import Match, TermList

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

_LATER = {
    "Severity": "term_file",
    "Term": "term_file",
    "TermModerator": "term_moderator",
    "Match": "terms",
    "TermList": "terms",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
