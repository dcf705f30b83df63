from __future__ import annotations

import asyncio
import calendar
import gc
import math
import tracemalloc
from collections.abc import Sequence
from itertools import pairwise

import pytest

from pulse_gateway.errors import AdmissionError, ConcurrencyLimited, QuotaExceeded, RateLimited
from pulse_gateway.limits.headers import refusal_headers
from pulse_gateway.limits.limiter import Charge, Permit
from pulse_gateway.limits.memory import MemoryLimiter
from pulse_gateway.limits.periods import month_of
from pulse_gateway.testing import FakeClock

NOVEMBER_30TH_LATE = calendar.timegm((2026, 11, 30, 23, 59, 0))
DECEMBER = 202612


def request(cap: int | None = 60, account: str = "u1", amount: int = 1, window_s: float = 60.0) -> Charge:
    return Charge(account=account, kind="requests", amount=amount, cap=cap, window_s=window_s)


def tokens(amount: int, cap: int | None = 1_000, account: str = "u1") -> Charge:
    return Charge(account=account, kind="tokens", amount=amount, cap=cap)


async def taken(limiter: MemoryLimiter, *charges: Charge) -> Permit | None:
    """The permit, or None for a refusal."""
    try:
        return await limiter.acquire(charges)
    except AdmissionError:
        return None


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def limiter(clock: FakeClock) -> MemoryLimiter:
    return MemoryLimiter(clock)


# ── windows ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_burst_at_the_edge_of_a_minute_opens_no_second_window(clock: FakeClock, limiter: MemoryLimiter) -> None:
    """RL-2: 200 requests just before a full minute, then a flood for two minutes: at most 60 in any closed 60 s."""
    clock.advance(60 - clock.monotonic() % 60 - 0.001)
    granted = [clock.monotonic() for _ in range(200) if await taken(limiter, request())]
    assert len(granted) == 60
    for _ in range(1_300):
        clock.advance(0.1)
        if await taken(limiter, request()):
            granted.append(clock.monotonic())
    assert len(granted) == 180  # at 0 s, 60 s and 120 s: the limit is also reached, not only kept
    for earlier, later in zip(granted, granted[60:], strict=False):
        assert later - earlier > 60


async def test_whoever_waits_exactly_as_long_as_told_is_never_refused_again(
    clock: FakeClock, limiter: MemoryLimiter
) -> None:
    """RL-4: a hundred times, at awkward moments of the clock."""
    clock.advance(math.pi / 7)
    refusals = 0
    for _ in range(100):
        while True:
            try:
                await limiter.acquire([request(cap=7, window_s=0.3)])
            except RateLimited as refusal:
                refusals += 1
                assert refusal.retry_after_s is not None
                clock.advance(refusal.retry_after_s)
                break
            clock.advance(0.0123456789)
        await limiter.acquire([request(cap=7, window_s=0.3)])
    assert refusals == 100


async def test_the_microsecond_that_was_told_is_met_whatever_floats_make_of_it() -> None:
    for microseconds in range(200):  # a quarter of the moments around 1,060 s are a hair below themselves as a float
        clock = FakeClock(monotonic=1_000 + microseconds / 1e6)
        limiter = MemoryLimiter(clock)
        await limiter.acquire([request(cap=1)])
        with pytest.raises(RateLimited) as refusal:
            await limiter.acquire([request(cap=1)])
        assert refusal.value.retry_after_s is not None
        clock.advance(refusal.value.retry_after_s)
        assert await taken(limiter, request(cap=1))


async def test_whoever_waits_for_the_retry_after_header_is_never_refused_again(
    clock: FakeClock, limiter: MemoryLimiter
) -> None:
    for turn in range(100):
        while await taken(limiter, request()):
            clock.advance(0.37)
        try:
            await limiter.acquire([request()])
        except RateLimited as refusal:
            headers = dict(refusal_headers(refusal))
            shown_t = int(headers["ratelimit"].rpartition("t=")[2])
            assert int(headers["retry-after"]) >= shown_t
            clock.advance(int(headers["retry-after-ms"]) / 1000 if turn % 2 else int(headers["retry-after"]))
        await limiter.acquire([request()])


