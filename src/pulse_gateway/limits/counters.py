"""Counters, charges and permits as plain arithmetic on integers: the decision itself. Pure.

The scripts in `lua/` are this module for Redis, line by line: given the same moments they give the same answers. A moment is whole
microseconds. A grant at `t` counts up to and including `t + window` and frees its place one microsecond later, so that no closed
interval as long as the window ever holds more than `cap` grants.

What is asked is a list of `Ask`s; what is answered is a `Verdict` with one `Row` for each of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import NamedTuple

import msgspec

from pulse_gateway.limits.accounts import escaped
from pulse_gateway.limits.limiter import CONCURRENCY, REQUESTS, Charge

__all__ = [
    "BUCKETS",
    "COLD",
    "FORGOTTEN_US",
    "GRANTED",
    "LOG",
    "LOST",
    "QUOTA",
    "REFUSED",
    "RUNNING",
    "SEEN",
    "SETTLED",
    "SLICES",
    "UNKNOWN",
    "Ask",
    "Counters",
    "Row",
    "Verdict",
    "asks_of",
    "holds_of",
    "key_prefix",
]

# What a counter is.
LOG, BUCKETS, RUNNING, QUOTA = "l", "b", "r", "q"
SLICES = 20  # of a window in buckets
# What acquire answers.
GRANTED, REFUSED, SEEN, COLD = 0, 1, 2, 3
# What settle answers. LOST: the store had forgotten the permit, and what was used was added all the same.
SETTLED, UNKNOWN, LOST = 1, 0, 2
NEVER = -1  # the wait for a request that is larger than the cap
RUNNING_WAIT_US = 1_000_000  # nobody knows when a call will end
FORGOTTEN_US = 3_600_000_000  # how long an expired permit is remembered, for a process that was frozen and settles late
SWEPT = 8  # overdue permits put away by each caller: more than one call can add
_HELD = frozenset({RUNNING, QUOTA})


class Ask(NamedTuple):
    """`cap` -1: none. `window_us` 0: no window. `key` names the counter; for a quota it holds the month."""

    form: str
    key: str
    amount: int
    cap: int
    window_us: int
    account: str
    kind: str


class Row(NamedTuple):
    """`wait_us` 0: nothing in the way; -1: no wait helps; a quota's is 1, since its month says when it ends. `reset_us` 0 for it."""

    used: int
    held: int
    wait_us: int
    reset_us: int


_NOTHING = Row(0, 0, 0, 0)


class Verdict(NamedTuple):
    code: int
    now_us: int
    rows: list[Row]


class _Quota:
    __slots__ = ("held", "settled_us", "used")

    def __init__(self) -> None:
        self.used: int | None = None  # None: cold, nobody has said yet what was used before
        self.held = 0
        self.settled_us = 0


class _Held(msgspec.Struct):
    """What one permit holds: (form, key, amount) of quotas and running calls. `expired` once it was taken back."""

    holds: tuple[tuple[str, str, int], ...]
    until_us: int
    expired: bool = False


def key_prefix(prefix: str, tenant: str) -> str:
    """What the keys of a tenant begin with: the version, and in braces, for a cluster keeps those together, the tenant."""
    return f"{prefix}:v1:{{{escaped(tenant)}}}:"


def holds_of(asks: Sequence[Ask]) -> str:
    """What a permit for `asks` holds, as it is kept: `form|key|amount;…`."""
    return ";".join([f"{ask.form}|{ask.key}|{ask.amount}" for ask in asks if ask.form in _HELD and ask.amount])


def asks_of(prefix: str, charges: Sequence[Charge], period: int) -> list[Ask]:
    """One ask a counter: charges on the same one add up and obey the smaller cap. The order is that of first mention.

    `prefix` is from `key_prefix`; `period` is the month, `202611`.

    Raises: ValueError for a negative amount.
    """
    found: dict[str, Ask] = {}
    for charge in charges:
        ask = _ask(prefix, charge, period)
        if charge.amount < 0:
            raise ValueError(f"a charge of {charge.amount} {charge.kind} is negative")
        before = found.get(ask.key)
        if before is not None:
            cap = max(ask.cap, before.cap) if -1 in {ask.cap, before.cap} else min(ask.cap, before.cap)
            ask = ask._replace(amount=before.amount + ask.amount, cap=cap)
        found[ask.key] = ask
    return list(found.values())


