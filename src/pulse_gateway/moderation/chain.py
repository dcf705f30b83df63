"""Moderation hooks in a row, each with what its failure means."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Literal, Protocol, runtime_checkable

import msgspec

from pulse_gateway.errors import ContentBlocked
from pulse_gateway.moderation.moderator import ALLOWED, Content, Moderator, Verdict

__all__ = ["FAILED_CATEGORY", "Chain", "HookSpec", "LocalModerator", "Stage", "content_blocked"]

Stage = Literal["prompt", "answer"]

FAILED_CATEGORY = "moderation_unavailable"
"""The category of a refusal for which no hook stands: one failed, and its policy is to refuse."""

_log = logging.getLogger(__name__)


@runtime_checkable
class LocalModerator(Protocol):
    """A hook that only computes. The chain calls it as a plain function: no timeout, which could not interrupt it anyway."""

    name: str

    def review_now(self, content: Content, /) -> Verdict: ...


class HookSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One hook, where it runs, and what it means that it raised or took more than `timeout_s` seconds (None: no limit)."""

    name: str
    moderator: Moderator
    stages: frozenset[Stage] = frozenset({"prompt", "answer"})
    on_error: Literal["refuse", "allow"] = "refuse"
    timeout_s: float | None = 1.0


class _Hook(msgspec.Struct, frozen=True):
    spec: HookSpec
    review: Callable[[Content], Awaitable[Verdict]]
    review_now: Callable[[Content], Verdict] | None


class Chain:
    """Runs the hooks of a stage in order; the first refusal wins."""

    def __init__(self, hooks: Iterable[HookSpec]) -> None:
        made = [_hook(spec) for spec in hooks]
        self._prompt_hooks = tuple(hook for hook in made if "prompt" in hook.spec.stages)
        self._answer_hooks = tuple(hook for hook in made if "answer" in hook.spec.stages)
        self.reviews_prompts = bool(self._prompt_hooks)
        self.reviews_answers = bool(self._answer_hooks)

    async def review(self, content: Content, /) -> Verdict:
        """The first refusal, or that all is allowed. A hook that fails answers as its policy says, and is logged."""
        for hook in self._prompt_hooks if content.stage == "prompt" else self._answer_hooks:
            try:
                if hook.review_now is not None:
                    verdict = hook.review_now(content)
                else:
                    async with asyncio.timeout(hook.spec.timeout_s):
                        verdict = await hook.review(content)
                allowed = verdict.allowed
            # A hook is code we do not know: whatever it raises must end in its declared policy, or a bug in an optional
            # check would take the gateway down with it. Cancellation is not an Exception, and rises.
            except Exception as error:  # noqa: BLE001
                verdict = _failed(hook.spec, content.stage, error)
                allowed = verdict.allowed
            if not allowed:
                return verdict if verdict.category else Verdict(allowed=False, category=hook.spec.name)
        return ALLOWED


def content_blocked(verdict: Verdict, stage: Stage) -> ContentBlocked:
    """The error for a refusal. It names the category, never the text."""
    return ContentBlocked(f"the {stage} was refused by moderation (category: {verdict.category})")


def _hook(spec: HookSpec) -> _Hook:
    moderator = spec.moderator
    return _Hook(spec, moderator.review, moderator.review_now if isinstance(moderator, LocalModerator) else None)


def _failed(spec: HookSpec, stage: Stage, error: Exception) -> Verdict:
    # An exception's message may quote the text, so only its type and place are logged.
    _log.warning(
        "moderation hook %s failed on the %s with %s at %s; its policy is to %s",
        spec.name, stage, type(error).__name__, _place(error), spec.on_error,
    )  # fmt: skip
    return ALLOWED if spec.on_error == "allow" else Verdict(allowed=False, category=FAILED_CATEGORY)


def _place(error: Exception) -> str:
    """File and line where the exception was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "?" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
