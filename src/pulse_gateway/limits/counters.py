"""Counters, charges and permits as plain arithmetic on integers: the decision itself. Pure.

The scripts in `lua/` are this module for Redis, line by line: given the same moments they give the same answers. A moment is whole
microseconds. A grant at `t` counts up to and including `t + window` and frees its place one microsecond later, so that no closed
interval as long as the window ever holds more than `cap` grants. A clock that steps back frees nothing: for windows the moment of a
decision is never earlier than the newest grant in those it looks at, and only a new grant makes a window forget old ones. Leases and
months follow the clock.

What is asked is a list of `Ask`s; what is answered is a `Verdict` with one `Row` for each of them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush

import msgspec

from pulse_gateway.limits.asks import BUCKETS, HELD, LOG, QUOTA, RUNNING, Ask
from pulse_gateway.limits.kept import Held, Quota

__all__ = [
    "COLD", "GRANTED", "LOST", "NEVER", "REFUSED", "SEEN", "SETTLED", "SLICES", "SWEPT", "UNKNOWN", "Counters", "Row", "Verdict",
]  # fmt: skip

SLICES = 20  # of a window in buckets
# What acquire answers.
GRANTED, REFUSED, SEEN, COLD = 0, 1, 2, 3
# What settle answers. LOST: the store had forgotten the permit, and what was used was added all the same.
SETTLED, UNKNOWN, LOST = 1, 0, 2
NEVER = -1  # the wait for a request that is larger than the cap
RUNNING_WAIT_US = 1_000_000  # nobody knows when a call will end
FORGOTTEN_US = (
    3_600_000_000  # how long it is remembered that a permit has expired or ended, for calls that come that late
)
SWEPT = 8  # overdue permits put away by each caller: more than one call can add
SWEPT_MORE = 512  # and by one that would be refused while more may be overdue


class Row(msgspec.Struct, gc=False):
    """`wait_us` 0: nothing in the way; -1: no wait helps; a quota's is 1, since its month says when it ends. `reset_us` 0 for it."""

    used: int
    held: int
    wait_us: int
    reset_us: int


_NOTHING = Row(0, 0, 0, 0)
_COLD = Row(-1, 0, 0, 0)
_NO_GRANTS: array[int] = array("q")
_NO_SLICES: dict[int, int] = {}
_NEVER_US = 1 << 62


class Verdict(msgspec.Struct, frozen=True, gc=False):
    code: int
    now_us: int
    rows: list[Row]