def _ask(prefix: str, charge: Charge, period: int) -> Ask:
    account, kind, window_s = charge.account, charge.kind, charge.window_s
    cap = -1 if charge.cap is None else charge.cap
    if window_s is not None:
        form = LOG if kind == REQUESTS else BUCKETS
        key = f"{prefix}ratelimit:{account}:{kind}:{window_s:g}s"
        return Ask(form, key, charge.amount, cap, round(window_s * 1e6), account, kind)
    if kind == CONCURRENCY:
        return Ask(RUNNING, f"{prefix}ratelimit:{account}:concurrency", charge.amount, cap, 0, account, kind)
    key = f"{prefix}usage:{kind}:{account}:{period // 100}-{period % 100:02d}"
    return Ask(QUOTA, key, charge.amount, cap, 0, account, kind)


class Counters:
    """Every method is one step: nothing waits between looking and taking.

    A `lease_us` of 0 never ends: the holder lives and dies with this memory.
    """

    def __init__(self) -> None:
        self._logs: dict[
            int, dict[str, deque[int]]
        ] = {}  # by window; oldest first; keys in the order of their newest grant
        self._buckets: dict[int, dict[str, dict[int, int]]] = {}  # by window; number of the slice → amount
        self._running: dict[str, int] = {}
        self._quotas: dict[str, _Quota] = {}
        self._permits: dict[str, _Held] = {}
        self._due: list[
            tuple[int, str]
        ] = []  # a heap of (until_us, permit); what no longer agrees with the permit is stale

    @property
    def open_permits(self) -> int:
        """Permits neither ended nor expired."""
        return sum(not held.expired for held in self._permits.values())

    @property
    def windows_held(self) -> int:
        """How many windows are in memory."""
        return sum(map(len, self._logs.values())) + sum(map(len, self._buckets.values()))

    @property
    def quotas_held(self) -> int:
        """How many monthly counters are in memory."""
        return len(self._quotas)

    def acquire(self, now_us: int, permit_id: str, lease_us: int, asks: Sequence[Ask]) -> Verdict:
        """Take everything or nothing. An empty `permit_id` only looks: amounts are then ignored.

        GRANTED, REFUSED, SEEN (the id was used before), or COLD: the rows with `used` -1 need `warm` first.
        """
        for ask in asks:
            if ask.form == LOG and (log := self._logs.get(ask.window_us, {}).get(ask.key)):
                now_us = max(now_us, log[-1])
        self._expire(now_us)
        if permit_id and permit_id in self._permits:
            return Verdict(SEEN, now_us, [])
        code = GRANTED
        rows = []
        for ask in asks:
            row = self._row(ask, now_us, 0 if not permit_id else ask.amount)
            rows.append(row)
            if row.used < 0:
                code = COLD
            elif row.wait_us and code == GRANTED:
                code = REFUSED
        if code != GRANTED or not permit_id:
            return Verdict(code, now_us, rows)
        for ask in asks:
            self._take(ask, now_us)
        self._hold(permit_id, _Held(_holds(asks), 0), lease_us and now_us + lease_us)
        return Verdict(GRANTED, now_us, [self._row(ask, now_us, 0) for ask in asks])

    def settle(
        self, now_us: int, permit_id: str, granted_us: int, asks: Sequence[Ask], actual: Sequence[int], *, first: bool
    ) -> Verdict:
        """Holds out, what was used in. `actual` has one amount for each ask. The rows tell of quotas and running calls, those of
        windows are zeros. `first` is False when the same settlement was sent
        before without an answer.

        SETTLED; UNKNOWN: it was settled before, nothing changed; LOST: only what was used was added.
        """
        held = self._permits.pop(permit_id, None)
        if held is None and not first:
            return Verdict(UNKNOWN, now_us, self._holdings(asks))
        if held is not None and not held.expired:
            self._give_back(held)
        for ask, amount in zip(asks, actual, strict=True):
            if ask.form == QUOTA:
                quota = self._quotas.get(ask.key)
                if quota is not None and quota.used is not None:
                    quota.used += amount
                    quota.settled_us = now_us
            elif ask.form == BUCKETS and held is not None:
                self._correct(ask, granted_us, amount - ask.amount)
        return Verdict(LOST if held is None else SETTLED, now_us, self._holdings(asks))

    def cancel(self, now_us: int, permit_id: str, granted_us: int, asks: Sequence[Ask]) -> Verdict:
        """Give everything back. SETTLED, or UNKNOWN when there was nothing to give back any more."""
        held = self._permits.pop(permit_id, None)
        if held is not None:
            if not held.expired:
                self._give_back(held)
            for ask in asks:
                if ask.form == LOG:
                    log = self._logs.get(ask.window_us, {}).get(ask.key)
                    for _ in range(ask.amount):
                        if log and granted_us in log:
                            log.remove(granted_us)
                elif ask.form == BUCKETS:
                    self._correct(ask, granted_us, -ask.amount)
        return Verdict(UNKNOWN if held is None else SETTLED, now_us, self._holdings(asks))

    def renew(self, now_us: int, permit_id: str, lease_us: int, asks: Sequence[Ask]) -> bool:
        """Prolong a lease; take the holds anew where the permit had expired or was forgotten. Returns whether it was."""
        held = self._permits.get(permit_id)
        if held is not None and not held.expired:
            self._hold(permit_id, held, now_us + lease_us)
            return False
        fresh = _Held(_holds(asks), 0)
        for form, key, amount in fresh.holds:
            if form == QUOTA:
                self._quotas.setdefault(key, _Quota()).held += amount
            else:
                self._running[key] = self._running.get(key, 0) + amount
        self._hold(permit_id, fresh, now_us + lease_us)
        return True

    def warm(self, key: str, used: int) -> bool:
        """Say what was used before of a quota nobody has said it of. Returns whether it was news: saying it twice changes nothing."""
        quota = self._quotas.setdefault(key, _Quota())
        if quota.used is not None:
            return False
        quota.used = used
        return True

    def correct(self, now_us: int, key: str, expected: int, used: int, quiet_us: int) -> bool:
        """Set what was used to what the ledger says, if it still is `expected` and nothing was settled for `quiet_us`."""
        quota = self._quotas.get(key)
        if quota is None or quota.used != expected or now_us - quota.settled_us < quiet_us:
            return False
        quota.used = used
        return True

    def set_used(self, key: str, used: int) -> None:
        """Set what was used, whatever it was."""
        self._quotas.setdefault(key, _Quota()).used = used

    def sweep(self, now_us: int, count: int) -> None:
        """Forget up to `count` windows of each length in which nothing counts any more."""
        for window_us, logs in self._logs.items():
            for _ in range(min(count, len(logs))):
                key, log = next(iter(logs.items()))
                if log and now_us - log[-1] <= window_us:
                    break
                del logs[key]
        for window_us, rows in self._buckets.items():
            for _ in range(min(count, len(rows))):
                key, buckets = next(iter(rows.items()))
                if buckets and (max(buckets) + 1) * (window_us // SLICES) + window_us > now_us:
                    break
                del rows[key]

    def forget_quotas(self, but_period: int) -> None:
        """Forget the counters of every month but one in which nothing is held."""
        suffix = f":{but_period // 100}-{but_period % 100:02d}"
        past = [key for key, quota in self._quotas.items() if not quota.held and not key.endswith(suffix)]
        for key in past:
            del self._quotas[key]

    # ── looking ──

    def _holdings(self, asks: Sequence[Ask]) -> list[Row]:
        return [self._row(ask, 0, 0) if ask.form in _HELD else _NOTHING for ask in asks]

    def _row(self, ask: Ask, now_us: int, amount: int) -> Row:
        if ask.form == LOG:
            return self._log_row(ask, now_us, amount)
        if ask.form == BUCKETS:
            return self._bucket_row(ask, now_us, amount)
        if ask.form == RUNNING:
            running = self._running.get(ask.key, 0)
            over = ask.cap >= 0 and running + amount > ask.cap
            wait_us = 0 if not over else NEVER if amount > ask.cap else RUNNING_WAIT_US
            return Row(running, 0, wait_us, 0)
        quota = self._quotas.get(ask.key)
        if quota is None or quota.used is None:
            return Row(-1, 0, 0, 0)
        over = ask.cap >= 0 and quota.used + quota.held + amount > ask.cap
        return Row(quota.used, quota.held, 0 if not over else NEVER if amount > ask.cap else 1, 0)

    def _log_row(self, ask: Ask, now_us: int, amount: int) -> Row:
        logs = self._logs.get(ask.window_us, {})
        log = logs.get(ask.key)
        while log and now_us - log[0] > ask.window_us:
            log.popleft()
        if log is not None and not log:
            del logs[ask.key]
        used = len(log) if log else 0
        reset_us = log[-1] + ask.window_us + 1 - now_us if log else 0
        over = used + amount - ask.cap if ask.cap >= 0 else 0
        if over <= 0:
            return Row(used, 0, 0, reset_us)
        if amount > ask.cap:
            return Row(used, 0, NEVER, reset_us)
        assert log
        return Row(used, 0, log[over - 1] + ask.window_us + 1 - now_us, reset_us)

    def _bucket_row(self, ask: Ask, now_us: int, amount: int) -> Row:
        rows = self._buckets.get(ask.window_us, {})
        buckets = rows.get(ask.key)
        if not buckets:
            return Row(0, 0, NEVER if 0 <= ask.cap < amount else 0, 0)
        width_us = ask.window_us // SLICES
        live = []
        for number in sorted(buckets):
            if (number + 1) * width_us + ask.window_us <= now_us:
                del buckets[number]
            else:
                live.append(number)
        if not live:
            del rows[ask.key]
        used = sum(buckets.values())
        reset_us = (live[-1] + 1) * width_us + ask.window_us - now_us if live else 0
        over = used + amount - ask.cap if ask.cap >= 0 else 0
        if over <= 0:
            return Row(used, 0, 0, reset_us)
        if amount > ask.cap:
            return Row(used, 0, NEVER, reset_us)
        freed = 0
        wait_us = reset_us
        for number in live:
            freed += buckets[number]
            if freed >= over:
                wait_us = (number + 1) * width_us + ask.window_us - now_us
                break
        return Row(used, 0, wait_us, reset_us)

    # ── taking and giving back ──

    def _take(self, ask: Ask, now_us: int) -> None:
        if not ask.amount:
            return
        if ask.form == LOG:
            logs = self._logs.setdefault(ask.window_us, {})
            log = logs.pop(ask.key, None) or deque()
            log.extend([now_us] * ask.amount)
            logs[ask.key] = log
        elif ask.form == BUCKETS:
            rows = self._buckets.setdefault(ask.window_us, {})
            buckets = rows.pop(ask.key, None) or {}
            number = now_us // (ask.window_us // SLICES)
            buckets[number] = buckets.get(number, 0) + ask.amount
            rows[ask.key] = buckets
        elif ask.form == RUNNING:
            self._running[ask.key] = self._running.get(ask.key, 0) + ask.amount
        else:
            self._quotas[ask.key].held += ask.amount

    def _hold(self, permit_id: str, held: _Held, until_us: int) -> None:
        held.until_us = until_us
        self._permits[permit_id] = held
        if until_us:
            heappush(self._due, (until_us, permit_id))

    def _give_back(self, held: _Held) -> None:
        for form, key, amount in held.holds:
            if form == QUOTA:
                quota = self._quotas.get(key)
                if quota is not None:
                    quota.held = max(0, quota.held - amount)
            elif key in self._running:
                self._running[key] = max(0, self._running[key] - amount)
                if not self._running[key]:
                    del self._running[key]

    def _correct(self, ask: Ask, granted_us: int, by: int) -> None:
        buckets = self._buckets.get(ask.window_us, {}).get(ask.key)
        number = granted_us // (ask.window_us // SLICES)
        if buckets is not None and number in buckets:
            buckets[number] = max(0, buckets[number] + by)

    def _expire(self, now_us: int) -> None:
        swept = 0
        while self._due and self._due[0][0] <= now_us and swept < SWEPT:
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


def _holds(asks: Sequence[Ask]) -> tuple[tuple[str, str, int], ...]:
    return tuple((ask.form, ask.key, ask.amount) for ask in asks if ask.form in _HELD and ask.amount)
