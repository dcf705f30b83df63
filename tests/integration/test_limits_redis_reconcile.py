"""Redis against the ledger: corrected by it, compared with it, built anew from it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from limits_parts import TENANT, Books, ClockedRedis, at_once, money, opened, quota, requests, tokens, until

from pulse_gateway.clock import SystemClock
from pulse_gateway.errors import QuotaExceeded
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.limits.chores import Chore
from pulse_gateway.limits.periods import month_of
from pulse_gateway.limits.reconcile import Difference, rebuild, verify
from pulse_gateway.limits.redis import RedisLimiter
from pulse_gateway.limits.scripts import Grant
from pulse_gateway.limits.settlements import Ending
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


# ── where calls end all the time ──────────────────────────────────────────────────────────────────────────────────────


class Busy:
    """An account in which a call of one token ends whenever it is looked at, by a clock of the test's; nothing happens by itself."""

    def __init__(self, server: ValkeyProcess, client: RedisClient, ledger: Books, clock: FakeClock) -> None:
        self.server, self.ledger, self.clock = server, ledger, clock
        self.period = month_of(clock.now()).period
        self.limiters = [RedisLimiter(client, ledger=ledger, clock=clock) for _ in range(2)]

    async def call(self, used: int = 1, limiter: int = 0) -> None:
        permit = await self.limiters[limiter].acquire([tokens(1, 10**9)], tenant=TENANT)
        self.ledger.write("u1", self.period, tokens=used)
        await permit.settle({"tokens": used})

    async def look(self, limiter: int = 0, *, may_lower: bool = True) -> None:
        await self.call(limiter=limiter)
        self.limiters[limiter].doubt(TENANT, ["u1"], self.period)
        await self.limiters[limiter]._reconciler.run(may_lower=may_lower)

    @property
    def used(self) -> int:
        found = quota(self.server, tokens(0), period=self.period)
        assert found is not None
        return found

    def is_off_by(self, amount: int) -> None:
        key = f"{PREFIX}usage:tokens:u1:{self.period // 100}-{self.period % 100:02d}"
        self.server.command("HINCRBY", key, "used", amount)

    @property
    def off_by(self) -> int:
        return self.used - self.ledger.used["u1", self.period]["tokens"]


@pytest.fixture
async def busy(server: ValkeyProcess, ledger: Books) -> AsyncIterator[Busy]:
    clock = FakeClock(time.time() + 10**6)
    async with opened(ClockedRedis(server.url, clock)) as client:
        each = Busy(server, client, ledger, clock)
        await each.call(1_000)
        yield each


async def test_what_a_busy_counter_lacks_for_certain_is_added(busy: Busy) -> None:
    busy.ledger.write("u1", busy.period, tokens=100_000)  # what a process that was killed had in its journal
    await busy.look()
    busy.clock.advance(6)
    await busy.look(may_lower=False)  # upwards at any time
    assert -2 <= busy.off_by <= 0, "but for what ended in between"
    for _ in range(5):
        busy.clock.advance(6)
        await busy.look()
    assert -2 <= busy.off_by <= 0
    busy.clock.advance(6)
    busy.limiters[0].doubt(TENANT, ["u1"], busy.period)
    await busy.limiters[0]._reconciler.run()
    assert busy.off_by == 0, "nothing has ended for a while"


async def test_two_replicas_that_see_the_same_shortage_add_it_once(busy: Busy) -> None:
    busy.ledger.write("u1", busy.period, tokens=100_000)
    for each in (0, 1):
        await busy.look(each)
    busy.clock.advance(6)
    await asyncio.gather(busy.look(0), busy.look(1))
    assert -4 <= busy.off_by <= 0
    assert sum(limiter.corrections for limiter in busy.limiters) == 1


async def test_what_a_busy_counter_has_too_much_for_certain_goes_unless_somebody_is_behind(busy: Busy) -> None:
    busy.is_off_by(100_000)
    await busy.look(may_lower=False)
    busy.clock.advance(6)
    await busy.look(may_lower=False)
    assert busy.off_by == 100_000
    busy.clock.advance(6)
    await busy.look()
    assert 0 <= busy.off_by <= 2


async def test_a_busy_counter_that_is_right_is_left_alone(busy: Busy) -> None:
    for _ in range(10):
        busy.clock.advance(1)
        await busy.look()
        await busy.call(10)
    assert busy.off_by == 0
    assert busy.limiters[0].corrections == 0