async def test_a_place_is_taken_up_to_and_including_the_end_of_its_window(
    clock: FakeClock, limiter: MemoryLimiter
) -> None:
    await limiter.acquire([request(cap=1)])
    clock.advance(60)
    assert await taken(limiter, request(cap=1)) is None
    clock.advance(0.000_001)
    assert await taken(limiter, request(cap=1))


async def test_refusals_take_no_place(clock: FakeClock, limiter: MemoryLimiter) -> None:
    """RL-7: refused, and moderated-out (cancelled), requests between good ones leave the good ones unaffected."""
    granted = 0
    for turn in range(120):  # the odd ones are refused
        clock.advance(0.01)
        if turn % 2 and granted < 60:
            with pytest.raises(QuotaExceeded):
                await limiter.acquire([request(), tokens(1_001)])
            moderated = await limiter.acquire([request(), tokens(900)])
            await moderated.cancel()
        elif turn % 2 == 0 and await taken(limiter, request(), tokens(1)):
            granted += 1
    assert granted == 60
    assert await taken(limiter, request()) is None
    (standing,) = await limiter.standings([tokens(0)])
    assert (standing.used, standing.reserved) == (0, 60)


async def test_of_all_limits_in_the_way_the_longest_wait_is_told(clock: FakeClock, limiter: MemoryLimiter) -> None:
    short, long = request(cap=1, window_s=10.0), request(cap=1, account="team", window_s=100.0)
    await limiter.acquire([short, long])
    clock.advance(1)
    for order in ([short, long], [long, short]):
        with pytest.raises(RateLimited) as refusal:
            await limiter.acquire(order)
        assert refusal.value.retry_after_s == pytest.approx(99.000_001)
    with pytest.raises(QuotaExceeded):  # the month lasts longer than both
        await limiter.acquire(
            [short, tokens(600), tokens(600, account="other", cap=600), long, tokens(300), tokens(200)]
        )


async def test_a_window_without_a_cap_counts_and_never_refuses(limiter: MemoryLimiter) -> None:
    for _ in range(500):
        await limiter.acquire([request(cap=None)])
    (standing,) = await limiter.standings([request(cap=None)])
    assert (standing.used, standing.limit, standing.remaining) == (500, None, None)


async def test_a_clock_that_steps_back_frees_nothing(limiter: MemoryLimiter, clock: FakeClock) -> None:
    clock.advance(1_000)
    await limiter.acquire([request(cap=1)])
    clock._monotonic -= 500
    assert await taken(limiter, request(cap=1)) is None


# ── quotas ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_fifty_racers_for_a_thousand_tokens_get_two_grants_of_five_hundred(limiter: MemoryLimiter) -> None:
    """QL-1."""

    async def race() -> bool:
        await asyncio.sleep(0)
        granted = await taken(limiter, tokens(500)) is not None
        (standing,) = await limiter.standings([tokens(0)])
        assert standing.used + standing.reserved <= 1_000
        return granted

    assert sum(await asyncio.gather(*(race() for _ in range(50)))) == 2
    assert limiter.outstanding == 2


async def test_a_call_across_the_end_of_the_month_is_charged_to_the_month_of_its_grant(
    clock: FakeClock, limiter: MemoryLimiter
) -> None:
    """QL-7: both balances are exact, whichever settles first."""
    clock.advance(NOVEMBER_30TH_LATE - clock.now())
    old = await limiter.acquire([tokens(700)])
    with pytest.raises(QuotaExceeded):
        await limiter.acquire([tokens(700)])
    clock.advance(60)
    assert month_of(clock.now()).period == DECEMBER
    new = await limiter.acquire([tokens(700)])
    (settled,) = await old.settle({"tokens": 650})
    assert (settled.used, settled.reserved) == (650, 0)
    assert settled.resets_at == calendar.timegm((2026, 12, 1, 0, 0, 0))
    (renewed,) = await limiter.standings([tokens(0)])
    assert (renewed.used, renewed.reserved) == (0, 700)
    (settled,) = await new.settle({"tokens": 10})
    assert (settled.used, settled.reserved) == (10, 0)


