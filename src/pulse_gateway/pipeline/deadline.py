from __future__ import annotations

import asyncio

from pulse_gateway.clock import Clock
from pulse_gateway.errors import DeadlineExceeded
from pulse_gateway.pipeline.compose import Handler
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.pipeline.reply import Reply

__all__ = ["Deadline"]


class Deadline:
    """One deadline over every attempt: the configured one, or the client's if that is shorter. A stream goes on under it."""

    def __init__(self, inner: Handler, *, total_s: float, clock: Clock) -> None:
        self._inner, self._total_s, self._clock = inner, total_s, clock

    async def __call__(self, exchange: Exchange) -> Reply:
        asked = exchange.inbound.timeout_s
        allowed_s = self._total_s if asked is None else min(asked, self._total_s)
        exchange.deadline = self._clock.monotonic() + allowed_s
        try:
            async with asyncio.timeout(allowed_s) as timer:
                return await self._inner(exchange)
        except TimeoutError as error:
            if not timer.expired():  # some other time-out: not ours to explain
                raise
            raise DeadlineExceeded(f"no answer within the request's {allowed_s:g} s") from error
