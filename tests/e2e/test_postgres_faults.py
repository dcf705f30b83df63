"""A whole gateway while its Postgres is stopped, cuts connections, is locked, or has none left: callers do not notice, and nothing
is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

import asyncpg
import httpx
import psutil
import pytest
from killing import compare
from pressure import Load, make_key, metric, serving, until
from pulse_process import Pulse, Simulation, entries_of, open_folder, run_pulse

from pulse_host.dev.embedded import EmbeddedPostgres
from valkey_server import ValkeyProcess

LATE_S = 0.25
POOL_WAIT_S = 0.5
DRAINED_S = 30.0
GROWTH_BYTES = 50 * 2**20
CONFIG = """
[plans.starter]
tokens = 1_000_000_000
[limits]
requests = "off"
replicas = 1
deadline_ms = 2000
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with open_folder() as folder:
        settings = {"fsync": "off", "max_connections": "25"}
        server = EmbeddedPostgres(folder / "postgres", log=folder / "postgres.log", settings=settings)
        server.start()
        assert run_pulse("migrate", env={"PULSE_DATABASE_URL": server.url()}).returncode == 0
        yield server
        server.stop()


@pytest.fixture
def redis() -> Iterator[ValkeyProcess]:
    with ValkeyProcess() as server:
        yield server


async def drained(pulse: Pulse) -> float:
    """Seconds until nothing waits for Postgres any more."""
    began = time.monotonic()
    async with httpx.AsyncClient(base_url=pulse.url, trust_env=False, timeout=30) as http:

        async def nothing_waits() -> bool:
            return await metric(http, "pulse_ledger_backlog") == 0

        await until(nothing_waits, "the ledger is written", within_s=DRAINED_S)
    return time.monotonic() - began


async def nothing_is_lost(postgres: EmbeddedPostgres, simulation: Simulation, load: Load) -> None:
    assert {(each.status, each.degraded) for each in load.answers} == {(200, None)}
    found = await compare(postgres.url(), simulation, load.prefix)
    assert found.attempts == len(load.answers)
    assert (found.missing, found.doubled, found.unasked, found.wrong, found.estimated) == ([], [], [], [], 0)


async def test_a_quarter_of_a_minute_without_postgres_under_load(
    postgres: EmbeddedPostgres, redis: ValkeyProcess, simulation: Simulation
) -> None:
    """Callers that are known are answered as ever, and what they used is in the ledger once it is back."""
    simulation.reset()
    keys = [await asyncio.to_thread(make_key, postgres.url(), "--plan", "starter") for _ in range(4)]
    async with serving(postgres.url(), [redis.url], simulation, CONFIG) as [pulse]:
        async with Load([pulse.url], keys, prefix="without-") as load:
            await load.some_more(300)
            memory = psutil.Process(pulse.process.pid).memory_info
            before = memory().rss
            await asyncio.to_thread(postgres.stop)
            went = time.monotonic()
            await asyncio.sleep(15)
            grown = memory().rss - before
            await asyncio.to_thread(postgres.start)
            await load.some_more()
        await drained(pulse)
        during = load.since(went, went + 15)
        assert len(during) > 150
        assert max(each.took_s for each in during) < 1 + load.lag_s, "somebody waited for it"
        assert grown < GROWTH_BYTES
        pulse.process.wait_for("usage is written again")
    await nothing_is_lost(postgres, simulation, load)
    env = {"PULSE_DATABASE_URL": postgres.url(), "PULSE_REDIS_URL": redis.url}
    verified = await asyncio.to_thread(run_pulse, "usage", "verify", env=env)
    assert verified.returncode == 0, verified.stdout + verified.stderr


CUT = "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename is not null and pid <> pg_backend_pid()"


async def cut_ten_times_a_second(url: str) -> None:
    connection = await asyncpg.connect(url)
    cuts = 0
    for _ in range(30):
        cuts += await connection.fetchval(CUT)
        await asyncio.sleep(0.1)
    await connection.close()
    assert cuts >= 5, "after each cut the ledger pauses, but not for long"


async def locked(url: str) -> None:
    connection = await asyncpg.connect(url)
    async with connection.transaction():
        await connection.execute("lock table usage_entry in access exclusive mode")
        await asyncio.sleep(4)
        assert await connection.fetchval("select count(*) from pg_locks where not granted") > 0, "nobody wanted it"
    await connection.close()


async def without_a_free_connection(url: str) -> None:
    """First what is free is taken, then what the gateway has, as soon as that is cut."""
    taken: list[asyncpg.Connection] = []
    end = time.monotonic() + 3
    cutter = await asyncpg.connect(url)
    refused = 0
    while time.monotonic() < end:
        try:
            taken.append(await asyncpg.connect(url))
        except asyncpg.TooManyConnectionsError:
            refused += 1
            ours = [each.get_server_pid() for each in taken]
            await cutter.execute(f"{CUT} and pid <> all($1::int[])", ours)
            await asyncio.sleep(0.02)
    assert refused
    assert len(taken) >= 20
    for each in (*taken, cutter):
        await each.close()


@pytest.mark.parametrize(
    "fault", [cut_ten_times_a_second, locked, without_a_free_connection], ids=lambda fault: fault.__name__
)
async def test_chats_do_not_notice(
    postgres: EmbeddedPostgres, redis: ValkeyProcess, simulation: Simulation, fault: Callable[[str], Awaitable[None]]
) -> None:
    simulation.reset()
    keys = [await asyncio.to_thread(make_key, postgres.url(), "--plan", "starter") for _ in range(2)]
    async with serving(postgres.url(), [redis.url], simulation, CONFIG) as [pulse]:
        async with Load([pulse.url], keys, prefix=f"{fault.__name__}-") as load:
            await load.some_more(60)
            began = time.monotonic()
            await fault(postgres.url())
            ended = time.monotonic()
            await load.some_more()
        await drained(pulse)
        during = load.since(began, ended)
        assert len(during) > 50
        assert max(each.took_s for each in during) < POOL_WAIT_S + LATE_S + load.lag_s
        assert await asyncio.to_thread(pulse.process.stop) == 0
        assert "Traceback" not in pulse.process.output
    await nothing_is_lost(postgres, simulation, load)
    assert len({row["entry_id"] for row in await entries_of(postgres.url())}) == len(await entries_of(postgres.url()))