async def test_who_waits_for_the_new_month_is_let_in(clock: FakeClock, limiter: MemoryLimiter) -> None:
    clock.advance(NOVEMBER_30TH_LATE - clock.now() + 1 / 3)
    await limiter.acquire([tokens(900)])
    with pytest.raises(QuotaExceeded) as refusal:
        await limiter.acquire([tokens(900)])
    assert refusal.value.retry_after_s == pytest.approx(60 - 1 / 3)
    clock.advance(refusal.value.retry_after_s)
    assert await taken(limiter, tokens(900))


async def test_what_a_call_used_beyond_its_hold_is_counted_and_may_exceed_the_cap(limiter: MemoryLimiter) -> None:
    permit = await limiter.acquire([tokens(900)])
    (standing,) = await permit.settle({"tokens": 1_300, "images": 5})
    assert (standing.used, standing.reserved, standing.remaining) == (1_300, 0, 0)
    assert await taken(limiter, tokens(1)) is None


async def test_only_the_first_end_of_a_permit_counts(limiter: MemoryLimiter) -> None:
    permit = await limiter.acquire([request(), tokens(500)])
    await permit.settle({"tokens": 200})
    await permit.settle({"tokens": 200})
    await permit.cancel()
    window, quota = await limiter.standings([request(), tokens(0)])
    assert (window.used, quota.used, quota.reserved, limiter.outstanding) == (1, 200, 0, 0)
    cancelled = await limiter.acquire([request(), tokens(500)])
    await cancelled.cancel()
    await cancelled.settle({"tokens": 500})
    window, quota = await limiter.standings([request(), tokens(0)])
    assert (window.used, quota.used, quota.reserved, limiter.outstanding) == (1, 200, 0, 0)


async def test_a_kind_that_is_not_named_used_nothing(limiter: MemoryLimiter) -> None:
    images = Charge(account="u1", kind="images", amount=2, cap=10)
    permit = await limiter.acquire([tokens(100), images])
    assert [(standing.used, standing.reserved) for standing in await permit.settle({"images": 1})] == [(0, 0), (1, 0)]


async def test_a_quota_without_a_cap_counts_and_never_refuses(limiter: MemoryLimiter) -> None:
    permit = await limiter.acquire([tokens(10**9, cap=None)])
    (standing,) = await permit.settle({"tokens": 2 * 10**9})
    assert (standing.used, standing.limit, standing.remaining) == (2 * 10**9, None, None)


async def test_charges_on_one_counter_add_up_under_the_smaller_cap(limiter: MemoryLimiter) -> None:
    assert await taken(limiter, tokens(300), tokens(300, cap=500)) is None
    assert await taken(limiter, tokens(300), tokens(200, cap=500))


async def test_a_negative_charge_is_a_mistake_of_the_caller(limiter: MemoryLimiter) -> None:
    with pytest.raises(ValueError, match="negative"):
        await limiter.acquire([tokens(-1)])


async def test_balances_from_the_ledger_are_set_and_holds_stay(clock: FakeClock, limiter: MemoryLimiter) -> None:
    period = month_of(clock.now()).period
    permit = await limiter.acquire([tokens(100)])
    for _ in range(3):
        limiter.load_balances({"u1": {"tokens": 850}, "u2": {"images": 3}}, period)
    (standing,) = await limiter.standings([tokens(0)])
    assert (standing.used, standing.reserved) == (850, 100)
    assert await taken(limiter, tokens(51)) is None
    (standing,) = await permit.settle({"tokens": 40})
    assert (standing.used, standing.reserved) == (890, 0)


# ── windows of tokens, calls at once, money ───────────────────────────────────────────────────────────────────────────


def tokens_a_minute(amount: int, cap: int | None = 1_000, account: str = "u1") -> Charge:
    return Charge(account=account, kind="tokens", amount=amount, cap=cap, window_s=60.0)


def at_once(cap: int | None = 2, account: str = "key/k", amount: int = 1) -> Charge:
    return Charge(account=account, kind="concurrency", amount=amount, cap=cap)


def money(amount: int, cap: int | None = 1_000_000_000, account: str = "tenant/acme") -> Charge:
    return Charge(account=account, kind="cost_nano_usd", amount=amount, cap=cap)


