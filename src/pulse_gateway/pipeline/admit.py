from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

from pulse_gateway.clock import Clock
from pulse_gateway.errors import PermissionDenied, QuotaExceeded
from pulse_gateway.ledger.ledger import Ledger
from pulse_gateway.limits.limiter import ALERT_AT_PERCENT, COST, Limiter, Permit, Ready, Standing
from pulse_gateway.limits.periods import month_of
from pulse_gateway.limits.standings import Standings
from pulse_gateway.pipeline.callers import Callers
from pulse_gateway.pipeline.compose import Handler
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.pipeline.terms import Need, Terms
from pulse_gateway.telemetry.alert import BudgetAlert, OnAlert

__all__ = ["Admit", "Quote"]

_MOST_TOLD = 10_000


class Quote(Protocol):
    """How much to hold for an exchange; in money only where that is `priced`."""

    def __call__(self, exchange: Exchange, /, *, priced: bool) -> Need: ...


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
        self._callers = Callers(terms)
        self._told: dict[tuple[str, str, str, int], None] = {}  # of which caps the end was told

    def __call__(self, exchange: Exchange) -> Awaitable[Reply]:
        principal = exchange.principal
        assert principal is not None  # Authenticate stands before Admit
        self._ledger.check()
        names: Sequence[str] = ()
        if self._terms.models:
            if self._terms.needs_price(principal):
                _keep_priced(exchange)  # before anything else: the limits are those of the model that will be asked
            names = _names(exchange)
        caller = self._callers.find(principal, names)
        if caller.needs_price:
            _keep_priced(exchange)
        need = self._quote(exchange, priced=caller.counts_money)
        asked = self._clock.monotonic()
        try:
            acquiring = self._limiter.acquire(caller.charges(need), tenant=principal.tenant_id)
        except QuotaExceeded as error:
            self._tell_of_the_end(exchange, error)
            raise
        if not isinstance(acquiring, Ready):
            return self._waiting(exchange, acquiring, asked)
        self._admit(exchange, acquiring.value, asked)
        return self._inner(exchange)

    async def _waiting(self, exchange: Exchange, acquiring: Awaitable[Permit], asked: float) -> Reply:
        try:
            permit = await acquiring
        except QuotaExceeded as error:
            self._tell_of_the_end(exchange, error)
            raise
        self._admit(exchange, permit, asked)
        return await self._inner(exchange)

    def _admit(self, exchange: Exchange, permit: Permit, asked: float) -> None:
        exchange.limits_ms = (self._clock.monotonic() - asked) * 1000
        exchange.permit, exchange.period = permit, permit.period
        exchange.defer(self._settle)

    def _settle(self, exchange: Exchange) -> Awaitable[None] | None:
        permit = exchange.permit
        assert permit is not None
        if exchange.attempts == 0 and not exchange.fetches:  # nothing was asked of anybody
            cancelling = permit.cancel()
            return None if isinstance(cancelling, Ready) else cancelling
        settling = permit.settle(
            {
                "tokens": exchange.used_tokens,
                "images": exchange.used_images,
                "videos": exchange.used_videos,
                COST: exchange.cost_nano_usd or 0,
            }
        )
        if isinstance(settling, Ready):
            self._settled(exchange, settling.value)
            return None
        return self._settle_waiting(exchange, settling)

    async def _settle_waiting(self, exchange: Exchange, settling: Awaitable[Sequence[Standing]]) -> None:
        self._settled(exchange, await settling)

    def _settled(self, exchange: Exchange, standings: Sequence[Standing]) -> None:
        exchange.standings = standings
        if type(standings) is Standings and standings.crossed is None:
            return
        for standing in standings:
            for percent in standing.crossed:
                self._alert(exchange, standing, exchange.period, percent)

    def _tell_of_the_end(self, exchange: Exchange, error: QuotaExceeded) -> None:
        """A call that does not fit any more says that the rest is used up, as far as callers are concerned: what is held and never
        used keeps most months from reaching their cap to the unit.
        """
        for standing in error.standings:
            if standing.account != error.account or standing.kind != error.kind_of_limit or not standing.limit:
                continue
            if standing.starts_at is None or standing.used * 100 < ALERT_AT_PERCENT[0] * standing.limit:
                continue  # the call was large, not the rest small
            period = month_of(standing.starts_at).period
            told = (_tenant(exchange), standing.account, standing.kind, period)
            if told not in self._told:
                self._told[told] = None
                if len(self._told) > _MOST_TOLD:
                    del self._told[next(iter(self._told))]
                self._alert(exchange, standing, period, ALERT_AT_PERCENT[-1])

    def _alert(self, exchange: Exchange, standing: Standing, period: int, percent: int) -> None:
        self._on_alert(
            BudgetAlert(
                tenant_id=_tenant(exchange),
                account=standing.account,
                kind=standing.kind,
                period=period,
                percent=percent,
                limit=standing.limit or 0,
                used=standing.used,
                request_id=exchange.request_id,
                at=self._clock.now(),
            )
        )


def _tenant(exchange: Exchange) -> str:
    assert exchange.principal is not None  # Authenticate stands before Admit
    return exchange.principal.tenant_id


def _names(exchange: Exchange) -> list[str]:
    """What limits on models may call the one that is asked for."""
    assert exchange.envelope is not None  # Resolve stands before Admit
    names = [exchange.envelope.model]
    for first in exchange.candidates[:1]:
        names += (first.name, first.model.name)
    return names


def _keep_priced(exchange: Exchange) -> None:
    """Leave out the deployments whose calls could not be charged to a budget.

    Raises: PermissionDenied when none is left.
    """
    priced = [each for each in exchange.candidates if each.model.price is not None]
    if not priced:
        name = exchange.candidates[0].name
        raise PermissionDenied(
            f"a budget in money applies to this caller, and {name} has no known price to charge to it; "
            f'the operator can set one with [catalog."{name}".price], or let such calls through with limits.unpriced = "allow"',
            param="model",
        )
    exchange.candidates = priced
