"""One suite for every limiter: the one in memory, and the one in Redis on a real server. Both see the test's clock."""

from __future__ import annotations

import asyncio
import calendar
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
from limits_parts import TENANT, Books, ClockedRedis, at_once, money, opened, requests, taken, token_rate, tokens

from pulse_gateway.errors import AdmissionError, ConcurrencyLimited, QuotaExceeded, RateLimited
from pulse_gateway.limits.headers import limit_headers, refusal_headers
from pulse_gateway.limits.limiter import Charge, Limiter, Standing
from pulse_gateway.limits.memory import MemoryLimiter
from pulse_gateway.limits.redis import RedisLimiter
from pulse_gateway.testing import FakeClock
from valkey_server import ValkeyProcess

NOW = float(calendar.timegm((2046, 11, 5, 12, 0, 0)))  # to come, since the server lets keys expire by its own clock
MONOTONIC = 600.0  # as far into a minute as `NOW`, so that the windows of both limiters have the same slices
NOVEMBER_30TH_LATE = calendar.timegm((2046, 11, 30, 23, 59, 0))
NEVER_S = 1e9  # a lease that no test outlives: memory has none


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyProcess]:
    with ValkeyProcess() as process:
        yield process


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW, MONOTONIC)


@pytest.fixture(params=["memory", "redis"])
async def limiter(request: pytest.FixtureRequest, server: ValkeyProcess, clock: FakeClock) -> AsyncIterator[Limiter]:
    if request.param == "memory":
        yield MemoryLimiter(clock)
    else:
        async for each in redis_limiter(server, clock):
            yield each


async def redis_limiter(server: ValkeyProcess, clock: FakeClock) -> AsyncIterator[Limiter]:
    server.command("FLUSHALL")
    async with opened(ClockedRedis(server.url, clock)) as client:
        limiter = RedisLimiter(client, ledger=Books(), clock=clock, lease_s=NEVER_S)
        await limiter.open()
        yield limiter
        await limiter.aclose()


async def acquire(limiter: Limiter, *charges: Charge) -> Any:
    return await limiter.acquire(charges, tenant=TENANT)


async def standing(limiter: Limiter, charge: Charge) -> Standing:
    [found] = await limiter.standings([charge], tenant=TENANT)
    return found


# ── windows ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_burst_at_the_edge_of_a_minute_opens_no_second_window(limiter: Limiter, clock: FakeClock) -> None:
    """RL-2: 200 requests just before a full minute, then a flood for a minute more."""
    clock.advance(60 - clock.monotonic() % 60 - 0.001)
    granted = [clock.monotonic() for _ in range(200) if await taken(limiter, requests())]
    assert len(granted) == 60
    for _ in range(700):
        clock.advance(0.1)
        if await taken(limiter, requests()):
            granted.append(clock.monotonic())
    assert len(granted) == 120  # the limit is also reached, not only kept
    for earlier, later in zip(granted, granted[60:], strict=False):
        assert later - earlier > 60


async def test_a_place_is_taken_up_to_and_including_the_end_of_its_window(limiter: Limiter, clock: FakeClock) -> None:
    await acquire(limiter, requests(cap=1, window_s=10))
    clock.advance(10)
    assert not await taken(limiter, requests(cap=1, window_s=10))
    clock.advance(1e-5)
    assert await taken(limiter, requests(cap=1, window_s=10))


async def test_whoever_waits_as_long_as_told_is_never_refused_again(limiter: Limiter, clock: FakeClock) -> None:
    """RL-4: by the header that the vendors' clients go by."""
    for _ in range(30):
        for _ in range(7):
            if not await taken(limiter, requests(cap=7, window_s=0.3)):
                break
        with pytest.raises(RateLimited) as refusal:
            await acquire(limiter, requests(cap=7, window_s=0.3))
        clock.advance(int(dict(refusal_headers(refusal.value))["retry-after-ms"]) / 1000)
        assert await taken(limiter, requests(cap=7, window_s=0.3))


async def test_refusals_take_no_place(limiter: Limiter, clock: FakeClock) -> None:
    """RL-7."""
    await acquire(limiter, requests(cap=1))
    for _ in range(50):
        assert not await taken(limiter, requests(cap=1))
    clock.advance(60.001)
    assert await taken(limiter, requests(cap=1))


async def test_tokens_of_a_window_hold_the_estimate_and_then_what_was_used(limiter: Limiter, clock: FakeClock) -> None:
    permit = await acquire(limiter, token_rate(900))
    with pytest.raises(RateLimited) as refusal:
        await acquire(limiter, token_rate(200))
    assert refusal.value.kind_of_limit == "tokens"
    await permit.settle({"tokens": 100})
    assert await taken(limiter, token_rate(900))
    assert not await taken(limiter, token_rate(1))
    assert refusal.value.retry_after_s is not None
    clock.advance(refusal.value.retry_after_s)
    assert await taken(limiter, token_rate(1_000))