async def test_what_a_call_used_takes_the_place_of_its_estimate_in_the_window(
    clock: FakeClock, limiter: MemoryLimiter
) -> None:
    permit = await limiter.acquire([tokens_a_minute(900)])
    assert await taken(limiter, tokens_a_minute(101)) is None
    await permit.settle({"tokens": 100})
    permit = await limiter.acquire([tokens_a_minute(900)])
    await permit.settle({"tokens": 1_500})  # more than it held: the rest of the window is empty for it
    (standing,) = await limiter.standings([tokens_a_minute(0)])
    assert (standing.used, standing.remaining) == (1_600, 0)
    clock.advance(63)
    assert await taken(limiter, tokens_a_minute(1_000))


async def test_a_window_of_tokens_lets_no_more_through_than_its_cap_and_frees_within_a_twentieth(
    clock: FakeClock, limiter: MemoryLimiter
) -> None:
    granted: list[float] = []
    for _ in range(4_000):
        clock.advance(0.05)
        if await taken(limiter, tokens_a_minute(100)):
            granted.append(clock.monotonic())
    assert all(later - earlier > 60 for earlier, later in zip(granted, granted[10:], strict=False))
    assert all(later - earlier <= 63.1 for earlier, later in zip(granted, granted[10:], strict=False))


async def test_what_nobody_could_estimate_counts_in_the_window_once_it_is_known(limiter: MemoryLimiter) -> None:
    permit = await limiter.acquire([tokens_a_minute(0)])
    (standing,) = permit.standings
    assert (standing.used, standing.reset_s) == (0, 0.0)
    await permit.settle({"tokens": 950})
    assert await taken(limiter, tokens_a_minute(51)) is None


async def test_a_cancelled_call_leaves_no_trace_in_any_counter(clock: FakeClock, limiter: MemoryLimiter) -> None:
    charges = [request(), tokens_a_minute(10), at_once(), tokens(10), money(10)]
    before = await limiter.standings(charges)
    permit = await limiter.acquire(charges)
    await permit.cancel()
    assert await limiter.standings(charges) == before
    assert limiter.outstanding == 0


async def test_calls_at_once_are_counted_until_they_end(limiter: MemoryLimiter) -> None:
    first, second = [await limiter.acquire([at_once()]) for _ in range(2)]
    refused = await refusal_of(limiter, [at_once()])
    assert isinstance(refused, ConcurrencyLimited)
    assert str(refused) == "limit of 2 calls at once for this key reached: 2 under way"
    assert (refused.retry_after_s, refused.kind_of_limit) == (1.0, "concurrency")
    (standing,) = await first.settle({})
    assert (standing.used, standing.remaining, standing.resets_at) == (1, 1, None)
    third = await limiter.acquire([at_once()])
    await second.cancel()
    await third.settle({"tokens": 3})
    (standing,) = await limiter.standings([at_once()])
    assert standing.used == 0
    assert (await refusal_of(limiter, [at_once(cap=0)])).retry_after_s is None


async def test_money_is_a_quota_told_in_dollars(clock: FakeClock, limiter: MemoryLimiter) -> None:
    clock.advance(NOVEMBER_30TH_LATE - clock.now())
    permit = await limiter.acquire([money(900_000_000)])
    refused = await refusal_of(limiter, [money(100_000_001)])
    assert isinstance(refused, QuotaExceeded)
    assert str(refused) == (
        "monthly budget of $1 for this tenant: $0 used, $0.9 held, this request needs $0.100000001; resets 2026-12-01T00:00:00Z"
    )
    (standing,) = await permit.settle({"cost_nano_usd": 999_999_999})
    assert standing.remaining == 1
    assert await taken(limiter, money(1))


async def test_a_soft_alert_is_raised_by_the_settlement_that_passes_it_and_by_no_other(limiter: MemoryLimiter) -> None:
    crossed = []
    for used in (799_999_999, 0, 1, 0, 199_999_999, 1, 0):
        permit = await limiter.acquire([money(0)])
        (standing,) = await permit.settle({"cost_nano_usd": used})
        crossed.append(standing.crossed)
        (again,) = await permit.settle({"cost_nano_usd": used})
        assert again.crossed == ()
    assert crossed == [(), (), (80,), (), (), (100,), ()]


