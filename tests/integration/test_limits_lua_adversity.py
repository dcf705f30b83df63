"""The scripts where a server is full, its keys are foreign or gone, amounts are huge, and thousands of things end at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
import redis

from limits_scripts import ScriptServer
from pulse_gateway.limits.asks import LARGEST, Ask, asks_of
from pulse_gateway.limits.counters import COLD, GRANTED, LOST, REFUSED, SETTLED, UNKNOWN, Counters
from pulse_gateway.limits.limiter import Charge
from valkey_server import ValkeyProcess

WINDOW_S = 60.0


@pytest.fixture(scope="module")
def process() -> Iterator[ValkeyProcess]:
    with ValkeyProcess() as server:
        yield server


@pytest.fixture
def server(process: ValkeyProcess) -> Iterator[ScriptServer]:
    server = ScriptServer(process)
    yield server
    server.client.config_set("maxmemory", 0)
    server.client.flushall()
    server.client.close()


def ask(
    kind: str, amount: int = 1, cap: int | None = 1_000, window_s: float | None = None, account: str = "ada"
) -> Ask:
    charge = Charge(account=account, kind=kind, amount=amount, cap=cap, window_s=window_s)
    return asks_of(ScriptServer.prefix, [charge], 202611)[0]


def everything(server: ScriptServer) -> list[Ask]:
    """One charge of each form; the quota is warm."""
    quota = ask("tokens", 10)
    server.set_used(quota)
    return [ask("requests", window_s=WINDOW_S), ask("tokens", 10, window_s=WINDOW_S), ask("concurrency"), quota]


def digest(server: ScriptServer) -> str:
    return str(server.client.execute_command("DEBUG", "DIGEST"))


def now_us() -> int:
    return time.time_ns() // 1_000


# ── a script that fails has changed nothing ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("which", range(4))
def test_a_key_of_a_foreign_type_stops_a_grant_before_anything_is_taken(server: ScriptServer, which: int) -> None:
    asks = everything(server)
    server.client.delete(asks[which].key)
    server.client.sadd(asks[which].key, "foreign")
    before = digest(server)
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        server.acquire("p", asks)
    assert digest(server) == before


@pytest.mark.parametrize("which", range(4))
def test_a_key_of_a_foreign_type_keeps_nothing_else_from_being_settled(server: ScriptServer, which: int) -> None:
    asks = everything(server)
    granted_us = server.acquire("p", asks)[1]
    server.client.delete(asks[which].key)
    server.client.sadd(asks[which].key, "foreign")
    code, _, *rows = server.settle("p", asks, granted_us)
    assert code == SETTLED
    assert rows == [0, 0, 0, 0, 0, 0, -1 if which == 3 else 10, 0]
    if which != 2:
        assert not server.client.exists(asks[2].key)
    assert server.client.hlen(server.holds) == server.client.zcard(server.leases) == 0


def test_a_key_of_a_foreign_type_does_not_keep_the_dead_alive(server: ScriptServer) -> None:
    asks = everything(server)
    server.acquire("dead", asks, lease_us=0)
    server.client.set(asks[3].key, "foreign")
    assert server.acquire("living", asks[:3])[0] == GRANTED
    assert server.client.get(asks[2].key) == "1"
    assert server.client.hget(server.holds, "dead") == "X"


def test_a_key_of_a_foreign_type_keeps_nothing_else_from_being_renewed(server: ScriptServer) -> None:
    running, quota = ask("concurrency"), ask("tokens", 10)
    server.client.set(quota.key, "foreign")
    for _ in range(3):
        server.renew({"p": [quota, running]})
    assert server.client.get(running.key) == "1"
    assert server.client.get(quota.key) == "foreign"


def test_a_server_without_memory_grants_nothing_in_part_and_settles_all_the_same(server: ScriptServer) -> None:
    asks = everything(server)
    granted_us = server.acquire("p", asks)[1]
    server.client.config_set("maxmemory", 1)
    before = digest(server)
    with pytest.raises(redis.ResponseError, match="maxmemory"):
        server.acquire("q", asks)
    assert digest(server) == before
    assert server.settle("p", asks, granted_us) == [SETTLED, pytest.approx(now_us(), abs=1e6), 0, 0, 0, 0, 0, 0, 10, 0]


# ── keys that an operator or an eviction took away ────────────────────────────────────────────────────────────────────


def test_holds_without_counters_come_back_as_nothing(server: ScriptServer) -> None:
    asks = everything(server)
    granted_us = server.acquire("p", asks)[1]
    server.client.delete(*[one.key for one in asks])
    assert server.settle("p", asks, granted_us)[0] == SETTLED
    assert not server.client.keys("*ratelimit*") + server.client.keys("*usage*")
    assert server.acquire("q", asks)[0] == COLD


def test_counters_without_holds_are_settled_and_a_lease_without_a_hold_is_swept(server: ScriptServer) -> None:
    asks = everything(server)
    granted_us = server.acquire("p", asks, lease_us=0)[1]
    server.client.delete(server.holds)
    assert server.settle("p", asks, granted_us, "again")[0] == UNKNOWN
    assert (
        server.settle("p", asks, granted_us)[0] == LOST
    )  # what was used counts; the hold stays until counters are rebuilt
    assert server.client.hmget(asks[3].key, "used", "held") == ["10", "10"]
    server.acquire("", asks)
    assert server.client.zcard(server.leases) == 0


def test_a_hold_without_a_lease_ends_like_any_other_and_a_renewal_makes_it_a_lease(server: ScriptServer) -> None:
    asks = everything(server)
    granted_us = [server.acquire(permit, asks)[1] for permit in ("p", "q")]
    server.client.delete(server.leases)
    assert server.settle("p", asks, granted_us[0])[0] == SETTLED
    assert server.renew({"q": asks}) == 0
    assert server.client.zcard(server.leases) == server.client.hlen(server.holds) == 1


def test_every_key_of_a_window_is_gone_soon_after_it(server: ScriptServer) -> None:
    """RL-6: a second after a log's last grant stopped counting; a slice and a second for buckets."""
    asks = everything(server)
    server.acquire("p", asks)
    assert 60_900 < server.client.pttl(asks[0].key) <= 61_001
    assert 63_900 < server.client.pttl(asks[1].key) <= 64_001


