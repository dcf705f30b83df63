from __future__ import annotations

from pulse_gateway.clock import Clock
from pulse_gateway.errors import (
    Advice,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamUnauthorized,
    UpstreamUnreachable,
)
from pulse_gateway.pipeline.compose import Handler
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.routing.retries import RetryBudget, retry_wait_s

__all__ = ["DEAR", "Retry"]

DEAR = frozenset({"images", "image_edits", "videos"})
"""Operations of which each one made is billed by itself: made once more, billed once more."""
_NOTHING_BEGUN = (UpstreamUnreachable, UpstreamRateLimited, UpstreamOverloaded, UpstreamUnauthorized)


class Retry:
    """Ask the same deployment again while that may help, the deadline allows, and the retry budget lasts.

    An image or a video is asked for again only where the vendor surely has not begun it: no vendor takes an idempotency key for one.
    """

    def __init__(
        self, inner: Handler, *, max_attempts: int, base_s: float, max_wait_s: float, budget: RetryBudget, clock: Clock
    ) -> None:
        self._inner, self._max_attempts = inner, max_attempts
        self._base_s, self._max_wait_s = base_s, max_wait_s
        self._budget, self._clock = budget, clock

    async def __call__(self, exchange: Exchange) -> Reply:
        assert exchange.deployment is not None
        name = exchange.deployment.name
        self._budget.first_attempt(name)
        retries = 0
        while True:
            try:
                return await self._inner(exchange)
            except UpstreamError as error:
                wait_s = self._wait_s(exchange, error, retries)
                if wait_s is None or not self._budget.retry(name):
                    raise
            retries += 1
            await self._clock.sleep(wait_s)

    def _wait_s(self, exchange: Exchange, error: UpstreamError, retries: int) -> float | None:
        """How long to wait before the next try; None: there is none."""
        if error.advice is not Advice.RETRY or exchange.attempts >= self._max_attempts - exchange.candidates_left:
            return None  # each deployment behind this one is owed its attempt
        if exchange.inbound.operation in DEAR and (error.may_be_made or not isinstance(error, _NOTHING_BEGUN)):
            return None
        if error.retry_after_s is not None and exchange.candidates_left:
            return None  # another one may answer while this one asks us to wait
        left_s = exchange.deadline - self._clock.monotonic()
        return retry_wait_s(retries, error.retry_after_s, left_s, base_s=self._base_s, max_wait_s=self._max_wait_s)