async def test_tokens_never_exceed_the_cap_of_any_window(limiter: Limiter, clock: FakeClock) -> None:
    source = random.Random(1)
    granted: list[tuple[float, int]] = []
    for _ in range(300):
        clock.advance(source.uniform(0, 1.5))
        amount = source.choice([10, 100, 400])
        if await taken(limiter, token_rate(amount, window_s=20)):
            granted.append((clock.monotonic(), amount))
    for begin, _ in granted:
        assert sum(amount for at, amount in granted if begin <= at <= begin + 20) <= 1_000
    assert sum(amount for _, amount in granted) > 5_000


async def test_charges_without_a_cap_count_and_never_refuse(limiter: Limiter) -> None:
    for _ in range(5):
        await acquire(limiter, requests(cap=None), tokens(10, cap=None), at_once(cap=None))
    assert (await standing(limiter, requests(cap=None))).used == 5
    assert (await standing(limiter, tokens(0, cap=None))).reserved == 50
    assert (await standing(limiter, at_once(cap=None))).used == 5


# ── calls at once ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_calls_at_once_are_given_back_when_they_end(limiter: Limiter) -> None:
    first, _ = await acquire(limiter, at_once()), await acquire(limiter, at_once())
    with pytest.raises(ConcurrencyLimited) as refusal:
        await acquire(limiter, at_once())
    assert refusal.value.retry_after_s == 1.0
    await first.settle({})
    assert await taken(limiter, at_once())
    assert not await taken(limiter, at_once())


# ── quotas ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_fifty_racers_for_a_thousand_tokens_get_two_grants_of_five_hundred(limiter: Limiter) -> None:
    """QL-1."""
    results = await asyncio.gather(*[taken(limiter, tokens(500)) for _ in range(50)])
    assert sum(permit is not None for permit in results) == 2
    assert (await standing(limiter, tokens(0))).reserved == 1_000


async def test_what_was_used_takes_the_place_of_what_was_held(limiter: Limiter) -> None:
    permit = await acquire(limiter, tokens(800), money(700))
    [held, _] = permit.standings
    assert (held.used, held.reserved, held.remaining) == (0, 800, 200)
    settled, spent = await permit.settle({"tokens": 1_200, "cost_nano_usd": 5})
    assert (settled.used, settled.reserved, settled.remaining) == (1_200, 0, 0)
    assert (spent.used, spent.reserved) == (5, 0)
    with pytest.raises(QuotaExceeded) as refusal:
        await acquire(limiter, tokens(1))
    assert refusal.value.kind_of_limit == "tokens"


async def test_everything_is_taken_or_nothing(limiter: Limiter) -> None:
    await acquire(limiter, money(900))
    for _ in range(3):
        with pytest.raises(QuotaExceeded):
            await acquire(limiter, requests(), token_rate(10), at_once(), tokens(10), money(200))
    for charge in (requests(), token_rate(0), at_once(), tokens(0)):
        found = await standing(limiter, charge)
        assert (found.used, found.reserved) == (0, 0)


async def test_of_all_limits_in_the_way_the_longest_wait_is_told(limiter: Limiter) -> None:
    await acquire(limiter, requests(cap=1, window_s=2), tokens(1_000))
    with pytest.raises(QuotaExceeded) as refusal:
        await acquire(limiter, requests(cap=1, window_s=2), tokens(1))
    assert refusal.value.retry_after_s is not None and refusal.value.retry_after_s > 3_600
    with pytest.raises(QuotaExceeded) as refusal:
        await acquire(limiter, requests(cap=1, window_s=2), tokens(5_000))
    assert refusal.value.retry_after_s is None


async def test_cancelling_gives_everything_back_the_places_in_windows_too(limiter: Limiter) -> None:
    for _ in range(5):
        permit = await acquire(limiter, requests(cap=1), token_rate(1_000), at_once(cap=1), tokens(1_000))
        await permit.cancel()
    await permit.cancel()
    await permit.settle({"tokens": 7})
    for charge in (requests(), token_rate(0), at_once(), tokens(0)):
        found = await standing(limiter, charge)
        assert (found.used, found.reserved) == (0, 0)


async def test_only_the_first_end_of_a_permit_counts(limiter: Limiter) -> None:
    permit = await acquire(limiter, tokens(500), at_once())
    other = await acquire(limiter, tokens(400), at_once())
    await asyncio.gather(*[permit.settle({"tokens": 100}) for _ in range(5)])
    await permit.cancel()
    found = await standing(limiter, tokens(0))
    assert (found.used, found.reserved) == (100, 400)
    assert (await standing(limiter, at_once())).used == 1
    await other.settle({})


async def test_eighty_and_a_hundred_percent_are_each_told_once(limiter: Limiter) -> None:
    used = (790, 9, 1, 100, 99, 2, 50)
    permits = [await acquire(limiter, tokens(0)) for _ in used]
    told = []
    for permit, amount in zip(permits, used, strict=True):
        [settled] = await permit.settle({"tokens": amount})
        told.append(settled.crossed)
    assert told == [(), (), (80,), (), (), (100,), ()]


