"""Limits kept in this process, without a store: the counters behind a clock.

Plain arithmetic on one event loop: no method waits between looking and taking, so each is atomic. Not for several threads. Holds
have no leases: whoever holds a permit and dies takes this memory with it, and the ledger says what was used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from pulse_gateway.clock import Clock
from pulse_gateway.limits.asks import QUOTA, Ask, asks_of, key_prefix
from pulse_gateway.limits.counters import COLD, GRANTED, Counters, Row, Verdict
from pulse_gateway.limits.limiter import Charge, Permit, Ready, Standing
from pulse_gateway.limits.periods import Month, month_of
from pulse_gateway.limits.standings import Standings
from pulse_gateway.limits.tally import Charges, Counted
from pulse_gateway.limits.verdicts import amounts_used, refusal, settled_standings

__all__ = ["MemoryLimiter"]

_PREFIX = "pulse"
_SWEPT_PER_ACQUIRE = 64  # idle windows put away by each caller: more than one call can add, too few to be felt


class MemoryLimiter:
    """A `Limiter` for one process.

    Kept: the times of each account's grants in the last window, and one counter per account, kind and month. Idle windows are put
    away by later calls; the counters of a past month when the next one begins, or when nothing is held in them any more.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counters = Counters()
        self._latest_us = 0
        self._begin_month(clock.now())
        self._granted = self._ended = 0

    @property
    def outstanding(self) -> int:
        """How many permits are neither settled nor cancelled."""
        return self._granted - self._ended

    @property
    def windows_held(self) -> int:
        """How many windows are in memory."""
        return self._counters.windows_held

    @property
    def quotas_held(self) -> int:
        """How many monthly counters are in memory."""
        return self._counters.quotas_held

    def acquire(self, charges: Sequence[Charge], /, *, tenant: str = "default") -> Ready[Permit]:
        """Take all charges or none, at once.

        Raises: RateLimited, QuotaExceeded, ConcurrencyLimited.
        """
        now_us, now_s, month = self._moment()
        counters = self._counters
        if now_us >= counters.idle_from_us:
            counters.sweep(now_us, _SWEPT_PER_ACQUIRE)
        counted = None
        if (
            isinstance(charges, Charges)
            and (counted := charges.tally.counted(_PREFIX, tenant, month.period)) is not None
        ):
            asks = counted.asks(charges)
        else:
            asks = asks_of(key_prefix(_PREFIX, tenant), charges, month.period)
        permit_id = f"{self._granted + 1}"  # nobody but this process knows of it
        verdict = counters.acquire(now_us, permit_id, 0, asks)
        if verdict.code == COLD:
            verdict = self._acquire_warmed(now_us, permit_id, asks, verdict)
        if verdict.code != GRANTED:
            raise refusal(asks, verdict.rows, month, now_s)
        self._granted += 1
        permit = _Permit(self, permit_id, asks, counted, verdict.now_us, verdict.rows, month, month.period, now_s)
        return Ready(permit)

    async def standings(self, charges: Sequence[Charge], /, *, tenant: str = "default") -> Sequence[Standing]:
        """Where the counters stand; `amount` is ignored and nothing is taken."""
        now_us, now_s, month = self._moment()
        asks = asks_of(key_prefix(_PREFIX, tenant), charges, month.period)
        verdict = self._counters.acquire(now_us, "", 0, asks)
        if verdict.code == COLD:
            verdict = self._acquire_warmed(now_us, "", asks, verdict)
        return Standings(asks, verdict.rows, month, now_s)

    def load_balances(self, balances: Mapping[str, Mapping[str, int]], period: int, *, tenant: str = "default") -> None:
        """Set what was used in `period` (`202611`), per account and kind, as the ledger knows it.

        Setting, never adding: doing it twice is doing it once. Holds stay; accounts and kinds not named stay as they are.
        """
        prefix = key_prefix(_PREFIX, tenant)
        for account, kinds in balances.items():
            charges = [Charge(account=account, kind=kind, amount=0, cap=None) for kind in kinds]
            for ask in asks_of(prefix, charges, period):
                self._counters.set_used(ask.key, kinds[ask.kind])

    def corrected(self, tenant: str, accounts: Sequence[str], change: Mapping[str, int], period: int, /) -> None:
        """At once."""
        charges = [Charge(account=each, kind=kind, amount=0, cap=None) for each in accounts for kind in change]
        for ask in asks_of(key_prefix(_PREFIX, tenant), charges, period):
            self._counters.change_used(ask.key, change[ask.kind])

    async def aclose(self) -> None:
        """There is nothing to close."""

    # ── what a permit does ──

    def _settle(self, permit: _Permit, used: Mapping[str, int]) -> Standings:
        now_us, now_s, month = self._moment()
        asks = permit.asks
        if is_first := permit.close():
            self._ended += 1
            actual = amounts_used(asks, used)
        else:
            actual = [0] * len(asks)
        verdict = self._counters.settle(now_us, permit.permit_id, permit.granted_us, asks, actual, first=is_first)
        if permit.month is not month:
            self._counters.forget_quotas(month.period, [ask.key for ask in asks])
        return settled_standings(asks, verdict.rows, permit.rows, actual, permit.month, now_s, permit.counted)

    def _cancel(self, permit: _Permit) -> None:
        if permit.close():
            self._ended += 1
            now_us, _, month = self._moment()
            self._counters.cancel(now_us, permit.permit_id, permit.granted_us, permit.asks)
            if permit.month is not month:
                self._counters.forget_quotas(month.period, [ask.key for ask in permit.asks])

    # ── looking ──

    def _begin_month(self, now_s: float) -> Month:
        self._month = month = month_of(now_s)
        # Each call compares two moments with these: floats are compared with floats several times as fast as with integers.
        self._month_starts_s, self._month_ends_s = float(month.starts_at), float(month.resets_at)
        return month

    def _acquire_warmed(self, now_us: int, permit_id: str, asks: Sequence[Ask], cold: Verdict) -> Verdict:
        """What nobody has said anything of has not been used: there is no other place to ask."""
        for ask, row in zip(asks, cold.rows, strict=True):
            if ask.form == QUOTA and row.used < 0:
                self._counters.warm(ask.key, 0)
        return self._counters.acquire(now_us, permit_id, 0, asks)

    def _moment(self) -> tuple[int, float, Month]:
        """The monotonic clock in µs, never running backwards, the other one in seconds, and its month."""
        clock, month, latest_us = self._clock, self._month, self._latest_us
        now_us, now_s = int(clock.monotonic() * 1e6 + 0.5), clock.now()
        if now_us > latest_us:
            self._latest_us = latest_us = now_us
        if not self._month_starts_s <= now_s < self._month_ends_s:
            month = self._begin_month(now_s)
            self._counters.forget_quotas(month.period)
        return latest_us, now_s, month


class _Permit(msgspec.Struct, eq=False):
    """A grant of a `MemoryLimiter`. `rows` is where its counters stood then."""

    limiter: MemoryLimiter
    permit_id: str
    asks: Sequence[Ask]
    counted: Counted | None
    granted_us: int
    rows: Sequence[Row]
    month: Month
    period: int
    granted_s: float
    is_open: bool = True
    degraded: str | None = None

    @property
    def standings(self) -> Sequence[Standing]:
        return Standings(self.asks, self.rows, self.month, self.granted_s, self.counted)

    def close(self) -> bool:
        """Whether this was the first to end the permit."""
        was_open, self.is_open = self.is_open, False
        return was_open

    def settle(self, used: Mapping[str, int], /) -> Ready[Sequence[Standing]]:
        """Replace the hold by what was used, in the month of the grant. Places in windows stay taken."""
        return Ready(self.limiter._settle(self, used))

    def cancel(self) -> Ready[None]:
        self.limiter._cancel(self)
        return Ready(None)
