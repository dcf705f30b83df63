from __future__ import annotations

from collections.abc import Callable

from pulse_gateway.clock import Clock
from pulse_gateway.errors import PermissionDenied
from pulse_gateway.ledger.ledger import Ledger
from pulse_gateway.limits.limiter import Limiter
from pulse_gateway.pipeline.compose import Handler
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.pipeline.terms import Need, Terms
from pulse_gateway.telemetry.alert import BudgetAlert, OnAlert

__all__ = ["Admit", "Quote"]

Quote = Callable[[Exchange], Need]
"""How much to hold for an exchange."""


class Admit:
    """Take every limit and hold the estimate in one step; settle for the truth when the exchange ends."""

    def __init__(
        self,
        inner: Handler,
        *,
        limiter: Limiter,
        ledger: Ledger,
        terms: Terms,
        quote: Quote,
        clock: Clock,
        on_alert: OnAlert,
    ) -> None:
        self._inner, self._limiter, self._ledger = inner, limiter, ledger
        self._terms, self._quote, self._clock, self._on_alert = terms, quote, clock, on_alert

    async def __call__(self, exchange: Exchange) -> Reply:
        principal, envelope = exchange.principal, exchange.envelope
        assert principal is not None and envelope is not None  # set by the layers outside
        self._ledger.check()
        if self._terms.has_budget(principal):
            _keep_priced(exchange)
        names = (envelope.model, *(name for each in exchange.candidates[:1] for name in (each.name, each.model.name)))
        charges = self._terms.charges(principal, self._quote(exchange), names)
        permit = await self._limiter.acquire(charges, tenant=principal.tenant_id)
        exchange.permit, exchange.standings, exchange.period = permit, permit.standings, permit.period
        exchange.defer(self._settle)
        return await self._inner(exchange)

    async def _settle(self, exchange: Exchange) -> None:
        permit, principal = exchange.permit, exchange.principal
        assert permit is not None and principal is not None
        if exchange.attempts == 0:  # nothing was asked of anybody
            await permit.cancel()
            return
        exchange.standings = await permit.settle(
            {"tokens": exchange.used_tokens, "cost_nano_usd": exchange.cost_nano_usd or 0}
        )
        for standing in exchange.standings:
            for percent in standing.crossed:
                self._on_alert(
                    BudgetAlert(
                        tenant_id=principal.tenant_id,
                        account=standing.account,
                        kind=standing.kind,
                        period=permit.period,
                        percent=percent,
                        limit=standing.limit or 0,
                        used=standing.used,
                        request_id=exchange.request_id,
                        at=self._clock.now(),
                    )
                )


def _keep_priced(exchange: Exchange) -> None:
    """Leave out the deployments whose calls could not be charged to a budget.

    Raises: PermissionDenied when none is left.
    """
    priced = [each for each in exchange.candidates if each.model.price is not None]
    if not priced:
        name = exchange.candidates[0].name
        raise PermissionDenied(
            f"a budget in money applies to this caller, and {name} has no known price to charge to it; "
            "the operator can set one with models.ALIAS.price",
            param="model",
        )
    exchange.candidates = priced