async def test_both_percentages_at_once_are_told_by_one_of_many_that_settle_together(limiter: Limiter) -> None:
    permits = [await acquire(limiter, tokens(100)) for _ in range(10)]
    standings = await asyncio.gather(*[permit.settle({"tokens": 100}) for permit in permits])
    assert sorted(percent for [each] in standings for percent in each.crossed) == [80, 100]


async def test_a_call_across_the_end_of_the_month_is_charged_to_the_month_of_its_grant(
    limiter: Limiter, clock: FakeClock
) -> None:
    """QL-7, with a renewal at the boundary: both balances are exact."""
    clock.advance(NOVEMBER_30TH_LATE - clock.now())
    permit = await acquire(limiter, tokens(600))
    assert permit.period == 204611
    clock.advance(60)
    december = await acquire(limiter, tokens(700))
    assert december.period == 204612
    [settled] = await permit.settle({"tokens": 650})
    assert (settled.used, settled.resets_at) == (650, calendar.timegm((2046, 12, 1, 0, 0, 0)))
    await december.settle({"tokens": 10})
    assert (await standing(limiter, tokens(0))).used == 10


async def test_the_last_microsecond_of_a_month_belongs_to_it(limiter: Limiter, clock: FakeClock) -> None:
    clock.advance(NOVEMBER_30TH_LATE + 60 - clock.now() - 1e-6)
    assert (await acquire(limiter, tokens(1))).period == 204611
    clock.advance(1e-5)
    assert (await acquire(limiter, tokens(1))).period == 204612


async def test_tenants_and_accounts_have_counters_of_their_own(limiter: Limiter) -> None:
    await limiter.acquire([requests(cap=1), tokens(1_000)], tenant="acme")
    await limiter.acquire([requests(cap=1), tokens(1_000)], tenant="umbrella")
    await limiter.acquire([requests(cap=1, account="u2"), tokens(1_000, account="u2")], tenant="acme")
    with pytest.raises(AdmissionError):
        await limiter.acquire([requests(cap=1)], tenant="umbrella")


async def test_a_negative_charge_is_a_mistake_of_the_caller(limiter: Limiter) -> None:
    with pytest.raises(ValueError, match="negative"):
        await acquire(limiter, tokens(-1))


# ── both at once ──────────────────────────────────────────────────────────────────────────────────────────────────────

EVERYTHING = [
    requests(cap=5, window_s=4),
    token_rate(300, window_s=8),
    at_once(cap=4),
    tokens(120),
    money(90, cap=None),
]


async def test_both_limiters_tell_their_callers_the_same(server: ValkeyProcess) -> None:
    """Random programs: the same grants, the same refusals, the same headers, the same standings."""
    for seed in range(25):
        clocks = FakeClock(NOW, MONOTONIC), FakeClock(NOW, MONOTONIC)
        async for limiter in redis_limiter(server, clocks[1]):
            told = [await story(seed, MemoryLimiter(clocks[0]), clocks[0]), await story(seed, limiter, clocks[1])]
            for here, there in zip(*told, strict=True):
                assert here == there, f"program {seed}"


async def story(seed: int, limiter: Limiter, clock: FakeClock) -> list[Any]:
    source = random.Random(seed)
    told: list[Any] = []
    permits: list[Any] = []
    for _ in range(40):
        step = source.choice(["acquire", "acquire", "acquire", "settle", "cancel", "wait", "look"])
        if step == "acquire":
            charges = source.sample(EVERYTHING, source.randint(1, len(EVERYTHING)))
            try:
                permits.append(await acquire(limiter, *charges))
                told.append((step, seen(permits[-1].standings), limit_headers(permits[-1].standings)))
            except AdmissionError as error:
                told.append(
                    (step, error.code, error.message, error.kind_of_limit, rounded(error.retry_after_s),
                     seen(error.standings), refusal_headers(error))
                )  # fmt: skip
        elif step == "wait":
            clock.advance(source.choice([0.25, 1.0, 3.0]))
        elif step == "look":
            told.append((step, seen(await limiter.standings(EVERYTHING, tenant=TENANT))))
        elif permits:
            permit = permits.pop(source.randrange(len(permits)))
            if step == "settle":
                used = {"tokens": source.randint(0, 200), "cost_nano_usd": source.randint(0, 200)}
                told.append((step, seen(await permit.settle(used))))
            else:
                await permit.cancel()
    return told


def seen(standings: Sequence[Standing]) -> list[Any]:
    return [
        (each.account, each.kind, each.limit, each.used, each.reserved, rounded(each.reset_s), each.window_s,
         each.resets_at, each.starts_at, each.crossed, each.remaining)
        for each in standings
    ]  # fmt: skip


def rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