async def test_one_call_can_pass_both_alerts(limiter: MemoryLimiter) -> None:
    permit = await limiter.acquire([money(10)])
    (standing,) = await permit.settle({"cost_nano_usd": 2_000_000_000})
    assert standing.crossed == (80, 100)


async def test_everybody_has_counters_of_their_own_and_every_tenant_too(limiter: MemoryLimiter) -> None:
    accounts = ["u1", "u2", "key/u1", "tenant/u1", "model/u1", "u1/model/u1"]
    for account in accounts:
        await limiter.acquire([request(cap=1, account=account), tokens(1_000, account=account)])
    for account in accounts:
        assert await taken(limiter, request(cap=1, account=account)) is None
    for charge in (request(cap=1), tokens(1_000)):
        assert await limiter.acquire([charge], tenant="other")
    standings = await limiter.standings([tokens(0, account=account) for account in accounts])
    assert [(standing.account, standing.reserved) for standing in standings] == [
        (account, 1_000) for account in accounts
    ]


async def test_charges_that_no_counter_can_keep_are_a_mistake_of_the_caller(limiter: MemoryLimiter) -> None:
    for charge in (request(cap=None, amount=1_001), money(2**53, cap=None), request(window_s=0.0)):
        with pytest.raises(ValueError, match="too"):
            await limiter.acquire([charge])
    assert await taken(
        limiter, money(2**53 - 1, cap=2**60)
    )  # a cap beyond what is counted exactly is the largest that is
    (standing,) = await limiter.standings([money(0, cap=2**60)])
    assert standing.limit == 2**53 - 1


# ── what a refusal says ───────────────────────────────────────────────────────────────────────────────────────────────


async def refusal_of(limiter: MemoryLimiter, charges: Sequence[Charge]) -> AdmissionError:
    with pytest.raises(AdmissionError) as refusal:
        await limiter.acquire(charges)
    return refusal.value


async def test_a_rate_refusal_says_what_how_much_and_when(clock: FakeClock, limiter: MemoryLimiter) -> None:
    for _ in range(60):
        await limiter.acquire([request()])
    clock.advance(47.75)
    refusal = await refusal_of(limiter, [request(), tokens(5)])
    assert isinstance(refusal, RateLimited)
    assert str(refusal) == (
        "rate limit of 60 requests per 60 s reached: 60 used, this request needs 1; try again in 12.3 s"
    )
    assert refusal.retry_after_s == pytest.approx(12.250_001)
    assert (refusal.param, refusal.kind_of_limit) == (None, "requests")
    assert [(standing.kind, standing.used, standing.remaining) for standing in refusal.standings] == [
        ("requests", 60, 0),
        ("tokens", 0, 1_000),
    ]


async def test_a_quota_refusal_says_what_how_much_and_when(clock: FakeClock, limiter: MemoryLimiter) -> None:
    clock.advance(NOVEMBER_30TH_LATE - clock.now())
    limiter.load_balances({"u1": {"tokens": 149_000}}, 202611)
    await limiter.acquire([tokens(500, cap=150_000)])
    refusal = await refusal_of(limiter, [tokens(4_200, cap=150_000)])
    assert isinstance(refusal, QuotaExceeded)
    assert str(refusal) == (
        "monthly quota of 150,000 tokens: 149,000 used, 500 held, this request needs 4,200; resets 2026-12-01T00:00:00Z"
    )
    assert (refusal.retry_after_s, refusal.kind_of_limit) == (60, "tokens")


async def test_what_no_wait_can_help_names_no_time(limiter: MemoryLimiter) -> None:
    quota = await refusal_of(limiter, [tokens(1_001)])
    assert quota.retry_after_s is None
    assert "more than the whole quota" in str(quota)
    rate = await refusal_of(limiter, [request(cap=0)])
    assert rate.retry_after_s is None
    assert "this request alone asks for 1" in str(rate)


