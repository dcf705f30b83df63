"""Limits while Redis is dead, frozen or empty, and after it: the declared policy, no more, and nothing lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest
from limits_parts import (
    TENANT,
    Books,
    at_once,
    held_permits,
    limiting,
    money,
    quota,
    requests,
    running,
    taken,
    token_rate,
    tokens,
    until,
)
from redis_parts import Lag

from pulse_gateway.errors import QuotaExceeded, RateLimited, StoreUnavailable
from pulse_gateway.limits.limiter import Charge
from pulse_gateway.limits.periods import month_of
from pulse_gateway.limits.policies import Policies
from pulse_gateway.limits.redis import RedisLimiter
from valkey_server import ValkeyProcess

PERIOD = month_of(time.time()).period
LATE_S = 0.35  # the deadline of a call and 250 ms, and by what the loop itself was late


@pytest.fixture
def server() -> Iterator[ValkeyProcess]:
    with ValkeyProcess() as process:
        yield process


async def away(server: ValkeyProcess, *limiters: RedisLimiter) -> None:
    await asyncio.to_thread(server.kill)
    await noticed(*limiters)


async def back(server: ValkeyProcess, *limiters: RedisLimiter) -> None:
    await asyncio.to_thread(server.start)
    for limiter in limiters:
        await until(lambda limiter=limiter: limiter.state == "ok", "Redis is asked again", within_s=5)  # type: ignore[misc]


async def noticed(*limiters: RedisLimiter) -> None:
    for limiter in limiters:
        with contextlib.suppress(Exception):
            for _ in range(50):
                await limiter.standings([at_once(account="nobody")], tenant=TENANT)
                if limiter.state == "degraded":
                    break
        assert limiter.state == "degraded"


async def granted(limiter: RedisLimiter, *charges: Charge, tries: int) -> list[Any]:
    permits = [await taken(limiter, *charges) for _ in range(tries)]
    return [permit for permit in permits if permit is not None]


# ── policies ──────────────────────────────────────────────────────────────────────────────────────────────────────────

CLOSED = Policies(
    requests="closed", tokens="closed", concurrency="closed", quotas="closed", media="closed", budgets="closed"
)
OPEN = Policies(requests="open", tokens="open", concurrency="open", quotas="open", media="open", budgets="open")
ONE_OF_EACH = [requests(2), token_rate(10), at_once(2), tokens(10), money(10)]


@pytest.mark.parametrize("charge", ONE_OF_EACH, ids=lambda charge: f"{charge.kind}-{charge.window_s}")
async def test_closed_refuses_and_says_when_to_come_back(server: ValkeyProcess, charge: Charge) -> None:
    async with limiting(server, policies=CLOSED) as limiter:
        await away(server, limiter)
        with pytest.raises(StoreUnavailable) as refusal:
            await limiter.acquire([charge], tenant=TENANT)
        assert refusal.value.retry_after_s is not None
        assert limiter.degraded_refusals == {"closed": 1}
        assert limiter.outstanding == 0


async def test_media_are_closed_unless_somebody_says_otherwise(server: ValkeyProcess) -> None:
    image = Charge(account="u1", kind="images", amount=1, cap=10)
    async with limiting(server) as limiter, limiting(server, policies=Policies(media="local")) as other:
        await away(server, limiter, other)
        with pytest.raises(StoreUnavailable):
            await limiter.acquire([requests(), image], tenant=TENANT)
        assert await taken(other, image)


async def test_open_lets_through_and_counts_later(server: ValkeyProcess) -> None:
    async with limiting(server, policies=OPEN) as limiter:
        await away(server, limiter)
        permits = await granted(limiter, *ONE_OF_EACH, tries=20)
        assert len(permits) == 20
        assert {permit.degraded for permit in permits} == {"open"}
        for permit in permits:
            assert await permit.settle({"tokens": 3, "cost_nano_usd": 4}) == ()
        assert limiter.degraded_grants == {"open": 20}
        assert limiter.settlements_waiting == 20
        await back(server, limiter)
        await limiter.acquire([tokens(0), money(0)], tenant=TENANT)  # so that the counters are there to be added to
        await until(lambda: limiter.settlements_waiting == 0, "all are taken")


async def test_local_grants_this_replicas_share_and_no_more(server: ValkeyProcess) -> None:
    """DF-2, the part of one replica: 20 of 60 with three."""
    async with limiting(server, replicas=3) as limiter:
        await away(server, limiter)
        permits = await granted(limiter, requests(60), tries=100)
        assert len(permits) == 20
        assert {permit.degraded for permit in permits} == {"local"}
        [standing] = permits[-1].standings
        assert (standing.limit, standing.used) == (20, 20)
        with pytest.raises(RateLimited) as refusal:
            await limiter.acquire([requests(60)], tenant=TENANT)
        assert refusal.value.retry_after_s == pytest.approx(60, abs=1)
        assert limiter.degraded_grants == {"local": 20}
        assert limiter.degraded_refusals == {"local": 81}


async def test_a_share_too_small_for_the_request_is_no_fault_of_its_caller(server: ValkeyProcess) -> None:
    """Two of a limit of two among three is nothing: the caller may come back once Redis is there."""
    async with limiting(server, replicas=3) as limiter:
        await away(server, limiter)
        for charge in (requests(2), token_rate(400, 1_000), at_once(2), money(400, 1_000)):
            with pytest.raises(StoreUnavailable) as refusal:
                await limiter.acquire([charge], tenant=TENANT)
            assert refusal.value.retry_after_s is not None
        with pytest.raises(RateLimited):
            await limiter.acquire([token_rate(4_000, 1_000)], tenant=TENANT)


async def test_replicas_share_what_they_have_seen_of_each_other(server: ValkeyProcess) -> None:
    async with limiting(server) as one, limiting(server) as two, limiting(server) as three:
        await until(lambda: one.replicas == two.replicas == three.replicas == 3, "they know each other")
        await away(server, one, two, three)
        permits = [permit for each in (one, two, three) for permit in await granted(each, requests(60), tries=60)]
        assert len(permits) == 60


async def test_a_gateway_that_never_saw_redis_does_not_guess_its_share(server: ValkeyProcess) -> None:
    server.kill()
    async with limiting(server) as limiter, limiting(server, replicas=2) as told:
        with pytest.raises(StoreUnavailable):
            await limiter.acquire([requests(60)], tenant=TENANT)
        assert len(await granted(told, requests(60), tries=60)) == 30
        await back(server, limiter)
        assert await taken(limiter, requests(60))


async def test_what_has_no_cap_is_let_through_whatever_the_policy(server: ValkeyProcess) -> None:
    async with limiting(server, policies=CLOSED) as limiter:
        await away(server, limiter)
        assert await taken(limiter, requests(None), tokens(10, None), at_once(None))


async def test_a_month_goes_by_the_ledger_and_what_is_held_here(server: ValkeyProcess) -> None:
    ledger = Books()
    ledger.write("u1", PERIOD, tokens=500)
    async with limiting(server, ledger, replicas=4) as limiter:
        await away(server, limiter)
        first = await limiter.acquire([tokens(300)], tenant=TENANT)
        [standing] = first.standings
        assert (standing.limit, standing.used, standing.reserved) == (1_000, 500, 300)
        with pytest.raises(QuotaExceeded):
            await limiter.acquire([tokens(300)], tenant=TENANT)
        await first.settle({"tokens": 100})
        with pytest.raises(QuotaExceeded):
            await limiter.acquire([tokens(401)], tenant=TENANT)
        assert await taken(limiter, tokens(400))


async def test_a_user_with_a_quota_has_two_calls_at_once_and_a_key_with_a_budget_its_share(
    server: ValkeyProcess,
) -> None:
    ledger = Books()
    ledger.write("key/k1", PERIOD, cost_nano_usd=400)
    async with limiting(server, ledger, replicas=2) as limiter:
        await away(server, limiter)
        permits = await granted(limiter, tokens(1), tries=2)
        assert len(permits) == 2
        with pytest.raises(StoreUnavailable, match="monthly quotas cannot be counted exactly now"):
            await limiter.acquire([tokens(1)], tenant=TENANT)
        await permits[0].settle({"tokens": 1})
        assert await taken(limiter, tokens(1))
        assert len(await granted(limiter, money(10), tries=25)) == 25, "600 are left, 300 of them here"
        assert await taken(limiter, money(50))
        with pytest.raises(StoreUnavailable):
            await limiter.acquire([money(10)], tenant=TENANT)
        with pytest.raises(QuotaExceeded):
            await limiter.acquire([money(601)], tenant=TENANT)


async def test_without_redis_and_ledger_a_month_is_closed_and_a_window_is_not(server: ValkeyProcess) -> None:
    ledger = Books()
    async with limiting(server, ledger) as limiter:
        await away(server, limiter)
        ledger.is_away = True
        with pytest.raises(StoreUnavailable):
            await limiter.acquire([requests(), tokens(1)], tenant=TENANT)
        assert await taken(limiter, requests(cap=1)), "the refusal took no place"
        with pytest.raises(StoreUnavailable):
            await limiter.standings([tokens(0)], tenant=TENANT)


async def test_what_redis_granted_before_counts_on_without_it(server: ValkeyProcess) -> None:
    async with limiting(server, replicas=1) as limiter:
        before = [await limiter.acquire([tokens(300), at_once(3)], tenant=TENANT) for _ in range(2)]
        await away(server, limiter)
        with pytest.raises(StoreUnavailable):
            await limiter.acquire([tokens(1)], tenant=TENANT)
        await before[0].settle({"tokens": 350})
        [standing] = await limiter.standings([tokens(0)], tenant=TENANT)
        assert (standing.used, standing.reserved) == (350, 300)
        with pytest.raises(QuotaExceeded):
            await limiter.acquire([tokens(351)], tenant=TENANT)
        assert await taken(limiter, tokens(350), at_once(3))


# ── Redis is slow ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_frozen_server_delays_nobody_beyond_the_deadline(server: ValkeyProcess) -> None:
    """DF-1: grants, settlements and looks; afterwards everything that was held comes back."""
    async with limiting(server, Books(), deadline_s=0.1, replicas=1) as limiter:
        open_permits = [await limiter.acquire([tokens(5, None), at_once(None)], tenant=TENANT) for _ in range(20)]
        server.freeze()
        times: list[float] = []

        async def timed(work: Any) -> Any:
            began = time.monotonic()
            try:
                return await work
            finally:
                times.append(time.monotonic() - began)

        async with Lag() as lag:
            for _ in range(8):
                works = [taken(limiter, tokens(5, None), at_once(None), requests(1_000)) for _ in range(10)]
                permits = await asyncio.gather(*[timed(work) for work in works])
                await asyncio.gather(*[timed(permit.settle({"tokens": 1})) for permit in permits if permit])
            await asyncio.gather(*[timed(permit.settle({"tokens": 1})) for permit in open_permits])
        assert max(times) < LATE_S + lag.worst_s
        server.thaw()
        await until(lambda: limiter.state == "ok", "Redis is asked again", within_s=5)
        await until(lambda: limiter.settlements_waiting == 0, "settlements have arrived", within_s=5)
        await until(lambda: held_permits(server) == 0, "what lost calls held is taken back", within_s=10)
        assert (running(server), quota(server, tokens(0), "held")) == (0, 0)
        assert limiter.outstanding == 0


async def test_a_short_stall_tells_nobody_of_a_limit_that_nobody_has(server: ValkeyProcess) -> None:
    async with limiting(server, deadline_s=0.1, replicas=1) as limiter:
        await (await limiter.acquire([requests(1_000), tokens(1)], tenant=TENANT)).settle({"tokens": 1})
        server.freeze()
        asked = [asyncio.create_task(limiter.acquire([requests(1_000), tokens(1)], tenant=TENANT)) for _ in range(64)]
        await asyncio.sleep(0.25)
        server.thaw()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        refused = [each for each in answers if isinstance(each, BaseException)]
        assert len(refused) == 62
        assert {(type(each), getattr(each, "retry_after_s", None)) for each in refused} == {(StoreUnavailable, 1.0)}
        for each in answers:
            if not isinstance(each, BaseException):
                await each.settle({"tokens": 1})


async def test_settlements_that_waited_count_exactly_once(server: ValkeyProcess) -> None:
    async with limiting(server, deadline_s=0.1, replicas=1) as limiter:
        permits = [await limiter.acquire([tokens(5, None), at_once(None)], tenant=TENANT) for _ in range(30)]
        server.freeze()
        async with Lag() as lag:
            began = time.monotonic()
            await asyncio.gather(*[permit.settle({"tokens": 7}) for permit in permits])
            took_s = time.monotonic() - began
        assert took_s < LATE_S + lag.worst_s
        assert limiter.settlements_waiting == 30
        server.thaw()
        await until(lambda: limiter.settlements_waiting == 0, "settlements have arrived", within_s=5)
        assert (quota(server, tokens(0)), quota(server, tokens(0), "held"), running(server)) == (210, 0, 0)


async def test_a_grant_whose_answer_was_lost_is_given_back_or_is_the_one_the_caller_has(server: ValkeyProcess) -> None:
    """Redis executes it when it thaws. Where the policy refused, nobody holds it; where it granted, it is that permit."""
    async with (
        limiting(server, deadline_s=0.1, replicas=1) as local,
        limiting(server, deadline_s=0.1, policies=CLOSED) as closed,
    ):
        for limiter in (local, closed):
            await (await limiter.acquire([tokens(5), at_once(9)], tenant=TENANT)).cancel()
        server.freeze()
        permit = await local.acquire([tokens(5), at_once(9)], tenant=TENANT)
        assert permit.degraded == "local"
        with pytest.raises(StoreUnavailable):
            await closed.acquire([tokens(7), at_once(9)], tenant=TENANT)
        server.thaw()
        await until(
            lambda: (held_permits(server), running(server), quota(server, tokens(0), "held")) == (1, 1, 5),
            "one is held, and one is not", within_s=10,
        )  # fmt: skip
        standing, _ = await permit.settle({"tokens": 4})
        assert (standing.used, standing.reserved) == (4, 0)
        await until(lambda: held_permits(server) == 0, "nothing is held")
        assert (quota(server, tokens(0)), quota(server, tokens(0), "held"), running(server)) == (4, 0, 0)


# ── Redis is back ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_was_granted_without_redis_is_held_and_counted_in_it_when_it_is_back(server: ValkeyProcess) -> None:
    async with limiting(server, replicas=1) as limiter:
        await away(server, limiter)
        ended = await limiter.acquire([tokens(10, account="u2"), at_once(9, "u2")], tenant=TENANT)
        under_way = await limiter.acquire([tokens(100), at_once(9)], tenant=TENANT)
        await ended.settle({"tokens": 7})
        await back(server, limiter)
        await until(lambda: running(server) == 1, "what is under way is held")
        assert quota(server, tokens(0), "held") == 100
        assert not await taken(limiter, tokens(950))
        await under_way.settle({"tokens": 60})
        await under_way.settle({"tokens": 60})
        assert (quota(server, tokens(0)), quota(server, tokens(0), "held"), running(server)) == (60, 0, 0)
        await until(lambda: held_permits(server) == 0, "nothing is held")


async def test_a_server_that_kept_its_counters_is_told_what_was_used_meanwhile(server: ValkeyProcess) -> None:
    async with limiting(server, deadline_s=0.1, replicas=1) as limiter:
        await (await limiter.acquire([tokens(5), money(5)], tenant=TENANT)).settle({"tokens": 5, "cost_nano_usd": 5})
        server.freeze()
        await noticed(limiter)
        for _ in range(10):
            permit = await limiter.acquire([tokens(5), money(5)], tenant=TENANT)
            await permit.settle({"tokens": 4, "cost_nano_usd": 3})
        server.thaw()
        await until(lambda: limiter.state == "ok" and limiter.settlements_waiting == 0, "it is told", within_s=5)
        assert (quota(server, tokens(0)), quota(server, money(0))) == (45, 35)


async def test_a_server_that_came_back_empty_is_not_told_what_it_has_from_the_ledger(server: ValkeyProcess) -> None:
    ledger = Books()
    async with limiting(server, ledger, replicas=1) as limiter:
        await (await limiter.acquire([tokens(5)], tenant=TENANT)).cancel()
        await away(server, limiter)
        for _ in range(10):
            permit = await limiter.acquire([tokens(5)], tenant=TENANT)
            ledger.write("u1", PERIOD, tokens=7)
            await permit.settle({"tokens": 7})
        await limiter._chores["endings"].stop()  # so that the counter is there before it is told anything
        await asyncio.sleep(1.1)  # as long as an entry may take into the ledger
        await back(server, limiter)
        await limiter.acquire([tokens(5)], tenant=TENANT)
        assert (quota(server, tokens(0)), limiter.settlements_waiting) == (70, 10)
        await limiter._send_endings()
        assert (quota(server, tokens(0)), limiter.settlements_waiting) == (70, 0)


async def test_for_one_window_more_both_must_agree(server: ValkeyProcess) -> None:
    """DF-2: in no window that straddles the end of the outage more than the cap, although Redis has forgotten everything."""
    async with limiting(server, replicas=2) as one, limiting(server, replicas=2) as two:
        await granted(one, requests(10, window_s=1.5), tries=1)
        await away(server, one, two)
        during = [await granted(each, requests(10, window_s=1.5), tries=20) for each in (one, two)]
        assert [len(each) for each in during] == [5, 5]
        let_in = time.monotonic()
        await back(server, one, two)
        assert time.monotonic() - let_in < 1.3, "too slow to try it"
        for each in (one, two):
            assert not await taken(each, requests(10, window_s=1.5))
        await asyncio.sleep(let_in + 1.6 - time.monotonic())
        after = [await granted(each, requests(10, window_s=1.5), tries=20) for each in (one, two)]
        assert sum(len(each) for each in after) <= 10
        await asyncio.sleep(3.2)
        assert len(await granted(one, requests(10, window_s=1.5), tries=20)) == 10, "the whole limit holds again"


async def test_a_gateway_without_traffic_in_the_outage_keeps_to_its_share_after_it(server: ValkeyProcess) -> None:
    """It cannot know what the others have let through, and Redis has forgotten what it let through before."""
    async with limiting(server, replicas=2) as busy, limiting(server, replicas=2) as idle:
        await granted(idle, requests(10, account="u2"), tries=1)
        await away(server, busy, idle)
        assert len(await granted(busy, requests(10), tries=20)) == 5
        await back(server, busy, idle)
        assert len(await granted(idle, requests(10), tries=20)) == 5


async def test_one_lost_answer_limits_nobody_but_its_caller(server: ValkeyProcess) -> None:
    async with limiting(server, deadline_s=0.1, replicas=3) as limiter:
        await taken(limiter, requests(60))
        server.freeze()
        lost = await limiter.acquire([requests(60, account="u2")], tenant=TENANT)
        server.thaw()
        assert (lost.degraded, limiter.state) == ("local", "ok")
        assert len(await granted(limiter, requests(60), tries=60)) == 59
        assert len(await granted(limiter, requests(60, account="u2"), tries=60)) == 19


async def test_the_outage_is_told_once_when_it_begins_and_once_when_it_ends(
    server: ValkeyProcess, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pulse_gateway.limits.redis")
    async with limiting(server, replicas=1) as limiter:
        await away(server, limiter)
        for _ in range(20):
            await taken(limiter, requests())
        await back(server, limiter)
    told = [record for record in caplog.records if record.name == "pulse_gateway.limits.redis"]
    assert [record.levelname for record in told] == ["WARNING", "INFO"]


async def test_an_empty_server_takes_up_where_the_ledger_is(server: ValkeyProcess) -> None:
    ledger = Books()
    async with limiting(server, ledger, replicas=1) as limiter:
        open_permit = await limiter.acquire([tokens(300), at_once(9)], tenant=TENANT)
        settled = await limiter.acquire([tokens(300), at_once(9)], tenant=TENANT)
        ledger.write("u1", PERIOD, tokens=250)
        await settled.settle({"tokens": 250})
        await asyncio.to_thread(server.restart)
        await until(lambda: running(server) == 1, "the hold is back", within_s=10)
        [standing] = await limiter.standings([tokens(0)], tenant=TENANT)
        assert (standing.used, standing.reserved) == (250, 300)
        assert limiter.state == "ok"
        await open_permit.settle({"tokens": 10})
        assert (quota(server, tokens(0)), running(server)) == (260, 0)


async def test_closing_sends_what_waits(server: ValkeyProcess) -> None:
    async with limiting(server, deadline_s=0.1, replicas=1) as limiter:
        permits = [await limiter.acquire([tokens(5)], tenant=TENANT) for _ in range(2)]
        server.freeze()
        await asyncio.gather(*[permit.settle({"tokens": 7}) for permit in permits])
        server.thaw()
        await until(lambda: limiter.state == "ok", "Redis is asked again")
    assert (quota(server, tokens(0)), quota(server, tokens(0), "held")) == (14, 0)


async def test_closing_without_redis_takes_no_longer_than_it_says(server: ValkeyProcess) -> None:
    async with limiting(server, replicas=1) as limiter:
        permit = await limiter.acquire([tokens(5)], tenant=TENANT)
        await away(server, limiter)
        await permit.settle({"tokens": 7})
        began = time.monotonic()
    assert time.monotonic() - began < 3