# ── a clock that was wrong ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("ahead_s", "lives_s"), [(30, 91), (600, 121), (50 * 365 * 86_400, 121)])
def test_a_window_from_a_time_to_come_is_waited_out_but_for_no_more_than_two(
    server: ScriptServer, ahead_s: int, lives_s: int
) -> None:
    """The clock was ahead when the newest grant was made, and has stepped back since. Leases and months follow the clock."""
    log, buckets = ask("requests", 1, 3, WINDOW_S), ask("tokens", 10, 30, WINDOW_S)
    then = now_us() + ahead_s * 1_000_000
    server.client.lpush(log.key, then, then)
    server.client.hset(buckets.key, str(then // 3_000_000), 20)
    code, granted_us, used, _, _, reset_us, tokens, *_ = server.acquire("p", [log, buckets])
    assert (code, granted_us, used, reset_us, tokens) == (GRANTED, then, 3, 60_000_001, 30)
    assert server.client.pttl(log.key) == pytest.approx(lives_s * 1_000, abs=100)
    assert server.client.pttl(buckets.key) == pytest.approx(lives_s * 1_000 + 3_000, abs=100)
    assert server.client.zscore(server.leases, "p") == pytest.approx(now_us() + 60_000_000, abs=1e6)
    assert server.acquire("q", [log, buckets])[0] == REFUSED
    assert server.settle("p", [log, buckets], granted_us, "cancel")[0] == SETTLED
    assert server.acquire("q", [log, buckets])[0] == GRANTED


# ── amounts ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("cap", "used", "held", "amount", "code"),
    [
        (LARGEST, LARGEST - 1, 0, 1, GRANTED),
        (LARGEST, LARGEST - 1, 0, 2, REFUSED),
        (LARGEST, LARGEST - 1, 1, 1, REFUSED),
        (LARGEST, LARGEST, LARGEST, 1, REFUSED),  # as doubles the sum is even, and one more would be lost
        (LARGEST - 1, 4_503_599_627_370_495, 4_503_599_627_370_495, 1, REFUSED),
        (LARGEST - 1, 4_503_599_627_370_495, 4_503_599_627_370_495, 0, GRANTED),
        (9 * 10**15, 9 * 10**15 - 5, 3, 2, GRANTED),
        (9 * 10**15, 9 * 10**15 - 5, 3, 3, REFUSED),
    ],
)
def test_money_is_compared_exactly_up_to_nine_million_dollars(
    server: ScriptServer, cap: int, used: int, held: int, amount: int, code: int
) -> None:
    money, counters = ask("cost_nano_usd", amount, cap), Counters()
    server.set_used(money, used)
    server.client.hset(money.key, "held", held)
    counters.set_used(money.key, used)
    counters._quotas[money.key].held = held
    reply, verdict = server.acquire("p", [money]), counters.acquire(now_us(), "p", 1, [money])
    assert reply[0] == verdict.code == code
    assert tuple(reply[2:5]) == (verdict.rows[0].used, verdict.rows[0].held, verdict.rows[0].wait_us)


def test_large_amounts_are_kept_digit_by_digit(server: ScriptServer) -> None:
    money = ask("cost_nano_usd", LARGEST - 10, None)
    server.set_used(money, 3)
    granted_us = server.acquire("p", [money])[1]
    assert server.client.hget(money.key, "held") == str(LARGEST - 10)
    assert server.settle("p", [money], granted_us)[2:] == [LARGEST - 7, 0]
    assert server.client.hmget(money.key, "used", "held") == [str(LARGEST - 7), "0"]


# ── work ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def calls_of(server: ScriptServer, permit_id: str, asks: list[Ask]) -> tuple[list[int], int]:
    """The reply, and how many commands the script ran."""
    server.client.config_resetstat()
    reply = server.acquire(permit_id, asks)
    stats = server.client.info("commandstats")
    return reply, sum(one["calls"] for name, one in stats.items() if "|" not in name and name != "cmdstat_evalsha")


def test_a_hundred_thousand_grants_that_end_at_once_are_one_cut(server: ScriptServer) -> None:
    log = ask("requests", 1, 100_000, WINDOW_S, "tenant/acme")
    ended, living = now_us() - 60_500_000, now_us() - 30_000_000
    for begin in range(0, 100_000, 10_000):
        server.client.rpush(log.key, *[living - number for number in range(begin, begin + 10_000)])
    full, calls = calls_of(server, "p", [log])
    assert (full[0], full[2], calls) == (REFUSED, 100_000, pytest.approx(10, abs=5))
    for begin in range(0, 100_000, 10_000):
        server.client.rpush(log.key, *[ended - number for number in range(begin, begin + 10_000)])
    server.client.ltrim(log.key, 50_000, -1)
    reply, calls = calls_of(server, "p", [log])
    assert (reply[0], reply[2]) == (GRANTED, 50_001)
    assert calls < 60  # 2 log₂ of a hundred thousand, and what each grant costs
    assert server.client.llen(log.key) == 50_001


def test_a_thousand_dead_permits_cost_the_living_a_few_each(server: ScriptServer) -> None:
    running = ask("concurrency", 1, None)
    for number in range(1_000):
        server.acquire(f"dead-{number}", [running], lease_us=10**15)
    server.client.zadd(server.leases, {f"dead-{number}": 1 for number in range(1_000)})
    _, calls = calls_of(server, "a", [running])
    assert calls < 25
    assert server.client.get(running.key) == str(1_000 - 8 + 1)
    crowded = ask("concurrency", 1, 600)  # full, were it not for the dead
    reply, calls = calls_of(server, "b", [crowded])
    assert reply[0] == GRANTED
    assert calls < 35
    assert server.client.get(running.key) == str(1_000 - 8 + 1 - 8 - 512 + 1)


def test_an_active_account_takes_less_than_a_kilobyte_and_a_half(server: ScriptServer) -> None:
    """A full log of sixty requests a minute and four monthly quotas; a window of tokens in all its slices takes a third more."""
    account = "user-0000004711"
    log = ask("requests", 1, 60, WINDOW_S, account)
    server.client.lpush(log.key, *[now_us() - 900_000 * number for number in range(59, -1, -1)])
    buckets = ask("tokens", 1, 10**6, WINDOW_S, account)
    server.client.hset(
        buckets.key, mapping={str(now_us() // 3_000_000 - number): 4_000 + number for number in range(21)}
    )
    quotas = [ask(kind, 1, 10**12, None, account) for kind in ("tokens", "images", "videos", "cost_nano_usd")]
    for quota in quotas:
        server.set_used(quota, 10**6)
    granted_us = server.acquire("p", quotas)[1]
    server.settle("p", quotas, granted_us)
    sizes = {one.key: server.client.memory_usage(one.key, samples=0) for one in (log, buckets, *quotas)}
    window_of_tokens = sizes.pop(buckets.key)
    assert window_of_tokens <= 400
    assert sum(sizes.values()) < 1_536, sizes


# ── one step ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("steps", "granted"), [(1, 2), (2, 50)])
async def test_fifty_racers_for_a_thousand_get_two_grants_of_five_hundred_in_one_step_and_oversell_in_two(
    process: ValkeyProcess, server: ScriptServer, steps: int, granted: int
) -> None:
    """QL-1; and that looking first and taking afterwards would be found out."""
    quota, blind = ask("tokens", 500), ask("tokens", 500, None)
    server.set_used(quota)
    looked = asyncio.Barrier(50)

    async def race(number: int) -> bool:
        racer = ScriptServer(process)
        if steps == 1:
            await looked.wait()
            reply = await asyncio.to_thread(racer.acquire, f"p-{number}", [quota])
        else:
            (_, _, used, held, *_) = await asyncio.to_thread(racer.acquire, "", [quota])
            await looked.wait()
            if used + held + 500 > quota.cap:
                return False
            reply = await asyncio.to_thread(racer.acquire, f"p-{number}", [blind])
        return reply[0] == GRANTED

    assert sum(await asyncio.gather(*[race(number) for number in range(50)])) == granted
    used, held = server.client.hmget(quota.key, "used", "held")
    assert (int(used or 0), int(held or 0)) == (0, 500 * granted)
