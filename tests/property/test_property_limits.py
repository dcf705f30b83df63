"""The in-memory limiter, as its callers see it, against the reference that counts everything anew each time."""

from __future__ import annotations

import calendar
import copy
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from limits_reference import GRANTED, Reference
from pulse_gateway.errors import AdmissionError, ConcurrencyLimited, QuotaExceeded, RateLimited
from pulse_gateway.limits.asks import Ask, asks_of, key_prefix
from pulse_gateway.limits.counters import Row
from pulse_gateway.limits.limiter import Charge, Standing
from pulse_gateway.limits.memory import MemoryLimiter

SECOND_US = 1_000_000
BOOT_US = 5_000 * SECOND_US  # what the monotonic clock shows at the start
START_US = calendar.timegm((2026, 1, 31, 23, 59, 30)) * SECOND_US
FOR_EVER_US = 10**18
KINDS: Mapping[tuple[str, float | None], int | None] = {
    ("requests", 2.0): 3,
    ("requests", 10.0): 5,
    ("tokens", 2.0): 60,
    ("calls", 1.5): None,
    ("requests", 1.0): 0,
    ("concurrency", None): 2,
    ("tokens", None): 100,
    ("images", None): 4,
    ("cost_nano_usd", None): None,
}
COUNTERS = [
    Charge(account=account, kind=kind, amount=0, cap=cap, window_s=window_s)
    for account in ("ada", "bob")
    for (kind, window_s), cap in KINDS.items()
]
ERRORS = {"l": RateLimited, "b": RateLimited, "r": ConcurrencyLimited, "q": QuotaExceeded}


class ExactClock:
    """Whole microseconds since the middle of a January night, and a float that a client has slept on top."""

    def __init__(self) -> None:
        self.us = 0

    def monotonic(self) -> float:
        return (BOOT_US + self.us) / 1e6

    def now(self) -> float:
        return (START_US + self.us) / 1e6

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


@dataclass
class Grant:
    permit: Any
    asks: Sequence[Ask]
    period: int
    is_open: bool = True


def finished(call: Awaitable[Any]) -> Any:
    """The result of a call that must not wait: then nothing can come between its looking and its taking."""
    try:
        call.__await__().send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the limiter waited for something")


def month_at(us: int) -> tuple[int, int]:
    """Year and month, counted by hand."""
    day, month, year = us // SECOND_US + 30 * 86_400 + 86_370, 1, 2026
    while day >= (length := calendar.monthrange(year, month)[1] * 86_400):
        day -= length
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return year, month


def month_start_us(year: int, month: int) -> int:
    """Microseconds from the clock's start."""
    return calendar.timegm((year, month, 1, 0, 0, 0)) * SECOND_US - START_US


def next_month(period: int) -> tuple[int, int]:
    year, month = divmod(period, 100)
    return (year + 1, 1) if month == 12 else (year, month + 1)


def charge(counter: Charge, amount: int) -> Charge:
    return Charge(account=counter.account, kind=counter.kind, amount=amount, cap=counter.cap, window_s=counter.window_s)


amounts = st.sampled_from([1, 1, 1, 2, 3, 0, 4, 10, 40, 101])
charges = st.lists(st.builds(charge, st.sampled_from(COUNTERS), amounts), min_size=1, max_size=4)
flood = st.lists(st.tuples(st.integers(0, 700_000), st.integers(1, 3)), min_size=3, max_size=8)
used = st.dictionaries(st.sampled_from(["tokens", "images", "requests", "other"]), st.integers(0, 60))
steps_us = st.one_of(
    st.integers(0, 700_000),
    st.integers(0, 700_000),
    st.sampled_from([0, 1, 1_500_000, 1_500_001, 2_000_000, 2_000_001, 2_100_000, 10_000_000, 10_000_001]),
)


