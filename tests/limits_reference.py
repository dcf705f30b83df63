"""What limits mean, told a third time and as plainly as it can be: a list of everything that happened, counted anew for every question.

It shares nothing with `Counters` and the scripts but their names for things, and is far too slow for anything but judging them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pulse_gateway.limits.asks import Ask
from pulse_gateway.limits.counters import Row

GRANTED, REFUSED, SEEN, COLD = 0, 1, 2, 3
UNKNOWN, SETTLED, LOST = 0, 1, 2
HOUR_US = 3_600_000_000
Moment = int


@dataclass
class Entry:
    """A grant in a window: places in a log, or an amount that a settlement may change.

    `is_over`: it had ended when something else was granted, and stays ended whatever the clock says next.
    """

    at: Moment
    amount: int
    permit_id: str
    is_over: bool = False


@dataclass
class Window:
    """Everything that was ever granted here."""

    window_us: int
    slice_us: int  # 1 for a log, where each grant ends by itself
    entries: list[Entry] = field(default_factory=list)
    is_cancelled: bool = False  # a grant that is taken back takes along what it knew of the time

    def end_of(self, entry: Entry) -> Moment:
        """The first moment at which it counts no more."""
        return (entry.at // self.slice_us + 1) * self.slice_us + self.window_us

    def living(self, now: Moment) -> list[Entry]:
        """What counts at `now`."""
        return [entry for entry in self.entries if entry.amount and not entry.is_over and self.end_of(entry) > now]

    def used(self, now: Moment) -> int:
        return sum(entry.amount for entry in self.living(now))

    def grant(self, granted: Entry) -> None:
        for entry in self.entries:
            entry.is_over |= self.end_of(entry) <= granted.at
        self.entries.append(granted)

    def newest(self) -> Moment:
        """What the clock cannot fall behind: the newest place, or the beginning of the newest slice, even of one that is empty."""
        known = [entry for entry in self.entries if entry.amount or self.slice_us > 1]
        return max([entry.at // self.slice_us * self.slice_us for entry in known if not entry.is_over], default=0)


@dataclass
class Lease:
    asks: Sequence[Ask]
    until: Moment
    expired: bool = False
    ended: bool = False  # nothing that comes later does anything


class Reference:
    """The same questions as `Counters`, the same answers; `check` says what must never be."""

    def __init__(self) -> None:
        self.windows: dict[str, Window] = {}
        self.used: dict[str, int] = {}
        self.settled: dict[str, Moment] = {}
        self.leases: dict[str, Lease] = {}

    # ── questions ──

    def moment(self, clock: Moment, asks: Sequence[Ask]) -> Moment:
        return max([clock, *[self.window(ask).newest() for ask in asks if ask.window_us]])

    def held(self, key: str) -> int:
        """By permits that were neither ended nor overdue."""
        return sum(
            ask.amount for lease in self.leases.values() if not lease.expired for ask in lease.asks if ask.key == key
        )

    def row(self, ask: Ask, now: Moment, amount: int) -> Row:
        if ask.form == "q":
            if ask.key not in self.used:
                return Row(-1, 0, 0, 0)
            used, held = self.used[ask.key], self.held(ask.key)
            fits = ask.cap < 0 or used + held + amount <= ask.cap
            return Row(used, held, 0 if fits else -1 if amount > ask.cap else 1, 0)
        if ask.form == "r":
            running = self.held(ask.key)
            fits = ask.cap < 0 or running + amount <= ask.cap
            return Row(running, 0, 0 if fits else -1 if amount > ask.cap else 1_000_000, 0)
        window = self.window(ask)
        ends = sorted({window.end_of(entry) for entry in window.living(now)})
        reset = ends[-1] - now if ends else 0
        for moment in [now, *ends]:  # nothing changes in between
            if ask.cap < 0 or window.used(moment) + amount <= ask.cap:
                return Row(window.used(now), 0, moment - now, reset)
        return Row(window.used(now), 0, -1, reset)

    # ── what happens ──

    def acquire(
        self, clock: Moment, permit_id: str, lease_us: int, asks: Sequence[Ask]
    ) -> tuple[int, Moment, list[Row]]:
        now = self.moment(clock, asks)
        swept = self.expire(clock, 8)
        if permit_id and permit_id in self.leases:
            return SEEN, now, []
        code, rows = self._decide(now, asks, bool(permit_id))
        if code == REFUSED and swept == 8 and self.expire(clock, 512):
            code, rows = self._decide(now, asks, bool(permit_id))
        if code != GRANTED or not permit_id:
            return code, now, rows
        for ask in asks:
            if ask.form == "b" or (ask.form == "l" and ask.amount):
                self.window(ask).grant(Entry(now, ask.amount, permit_id))
        self.leases[permit_id] = Lease(asks, clock + lease_us)
        self.check(now, asks)
        return GRANTED, now, [self.row(ask, now, 0) for ask in asks]

    def settle(
        self,
        clock: Moment,
        permit_id: str,
        asks: Sequence[Ask],
        actual: Sequence[int],
        first: bool,
        marks: bool = False,
    ) -> int:
        if self.has_ended(permit_id):
            return UNKNOWN
        lease = self.leases.pop(permit_id, None)
        if lease is None and not first:
            return UNKNOWN
        if marks:
            self.leases[permit_id] = Lease([], clock + HOUR_US, expired=True, ended=True)
        for ask, amount in zip(asks, actual, strict=True):
            if ask.form == "q" and ask.key in self.used:
                self.used[ask.key] += amount
                self.settled[ask.key] = clock
            if ask.form == "b" and lease is not None:
                for entry in self._granted(ask, permit_id):
                    entry.amount = amount
        return SETTLED if lease is not None else LOST

    def cancel(self, clock: Moment, permit_id: str, asks: Sequence[Ask], marks: bool = False) -> int:
        if self.has_ended(permit_id) or self.leases.pop(permit_id, None) is None:
            return UNKNOWN
        if marks:
            self.leases[permit_id] = Lease([], clock + HOUR_US, expired=True, ended=True)
        for ask in asks:
            for entry in self._granted(ask, permit_id):
                entry.amount, self.window(ask).is_cancelled = 0, True
        return SETTLED

    def has_ended(self, permit_id: str) -> bool:
        return permit_id in self.leases and self.leases[permit_id].ended

    def renew(self, clock: Moment, permit_id: str, lease_us: int, asks: Sequence[Ask]) -> bool:
        if self.has_ended(permit_id):
            return False
        lease = self.leases.get(permit_id)
        self.leases[permit_id] = Lease(asks, clock + lease_us)
        return lease is None or lease.expired

    def warm(self, key: str, used: int) -> bool:
        if key in self.used:
            return False
        self.used[key] = max(0, used)
        return True

    def correct(self, clock: Moment, key: str, expected: int, used: int, quiet_us: int) -> bool:
        if self.used.get(key) != expected or clock - self.settled.get(key, 0) < quiet_us:
            return False
        self.used[key] = max(0, used)
        return True

    def set_used(self, key: str, used: int) -> None:
        self.used[key] = max(0, used)

    def expire(self, now: Moment, most: int) -> int:
        overdue = sorted((lease.until, permit_id) for permit_id, lease in self.leases.items() if lease.until <= now)[
            :most
        ]
        for _, permit_id in overdue:
            lease = self.leases[permit_id]
            if lease.expired:
                del self.leases[permit_id]
            else:
                lease.expired, lease.until = True, now + HOUR_US
        return len(overdue)

    # ── what must never be ──

    def check(self, now: Moment, granted: Sequence[Ask]) -> None:
        """After a grant: no counter that it was asked of is above its cap, and no closed interval holds more."""
        for ask in granted:
            if ask.cap < 0:
                continue
            if ask.form == "q":
                assert ask.key in self.used, "a cold counter granted"
                assert self.used[ask.key] + self.held(ask.key) <= ask.cap
            elif ask.form == "r":
                assert self.held(ask.key) <= ask.cap
            else:
                window = self.window(ask)
                entries = window.living(now) if window.is_cancelled else window.entries
                for end in {now, *[entry.at for entry in entries if entry.at > now]}:
                    inside = sum(entry.amount for entry in entries if end - ask.window_us <= entry.at <= end)
                    assert inside <= ask.cap, "a closed interval holds more than the cap"

    def window(self, ask: Ask) -> Window:
        return self.windows.setdefault(ask.key, Window(ask.window_us, 1 if ask.form == "l" else ask.window_us // 20))

    def _decide(self, now: Moment, asks: Sequence[Ask], taking: bool) -> tuple[int, list[Row]]:
        rows = [self.row(ask, now, ask.amount if taking else 0) for ask in asks]
        if any(row.used < 0 for row in rows):
            return COLD, rows
        return REFUSED if any(row.wait_us for row in rows) else GRANTED, rows

    def _granted(self, ask: Ask, permit_id: str) -> Iterator[Entry]:
        if ask.window_us:
            yield from [entry for entry in self.window(ask).entries if entry.permit_id == permit_id]
