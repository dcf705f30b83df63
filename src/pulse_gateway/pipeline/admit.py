from __future__ import annotations

from collections.abc import Callable

import msgspec

from pulse_gateway.clock import Clock
from pulse_gateway.ledger.ledger import Ledger
from pulse_gateway.limits.limiter import Charge, Limiter
from pulse_gateway.limits.periods import month_of
from pulse_gateway.pipeline.compose import Handler
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.types.identity import Principal
from pulse_gateway.types.usage import Outcome

__all__ = ["Admit", "Quote", "Terms"]

Quote = Callable[[Exchange], int]
"""How many tokens to hold for an exchange."""


class Terms(msgspec.Struct, frozen=True):
    """What admission charges a principal. `rate` is (requests, seconds) or None without a rate limit."""

    rate: tuple[int, float] | None

    def charges(self, principal: Principal, tokens: int) -> tuple[Charge, ...]:
        account, plan = principal.user_id, principal.plan
        quota = Charge(account=account, kind="tokens", amount=tokens, cap=plan.tokens)
        if self.rate is None:
            return (quota,)
        cap, window_s = self.rate
        return (Charge(account=account, kind="requests", amount=1, cap=cap, window_s=window_s), quota)

    def overview(self, principal: Principal) -> tuple[Charge, ...]:
        """Every counter of a principal, for a look that takes nothing."""
        plan = principal.plan
        return (
            *self.charges(principal, 0),
            Charge(account=principal.user_id, kind="images", amount=0, cap=plan.images),
            Charge(account=principal.user_id, kind="videos", amount=0, cap=plan.videos),
        )


class Admit:
    """Take every limit and hold the estimate in one step; settle for the truth when the exchange ends."""

    def __init__(
        self, inner: Handler, *, limiter: Limiter, ledger: Ledger, terms: Terms, quote: Quote, clock: Clock
    ) -> None:
        self._inner, self._limiter, self._ledger = inner, limiter, ledger
        self._terms, self._quote, self._clock = terms, quote, clock

    async def __call__(self, exchange: Exchange) -> Reply:
        assert exchange.principal is not None
        self._ledger.check()
        exchange.period = month_of(self._clock.now()).period  # fixed at the grant, however long the answer takes
        permit = await self._limiter.acquire(self._terms.charges(exchange.principal, self._quote(exchange)))
        exchange.permit, exchange.standings = permit, permit.standings
        exchange.defer(_settle)
        return await self._inner(exchange)


async def _settle(exchange: Exchange) -> None:
    assert exchange.permit is not None
    if exchange.outcome is Outcome.REFUSED and exchange.attempts == 0:
        await exchange.permit.cancel()
    else:
        exchange.standings = await exchange.permit.settle({"tokens": exchange.used_tokens})
