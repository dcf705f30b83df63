"""Hooks in a row, and what the failure of one means."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from pulse_gateway.errors import ContentBlocked
from pulse_gateway.moderation import (
    ALLOWED,
    FAILED_CATEGORY,
    Chain,
    Content,
    HookSpec,
    TermModerator,
    Verdict,
    content_blocked,
)

SECRET = "the text of the prompt"
PROMPT = Content(text=SECRET, stage="prompt", user_id="u1", tenant_id="t1", model="echo")
ANSWER = Content(text=SECRET, stage="answer", user_id="u1", tenant_id="t1", model="echo")


class Remote:
    """A hook that may wait; it writes down that it was asked."""

    def __init__(self, name: str, answer: Callable[[], Verdict], asked: list[str] | None = None) -> None:
        self.name = name
        self.answer = answer
        self.asked = [] if asked is None else asked

    async def review(self, content: Content, /) -> Verdict:
        self.asked.append(self.name)
        await asyncio.sleep(0)
        return self.answer()


class Endless:
    name = "endless"

    def __init__(self) -> None:
        self.started = asyncio.Event()

    async def review(self, content: Content, /) -> Verdict:
        self.started.set()
        await asyncio.Event().wait()
        return ALLOWED


class Local:
    """A hook that only computes; waiting on it would be a mistake of the chain."""

    name = "local"

    def __init__(self, answer: Callable[[], Verdict]) -> None:
        self.review_now_answer = answer

    def review_now(self, content: Content, /) -> Verdict:
        return self.review_now_answer()

    async def review(self, content: Content, /) -> Verdict:
        raise AssertionError("the plain function is there to be used")


def allow() -> Verdict:
    return ALLOWED


def refuse(category: str | None) -> Callable[[], Verdict]:
    return lambda: Verdict(allowed=False, category=category)


def fail() -> Verdict:
    raise RuntimeError(SECRET)


def hook(moderator: Any, **settings: Any) -> HookSpec:
    return HookSpec(name=moderator.name, moderator=moderator, **settings)


async def test_hooks_run_in_order_and_the_first_refusal_wins() -> None:
    asked: list[str] = []
    chain = Chain(
        [
            hook(Remote("a", allow, asked)),
            hook(Remote("b", refuse("hate"), asked)),
            hook(Remote("c", refuse("sexual"), asked)),
        ]
    )
    assert await chain.review(PROMPT) == Verdict(allowed=False, category="hate")
    assert asked == ["a", "b"]


async def test_a_chain_allows_what_every_hook_allows() -> None:
    assert await Chain([hook(Remote("a", allow)), hook(Local(allow))]).review(PROMPT) is ALLOWED
    assert await Chain([]).review(PROMPT) is ALLOWED


async def test_a_hook_runs_at_its_stages_only() -> None:
    asked: list[str] = []
    chain = Chain(
        [
            hook(Remote("prompts", allow, asked), stages=frozenset({"prompt"})),
            hook(Remote("answers", allow, asked), stages=frozenset({"answer"})),
            hook(Remote("both", allow, asked)),
        ]
    )
    await chain.review(PROMPT)
    assert asked == ["prompts", "both"]
    asked.clear()
    await chain.review(ANSWER)
    assert asked == ["answers", "both"]


def test_a_chain_knows_which_stages_it_reviews() -> None:
    prompts = Chain([hook(Local(allow), stages=frozenset({"prompt"}))])
    answers = Chain([hook(Local(allow), stages=frozenset({"answer"}))])
    assert (prompts.reviews_prompts, prompts.reviews_answers) == (True, False)
    assert (answers.reviews_prompts, answers.reviews_answers) == (False, True)
    assert (Chain([]).reviews_prompts, Chain([]).reviews_answers) == (False, False)


@pytest.mark.parametrize("moderator", [Remote("broken", fail), Local(fail)])
async def test_a_hook_that_raises_refuses_or_allows_as_declared(moderator: Any) -> None:
    assert await Chain([hook(moderator)]).review(PROMPT) == Verdict(allowed=False, category=FAILED_CATEGORY)
    assert await Chain([hook(moderator, on_error="allow")]).review(PROMPT) is ALLOWED


async def test_a_failure_that_is_allowed_leaves_the_rest_of_the_chain_in_force() -> None:
    chain = Chain([hook(Remote("broken", fail), on_error="allow"), hook(Local(refuse("hate")))])
    assert await chain.review(PROMPT) == Verdict(allowed=False, category="hate")


async def test_a_hook_out_of_time_refuses_or_allows_as_declared() -> None:
    assert await Chain([hook(Endless(), timeout_s=0.001)]).review(PROMPT) == Verdict(
        allowed=False, category=FAILED_CATEGORY
    )
    assert await Chain([hook(Endless(), timeout_s=0.001, on_error="allow")]).review(PROMPT) is ALLOWED


async def test_an_answer_that_is_no_verdict_is_a_failure() -> None:
    nothing: Any = lambda: None  # noqa: E731
    assert await Chain([hook(Local(nothing))]).review(PROMPT) == Verdict(allowed=False, category=FAILED_CATEGORY)
    assert await Chain([hook(Remote("none", nothing), on_error="allow")]).review(PROMPT) is ALLOWED


@pytest.mark.parametrize("on_error", ["refuse", "allow"])
async def test_cancellation_rises_whatever_the_policy(on_error: str) -> None:
    endless = Endless()
    review = asyncio.ensure_future(Chain([hook(endless, on_error=on_error, timeout_s=60.0)]).review(PROMPT))
    await endless.started.wait()
    review.cancel()
    with pytest.raises(asyncio.CancelledError):
        await review


async def test_a_hook_without_a_time_limit_is_waited_for() -> None:
    assert await Chain([hook(Remote("slow", allow), timeout_s=None)]).review(PROMPT) is ALLOWED


async def test_failures_are_logged_by_hook_kind_and_place_but_never_with_the_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG):
        await Chain([hook(Remote("broken", fail)), hook(Local(allow))]).review(PROMPT)
    assert len(caplog.records) == 1
    logged = caplog.records[0].getMessage()
    assert "broken" in logged and "prompt" in logged and "RuntimeError" in logged and "refuse" in logged
    assert "test_moderation_chain.py:" in logged
    assert SECRET not in caplog.text


async def test_a_refusal_without_a_category_is_named_for_its_hook() -> None:
    assert await Chain([hook(Remote("house-rules", refuse(None)))]).review(PROMPT) == Verdict(
        allowed=False, category="house-rules"
    )


async def test_the_error_names_the_stage_and_the_category_but_not_the_text() -> None:
    chain = Chain([hook(TermModerator())])
    content = Content(text="kill yourself", stage="prompt", user_id="u1", tenant_id="t1", model="echo")
    error = content_blocked(await chain.review(content), "prompt")
    assert isinstance(error, ContentBlocked)
    assert error.status == 400 and error.code == "content_blocked"
    assert "self-harm" in error.message and "prompt" in error.message
    assert "kill" not in error.message


async def test_a_local_chain_never_gives_up_the_event_loop() -> None:
    """A review that only computes costs a function call: no task, no timer, no turn of the loop."""
    review = Chain([hook(Local(allow)), hook(TermModerator())]).review(PROMPT)
    with pytest.raises(StopIteration) as stopped:
        review.send(None)
    assert stopped.value.value is ALLOWED
