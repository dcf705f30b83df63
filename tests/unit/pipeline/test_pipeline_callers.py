"""What a caller's calls are charged to is prepared once: it must be what would be worked out anew for each of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pulse_gateway.limits.asks import LARGEST, asks_of, key_prefix
from pulse_gateway.limits.headers import limit_headers
from pulse_gateway.limits.memory import MemoryLimiter
from pulse_gateway.limits.standings import Standings
from pulse_gateway.limits.tally import Charges, Tally
from pulse_gateway.pipeline import callers
from pulse_gateway.pipeline.callers import Callers
from pulse_gateway.pipeline.terms import ModelTerms, Need, Terms
from pulse_gateway.testing.clock import FakeClock
from pulse_gateway.types.identity import Allowance, Plan, Principal

PERIOD = 202611
rates = st.none() | st.just("off") | st.tuples(st.integers(0, 10**7), st.sampled_from([1.0, 60.0, 90.5]))
allowances = st.builds(
    Allowance,
    requests=rates,
    tokens=rates,
    concurrency=st.none() | st.integers(0, 50),
    budget_nano_usd=st.none() | st.integers(0, 10**15),
)
plans = st.builds(
    Plan,
    name=st.just("any"),
    tokens=st.none() | st.integers(0, 10**12),
    images=st.none() | st.integers(0, 9),
    allowance=allowances,
)
principals = st.builds(
    Principal,
    user_id=st.sampled_from(["ada", "b/b", "ä"]),
    plan=plans,
    tenant_id=st.sampled_from(["default", "acme"]),
    key_id=st.none() | st.just("k1"),
    key=allowances,
    tenant=allowances,
)
model_terms = st.builds(ModelTerms, allowance=allowances, per_user=st.booleans())
all_terms = st.builds(
    Terms,
    user=allowances,
    key=allowances,
    tenant=allowances,
    models=st.dictionaries(st.sampled_from(["m", "p:m"]), model_terms, max_size=2),
)
needs = st.builds(
    Need,
    tokens=st.integers(0, 10**12),
    cost_nano_usd=st.none() | st.integers(0, 10**15),
    images=st.integers(0, 2),
    videos=st.integers(0, 1),
    free=st.booleans(),
)
NAMES = ("m", "p:m", "m")


@settings(max_examples=300, deadline=None)
@given(terms=all_terms, principal=principals, calls=st.lists(needs, min_size=1, max_size=3))
def test_what_is_prepared_for_a_caller_is_what_each_call_would_be_charged(
    terms: Terms, principal: Principal, calls: list[Need]
) -> None:
    found = Callers(terms)
    for need in calls:
        caller = found.find(replace(principal), NAMES)
        charges, anew = caller.charges(need), terms.charges(principal, need, NAMES)
        assert list(charges) == anew
        assert len(charges) == len(anew)
        assert (caller.counts_money, caller.needs_price) == (
            terms.counts_money(principal),
            terms.needs_price(principal),
        )
        if isinstance(charges, Charges) and (counted := charges.tally.counted("pulse", principal.tenant_id, PERIOD)):
            assert counted.asks(charges) == asks_of(key_prefix("pulse", principal.tenant_id), anew, PERIOD)


async def test_a_caller_on_other_terms_than_before_is_charged_by_these() -> None:
    found = Callers(Terms())
    ada = Principal(user_id="ada", plan=Plan(name="small", tokens=10), key_id="k1")
    first = found.find(ada)
    assert found.find(replace(ada)) is first
    for other in (
        replace(ada, plan=Plan(name="large", tokens=20)),
        replace(ada, user_id="bob"),
        replace(ada, tenant_id="acme"),
        replace(ada, key=Allowance(concurrency=1)),
        replace(ada, tenant=Allowance(concurrency=1)),
    ):
        assert list(found.find(other).charges(Need(1, None))) == Terms().charges(other, Need(1, None))


def test_no_more_callers_are_kept_than_a_process_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "_MOST_KEPT", 3)
    found, plan = Callers(Terms()), Plan(name="any")
    kept = [found.find(Principal(user_id=f"u{number}", plan=plan)) for number in range(10)]
    assert len(found._kept) == 3
    assert found.find(Principal(user_id="u9", plan=plan)) is kept[9]
    assert found.find(Principal(user_id="u0", plan=plan)) is not kept[0]


@settings(max_examples=200, deadline=None)
@given(terms=all_terms, principal=principals, need=needs, used=st.integers(0, 10**9), pause_s=st.floats(0, 100))
async def test_headers_of_prepared_charges_say_what_those_of_others_do(
    terms: Terms, principal: Principal, need: Need, used: int, pause_s: float
) -> None:
    """And so does the permit: the same call, charged both ways to two limiters that know nothing of each other."""
    told = []
    for prepared in (True, False):
        clock = FakeClock()
        limiter = MemoryLimiter(clock)
        caller = Callers(replace(terms, models={})).find(principal)
        charges = caller.charges(replace(need, free=False, images=0, videos=0))
        try:
            permit = await limiter.acquire(charges if prepared else list(charges), tenant=principal.tenant_id)
        except Exception as refusal:
            told.append((type(refusal), str(refusal)))
            continue
        clock.advance(pause_s)
        granted = permit.standings
        settled = await permit.settle({"tokens": used, "cost_nano_usd": 5 * used})
        told.append((tuple(granted), tuple(settled), *[sorted(limit_headers(each)) for each in (granted, settled)]))
        for each in (granted, settled):
            assert sorted(limit_headers(each)) == sorted(limit_headers(tuple(each)))
    assert told[0] == told[1]


def test_amounts_beyond_what_counters_add_up_are_no_charges() -> None:
    tally = Tally(Terms().charges(Principal(user_id="ada", plan=Plan(name="any")), Need(0, 0)))
    counted = tally.counted("pulse", "default", PERIOD)
    assert counted is not None
    for tokens in (-1, LARGEST + 1):
        with pytest.raises(ValueError, match="negative or too large"):
            counted.asks(Charges(tally, tokens, 0))


def test_another_month_or_tenant_has_other_counters() -> None:
    tally = Tally(Terms().charges(Principal(user_id="ada", plan=Plan(name="any")), Need(0, 0)))
    keys = set()
    for prefix, tenant, period in (
        ("pulse", "a", 202611),
        ("pulse", "a", 202612),
        ("pulse", "b", 202612),
        ("p", "b", 202612),
    ):
        counted = tally.counted(prefix, tenant, period)
        assert counted is not None
        assert counted is tally.counted(prefix, tenant, period)
        keys.update(ask.key for ask in counted.asks(Charges(tally, 1, 0)))
    assert len(keys) == 4


async def test_standings_are_what_a_tuple_of_them_is() -> None:
    charges = Terms(user=Allowance(requests=(5, 60.0))).charges(
        Principal(user_id="ada", plan=Plan(name="any")), Need(1, 0)
    )
    found = (await MemoryLimiter(FakeClock()).acquire(charges)).standings
    assert isinstance(found, Standings)
    assert found == tuple(found)
    assert (len(found), found[0], found[1:]) == (2, next(iter(found)), tuple(found)[1:])
    assert repr(tuple(found)) in repr(found)