class Counters:
    """Every method is one step: nothing waits between looking and taking.

    A `lease_us` of 0 never ends: the holder lives and dies with this memory.
    """

    def __init__(self) -> None:
        # By window, and in the order of their newest grants. A log has the moments of its grants, oldest first; buckets have the
        # amount of each slice of the window by its number, in the order of the numbers.
        self._logs: defaultdict[int, OrderedDict[str, array[int]]] = defaultdict(OrderedDict)
        self._buckets: defaultdict[int, OrderedDict[str, dict[int, int]]] = defaultdict(OrderedDict)
        self._running: dict[str, int] = {}
        self._quotas: dict[str, Quota] = {}
        self._permits: dict[str, Held] = {}
        self._latest_us = 0  # of all grants: none of them is newer
        self.idle_from_us = 0  # before that there is no window in which nothing counts any more: nothing to `sweep`
        self._due: list[tuple[int, str]] = []  # a heap of (until_us, permit); what disagrees with the permit is stale
        self._look = {
            LOG: self._look_at_log,
            BUCKETS: self._look_at_buckets,
            RUNNING: self._look_at_running,
            QUOTA: self._look_at_quota,
        }

    @property
    def windows_held(self) -> int:
        """How many windows are in memory."""
        return sum(map(len, self._logs.values())) + sum(map(len, self._buckets.values()))

    @property
    def quotas_held(self) -> int:
        """How many monthly counters are in memory."""
        return len(self._quotas)

    def acquire(self, clock_us: int, permit_id: str, lease_us: int, asks: Sequence[Ask]) -> Verdict:
        """Take everything or nothing. An empty `permit_id` only looks: amounts are then ignored.

        The verdict's moment is when it was granted, for `settle` and `cancel`.

        GRANTED, REFUSED, SEEN (the id was used before), or COLD: the rows with `used` -1 need `warm` first.
        """
        now_us = clock_us if clock_us >= self._latest_us else max(clock_us, *map(self._newest_us, asks))
        swept = self._expire(clock_us, SWEPT) if self._due else 0
        if permit_id and permit_id in self._permits:
            return Verdict(SEEN, now_us, [])
        code, rows = self._decide(now_us, asks, bool(permit_id))
        if code == REFUSED and swept == SWEPT and self._expire(clock_us, SWEPT_MORE):
            code, rows = self._decide(now_us, asks, bool(permit_id))
        if code != GRANTED or not permit_id:
            return Verdict(code, now_us, rows)
        if now_us > self._latest_us:  # noqa: PLR1730 -- `max` takes longer than all else here
            self._latest_us = now_us
        if lease_us:
            self._hold(permit_id, Held(asks, 0), clock_us + lease_us)
        else:
            self._permits[permit_id] = Held(asks, 0)
        take = self._take
        for at, ask in enumerate(asks):
            take(ask, rows[at], now_us)
        return Verdict(GRANTED, now_us, rows)

    def settle(
        self,
        now_us: int,
        permit_id: str,
        granted_us: int,
        asks: Sequence[Ask],
        actual: Sequence[int],
        *,
        first: bool,
        marks: bool = False,
    ) -> Verdict:
        """Holds out, what was used in. `actual` has one amount for each ask. The rows of windows are zeros. `first` is False when the
        same settlement was sent before without an answer; `marks`, if that or another call about the permit may be executed yet.

        SETTLED; UNKNOWN: it was settled before, nothing changed; LOST: only what was used was added.
        """
        held = self._permits.get(permit_id)
        if (held is None and not first) or (held is not None and held.ended):
            return Verdict(UNKNOWN, now_us, self._holdings(asks))
        self._end(permit_id, held, now_us, marks)
        rows = []
        for at, ask in enumerate(asks):
            form, amount = ask.form, actual[at]
            if form == QUOTA:
                quota = self._quotas.get(ask.key)
                if quota is None or quota.used is None:
                    rows.append(_COLD)
                    continue
                used = quota.used = quota.used + amount
                quota.settled_us = now_us
                rows.append(Row(used, quota.held, 0, 0))
            elif form == RUNNING:
                rows.append(Row(self._running.get(ask.key, 0), 0, 0, 0))
            else:
                if form == BUCKETS and held is not None:
                    self._correct(ask, granted_us, amount - ask.amount)
                rows.append(_NOTHING)
        return Verdict(LOST if held is None else SETTLED, now_us, rows)

    def cancel(
        self, now_us: int, permit_id: str, granted_us: int, asks: Sequence[Ask], *, marks: bool = False
    ) -> Verdict:
        """Give everything back. SETTLED, or UNKNOWN when there was nothing to give back any more."""
        held = self._permits.get(permit_id)
        if held is None or held.ended:
            return Verdict(UNKNOWN, now_us, self._holdings(asks))
        self._end(permit_id, held, now_us, marks)
        for ask in asks:
            if ask.form == LOG:
                self._remove(ask, granted_us)
            elif ask.form == BUCKETS:
                self._correct(ask, granted_us, -ask.amount)
        return Verdict(SETTLED, now_us, self._holdings(asks))

    def renew(self, now_us: int, permit_id: str, lease_us: int, asks: Sequence[Ask]) -> bool:
        """Prolong a lease; take the holds anew where the permit had expired or was forgotten. Returns whether it was. Nothing happens
        where it is known to have ended.
        """
        held = self._permits.get(permit_id)
        if held is not None and held.ended:
            return False
        if held is not None and not held.expired:
            self._hold(permit_id, held, now_us + lease_us)
            return False
        for ask in asks:
            if not ask.amount:
                continue
            if ask.form == QUOTA:
                self._quotas.setdefault(ask.key, Quota()).held += ask.amount
            elif ask.form == RUNNING:
                self._running[ask.key] = self._running.get(ask.key, 0) + ask.amount
        self._hold(permit_id, Held(asks, 0), now_us + lease_us)
        return True

    def warm(self, key: str, used: int) -> bool:
        """Say what was used before of a quota nobody has said it of: below zero counts as zero. Returns whether it was news."""
        quota = self._quotas.setdefault(key, Quota())
        if quota.used is not None:
            return False
        quota.used = max(0, used)
        return True

    def correct(self, now_us: int, key: str, expected: int, used: int, quiet_us: int) -> bool:
        """Set what was used to what the ledger says, if it still is `expected` and nothing was settled for `quiet_us`."""
        quota = self._quotas.get(key)
        if quota is None or quota.used != expected or now_us - quota.settled_us < quiet_us:
            return False
        quota.used = max(0, used)
        return True

    def set_used(self, key: str, used: int) -> None:
        """Set what was used, whatever it was."""
        self._quotas.setdefault(key, Quota()).used = max(0, used)

    def change_used(self, key: str, change: int) -> None:
        """Add to what was used, or take from it, where that is known."""
        quota = self._quotas.get(key)
        if quota is not None and quota.used is not None:
            quota.used = max(0, quota.used + change)

    def sweep(self, now_us: int, count: int) -> None:
        """Forget up to `count` windows of each length in which nothing counts any more."""
        if now_us < self.idle_from_us:
            return
        idle_from_us = _NEVER_US
        for window_us, logs in self._logs.items():
            for _ in range(count):
                if not logs:
                    break
                key, log = next(iter(logs.items()))
                if log and now_us - log[-1] <= window_us:
                    idle_from_us = min(idle_from_us, log[-1] + window_us + 1)
                    break
                del logs[key]
            else:
                idle_from_us = now_us
        for window_us, rows in self._buckets.items():
            for _ in range(count):
                if not rows:
                    break
                key, buckets = next(iter(rows.items()))
                if (left_us := _left_us(next(reversed(buckets)), window_us, now_us)) > 0:
                    idle_from_us = min(idle_from_us, now_us + left_us)
                    break
                del rows[key]
            else:
                idle_from_us = now_us
        self.idle_from_us = idle_from_us

    def forget_quotas(self, but_period: int, keys: Iterable[str] | None = None) -> None:
        """Forget the counters, all or those with `keys`, of every month but one in which nothing is held."""
        suffix = f":{but_period // 100}-{but_period % 100:02d}"
        for key in list(self._quotas) if keys is None else keys:
            if not key.endswith(suffix) and key in self._quotas and not self._quotas[key].held:
                del self._quotas[key]

    # ── looking ──

    def _decide(self, now_us: int, asks: Sequence[Ask], taking: bool) -> tuple[int, list[Row]]:
        code, rows, look = GRANTED, [], self._look
        for ask in asks:
            row = look[ask.form](ask, now_us, ask.amount if taking else 0)
            rows.append(row)
            if row.used < 0:
                code = COLD
            elif row.wait_us and code == GRANTED:
                code = REFUSED
        return code, rows

    def _holdings(self, asks: Sequence[Ask]) -> list[Row]:
        return [self._holding(ask) if ask.form in HELD else _NOTHING for ask in asks]

    def _holding(self, ask: Ask) -> Row:
        if ask.form == RUNNING:
            return Row(self._running.get(ask.key, 0), 0, 0, 0)
        quota = self._quotas.get(ask.key)
        return _COLD if quota is None or quota.used is None else Row(quota.used, quota.held, 0, 0)

    def _newest_us(self, ask: Ask) -> int:
        if not ask.window_us:
            return 0
        if ask.form == LOG:
            log = self._logs[ask.window_us].get(ask.key)
            return log[-1] if log else 0
        buckets = self._buckets[ask.window_us].get(ask.key)
        return next(reversed(buckets)) * (ask.window_us // SLICES) if buckets else 0

    def _look_at_log(self, ask: Ask, now_us: int, amount: int) -> Row:
        window_us, cap = ask.window_us, ask.cap
        log = self._logs[window_us].get(ask.key, _NO_GRANTS)
        expired = bisect_left(log, now_us - window_us)
        used = len(log) - expired
        reset_us = log[-1] + window_us + 1 - now_us if used else 0
        over = amount - (cap - used)
        if cap < 0 or over <= 0:
            return Row(used, 0, 0, reset_us)
        if amount > cap:
            return Row(used, 0, NEVER, reset_us)
        return Row(used, 0, log[expired + over - 1] + window_us + 1 - now_us, reset_us)

    def _look_at_buckets(self, ask: Ask, now_us: int, amount: int) -> Row:
        used = reset_us = 0
        live = []
        for number, there in self._buckets[ask.window_us].get(ask.key, _NO_SLICES).items():
            left_us = _left_us(number, ask.window_us, now_us)
            if left_us > 0 and there:
                used, reset_us = used + there, left_us
                live.append((left_us, there))
        over = amount - (ask.cap - used)
        if ask.cap < 0 or over <= 0:
            return Row(used, 0, 0, reset_us)
        if amount > ask.cap:
            return Row(used, 0, NEVER, reset_us)
        wait_us = 0
        for left_us, there in live:  # oldest first
            if over > 0:
                over, wait_us = over - there, left_us
        return Row(used, 0, wait_us, reset_us)

    def _look_at_running(self, ask: Ask, _now_us: int, amount: int) -> Row:
        running = self._running.get(ask.key, 0)
        if ask.cap < 0 or amount <= ask.cap - running:
            return Row(running, 0, 0, 0)
        return Row(running, 0, NEVER if amount > ask.cap else RUNNING_WAIT_US, 0)

    def _look_at_quota(self, ask: Ask, _now_us: int, amount: int) -> Row:
        quota = self._quotas.get(ask.key)
        if quota is None or quota.used is None:
            return _COLD
        if ask.cap < 0 or amount <= ask.cap - quota.used - quota.held:
            return Row(quota.used, quota.held, 0, 0)
        return Row(quota.used, quota.held, NEVER if amount > ask.cap else 1, 0)

    # ── taking and giving back ──

    def _take(self, ask: Ask, row: Row, now_us: int) -> None:
        """Take `ask`, and have `row` say where its counter stands then."""
        form, amount = ask.form, ask.amount
        if not amount and form != BUCKETS:
            return
        if form == QUOTA:
            row.held = self._quotas[ask.key].held = row.held + amount
        elif form == LOG:
            logs, key, window_us = self._logs[ask.window_us], ask.key, ask.window_us
            log = logs.get(key)
            if log is None:
                log = logs[key] = array("q")
                self.idle_from_us = min(self.idle_from_us, now_us + window_us + 1)
            if len(log) > 2 * row.used:  # forgetting half at a time costs each grant the same, however many end at once
                del log[: len(log) - row.used]
            if amount == 1:
                log.append(now_us)
            else:
                log.extend([now_us] * amount)
            logs.move_to_end(key)
            row.used += amount
            row.reset_us = window_us + 1
        elif form == BUCKETS:
            self._take_in_buckets(ask, row, now_us)
        else:
            row.used = self._running[ask.key] = row.used + amount

    def _take_in_buckets(self, ask: Ask, row: Row, now_us: int) -> None:
        rows, window_us, amount = self._buckets[ask.window_us], ask.window_us, ask.amount
        buckets = rows.get(ask.key)
        if buckets is None:
            buckets = rows[ask.key] = {}
            self.idle_from_us = min(self.idle_from_us, now_us + window_us)
        for number in [number for number in buckets if _left_us(number, window_us, now_us) <= 0]:
            del buckets[number]
        current = now_us // (window_us // SLICES)
        buckets[current] = buckets.get(current, 0) + amount  # made for an amount of 0 too: what was used is put there
        rows.move_to_end(ask.key)
        if amount:
            row.used += amount
            row.reset_us = _left_us(current, window_us, now_us)

    def _hold(self, permit_id: str, held: Held, until_us: int) -> None:
        held.until_us = until_us
        self._permits[permit_id] = held
        if until_us:
            heappush(self._due, (until_us, permit_id))

    def _end(self, permit_id: str, held: Held | None, now_us: int, marks: bool) -> None:
        if held is not None:
            del self._permits[permit_id]
            if not held.expired:
                self._give_back(held)
        if marks:
            self._hold(permit_id, Held((), 0, expired=True, ended=True), now_us + FORGOTTEN_US)

    def _give_back(self, held: Held) -> None:
        for ask in held.asks:
            if ask.form == QUOTA:
                quota = self._quotas.get(ask.key)
                if quota is not None:
                    quota.held = quota.held - ask.amount if quota.held > ask.amount else 0
            elif ask.form == RUNNING and ask.amount:
                if self._running.get(ask.key, 0) > ask.amount:
                    self._running[ask.key] -= ask.amount
                else:
                    self._running.pop(ask.key, None)

    def _remove(self, ask: Ask, granted_us: int) -> None:
        log = self._logs[ask.window_us].get(ask.key)
        if log:
            del log[: bisect_left(log, log[-1] - ask.window_us)]  # what the newest grant made the window forget
            at = bisect_left(log, granted_us)
            there = 0
            while there < ask.amount and at + there < len(log) and log[at + there] == granted_us:
                there += 1
            del log[at : at + there]
            self.idle_from_us = 0

    def _correct(self, ask: Ask, granted_us: int, by: int) -> None:
        buckets = self._buckets[ask.window_us].get(ask.key)
        number = granted_us // (ask.window_us // SLICES)
        if buckets is not None and number in buckets:
            buckets[number] = max(0, buckets[number] + by)

    def _expire(self, now_us: int, most: int) -> int:
        swept = 0
        while self._due and self._due[0][0] <= now_us and swept < most:
            until_us, permit_id = heappop(self._due)
            held = self._permits.get(permit_id)
            if held is None or held.until_us != until_us:
                continue
            swept += 1
            if held.expired:
                del self._permits[permit_id]
            else:
                self._give_back(held)
                held.expired = True
                self._hold(permit_id, held, now_us + FORGOTTEN_US)
        return swept


def _left_us(number: int, window_us: int, now_us: int) -> int:
    """How long slice `number` still counts: until its last microsecond is older than the window."""
    return (number + 1) * (window_us // SLICES) + window_us - now_us
