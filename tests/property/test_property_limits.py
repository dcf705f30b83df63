"""The in-memory limiter against a model that keeps every grant for ever and recounts it each time."""

from __future__ import annotations

import calendar
import copy
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pulse_gateway.errors import AdmissionError, QuotaExceeded, RateLimited
from pulse_gateway.limits.limiter import Charge, Standing
from pulse_gateway.limits.memory import MemoryLimiter

ACCOUNTS = ("ada", "bob")
WINDOWS: dict[tuple[str, float], int | None] = {
    ("requests", 2.0): 3,
    ("requests", 10.0): 5,
    ("calls", 1.5): None,
    ("closed", 1.0): 0,
}
QUOTAS: dict[str, int | None] = {"tokens": 100, "images": 4, "videos": None}
COUNTERS = [
    Charge(account=account, kind=kind, amount=0, cap=cap, window_s=window_s)
    for account in ACCOUNTS
    for (kind, window_s), cap in WINDOWS.items()
] + [Charge(account=account, kind=kind, amount=0, cap=cap) for account in ACCOUNTS for kind, cap in QUOTAS.items()]


class ExactClock:
    """Whole microseconds since the middle of a January night, and a float that a client has slept on top."""

    def __init__(self) -> None:
        self.us = 0
        self.slept_s = 0.0

    def monotonic(self) -> float:
        return 5_000 + self.us / 1e6 + self.slept_s

    def now(self) -> float:
        return calendar.timegm((2026, 1, 31, 23, 59, 30)) + self.us / 1e6 + self.slept_s

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


@dataclass
class Grant:
    at_us: int
    month: tuple[int, int]
    charges: Sequence[Charge]
    permit: Any
    state: str = "open"

    def asked(self, counter: Charge) -> int:
        return sum(charge.amount for charge in self.charges if same_counter(charge, counter))


@dataclass
class Model:
    grants: list[Grant] = field(default_factory=list)
    used: dict[tuple[str, str, tuple[int, int]], int] = field(default_factory=dict)

    def in_window(self, counter: Charge, now_us: int) -> list[int]:
        """The moments of all places taken at `now_us`, oldest first."""
        window_us = round((counter.window_s or 0) * 1e6)
        return [
            grant.at_us
            for grant in self.grants
            if grant.state != "cancelled" and now_us - grant.at_us <= window_us
            for _ in range(grant.asked(counter))
        ]

    def reserved(self, counter: Charge, month: tuple[int, int]) -> int:
        return sum(grant.asked(counter) for grant in self.grants if grant.state == "open" and grant.month == month)

    def used_in(self, counter: Charge, month: tuple[int, int]) -> int:
        return self.used.get((counter.account, counter.kind, month), 0)

    def fits(self, charges: Sequence[Charge], now_us: int, month: tuple[int, int]) -> bool:
        for charge in charges:
            need = sum(other.amount for other in charges if same_counter(charge, other))
            if charge.cap is None:
                continue
            if charge.window_s is not None:
                taken = len(self.in_window(charge, now_us))
            else:
                taken = self.used_in(charge, month) + self.reserved(charge, month)
            if taken + need > charge.cap:
                return False
        return True


def same_counter(one: Charge, other: Charge) -> bool:
    return (one.account, one.kind, one.window_s) == (other.account, other.kind, other.window_s)