# ── memory ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_idle_accounts_are_forgotten_within_two_windows(clock: FakeClock, limiter: MemoryLimiter) -> None:
    """RL-6: 10,000 accounts, at most 1 KiB each while they count, nothing once later traffic has passed."""
    charges = [request(account=f"account-{number}") for number in range(10_000)]
    gc.collect()
    tracemalloc.start()
    try:
        for charge in charges:
            permit = await limiter.acquire([charge])
            await permit.settle({})
        del permit
        gc.collect()
        size_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert limiter.windows_held == 10_000
    assert size_bytes / 10_000 <= 1_024
    clock.advance(120)
    for _ in range(10_000 // 64 + 1):
        await limiter.acquire([request(account="busy", cap=None)])
    assert limiter.windows_held == 1


async def test_windows_of_every_length_and_form_are_forgotten_once_they_are_over(
    clock: FakeClock, limiter: MemoryLimiter
) -> None:
    await limiter.acquire([request(account="long", window_s=3_600.0), request(account="busy", window_s=600.0)])
    short = [
        request(account="short", window_s=1.0),
        Charge(account="u", kind="tokens", amount=9, cap=None, window_s=2.0),
    ]
    await limiter.acquire(short)
    assert limiter.windows_held == 4
    clock.advance(3)
    await limiter.acquire([request(account="busy", window_s=600.0)])
    assert limiter.windows_held == 2
    taken_back = await limiter.acquire([request(account="never", window_s=3_600.0)])
    await taken_back.cancel()
    clock.advance(3_700)
    await limiter.acquire([request(account="late", window_s=1.0)])
    assert limiter.windows_held == 1


async def test_one_caller_never_pays_for_all_the_idle_ones(clock: FakeClock, limiter: MemoryLimiter) -> None:
    for number in range(1_000):
        await limiter.acquire([request(account=f"account-{number}")])
    clock.advance(120)
    held = [limiter.windows_held]
    for _ in range(10):
        await limiter.acquire([request(account="busy")])
        held.append(limiter.windows_held)
    assert all(before - after <= 64 for before, after in pairwise(held))


async def test_a_past_month_is_forgotten_with_its_last_hold(clock: FakeClock, limiter: MemoryLimiter) -> None:
    clock.advance(NOVEMBER_30TH_LATE - clock.now())
    await limiter.acquire([tokens(5, account="idle")])
    permits = [await limiter.acquire([tokens(5)]) for _ in range(2)]
    idle = await limiter.acquire([tokens(5, account="idle")])
    await idle.cancel()
    clock.advance(120)
    await limiter.acquire([tokens(5)])
    assert limiter.quotas_held == 3  # u1 twice, and what idle's first permit holds
    await permits[0].settle({"tokens": 5})
    assert limiter.quotas_held == 3
    await permits[1].cancel()
    assert limiter.quotas_held == 2


async def test_a_new_month_forgets_what_nothing_is_held_in(clock: FakeClock, limiter: MemoryLimiter) -> None:
    clock.advance(NOVEMBER_30TH_LATE - clock.now())
    for number in range(100):
        permit = await limiter.acquire([tokens(5, account=f"account-{number}")])
        await permit.settle({"tokens": 5})
    assert limiter.quotas_held == 100
    clock.advance(60)
    await limiter.standings([tokens(0)])
    assert limiter.quotas_held == 1


async def test_a_hundred_thousand_grants_that_end_at_once_are_one_cut(clock: FakeClock, limiter: MemoryLimiter) -> None:
    """Each grant is looked for, not looked at: the window is found by halving, and forgotten in one step."""
    charge = request(cap=100_000, amount=1_000)
    for _ in range(100):
        await limiter.acquire([charge])
    assert await taken(limiter, charge) is None
    clock.advance(60.000_001)
    assert await taken(limiter, charge)
    (log,) = limiter._counters._logs[60_000_000].values()
    assert len(log) == 1_000
    (standing,) = await limiter.standings([charge])
    assert standing.used == 1_000


@pytest.mark.parametrize(
    ("moment", "period"),
    [
        ((2026, 1, 1, 0, 0, 0), 202601),
        ((2026, 12, 31, 23, 59, 59), 202612),
        ((2028, 2, 29, 12, 0, 0), 202802),
    ],
)
def test_a_month_begins_and_ends_at_midnight_utc(moment: tuple[int, ...], period: int) -> None:
    month = month_of(calendar.timegm(moment) + 0.5)
    assert month.period == period
    assert month_of(month.starts_at) == month == month_of(month.resets_at - 0.001)
    assert month_of(month.resets_at).starts_at == month.resets_at
