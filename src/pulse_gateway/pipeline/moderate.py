from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from pulse_gateway.clock import Clock
from pulse_gateway.moderation.chain import Chain, Stage, content_blocked
from pulse_gateway.moderation.moderator import Content
from pulse_gateway.moderation.window import AnswerWindow
from pulse_gateway.pipeline.compose import Handler
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.pipeline.reply import Reply

__all__ = ["Moderate", "answer_window", "review"]


class Moderate:
    """Review the prompt before anything is sent. Answers are reviewed where they arrive, in `Call`."""

    def __init__(self, inner: Handler, *, chain: Chain, clock: Clock) -> None:
        self._inner, self._chain, self._clock = inner, chain, clock

    def __call__(self, exchange: Exchange) -> Awaitable[Reply]:
        return self._reviewed(exchange) if self._chain.reviews_prompts else self._inner(exchange)

    async def _reviewed(self, exchange: Exchange) -> Reply:
        assert exchange.envelope is not None  # Resolve stands before
        asked = self._clock.monotonic()
        try:
            await review(self._chain, exchange, exchange.envelope.text, "prompt")
        finally:
            exchange.moderation_ms = (self._clock.monotonic() - asked) * 1000
        return await self._inner(exchange)


async def review(chain: Chain, exchange: Exchange, text: str, stage: Stage) -> None:
    """Raises: ContentBlocked."""
    principal, envelope = exchange.principal, exchange.envelope
    assert principal is not None and envelope is not None  # set by the layers outside
    content = Content(
        text=text, stage=stage, user_id=principal.user_id, tenant_id=principal.tenant_id, model=envelope.model
    )
    verdict = await chain.review(content)
    if not verdict.allowed:
        raise content_blocked(verdict, stage)


def answer_window(chain: Chain, exchange: Exchange, hold_chars: int) -> AnswerWindow[Any] | None:
    """What holds a streamed answer back until it is reviewed; None when nobody reviews answers."""
    if not chain.reviews_answers:
        return None
    principal, envelope = exchange.principal, exchange.envelope
    assert principal is not None and envelope is not None  # set by the layers outside
    return AnswerWindow(
        chain,
        user_id=principal.user_id,
        tenant_id=principal.tenant_id,
        model=envelope.model,
        hold_chars=hold_chars,
        overlap_chars=2 * hold_chars,
    )
