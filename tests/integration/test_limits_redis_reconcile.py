"""Redis against the ledger: corrected by it, compared with it, built anew from it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from limits_parts import TENANT, Books, ClockedRedis, at_once, money, opened, quota, requests, tokens, until

from pulse_gateway.clock import SystemClock
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.limits.chores import Chore
from pulse_gateway.limits.periods import month_of
from pulse_gateway.limits.reconcile import Difference, rebuild, verify
from pulse_gateway.limits.redis import RedisLimiter
from pulse_gateway.testing import FakeClock
from pulse_gateway.transport.redis import RedisClient
from pulse_gateway.types.usage import Outcome, Usage, UsageSource
from valkey_server import ValkeyProcess, cluster

CLOCK = SystemClock()
PERIOD = month_of(time.time()).period
MONTH = f"{PERIOD // 100}-{PERIOD % 100:02d}"
PREFIX = f"pulse:v1:{{{TENANT}}}:"


@pytest.fixture(scope="module")
def shared() -> Iterator[ValkeyProcess]:
    with ValkeyProcess() as process:
        yield process


@pytest.fixture
def server(shared: ValkeyProcess) -> ValkeyProcess:
    shared.command("FLUSHALL")
    return shared


@pytest.fixture
def ledger() -> Books:
    return Books()


@pytest.fixture
async def client(server: ValkeyProcess) -> AsyncIterator[RedisClient]:
    async with opened(RedisClient(server.url, clock=CLOCK, deadline_s=2.0)) as each:
        yield each


@pytest.fixture
def limiter(client: RedisClient, ledger: Books) -> RedisLimiter:
    """Not opened: nothing is corrected but by the test."""
    return RedisLimiter(client, ledger=ledger, clock=CLOCK)


def entry(**fields: object) -> UsageEntry:
    values: dict[str, object] = {
        "entry_id": "e1", "request_id": "r1", "trace_id": "t1", "tenant_id": TENANT, "user_id": "u1", "key_id": "k1",
        "period": PERIOD, "operation": "chat", "dialect": "openai.chat", "alias": "a", "provider": "p", "model": "m",
        "attempt": 1, "outcome": Outcome.COMPLETED, "source": UsageSource.PROVIDER, "usage": Usage(), "tokens": 7,
        "cost_nano_usd": 3, "price_source": None, "total_ms": 1.0, "at": 1.0, "accounts": ("u1", "key/k1"),
    }  # fmt: skip
    return UsageEntry(**{**values, **fields})  # type: ignore[arg-type]


# ── in the background ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("drifted", [10, 90_000], ids=["too low", "too high"])
async def test_a_counter_that_was_used_is_set_to_the_ledger_within_a_minute(
    server: ValkeyProcess, ledger: Books, drifted: int
) -> None:
    clock = FakeClock(time.time() + 10**6)
    period = month_of(clock.now()).period
    async with opened(ClockedRedis(server.url, clock)) as client:
        limiter = RedisLimiter(client, ledger=ledger, clock=clock)
        await limiter.open()
        ledger.write("u1", period, tokens=600)
        await (await limiter.acquire([tokens(1, 10**6)], tenant=TENANT)).settle({"tokens": 5})
        ledger.write("u1", period, tokens=5)
        year_month = f"{period // 100}-{period % 100:02d}"
        server.command("HSET", f"{PREFIX}usage:tokens:u1:{year_month}", "used", drifted)
        for _ in range(60):
            clock.advance(1)
            for _ in range(20):
                await asyncio.sleep(0)
            await asyncio.sleep(0.002)
        assert quota(server, tokens(0), period=period) == 605
        assert limiter.corrections == 1
        await limiter.aclose()


async def test_what_was_settled_a_moment_ago_is_left_alone(
    server: ValkeyProcess, ledger: Books, limiter: RedisLimiter, client: RedisClient
) -> None:
    await (await limiter.acquire([tokens(1)], tenant=TENANT)).settle({"tokens": 5})
    reconciler = limiter._reconciler
    for key, touched in reconciler._touched.items():
        reconciler._touched[key] = touched._replace(due_s=0.0)
    await reconciler.run()
    assert quota(server, tokens(0)) == 5
    assert reconciler.knows(f"{PREFIX}usage:tokens:u1:{MONTH}"), "it is looked at again later"


async def test_a_ledger_that_is_away_is_asked_again(
    server: ValkeyProcess, ledger: Books, limiter: RedisLimiter
) -> None:
    await (await limiter.acquire([tokens(1)], tenant=TENANT)).settle({"tokens": 5})
    reconciler = limiter._reconciler
    for key, touched in reconciler._touched.items():
        reconciler._touched[key] = touched._replace(due_s=0.0)
    ledger.is_away = True
    with pytest.raises(Exception, match="away"):
        await reconciler.run()
    assert reconciler.knows(f"{PREFIX}usage:tokens:u1:{MONTH}")


async def test_a_chore_survives_its_own_defects(caplog: pytest.LogCaptureFixture) -> None:
    calls = 0

    async def work() -> None:
        nonlocal calls
        calls += 1
        raise ZeroDivisionError

    clock = FakeClock()
    chore = Chore("counting", work, every_s=10, clock=clock)
    chore.start()
    await until(lambda: clock.sleepers == 1, "it waits")
    chore.wake()
    await until(lambda: calls == 1 and clock.sleepers, "it was woken")
    for _ in range(3):
        clock.advance(11)
        await asyncio.sleep(0.01)
    assert calls >= 2
    assert "counting failed" in caplog.text
    await chore.stop()


# ── for operators ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_nothing_differs_while_calls_are_under_way_and_after_them(
    server: ValkeyProcess, ledger: Books, limiter: RedisLimiter, client: RedisClient
) -> None:
    charges = [requests(), at_once(9), tokens(10), money(10)]
    permits = [await limiter.acquire(charges, tenant=TENANT) for _ in range(5)]
    assert await verify(client, ledger, [TENANT, "nobody"], clock=CLOCK) == []
    for permit in permits[1:]:
        ledger.write("u1", PERIOD, tokens=7)
        ledger.write("key/k1", PERIOD, cost_nano_usd=3)
        await permit.settle({"tokens": 7, "cost_nano_usd": 3})
    assert await verify(client, ledger, [TENANT], clock=CLOCK) == []
    await permits[0].settle({"tokens": 7, "cost_nano_usd": 3})
    assert await verify(client, ledger, [TENANT], clock=CLOCK, journal=[entry()]) == []


async def test_every_kind_of_difference_is_told(
    server: ValkeyProcess, ledger: Books, limiter: RedisLimiter, client: RedisClient
) -> None:
    permit = await limiter.acquire([at_once(9), tokens(10), money(10)], tenant=TENANT)
    ledger.write("u1", PERIOD, tokens=100)
    server.command("HSET", f"{PREFIX}usage:cost_nano_usd:key/k1:{MONTH}", "held", 17)
    server.command("INCRBY", f"{PREFIX}ratelimit:u1:concurrency", 4)
    server.command("HSET", f"{PREFIX}holds", "no-lease", f"q|{PREFIX}usage:images:u9:{MONTH}|2")
    server.command("ZADD", f"{PREFIX}leases", 1, "no-holds")
    found = await verify(client, ledger, [TENANT], clock=CLOCK, journal=[entry(tokens=5, cost_nano_usd=None)])
    assert sorted(found, key=str) == sorted(
        [
            Difference(tenant=TENANT, what="used", account="u1", kind="tokens", period=PERIOD, redis=0, ledger=100, journal=5),
            Difference(tenant=TENANT, what="held", account="key/k1", kind="cost_nano_usd", period=PERIOD, redis=17, holds=10),
            Difference(tenant=TENANT, what="held", account="u9", kind="images", period=PERIOD, redis=0, holds=2),
            Difference(tenant=TENANT, what="running", account="u1", redis=5, holds=1),
            Difference(tenant=TENANT, what="lease", account="no-lease", redis=0, holds=1),
            Difference(tenant=TENANT, what="lease", account="no-holds", redis=1, holds=0),
        ],
        key=str,
    )  # fmt: skip
    assert f"acme u1 tokens {PERIOD}: redis has 0 used, the ledger 100 and the journal 5" in map(str, found)
    await permit.cancel()


async def test_a_permit_whose_lease_has_ended_holds_nothing_and_is_no_difference(
    server: ValkeyProcess, ledger: Books, client: RedisClient
) -> None:
    forgetful = RedisLimiter(client, ledger=ledger, clock=CLOCK, lease_s=0.05)  # not opened: it renews nothing
    late = await forgetful.acquire([tokens(10), at_once()], tenant=TENANT)
    await asyncio.sleep(0.06)
    await forgetful.standings([tokens(0)], tenant=TENANT)
    assert server.command("HVALS", f"{PREFIX}holds") == [b"X"]
    assert await verify(client, ledger, [TENANT], clock=CLOCK) == []
    await late.cancel()


async def test_a_month_is_rebuilt_by_setting_and_holds_stay(
    server: ValkeyProcess, ledger: Books, limiter: RedisLimiter, client: RedisClient
) -> None:
    permit = await limiter.acquire([tokens(10), money(10)], tenant=TENANT)
    server.command("HSET", f"{PREFIX}usage:tokens:u1:{MONTH}", "used", 990)
    server.command("HSET", f"{PREFIX}usage:tokens:u1:2020-01", "used", 990)
    ledger.write("u1", PERIOD, tokens=100)
    ledger.write("u1", 202001, tokens=3)
    for _ in range(2):
        assert await rebuild(client, ledger, [TENANT], PERIOD, clock=CLOCK, journal=[entry(tokens=5)]) == 2
        assert (quota(server, tokens(0)), quota(server, tokens(0), "held")) == (105, 10)
        assert (quota(server, money(0)), quota(server, money(0), "held")) == (3, 10)
    assert quota(server, tokens(0), period=202001) == 990
    await permit.cancel()


async def test_thousands_of_accounts_are_compared_and_rebuilt(
    server: ValkeyProcess, ledger: Books, limiter: RedisLimiter, client: RedisClient
) -> None:
    accounts = [f"u{number}" for number in range(3_000)]
    for account in accounts:
        server.command("HSET", f"{PREFIX}usage:tokens:{account}:{MONTH}", "used", 1)
        ledger.write(account, PERIOD, tokens=2)
    assert len(await verify(client, ledger, [TENANT], clock=CLOCK)) == 3_000
    assert await rebuild(client, ledger, [TENANT], PERIOD, clock=CLOCK) == 3_000
    assert await verify(client, ledger, [TENANT], clock=CLOCK) == []
    assert max(len(accounts) for _, accounts, _ in ledger.asked) <= 500


async def test_in_a_cluster_every_tenant_is_found_where_it_is(ledger: Books) -> None:
    tenants = [f"tenant-{number}" for number in range(8)]
    with cluster() as nodes:
        url = f"redis+cluster://127.0.0.1:{nodes[0].port}"
        async with opened(RedisClient(url, clock=CLOCK, deadline_s=2.0)) as client:
            limiter = RedisLimiter(client, ledger=ledger, clock=CLOCK)
            await limiter.open()
            assert limiter.replicas == 1
            for tenant in tenants:
                permit = await limiter.acquire([requests(), at_once(), tokens(10), money(10)], tenant=tenant)
                await permit.settle({"tokens": 5})
            assert all(node.command("DBSIZE") for node in nodes), "all nodes have a part"
            assert len(await verify(client, ledger, tenants, clock=CLOCK)) == 8
            ledger.write("u1", PERIOD, tokens=5)
            assert await verify(client, ledger, tenants, clock=CLOCK) == []
            assert await rebuild(client, ledger, tenants, PERIOD, clock=CLOCK) == 16
            await limiter.aclose()