class LimiterAgainstReference(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.clock = ExactClock()
        self.limiter = MemoryLimiter(self.clock)
        self.reference = Reference()
        self.grants: list[Grant] = []

    # ── steps ──

    @rule(asked=charges)
    def acquire_several(self, asked: list[Charge]) -> None:
        self.acquire(asked)

    @rule(counter=st.sampled_from(COUNTERS[:3]), pauses=flood)
    def flood_one_window(self, counter: Charge, pauses: list[tuple[int, int]]) -> None:
        for pause_us, amount in pauses:
            self.clock.us += pause_us
            self.acquire([charge(counter, amount)])

    @rule(asked=st.builds(charge, st.just(COUNTERS[6]), st.sampled_from([10, 40, 60])))
    def acquire_tokens(self, asked: Charge) -> None:
        self.acquire([asked])

    @precondition(lambda self: self.grants)
    @rule(data=st.data(), amounts=used)
    def settle(self, data: st.DataObject, amounts: dict[str, int]) -> None:
        grant = data.draw(st.sampled_from(self.grants[-12:]))
        standings = finished(grant.permit.settle(amounts))
        if grant.is_open:
            grant.is_open = False
            actual = [amounts.get(ask.kind, 0) for ask in grant.asks]
            self.reference.settle(self.now_us, grant.permit.permit_id, grant.asks, actual, first=True)
        held = {ask.key for other in self.grants if other.is_open for ask in other.asks if ask.amount}
        # A counter of a month that is over is forgotten once nothing is held in it.
        if grant.period == self.period or all(ask.key in held for ask in grant.asks if ask.form == "q"):
            self.check(grant.asks, standings, self.rows(grant.asks), grant.period, but_windows=True)

    @precondition(lambda self: self.grants)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        grant = data.draw(st.sampled_from(self.grants[-12:]))
        finished(grant.permit.cancel())
        if grant.is_open:
            grant.is_open = False
            self.reference.cancel(self.now_us, grant.permit.permit_id, grant.asks)

    @rule(step_us=steps_us)
    def time_passes(self, step_us: int) -> None:
        self.clock.us += step_us

    @rule(short_us=st.sampled_from([0, 0, 1, 500_000]))
    def the_month_ends(self, short_us: int) -> None:
        """QL-7."""
        self.clock.us = max(self.clock.us, month_start_us(*next_month(self.period)) - short_us)

    @rule(
        balances=st.dictionaries(
            st.sampled_from(["ada", "bob"]),
            st.dictionaries(st.sampled_from(["tokens", "images"]), st.integers(-3, 120)),
            max_size=2,
        ),
        twice=st.booleans(),
    )
    def rebuild_from_the_ledger(self, balances: dict[str, dict[str, int]], twice: bool) -> None:
        for _ in range(1 + twice):
            self.limiter.load_balances(balances, self.period)
        for account, kinds in balances.items():
            for kind, amount in kinds.items():
                (ask,) = self.asks([Charge(account=account, kind=kind, amount=0, cap=None)])
                self.reference.set_used(ask.key, amount)

    # ── what must hold after each ──

    @invariant()
    def every_counter_stands_where_the_reference_says(self) -> None:
        asks = self.asks(COUNTERS)
        self.check(asks, finished(self.limiter.standings(COUNTERS)), self.rows(asks), self.period)

    @invariant()
    def open_permits_are_counted(self) -> None:
        assert self.limiter.outstanding == sum(grant.is_open for grant in self.grants)

    # ── what they are made of ──

    @property
    def now_us(self) -> int:
        return BOOT_US + self.clock.us

    @property
    def period(self) -> int:
        year, month = month_at(self.clock.us)
        return year * 100 + month

    def asks(self, asked: Sequence[Charge]) -> list[Ask]:
        """What has not been used is zero: memory is never cold."""
        asks = asks_of(key_prefix("pulse", "default"), asked, self.period)
        for ask in asks:
            if ask.form == "q":
                self.reference.warm(ask.key, 0)
        return asks

    def rows(self, asks: Sequence[Ask], *, taking: bool = False) -> list[Row]:
        return [self.reference.row(ask, self.now_us, ask.amount if taking else 0) for ask in asks]

    def acquire(self, asked: list[Charge]) -> None:
        asks = self.asks(asked)
        rows = self.rows(asks, taking=True)
        try:
            permit = finished(self.limiter.acquire(asked))
        except AdmissionError as refusal:
            assert any(row.wait_us for row in rows), f"refused although it fits: {refusal}"
            self.check(asks, refusal.standings, rows, self.period)
            self.check_wait(asks, rows, refusal)
            return
        assert not any(row.wait_us for row in rows), "granted although it does not fit"
        self.reference.acquire(self.now_us, permit.permit_id, FOR_EVER_US, asks)  # and checks its invariants
        self.grants.append(Grant(permit, asks, self.period))
        assert permit.period == self.period
        self.check(asks, permit.standings, self.rows(asks), self.period)

    def check_wait(self, asks: Sequence[Ask], rows: Sequence[Row], refusal: AdmissionError) -> None:
        """P2: who waits exactly as long as told is let in, and is not told to wait longer than that."""
        in_the_way = [ask for ask, row in zip(asks, rows, strict=True) if row.wait_us]
        assert any(isinstance(refusal, ERRORS[ask.form]) and refusal.kind_of_limit == ask.kind for ask in in_the_way)
        if refusal.retry_after_s is None:
            assert any(0 <= ask.cap < ask.amount for ask in asks), (
                "nothing helps, although an empty limiter would grant it"
            )
            return
        wait_us = round(refusal.retry_after_s * 1e6)
        if any(ask.form == "r" for ask in in_the_way):  # nobody knows when a call will end
            assert wait_us >= SECOND_US
            return
        to_next_month_us = month_start_us(*next_month(self.period)) - self.clock.us
        for waited_us, lets_in in ((wait_us, True), (wait_us - 1, False)):
            renewed = waited_us >= to_next_month_us
            later = [ask for ask in asks if not (renewed and ask.form == "q")]
            reference = copy.deepcopy(self.reference)
            verdict = reference.acquire(self.now_us + waited_us, "waited", FOR_EVER_US, later)
            assert (verdict[0] == GRANTED) == lets_in, f"after {waited_us} µs"

    def check(
        self,
        asks: Sequence[Ask],
        standings: Sequence[Standing],
        rows: Sequence[Row],
        period: int,
        *,
        but_windows: bool = False,
    ) -> None:
        year, month = divmod(period, 100)
        for ask, standing, row in zip(asks, standings, rows, strict=True):
            cap = None if ask.cap < 0 else ask.cap
            assert (standing.account, standing.kind, standing.limit) == (ask.account, ask.kind, cap)
            assert standing.window_s == (ask.window_us / 1e6 or None)
            if ask.window_us and but_windows:
                continue
            assert (standing.used, standing.reserved) == (row.used, row.held)
            assert round(standing.reset_s * 1e6) == row.reset_us or ask.form == "q"
            if ask.form == "q":
                assert standing.starts_at == calendar.timegm((year, month, 1, 0, 0, 0))
                left_us = month_start_us(*next_month(period)) - self.clock.us
                assert round(standing.reset_s * 1e6) == max(0, left_us)


TestLimiterAgainstReference = LimiterAgainstReference.TestCase
TestLimiterAgainstReference.settings = settings(max_examples=60, stateful_step_count=40)
