"""Limits kept in this process: exact sliding windows and monthly quotas, without a store.

Plain arithmetic on one event loop: no method waits between looking and taking, so each is atomic. Not for several threads.
Holds have no leases: whoever holds a permit and dies takes this memory with it, and the ledger rebuilds the counters.

**Edges.** Time is whole microseconds. A grant made at `t` counts up to and including `t + window` and frees its place one
microsecond later, so that no closed interval as long as the window ever holds more than `cap` grants. `retry_after_s` points
at that microsecond, so that a client which waits for it exactly is let in.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping, Sequence

from pulse_gateway.clock import Clock
from pulse_gateway.errors import AdmissionError, QuotaExceeded, RateLimited
from pulse_gateway.limits.limiter import Charge, Permit, Standing
from pulse_gateway.limits.periods import Month, month_of

__all__ = ["MemoryLimiter"]

_Key = tuple[str, str]  # account, kind
_Windows = dict[_Key, deque[int]]  # µs of each grant, oldest first; accounts in the order of their newest grant

_SWEPT_PER_ACQUIRE = 64  # idle windows put away by each caller: more than one call can add, too few to be felt


class _Counter:
    """One quota in one month."""

    __slots__ = ("reserved", "used")

    def __init__(self) -> None:
        self.used = 0
        self.reserved = 0


class _Period:
    """The counters of one month, and how many permits will still settle in it."""

    __slots__ = ("counters", "open_permits")

    def __init__(self) -> None:
        self.counters: dict[_Key, _Counter] = {}
        self.open_permits = 0


class MemoryLimiter:
    """A `Limiter` for one process.

    Kept: one list of times per account with a grant in the last window (with `cap` None: one time per request in it), and one
    counter per account, kind and month. Idle windows are put away by later calls; a past month once its last permit is settled.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._latest_us = 0
        self._windows: dict[int, _Windows] = {}  # by length in µs
        self._periods: dict[int, _Period] = {}
        self._month = month_of(clock.now())
        self._outstanding = 0

    @property
    def outstanding(self) -> int:
        """How many permits are neither settled nor cancelled."""
        return self._outstanding

    @property
    def windows_held(self) -> int:
        """How many windows are in memory."""
        return sum(map(len, self._windows.values()))

    @property
    def months_held(self) -> int:
        """How many months have counters in memory."""
        return len(self._periods)

    async def acquire(self, charges: Sequence[Charge], /) -> Permit:
        """Take all charges or none. Charges on the same counter add up and obey the smaller cap.

        Raises: RateLimited, QuotaExceeded: of all limits in the way the one that lasts longest, so that waiting for
        `retry_after_s` is enough. It is None where no wait helps: the request alone is larger than the limit.
        """
        clock_s, now_us = self._now()
        month = self._this_month()
        self._sweep(now_us, month)
        places, holds = _added_up(charges)
        refusal: AdmissionError | None = None
        for charge in charges:
            if charge.cap is None:
                continue
            found: AdmissionError | None
            if charge.window_s is not None:
                found = self._full_window(charge, places[_window_key(charge)], clock_s, now_us)
            else:
                found = self._full_quota(charge, holds[charge.account, charge.kind], month)
            if found is not None and (refusal is None or _wait_s(found) > _wait_s(refusal)):
                refusal = found
        if refusal is not None:
            refusal.standings = self._standings(charges, clock_s, now_us, month)
            raise refusal
        for (window_us, account, kind), amount in places.items():
            if not amount:
                continue
            windows = self._windows.setdefault(window_us, {})
            times = windows.pop((account, kind), None) or deque()
            times.extend([now_us] * amount)
            windows[account, kind] = times
        period = self._period(month)
        period.open_permits += 1
        for key, amount in holds.items():
            period.counters.setdefault(key, _Counter()).reserved += amount
        self._outstanding += 1
        standings = self._standings(charges, clock_s, now_us, month)
        return _Permit(self, charges, standings, places=places, holds=holds, month=month, granted_us=now_us)

    async def standings(self, charges: Sequence[Charge], /) -> Sequence[Standing]:
        """Where the counters stand; `amount` is ignored and nothing is taken."""
        clock_s, now_us = self._now()
        return self._standings(charges, clock_s, now_us, self._this_month())

    def load_balances(self, balances: Mapping[str, Mapping[str, int]], period: int) -> None:
        """Set what was used in `period` (`202611`), per account and kind, as the ledger knows it.

        Setting, never adding: doing it twice is doing it once. Holds stay; accounts and kinds not named stay as they are.
        """
        counters = self._periods.setdefault(period, _Period()).counters
        for account, kinds in balances.items():
            for kind, amount in kinds.items():
                counters.setdefault((account, kind), _Counter()).used = amount

    # ── what a permit does ────────────────────────────────────────────────────────────────────────────────────────────

    def _settle(self, permit: _Permit, used: Mapping[str, int]) -> Sequence[Standing]:
        if permit.close():
            period = self._period(permit.month)
            period.open_permits -= 1
            self._outstanding -= 1
            for key, amount in permit.holds.items():
                counter = period.counters[key]
                counter.reserved -= amount
                counter.used += max(0, used.get(key[1], 0))
        clock_s, now_us = self._now()
        return self._standings(permit.charges, clock_s, now_us, permit.month)

    def _cancel(self, permit: _Permit) -> None:
        if not permit.close():
            return
        period = self._period(permit.month)
        period.open_permits -= 1
        self._outstanding -= 1
        for key, amount in permit.holds.items():
            period.counters[key].reserved -= amount
        for (window_us, account, kind), amount in permit.places.items():
            windows = self._windows.get(window_us, {})
            if (times := windows.get((account, kind))) is None:
                continue  # so long ago that the window was put away
            _take_out(times, permit.granted_us, amount)
            if not times:
                del windows[account, kind]

    # ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _now(self) -> tuple[float, int]:
        """The monotonic clock in seconds, and in µs never running backwards."""
        clock_s = self._clock.monotonic()
        self._latest_us = max(self._latest_us, math.floor(clock_s * 1e6 + 0.5))
        return clock_s, self._latest_us

    def _this_month(self) -> Month:
        now_s = self._clock.now()
        if not self._month.starts_at <= now_s < self._month.resets_at:
            self._month = month_of(now_s)
        return self._month

    def _period(self, month: Month) -> _Period:
        return self._periods.setdefault(month.period, _Period())

    def _times(self, window_us: int, key: _Key, now_us: int) -> deque[int] | None:
        """The grants still in the window, or None."""
        times = self._windows.get(window_us, {}).get(key)
        while times and now_us - times[0] > window_us:
            times.popleft()
        return times

    def _full_window(self, charge: Charge, amount: int, clock_s: float, now_us: int) -> RateLimited | None:
        cap, window_s = charge.cap or 0, charge.window_s or 0.0
        window_us = _window_us(window_s)
        times = self._times(window_us, (charge.account, charge.kind), now_us) or ()
        excess = len(times) + amount - cap
        if excess <= 0:
            return None
        limit = f"rate limit of {cap:,} {charge.kind} per {window_s:g} s"
        if amount > cap:
            return RateLimited(f"{limit}: this request alone asks for {amount:,}", kind_of_limit=charge.kind)
        # From the clock as it was read, not as it was rounded: waiting this long ends on the microsecond itself.
        wait_s = max(0.0, (times[excess - 1] + window_us + 1) / 1e6 - clock_s)
        shown_s = math.ceil(wait_s * 10) / 10
        return RateLimited(
            f"{limit} reached; try again in {shown_s:g} s", retry_after_s=wait_s, kind_of_limit=charge.kind
        )

    def _full_quota(self, charge: Charge, amount: int, month: Month) -> QuotaExceeded | None:
        cap = charge.cap or 0
        counter = self._counter((charge.account, charge.kind), month)
        if counter.used + counter.reserved + amount <= cap:
            return None
        resets = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(month.resets_at))
        message = (
            f"monthly quota of {cap:,} {charge.kind}: {counter.used:,} used, {counter.reserved:,} held, "
            f"this request needs {amount:,}"
        )
        if amount > cap:
            return QuotaExceeded(f"{message}, more than the whole quota", kind_of_limit=charge.kind)
        return QuotaExceeded(
            f"{message}; resets {resets}",
            retry_after_s=max(0.0, month.resets_at - self._clock.now()),
            kind_of_limit=charge.kind,
        )

    def _counter(self, key: _Key, month: Month) -> _Counter:
        period = self._periods.get(month.period)
        return (period and period.counters.get(key)) or _UNTOUCHED

    def _standings(self, charges: Sequence[Charge], clock_s: float, now_us: int, month: Month) -> tuple[Standing, ...]:
        found = []
        for charge in charges:
            key = (charge.account, charge.kind)
            if charge.window_s is not None:
                window_us = _window_us(charge.window_s)
                times = self._times(window_us, key, now_us)
                found.append(
                    Standing(
                        kind=charge.kind,
                        limit=charge.cap,
                        used=len(times) if times else 0,
                        reserved=0,
                        reset_s=max(0.0, (times[-1] + window_us + 1) / 1e6 - clock_s) if times else 0.0,
                        window_s=charge.window_s,
                    )
                )
            else:
                counter = self._counter(key, month)
                found.append(
                    Standing(
                        kind=charge.kind,
                        limit=charge.cap,
                        used=counter.used,
                        reserved=counter.reserved,
                        reset_s=max(0.0, month.resets_at - self._clock.now()),
                        resets_at=month.resets_at,
                        starts_at=month.starts_at,
                    )
                )
        return tuple(found)

    def _sweep(self, now_us: int, month: Month) -> None:
        """Forget some windows in which nothing counts any more, and past months that nobody will settle in."""
        for window_us, windows in self._windows.items():
            for _ in range(min(_SWEPT_PER_ACQUIRE, len(windows))):
                key, times = next(iter(windows.items()))
                if times and now_us - times[-1] <= window_us:
                    break
                del windows[key]
        if len(self._periods) > 1:
            past = [name for name, it in self._periods.items() if name < month.period and not it.open_permits]
            for name in past:
                del self._periods[name]