def finished(call: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that must not wait: then nothing can come between its looking and its taking."""
    try:
        call.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the limiter waited for something")


def month_at(us: int) -> tuple[int, int]:
    """Counted by hand: the clock starts thirty seconds before February 2026."""
    day, month, year = us // 1_000_000 + 30 * 86_400 + 86_370, 1, 2026
    while day >= (length := calendar.monthrange(year, month)[1] * 86_400):
        day -= length
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return year, month


def to_next_month(us: int) -> int:
    return next(step for step in (month_start(ahead) - us for ahead in range(40)) if step > 0)


def month_start(ahead: int) -> int:
    """Microseconds from the clock's start to the start of the month that is `ahead` after February 2026."""
    year, month = 2026 + (1 + ahead) // 12, (1 + ahead) % 12 + 1
    return (calendar.timegm((year, month, 1, 0, 0, 0)) - calendar.timegm((2026, 1, 31, 23, 59, 30))) * 1_000_000


charges = st.lists(
    st.one_of(
        st.builds(
            lambda account, window, amount: Charge(
                account=account, kind=window[0], amount=amount, cap=WINDOWS[window], window_s=window[1]
            ),
            st.sampled_from(ACCOUNTS),
            st.sampled_from([*WINDOWS][:3] * 5 + [*WINDOWS]),
            st.sampled_from([1, 1, 1, 2, 3, 0, 4]),
        ),
        st.builds(
            lambda account, kind, amount: Charge(account=account, kind=kind, amount=amount, cap=QUOTAS[kind]),
            st.sampled_from(ACCOUNTS),
            st.sampled_from([*QUOTAS]),
            st.sampled_from([0, 1, 2, 10, 40, 101]),
        ),
    ),
    min_size=1,
    max_size=4,
)
flood = st.lists(st.tuples(st.integers(0, 700_000), st.integers(1, 3)), min_size=3, max_size=8)
one_quota = st.builds(
    lambda amount: [Charge(account="ada", kind="tokens", amount=amount, cap=QUOTAS["tokens"])],
    st.sampled_from([10, 40, 60]),
)
used = st.dictionaries(st.sampled_from(["tokens", "images", "videos", "requests", "other"]), st.integers(0, 60))


class LimiterAgainstModel(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.clock = ExactClock()
        self.limiter = MemoryLimiter(self.clock)
        self.model = Model()

    @rule(asked=charges)
    def acquire_several(self, asked: list[Charge]) -> None:
        self.acquire(asked)

    @rule(window=st.sampled_from([*WINDOWS][:2]), steps=flood)
    def flood_one_window(self, window: tuple[str, float], steps: list[tuple[int, int]]) -> None:
        for pause_us, amount in steps:
            self.clock.us += pause_us
            kind, window_s = window
            self.acquire([Charge(account="ada", kind=kind, amount=amount, cap=WINDOWS[window], window_s=window_s)])

    @rule(asked=one_quota)
    def acquire_tokens(self, asked: list[Charge]) -> None:
        self.acquire(asked)

    def acquire(self, asked: list[Charge]) -> None:
        now_us, month = self.clock.us, month_at(self.clock.us)
        expected = self.model.fits(asked, now_us, month)
        try:
            permit = finished(self.limiter.acquire(asked))
        except (RateLimited, QuotaExceeded) as refusal:
            assert not expected, f"refused although it fits: {refusal}"
            assert refusal.param is None
            assert refusal.kind_of_limit in {charge.kind for charge in asked}
            self.check_standings(asked, refusal.standings, month)
            self.check_wait(asked, refusal)
            return
        assert expected, "granted although it does not fit"
        self.model.grants.append(Grant(now_us, month, asked, permit))
        self.check_standings(asked, permit.standings, month)
        for counter in COUNTERS:  # P3
            if counter.window_s is None and counter.cap is not None and any(same_counter(counter, it) for it in asked):
                assert self.model.used_in(counter, month) + self.model.reserved(counter, month) <= counter.cap

    def check_wait(self, asked: list[Charge], refusal: AdmissionError) -> None:
        """P2: who waits exactly as long as told is let in, and is not told to wait longer than that."""
        if refusal.retry_after_s is None:
            month = (1999, 1)
            assert not Model().fits(asked, 0, month), "nothing helps, although an empty limiter would grant it"
            return
        waited = copy.deepcopy(self.limiter)
        waited._clock.slept_s = refusal.retry_after_s  # type: ignore[attr-defined]
        finished(waited.acquire(asked))
        early = copy.deepcopy(self.limiter)
        early._clock.us += round(refusal.retry_after_s * 1e6) - 1  # type: ignore[attr-defined]
        try:
            finished(early.acquire(asked))
        except AdmissionError:
            return
        raise AssertionError("told to wait longer than needed")

    @precondition(lambda self: self.model.grants)
    @rule(data=st.data(), amounts=used)
    def settle(self, data: st.DataObject, amounts: dict[str, int]) -> None:
        grant = data.draw(st.sampled_from(self.model.grants[-12:]))
        standings = finished(grant.permit.settle(amounts))
        if grant.state == "open":
            grant.state = "settled"
            for account, kind in {(it.account, it.kind) for it in grant.charges if it.window_s is None}:
                key = (account, kind, grant.month)
                self.model.used[key] = self.model.used.get(key, 0) + amounts.get(kind, 0)
            self.check_standings(grant.charges, standings, grant.month)

    @precondition(lambda self: self.model.grants)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        grant = data.draw(st.sampled_from(self.model.grants[-12:]))
        finished(grant.permit.cancel())
        if grant.state == "open":
            grant.state = "cancelled"

    @rule(
        step_us=st.one_of(
            st.integers(0, 700_000),
            st.integers(0, 700_000),
            st.sampled_from([0, 1, 1_500_000, 1_500_001, 2_000_000, 2_000_001, 10_000_000, 10_000_001]),
        )
    )
    def time_passes(self, step_us: int) -> None:
        self.clock.us += step_us

    @rule(short_us=st.sampled_from([0, 0, 1, 500_000]))
    def the_month_ends(self, short_us: int) -> None:
        self.clock.us += max(0, to_next_month(self.clock.us) - short_us)

    @rule(
        balances=st.dictionaries(
            st.sampled_from(ACCOUNTS), st.dictionaries(st.sampled_from([*QUOTAS]), st.integers(0, 120)), max_size=2
        ),
        twice=st.booleans(),
    )
    def rebuild_from_the_ledger(self, balances: dict[str, dict[str, int]], twice: bool) -> None:
        year, month = month_at(self.clock.us)
        for _ in range(1 + twice):
            self.limiter.load_balances(balances, year * 100 + month)
        for account, kinds in balances.items():
            for kind, amount in kinds.items():
                self.model.used[account, kind, (year, month)] = amount

    @invariant()
    def no_closed_interval_holds_more_than_its_cap(self) -> None:  # P1
        for counter in COUNTERS:
            if counter.window_s is None or counter.cap is None:
                continue
            times = [
                grant.at_us
                for grant in self.model.grants
                if grant.state != "cancelled"
                for _ in range(grant.asked(counter))
            ]
            for later, earlier in zip(times[counter.cap :], times, strict=False):
                assert later - earlier > counter.window_s * 1e6

    @invariant()
    def open_permits_are_counted(self) -> None:
        assert self.limiter.outstanding == sum(grant.state == "open" for grant in self.model.grants)

    @invariant()
    def every_counter_stands_where_the_model_says(self) -> None:
        self.check_standings(COUNTERS, finished(self.limiter.standings(COUNTERS)), month_at(self.clock.us))

    def check_standings(self, asked: Sequence[Charge], standings: Sequence[Standing], month: tuple[int, int]) -> None:
        assert len(standings) == len(asked)
        for charge, standing in zip(asked, standings, strict=True):
            assert (standing.kind, standing.limit, standing.window_s) == (charge.kind, charge.cap, charge.window_s)
            if charge.window_s is not None:
                times = self.model.in_window(charge, self.clock.us)
                assert (standing.used, standing.reserved) == (len(times), 0)
                left_us = times[-1] + round(charge.window_s * 1e6) + 1 - self.clock.us if times else 0
                assert round(standing.reset_s * 1e6) == left_us
            else:
                expected = (self.model.used_in(charge, month), self.model.reserved(charge, month))
                assert (standing.used, standing.reserved) == expected
                assert standing.starts_at == calendar.timegm((*month, 1, 0, 0, 0))


TestLimiterAgainstModel = LimiterAgainstModel.TestCase
TestLimiterAgainstModel.settings = settings(
    max_examples=120, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