async def test_what_the_ledger_takes_back_is_no_shortage(busy: Busy) -> None:
    busy.ledger.write("u1", busy.period, tokens=500)
    await busy.look()
    busy.ledger.write("u1", busy.period, tokens=-500)
    busy.clock.advance(6)
    await busy.look()
    assert busy.off_by == 0


async def test_recovered_usage_is_counted_within_seconds_though_nobody_calls(busy: Busy) -> None:
    busy.ledger.write("u1", busy.period, tokens=100_000)
    busy.clock.advance(6)
    busy.limiters[1].doubt(TENANT, ["u1", "nobody"], busy.period)
    await busy.limiters[1]._reconciler.run(may_lower=False)
    assert busy.off_by == 0


async def ends_while_cut_off(busy: Busy, used: int) -> None:
    """A call at the second limiter, of which the ledger is told and Redis is not."""
    permit = await busy.limiters[1].acquire([tokens(1, 10**9)], tenant=TENANT)
    busy.ledger.write("u1", busy.period, tokens=used)
    assert isinstance(permit, Grant)
    del busy.limiters[1]._leases.open[permit.permit_id]
    busy.limiters[1]._endings.postpone(Ending(permit, "settle", [used], busy.clock.monotonic()), maybe_done=False)


@pytest.mark.parametrize("is_busy", [True, False])
async def test_what_came_back_from_the_ledger_is_not_settled_once_more(busy: Busy, is_busy: bool) -> None:
    await ends_while_cut_off(busy, 500)
    for _ in range(2):
        busy.clock.advance(6)
        if is_busy:
            await busy.look()
        else:
            busy.limiters[0].doubt(TENANT, ["u1"], busy.period)
            await busy.limiters[0]._reconciler.run()
    assert -2 <= busy.off_by <= 0, "the other one has corrected it"
    await busy.limiters[1]._endings.send()
    assert -2 <= busy.off_by <= 0
    held = quota(busy.server, tokens(0), "held", period=busy.period)
    assert held == 0


async def test_what_was_settled_after_the_last_look_at_the_ledger_is_added(busy: Busy) -> None:
    busy.ledger.write("u1", busy.period, tokens=100)
    busy.clock.advance(6)
    busy.limiters[0].doubt(TENANT, ["u1"], busy.period)
    await busy.limiters[0]._reconciler.run()
    assert busy.off_by == 0
    await ends_while_cut_off(busy, 500)
    busy.clock.advance(20)
    assert busy.off_by == -500
    await busy.limiters[1]._endings.send()
    assert busy.off_by == 0


# ── caps that were passed with nobody waiting ─────────────────────────────────────────────────────────────────────────


@pytest.fixture
def crossed(limiter: RedisLimiter) -> list[tuple[str, int, int]]:
    found: list[tuple[str, int, int]] = []
    limiter.on_crossed = lambda each: found.append((each.account, each.percent, each.used))
    return found


async def test_a_late_settlement_tells_of_the_caps_it_passes_once(
    server: ValkeyProcess, limiter: RedisLimiter, crossed: list[tuple[str, int, int]]
) -> None:
    for used in (850, 10, 200):
        permit = await limiter.acquire([tokens(1), money(1, None)], tenant=TENANT)
        assert isinstance(permit, Grant)
        del limiter._leases.open[permit.permit_id]
        limiter._endings.postpone(Ending(permit, "settle", [used, 900], CLOCK.monotonic()), maybe_done=used == 10)
        await limiter._endings.send()
    assert crossed == [("u1", 80, 850), ("u1", 100, 1060)]


async def test_what_comes_from_the_ledger_tells_of_the_caps_it_is_beyond(
    server: ValkeyProcess, ledger: Books, limiter: RedisLimiter, crossed: list[tuple[str, int, int]]
) -> None:
    ledger.write("u1", PERIOD, tokens=800)
    await (await limiter.acquire([tokens(1)], tenant=TENANT)).cancel()
    assert crossed == [("u1", 80, 800)]
    ledger.write("u1", PERIOD, tokens=700)
    limiter.doubt(TENANT, ["u1"], PERIOD)
    await limiter._reconciler.run()
    assert crossed == [("u1", 80, 800), ("u1", 100, 1500)]
    server.command("FLUSHALL")
    with pytest.raises(QuotaExceeded):
        await limiter.acquire([tokens(1)], tenant=TENANT)
    assert len(crossed) == 2


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
        server.command("ZADD", "pulse:v1:replicas", 2**52, "gone behind")
        assert await rebuild(client, ledger, [TENANT], PERIOD, clock=CLOCK, journal=[entry(tokens=5)]) == 2
        assert server.command("ZRANGE", "pulse:v1:replicas", 0, -1) == [], "every journal was read"
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
