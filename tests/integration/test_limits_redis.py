"""The limiter in Redis, on a real server with its own clock: several processes, many at once, one of them frozen or dead."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from limits_parts import (
    TENANT,
    Books,
    at_once,
    held_permits,
    limiting,
    money,
    opened,
    quota,
    requests,
    running,
    taken,
    token_rate,
    tokens,
    until,
)
from limits_process import SkewedClock

from pulse_gateway.clock import SystemClock
from pulse_gateway.errors import ConcurrencyLimited, QuotaExceeded, RateLimited, StoreUnavailable
from pulse_gateway.limits import replicas
from pulse_gateway.limits.periods import month_of
from pulse_gateway.limits.redis import RedisLimiter
from pulse_gateway.transport.redis import RedisClient, RedisUnavailable, Script
from valkey_server import ValkeyProcess

PERIOD = month_of(time.time()).period
EVERYTHING = [requests(), token_rate(10, 100_000), at_once(50), tokens(10, 100_000), money(10, 100_000)]


@pytest.fixture(scope="module")
def shared() -> Iterator[ValkeyProcess]:
    with ValkeyProcess() as process:
        yield process


@pytest.fixture
def server(shared: ValkeyProcess) -> ValkeyProcess:
    shared.command("FLUSHALL")
    return shared


def marks(server: ValkeyProcess) -> list[bytes]:
    """Who is behind with its ledger, by what the server was told."""
    return [name for name in server.command("ZRANGE", "pulse:v1:replicas", 0, -1) if name.endswith(b" behind")]


async def process(server: ValkeyProcess, *words: object) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, Path(__file__).with_name("limits_process.py"), server.url, *map(str, words),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env={"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip


async def floods(
    server: ValkeyProcess, cap: int, window_s: float, seconds: float, skews_s: Sequence[float]
) -> list[int]:
    """When the server let whom in, in µs, with a process for each skew."""
    processes = [await process(server, "flood", cap, window_s, seconds, skew_s) for skew_s in skews_s]
    printed = [(await each.communicate())[0] for each in processes]
    assert all(each.returncode == 0 for each in processes)
    assert sum(bool(json.loads(each)) for each in printed) > 1, "nobody had to share"
    return sorted(moment for each in printed for moment in json.loads(each))


# ── many processes ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_no_window_has_more_than_its_cap_and_every_place_is_used(server: ValkeyProcess) -> None:
    """RL-1, RL-3: three processes with 50 clients each, whose clocks differ by a minute, in windows of two seconds."""
    granted = await floods(server, 60, 2.0, 5.0, [30.0, 0.0, -30.0])
    for earlier, later in zip(granted, granted[60:], strict=False):
        assert later - earlier > 2_000_000
    assert len(granted) >= 60 * 2 - 2, "there was demand, and places stayed free"


async def test_racers_of_three_processes_share_what_is_left(server: ValkeyProcess) -> None:
    """QL-1: 1,000 left, 51 racers ask for 500 each."""
    racers = [await process(server, "race", 1_000, 500, 17) for _ in range(3)]
    printed = await asyncio.gather(*[each.communicate(b"go\n") for each in racers])
    assert sum(int(out) for out, _ in printed) == 2
    assert quota(server, tokens(0), "held") == 1_000


async def test_what_a_killed_process_held_comes_back_with_its_lease(server: ValkeyProcess) -> None:
    holder = await process(server, "hold", 0.6)
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"held\n"
    async with limiting(server, lease_s=0.6) as limiter:
        await asyncio.sleep(1.0)  # longer than a lease: it is renewed as long as the process lives
        assert (running(server), quota(server, tokens(0), "held")) == (1, 700)
        assert not await taken(limiter, tokens(400))
        holder.kill()
        await holder.wait()

        async def admitted() -> Any:
            while (permit := await taken(limiter, at_once(1), tokens(400))) is None:
                await asyncio.sleep(0.02)
            return permit

        permit = await asyncio.wait_for(admitted(), 3)
        await permit.cancel()
        assert (running(server), quota(server, tokens(0), "held"), held_permits(server)) == (0, 0, 0)
        assert quota(server, tokens(0)) == 0


async def test_leases_of_living_processes_are_renewed_in_batches(server: ValkeyProcess) -> None:
    async with limiting(server, lease_s=0.45) as limiter:
        permits = [await limiter.acquire([tokens(1, None), at_once(None)], tenant=TENANT) for _ in range(250)]
        await asyncio.sleep(1.2)
        await limiter.acquire([requests()], tenant=TENANT)  # whoever comes by puts away what is overdue
        assert (running(server), quota(server, tokens(0), "held")) == (250, 250)
        await asyncio.gather(*[permit.settle({"tokens": 2}) for permit in permits])
        assert (running(server), quota(server, tokens(0), "held"), quota(server, tokens(0))) == (0, 0, 500)


async def test_a_process_that_was_frozen_past_its_lease_is_charged_all_the_same(server: ValkeyProcess) -> None:
    """QL-11."""
    async with limiting(server, lease_s=60) as other, opened(client_of(server)) as client:
        frozen = RedisLimiter(client, ledger=Books(), clock=SystemClock(), lease_s=0.2)  # not opened: it renews nothing
        permit = await frozen.acquire([tokens(700), at_once(1)], tenant=TENANT)
        assert not await taken(other, tokens(700))
        await asyncio.sleep(0.25)
        later = await other.acquire([tokens(700), at_once(1)], tenant=TENANT)
        await permit.settle({"tokens": 250})
        await permit.settle({"tokens": 250})
        assert (quota(server, tokens(0)), quota(server, tokens(0), "held"), running(server)) == (250, 700, 1)
        await later.settle({"tokens": 10})
        assert (quota(server, tokens(0)), quota(server, tokens(0), "held"), running(server)) == (260, 0, 0)


# ── what is cold comes from the ledger ────────────────────────────────────────────────────────────────────────────────


async def test_an_account_that_redis_does_not_know_is_asked_of_the_ledger_once(server: ValkeyProcess) -> None:
    ledger = Books()
    ledger.write("u1", PERIOD, tokens=600)
    ledger.write("key/k1", PERIOD, cost_nano_usd=5)
    ledger.waits = asyncio.Event()
    async with limiting(server, ledger) as limiter:
        server.command("CONFIG", "RESETSTAT")
        racing = [asyncio.create_task(taken(limiter, tokens(100), money(1))) for _ in range(50)]
        await until(lambda: server.calls("evalsha") == 50, "all of them have been told that it is cold")
        await asyncio.sleep(0.02)
        ledger.waits.set()
        results = await asyncio.gather(*racing)
    assert sum(each is not None for each in results) == 4
    assert (quota(server, tokens(0)), quota(server, tokens(0), "held")) == (600, 400)
    assert quota(server, money(0)) == 5
    asked = [account for _, accounts, _ in ledger.asked for account in accounts]
    assert sorted(asked) == ["key/k1", "u1", "u1"], "the last is to confirm the refusals"


async def test_balances_are_set_by_many_replicas_and_not_added_up(server: ValkeyProcess) -> None:
    ledger = Books()
    ledger.write("u1", PERIOD, tokens=600)
    ledger.waits = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        limiters = [await stack.enter_async_context(limiting(server, ledger)) for _ in range(5)]
        racing = [asyncio.create_task(taken(limiter, tokens(1))) for limiter in limiters]
        await until(lambda: len(ledger.asked) == 5, "all five ask the ledger")
        ledger.waits.set()
        assert all(await asyncio.gather(*racing))
    assert quota(server, tokens(0)) == 600


async def test_a_balance_that_comes_late_does_not_undo_what_was_settled_meanwhile(server: ValkeyProcess) -> None:
    late, ledger = Books(), Books()
    late.waits = asyncio.Event()
    async with limiting(server, late) as slow, limiting(server, ledger) as quick:
        waiting = asyncio.create_task(taken(slow, tokens(1)))
        await until(lambda: late.asked, "it asks the ledger")
        await (await quick.acquire([tokens(1)], tenant=TENANT)).settle({"tokens": 30})
        late.waits.set()
        assert await waiting
        assert quota(server, tokens(0)) == 30


async def test_a_renewal_never_holds_again_what_was_settled_before_it(server: ValkeyProcess) -> None:
    """Both in one turn of the loop, the renewal a step behind."""
    async with limiting(server) as limiter:
        permit = await limiter.acquire([tokens(10), at_once()], tenant=TENANT)
        limiter._leases.renew_all_soon()
        await permit.settle({"tokens": 1})
        await limiter._leases.renew_all()
        assert (held_permits(server), running(server), quota(server, tokens(0), "held")) == (0, 0, 0)


async def test_without_the_ledger_accounts_that_are_warm_go_on_and_cold_ones_are_refused(server: ValkeyProcess) -> None:
    ledger = Books()
    async with limiting(server, ledger) as limiter:
        await limiter.acquire([requests(), tokens(1)], tenant=TENANT)
        ledger.is_away = True
        await limiter.acquire([requests(), tokens(1)], tenant=TENANT)
        with pytest.raises(StoreUnavailable):
            await limiter.acquire([requests(account="u2"), tokens(1, account="u2")], tenant=TENANT)
        [window] = await limiter.standings([requests(account="u2")], tenant=TENANT)
        assert window.used == 0, "a refusal took a place"
        ledger.is_away = False
        await limiter.acquire([tokens(1, account="u2")], tenant=TENANT)


async def test_a_counter_that_has_drifted_does_not_refuse_a_paying_user(server: ValkeyProcess) -> None:
    ledger = Books()
    ledger.write("u1", PERIOD, tokens=100)
    async with limiting(server, ledger) as limiter:
        await (await limiter.acquire([tokens(1)], tenant=TENANT)).cancel()
        server.command("HSET", f"pulse:v1:{{{TENANT}}}:usage:tokens:u1:{PERIOD // 100}-{PERIOD % 100:02d}", "used", 990)
        assert await taken(limiter, tokens(500))
        assert quota(server, tokens(0)) == 100
        assert limiter.corrections == 1
        asked = len(ledger.asked)
        for _ in range(20):
            assert not await taken(limiter, tokens(500))
        assert len(ledger.asked) == asked, "a refusal is confirmed once in ten seconds"


async def test_use_on_its_way_to_the_ledger_is_not_taken_for_drift(server: ValkeyProcess) -> None:
    """What was settled a moment ago, here or elsewhere, is not in the ledger yet: it must not be forgotten."""
    async with limiting(server, Books()) as limiter, limiting(server, Books()) as other:
        await (await other.acquire([tokens(1)], tenant=TENANT)).settle({"tokens": 900})
        assert not await taken(limiter, tokens(500))
        assert quota(server, tokens(0)) == 900
        assert limiter.corrections == 0


async def test_nothing_is_corrected_while_another_replica_is_behind_with_the_ledger(server: ValkeyProcess) -> None:
    lag_s = 0.0
    async with limiting(server, lag_s=lambda: lag_s), limiting(server) as limiter:
        await (await limiter.acquire([tokens(1)], tenant=TENANT)).cancel()
        lag_s = 30.0
        await until(lambda: marks(server), "it says so")
        server.command("HSET", f"pulse:v1:{{{TENANT}}}:usage:tokens:u1:{PERIOD // 100}-{PERIOD % 100:02d}", "used", 990)
        assert not await taken(limiter, tokens(500))
        assert quota(server, tokens(0)) == 990


@pytest.mark.parametrize("how", ["left", "killed", "killed before it could say so"])
async def test_what_only_the_journal_of_a_gateway_that_has_ended_knows_is_not_forgotten(
    server: ValkeyProcess, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(replicas, "_HOLDS_S", 0.5)
    monkeypatch.setattr(replicas, "_MISSED_AFTER_S", 0.3)
    lag_s = 0.0
    async with limiting(server) as limiter, opened(client_of(server)) as client:
        gone = RedisLimiter(client, ledger=Books(), clock=SystemClock(), lag_s=lambda: lag_s)
        await gone._announce()
        await (await gone.acquire([tokens(5)], tenant=TENANT)).settle({"tokens": 990})  # which no ledger knows
        if how != "killed before it could say so":
            lag_s = 600.0
            await gone._announce()
        if how == "left":
            await gone.aclose()
        await asyncio.sleep(0.6)
        await limiter._announce()
        assert limiter.replicas == 1
        assert (limiter._replicas.are_behind, limiter._replicas.may_be_behind) == (False, True)
        assert await taken(limiter, tokens(5, account="u2")), "others begin, though"
        server.command("HDEL", f"pulse:v1:{{{TENANT}}}:usage:tokens:u1:{PERIOD // 100}-{PERIOD % 100:02d}", "at")
        limiter.doubt(TENANT, ["u1"], PERIOD)
        await limiter._reconcile()
        assert not await taken(limiter, tokens(500))
        assert quota(server, tokens(0)) == 990
        server.command("ZREM", "pulse:v1:replicas", gone._replicas._id, f"{gone._replicas._id} behind")
        await limiter._reconcile()
        limiter.doubt(TENANT, ["u1"], PERIOD)
        await limiter._reconcile()
        assert quota(server, tokens(0)) == 0


async def test_a_gateway_that_leaves_with_everything_written_leaves_no_trace(server: ValkeyProcess) -> None:
    async with limiting(server) as limiter:
        async with limiting(server):
            pass
        await limiter._announce()
        assert not limiter._replicas.may_be_behind
        assert len(server.command("ZRANGE", "pulse:v1:replicas", 0, -1)) == 2  # it, and the epoch


async def test_only_a_server_that_has_forgotten_is_taken_to_have(server: ValkeyProcess) -> None:
    """Not one that was away for longer than an announcement counts."""
    async with limiting(server) as limiter:
        server.command("ZREM", "pulse:v1:replicas", limiter._replicas._id)
        assert not await limiter._replicas.announce()
        server.command("FLUSHALL")
        assert await limiter._replicas.announce()
        assert not await limiter._replicas.announce()


async def test_a_counter_does_not_begin_below_what_is_still_to_be_written(server: ValkeyProcess) -> None:
    lag_s = 0.0
    async with limiting(server, lag_s=lambda: lag_s) as late, limiting(server) as other:
        await (await late.acquire([tokens(5)], tenant=TENANT)).settle({"tokens": 990})
        lag_s = 30.0
        await until(lambda: other._replicas.are_behind, "it says so, and is heard")
        server.command("FLUSHALL")
        for limiter in (late, other):
            with pytest.raises(StoreUnavailable):
                await limiter.acquire([requests(), tokens(5)], tenant=TENANT)
            assert await taken(limiter, requests()), "what has no month goes on"
        lag_s = 0.0
        await until(lambda: not other._replicas.are_behind, "it says so, and is heard")
        assert await taken(other, tokens(5))


async def test_a_gateway_whose_clock_is_in_another_month_charges_the_servers_month(server: ValkeyProcess) -> None:
    class Ahead(SystemClock):
        @staticmethod
        def now() -> float:  # type: ignore[override]
            return time.time() + 40 * 86_400

    async with opened(client_of(server)) as client:
        limiter = RedisLimiter(client, ledger=Books(), clock=Ahead())
        permit = await limiter.acquire([tokens(10)], tenant=TENANT)
        assert permit.period == PERIOD
        await permit.settle({"tokens": 3})
    assert quota(server, tokens(0)) == 3
    assert len(server.command("KEYS", "*:usage:*")) == 1


@pytest.mark.parametrize("skew_s", [-300.0, 300.0])
async def test_a_gateway_whose_clock_is_wrong_frees_no_place_and_takes_none_for_longer(
    server: ValkeyProcess, skew_s: float
) -> None:
    charge = requests(2, window_s=2.0)
    async with limiting(server) as punctual, limiting(server, clock=SkewedClock(skew_s)) as skewed:
        assert await taken(punctual, charge)
        assert await taken(skewed, charge)
        for limiter in (skewed, punctual):
            with pytest.raises(RateLimited) as refused:
                await limiter.acquire([charge], tenant=TENANT)
            assert refused.value.retry_after_s is not None
            assert 0 < refused.value.retry_after_s <= 2.1
        await asyncio.sleep(refused.value.retry_after_s)
        assert await taken(skewed, charge)


async def test_counters_of_a_month_expire_by_themselves_forty_days_after_it(server: ValkeyProcess) -> None:
    async with limiting(server) as limiter:
        await (await limiter.acquire(EVERYTHING, tenant=TENANT)).settle({"tokens": 5, "cost_nano_usd": 5})
    [key] = server.command("KEYS", "*:usage:tokens:*")
    ends = month_of(time.time()).resets_at + 40 * 86_400
    assert server.command("PTTL", key) / 1000 == pytest.approx(ends - time.time(), abs=5)
    for key in server.command("KEYS", "*"):
        assert server.command("PTTL", key) > 0, f"{key} would stay for ever"


# ── what gets lost on the way ─────────────────────────────────────────────────────────────────────────────────────────


class Twice(RedisClient):
    """Executes every acquire twice, as if the first answer had got lost on the way and somebody had tried again."""

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        reply = await super().run(script, keys, args)
        if script.name == "acquire_v1" and args[0] and reply[0] == 0:
            reply = await super().run(script, keys, args)
            assert reply[0] == 2
        return reply


async def test_a_call_that_was_executed_twice_is_one_permit(server: ValkeyProcess) -> None:
    async with opened(Twice(server.url, clock=SystemClock())) as client:
        limiter = RedisLimiter(client, ledger=Books(), clock=SystemClock())
        permit = await limiter.acquire(EVERYTHING, tenant=TENANT)
        assert [each.used + each.reserved for each in permit.standings] == [1, 10, 1, 10, 10]
        await permit.settle({"tokens": 4, "cost_nano_usd": 4})
        assert (quota(server, tokens(0)), quota(server, tokens(0), "held"), running(server)) == (4, 0, 0)


class Lossy(RedisClient):
    """Executes settlements and loses the answer of as many as it is told."""

    to_lose = 0

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        reply = await super().run(script, keys, args)
        if script.name == "settle_v1" and self.to_lose:
            self.to_lose -= 1
            raise RedisUnavailable("the answer was lost", maybe_done=True)
        return reply


@pytest.mark.parametrize("lost", [1, 3])
async def test_a_settlement_whose_answer_was_lost_counts_once(server: ValkeyProcess, lost: int) -> None:
    async with opened(Lossy(server.url, clock=SystemClock())) as client:
        limiter = RedisLimiter(client, ledger=Books(), clock=SystemClock())
        await limiter.open()
        permit = await limiter.acquire([tokens(10), at_once()], tenant=TENANT)
        client.to_lose = lost  # type: ignore[attr-defined]
        assert await permit.settle({"tokens": 4}) == permit.standings
        await until(lambda: limiter.settlements_waiting == 0, "it is sent until it is heard of")
        assert (quota(server, tokens(0)), quota(server, tokens(0), "held"), running(server)) == (4, 0, 0)
        await limiter.aclose()


async def test_a_caller_who_leaves_while_redis_decides_holds_nothing(server: ValkeyProcess) -> None:
    async with limiting(server) as limiter:
        await (await limiter.acquire([tokens(1)], tenant=TENANT)).cancel()
        for pause in (0, 0, 0, 0.0005, 0.001):
            leaving = [asyncio.create_task(limiter.acquire([at_once(), tokens(100)], tenant=TENANT)) for _ in range(2)]
            await asyncio.sleep(pause)
            for each in leaving:
                each.cancel()
            for granted in await asyncio.gather(*leaving, return_exceptions=True):
                if not isinstance(granted, BaseException):
                    await granted.cancel()
        await until(lambda: held_permits(server) == 0, "holds are taken back")
        assert (running(server), quota(server, tokens(0), "held"), quota(server, tokens(0))) == (0, 0, 0)
        assert limiter.outstanding == 0


class Slow(RedisClient):
    """The answers to one script are on their way for ever."""

    slow = ""

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        reply = await super().run(script, keys, args)
        if script.name == self.slow:
            await asyncio.Event().wait()
        return reply


async def test_a_caller_who_leaves_once_redis_has_decided_holds_nothing(server: ValkeyProcess) -> None:
    async with opened(Slow(server.url, clock=SystemClock())) as client:
        limiter = RedisLimiter(client, ledger=Books(), clock=SystemClock())
        await limiter.open()
        await (await limiter.acquire([tokens(1)], tenant=TENANT)).cancel()
        client.slow = "acquire_v1"  # type: ignore[attr-defined]
        leaving = asyncio.create_task(limiter.acquire([at_once(), tokens(100)], tenant=TENANT))
        await until(lambda: running(server) == 1, "Redis has granted it")
        leaving.cancel()
        await until(lambda: held_permits(server) == running(server) == 0, "it is taken back")
        assert quota(server, tokens(0), "held") == 0
        client.slow = ""  # type: ignore[attr-defined]
        await limiter.aclose()


async def test_a_settlement_that_is_cancelled_after_it_counted_counts_once(server: ValkeyProcess) -> None:
    async with opened(Slow(server.url, clock=SystemClock())) as client:
        limiter = RedisLimiter(client, ledger=Books(), clock=SystemClock())
        await limiter.open()
        permit = await limiter.acquire([tokens(10)], tenant=TENANT)
        client.slow = "settle_v1"  # type: ignore[attr-defined]
        leaving = asyncio.create_task(permit.settle({"tokens": 4}))
        await until(lambda: quota(server, tokens(0)) == 4, "Redis has counted it")
        leaving.cancel()
        client.slow = ""  # type: ignore[attr-defined]
        await asyncio.wait([leaving])
        await until(lambda: limiter.settlements_waiting == 0, "it is asked again")
        assert (quota(server, tokens(0)), quota(server, tokens(0), "held")) == (4, 0)
        await limiter.aclose()


async def test_a_settlement_that_is_cancelled_on_its_way_counts_once(server: ValkeyProcess) -> None:
    async with limiting(server) as limiter:
        for pause in (0, 0.0003, 0.001):
            permits = [await limiter.acquire([tokens(10, None)], tenant=TENANT) for _ in range(10)]
            settling = [asyncio.create_task(permit.settle({"tokens": 7})) for permit in permits]
            await asyncio.sleep(pause)
            for each in settling:
                each.cancel()
            await asyncio.gather(*settling, return_exceptions=True)
            for permit, task in zip(permits, settling, strict=True):
                if task.cancelled():
                    await permit.settle({"tokens": 7})  # a task that was cancelled before it began has settled nothing
        await until(lambda: limiter.settlements_waiting == 0 and held_permits(server) == 0, "all are settled")
        assert (quota(server, tokens(0)), quota(server, tokens(0), "held")) == (210, 0)


# ── what Redis forgets ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_scripts_that_redis_has_forgotten_are_told_again(server: ValkeyProcess) -> None:
    async with limiting(server) as limiter:
        for _ in range(3):
            permit = await limiter.acquire(EVERYTHING, tenant=TENANT)
            server.command("SCRIPT", "FLUSH")
            await permit.settle({"tokens": 5})
        assert quota(server, tokens(0)) == 15


async def test_holds_that_redis_has_forgotten_are_held_anew_before_anybody_is_let_in(server: ValkeyProcess) -> None:
    async with limiting(server) as limiter:
        permits = [await limiter.acquire([tokens(400), at_once(2)], tenant=TENANT) for _ in range(2)]
        server.command("FLUSHALL")
        results = await asyncio.gather(*[taken(limiter, tokens(400)) for _ in range(20)])
        assert not any(results)
        assert (quota(server, tokens(0), "held"), running(server)) == (800, 2)
        for permit in permits:
            await permit.settle({"tokens": 100})
        assert (quota(server, tokens(0)), quota(server, tokens(0), "held"), running(server)) == (200, 0, 0)


async def test_a_replica_without_traffic_notices_that_redis_has_forgotten(server: ValkeyProcess) -> None:
    async with limiting(server, lease_s=3_600) as limiter:
        await limiter.acquire([tokens(400), at_once(2)], tenant=TENANT)
        server.command("FLUSHALL")
        await until(lambda: running(server) == 1, "the hold is back within an announcement")
        assert quota(server, tokens(0), "held") == 400


async def test_five_hundred_accounts_are_rebuilt_when_redis_forgets_under_load(server: ValkeyProcess) -> None:
    """QL-5: three replicas, nothing refused but by its limit, and in the end Redis says what the ledger says."""
    ledger = Books()
    accounts = [f"u{number}" for number in range(500)]
    stop = asyncio.Event()
    failures: list[BaseException] = []
    calls = 0

    async def caller(limiter: RedisLimiter, number: int) -> None:
        nonlocal calls
        while not stop.is_set():
            account = accounts[(number * 37 + calls) % 500]
            try:
                permit = await limiter.acquire([tokens(10, 10**9, account), at_once(None, account)], tenant=TENANT)
                await asyncio.sleep(0.001)
                ledger.write(account, PERIOD, tokens=3)
                await permit.settle({"tokens": 3})
                calls += 1
            except Exception as error:
                failures.append(error)
                return

    def sums_agree() -> bool:
        while accounts and quota(server, tokens(0, account=accounts[-1])) in {None, ledger_of(ledger, accounts[-1])}:
            accounts.pop()  # None: nobody has asked for it since
        return not accounts

    async with contextlib.AsyncExitStack() as stack:
        limiters = [
            await stack.enter_async_context(limiting(server, ledger, deadline_s=2.0)) for _ in range(3)
        ]  # fmt: skip
        callers = [asyncio.create_task(caller(limiters[n % 3], n)) for n in range(24)]
        for _ in range(3):
            target = calls + 700
            await until(lambda target=target: calls > target or failures, "calls go through")  # type: ignore[misc]
            server.command("FLUSHALL")
        target = calls + 1_500
        await until(lambda: calls > target or failures, "calls go through")
        stop.set()
        await asyncio.gather(*callers)
        assert not failures
        assert held_permits(server) == 0
        await until(sums_agree, "Redis says what the ledger says", within_s=60)
        for number in range(500):
            assert not quota(server, tokens(0, account=f"u{number}"), "held")
            assert running(server, f"u{number}") == 0


def ledger_of(ledger: Books, account: str) -> int:
    return ledger.used.get((account, PERIOD), {}).get("tokens", 0)


# ── how much room it takes ────────────────────────────────────────────────────────────────────────────────────────────


def memory(server: ValkeyProcess, pattern: str) -> int:
    sizes = [server.command("MEMORY", "USAGE", key, "SAMPLES", 0) for key in server.command("KEYS", pattern)]
    return sum(size for size in sizes if size is not None)


async def test_an_account_takes_less_than_a_kilobyte_and_its_idle_windows_go(server: ValkeyProcess) -> None:
    """RL-6: 800 accounts active once, with windows of both kinds, and nothing is left of those after two of them."""
    async with limiting(server, deadline_s=2.0) as limiter:
        for number in range(800):
            user = f"user-{number:06d}"
            charges = [
                requests(account=user, window_s=4), token_rate(10, 9_000, user, window_s=4), tokens(10, 9_000, user),
            ]  # fmt: skip
            await (await limiter.acquire(charges, tenant=TENANT)).settle({"tokens": 5})
        ends = time.monotonic() + 8
        assert len(server.command("KEYS", "*:ratelimit:*")) > 1_200
        assert memory(server, "*") / 800 <= 1_024
        while server.command("KEYS", "*:ratelimit:*"):
            assert time.monotonic() < ends, "windows stay although nothing counts in them"
            await asyncio.sleep(0.1)


async def test_a_user_at_the_limit_takes_less_than_one_and_a_half_kilobytes(server: ValkeyProcess) -> None:
    """Sixty requests in the window, tokens in every slice that a test can reach, a key with a budget, a call under way."""
    async with limiting(server) as limiter:
        for _ in range(60):
            permit = await limiter.acquire(
                [requests(), token_rate(10, 9_000), at_once(9), tokens(10, 9_000)], tenant=TENANT
            )
            await permit.settle({"tokens": 5})
        await limiter.acquire([at_once(9), tokens(10, 9_000)], tenant=TENANT)
        with pytest.raises(RateLimited):
            await limiter.acquire([requests()], tenant=TENANT)
        assert memory(server, f"pulse:v1:{{{TENANT}}}:*") < 1_536


def client_of(server: ValkeyProcess) -> RedisClient:
    return RedisClient(server.url, clock=SystemClock(), deadline_s=0.5)


@pytest.fixture
async def limiter(server: ValkeyProcess) -> AsyncIterator[RedisLimiter]:
    async with limiting(server) as opened_limiter:
        yield opened_limiter


async def test_refusals_say_what_was_refused(limiter: RedisLimiter) -> None:
    await limiter.acquire([requests(1), at_once(1), tokens(1_000)], tenant=TENANT)
    for charge, error in ((requests(1), RateLimited), (at_once(1), ConcurrencyLimited), (tokens(1), QuotaExceeded)):
        with pytest.raises(error) as refusal:
            await limiter.acquire([charge], tenant=TENANT)
        assert [each.kind for each in refusal.value.standings] == [charge.kind]
