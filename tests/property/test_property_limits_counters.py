"""`Counters` against the reference that counts everything anew, for random programs; and mutants, which must not survive it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limits_programs import Difference, Program
from pulse_gateway.limits.asks import LOG, Ask
from pulse_gateway.limits.counters import REFUSED, Counters, Row, Verdict


@settings(max_examples=400)
@given(seed=st.integers(0, 10**9))
def test_counters_answer_like_the_reference_and_keep_its_invariants(seed: int) -> None:
    """QL-2: after each of some 50,000 steps; `check` of the reference says what must never be."""
    Program(seed).run(50)


class OneMicrosecondEarly(Counters):
    """A grant stops counting at the end of its window instead of after it."""

    def _look_at_log(self, ask: Ask, now_us: int, amount: int) -> Row:
        return super()._look_at_log(ask, now_us + 1, amount)


class OneMicrosecondLate(Counters):
    def _look_at_log(self, ask: Ask, now_us: int, amount: int) -> Row:
        return super()._look_at_log(ask, now_us - 1, amount)


class SliceTooEarly(Counters):
    """A slice stops counting as soon as its first grant may."""

    def _look_at_buckets(self, ask: Ask, now_us: int, amount: int) -> Row:
        return super()._look_at_buckets(ask, now_us + ask.window_us // 20, amount)


class ClockFollowed(Counters):
    """A clock that steps back is believed."""

    def _newest_us(self, ask: Ask) -> int:
        return 0


class GivesBackTwice(Counters):
    def settle(  # type: ignore[override]
        self, now_us: int, permit_id: str, *others: object, first: bool, marks: bool = False
    ) -> Verdict:
        held = self._permits.get(permit_id)
        if held is not None and held.expired:
            self._give_back(held)
        return super().settle(now_us, permit_id, *others, first=first, marks=marks)  # type: ignore[arg-type]


class SettlesTwice(Counters):
    def settle(self, *args: object, first: bool, marks: bool = False) -> Verdict:  # type: ignore[override]
        return super().settle(*args, first=True, marks=marks)  # type: ignore[arg-type]


class ForgetsWhatHasEnded(Counters):
    """A settlement that was overtaken by the one sent in its place counts again."""

    def settle(self, *args: object, first: bool, marks: bool = False) -> Verdict:  # type: ignore[override]
        return super().settle(*args, first=first)  # type: ignore[arg-type]


class RenewsWhatHasEnded(Counters):
    def renew(self, now_us: int, permit_id: str, lease_us: int, asks: list[Ask]) -> bool:  # type: ignore[override]
        held = self._permits.get(permit_id)
        if held is not None and held.ended:
            del self._permits[permit_id]
        return super().renew(now_us, permit_id, lease_us, asks)


class RefusalTakesPlaces(Counters):
    def acquire(self, now_us: int, permit_id: str, lease_us: int, asks: list[Ask]) -> Verdict:  # type: ignore[override]
        verdict = super().acquire(now_us, permit_id, lease_us, asks)
        if verdict.code == REFUSED and permit_id:
            for ask, row in zip(asks, verdict.rows, strict=True):
                if ask.form == LOG:
                    self._take(ask, row, verdict.now_us)
        return verdict


class ChecksWithoutHolds(Counters):
    """Looks at what is used, and deducts afterwards: a pair of steps that others come between."""

    def _look_at_quota(self, ask: Ask, now_us: int, amount: int) -> Row:
        quota = self._quotas.get(ask.key)
        held = quota.held if quota is not None else 0
        return super()._look_at_quota(
            ask if ask.cap < 0 else msgspec.structs.replace(ask, cap=ask.cap + held), now_us, amount
        )


class RebuildsByAdding(Counters):
    def set_used(self, key: str, used: int) -> None:
        quota = self._quotas.get(key)
        super().set_used(key, used + (quota.used or 0 if quota else 0))


class ColdGrants(Counters):
    """What nobody has said anything of has not been used."""

    def _look_at_quota(self, ask: Ask, now_us: int, amount: int) -> Row:
        self.warm(ask.key, 0)
        return super()._look_at_quota(ask, now_us, amount)


class KeepsTheDead(Counters):
    """Refuses while more than eight overdue permits wait to be put away."""

    def _expire(self, now_us: int, most: int) -> int:
        return super()._expire(now_us, min(most, 8))


@pytest.mark.parametrize(
    "mutant",
    [
        OneMicrosecondEarly,
        OneMicrosecondLate,
        SliceTooEarly,
        ClockFollowed,
        GivesBackTwice,
        SettlesTwice,
        ForgetsWhatHasEnded,
        RenewsWhatHasEnded,
        RefusalTakesPlaces,
        ChecksWithoutHolds,
        RebuildsByAdding,
        ColdGrants,
        KeepsTheDead,
    ],
)
def test_counters_that_are_wrong_in_one_point_are_found_out(mutant: type[Counters]) -> None:
    with pytest.raises(Difference):
        for seed in range(300):
            Program(seed, counters=mutant).run(50)