class _Permit:
    """A grant of a `MemoryLimiter`."""

    __slots__ = ("_limiter", "_open", "charges", "granted_us", "holds", "month", "places", "standings")

    def __init__(
        self,
        limiter: MemoryLimiter,
        charges: Sequence[Charge],
        standings: Sequence[Standing],
        *,
        places: dict[tuple[int, str, str], int],
        holds: dict[_Key, int],
        month: Month,
        granted_us: int,
    ) -> None:
        self._limiter = limiter
        self._open = True
        self.charges = charges
        self.standings = standings
        self.places = places
        self.holds = holds
        self.month = month
        self.granted_us = granted_us

    def close(self) -> bool:
        """Whether this was the first to end the permit."""
        was_open, self._open = self._open, False
        return was_open

    async def settle(self, used: Mapping[str, int], /) -> Sequence[Standing]:
        """Replace the hold by what was used, in the month of the grant. Places in windows stay taken."""
        return self._limiter._settle(self, used)

    async def cancel(self) -> None:
        self._limiter._cancel(self)


_UNTOUCHED = _Counter()


def _window_us(window_s: float) -> int:
    return round(window_s * 1e6)


def _window_key(charge: Charge) -> tuple[int, str, str]:
    return _window_us(charge.window_s or 0.0), charge.account, charge.kind


def _added_up(charges: Sequence[Charge]) -> tuple[dict[tuple[int, str, str], int], dict[_Key, int]]:
    """What is asked of each window and of each quota.

    Raises: ValueError for a negative amount.
    """
    places: dict[tuple[int, str, str], int] = {}
    holds: dict[_Key, int] = {}
    for charge in charges:
        if charge.amount < 0:
            raise ValueError(f"a charge of {charge.amount} {charge.kind} is negative")
        if charge.window_s is not None:
            window = _window_key(charge)
            places[window] = places.get(window, 0) + charge.amount
        else:
            quota = (charge.account, charge.kind)
            holds[quota] = holds.get(quota, 0) + charge.amount
    return places, holds


def _take_out(times: deque[int], moment: int, amount: int) -> None:
    """Remove `amount` grants of `moment`; they are near the new end, and some may have aged out already."""
    index = len(times) - 1
    while amount and index >= 0 and times[index] >= moment:
        if times[index] == moment:
            del times[index]
            amount -= 1
        index -= 1


def _wait_s(refusal: AdmissionError) -> float:
    return math.inf if refusal.retry_after_s is None else refusal.retry_after_s
