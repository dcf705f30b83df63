"""The ledger while Postgres fails in every way it can: nothing lost, nothing doubled, nobody waits long."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
from ledger_values import entry, ids, roll_ups, some_entries, stored, stored_roll_ups, sums, until

from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.ledger.journal import Journal
from pulse_gateway.ledger.postgres import PostgresLedger
from pulse_host.database.migrate import migrate
from pulse_host.database.pool import create_pool, open_connection
from pulse_host.dev.embedded import EmbeddedPostgres


@asynccontextmanager
async def ledger_over(pool: Any, folder: Path, **options: Any) -> AsyncIterator[PostgresLedger]:
    """A ledger with a journal of its own."""
    ledger = PostgresLedger(pool, journal=Journal.take(folder), **options)
    await ledger.start()
    try:
        yield ledger
    finally:
        await ledger.aclose()


async def seconds(work: Any) -> float:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    with pytest.raises(StoreUnavailable):
        await work
    return loop.time() - begun


# ── errors of Postgres' own ──

FAILING = """
create function failing() returns trigger language plpgsql as $$
begin
    if random() < {chance} then
        raise exception 'made up' using errcode = '{code}';
    end if;
    return null;
end $$;
create trigger failing {when} on {table} for each statement execute function failing();
"""


@pytest.mark.parametrize(
    "code",
    [
        "40001",  # serialization failure
        "40P01",  # deadlock detected
        "53100",  # disk full
        "53200",  # out of memory
        "55P03",  # lock not available
        "57014",  # statement cancelled
        "57P01",  # the administrator ends this connection
        "58030",  # I/O error
        "XX000",  # internal error
    ],
)
async def test_whatever_fails_half_of_the_time_is_tried_again(
    database: Any, pool: Any, tmp_path: Path, code: str
) -> None:
    entries = some_entries(900, 1)
    async with open_connection(database.url) as connection, ledger_over(pool, tmp_path) as ledger:
        # After the rows are in: what fails is undone as a whole.
        await connection.execute(FAILING.format(chance=0.5, code=code, when="after insert", table="usage_entry"))
        for number, each in enumerate(entries):
            ledger.record(each)
            if number % 90 == 0:
                await asyncio.sleep(0)
        await ledger.flush()
        assert (ledger.written, ledger.refused) == (900, 0)
        assert ledger.journal is not None
        assert ledger.journal.closed_entries == 0
    assert await ids(database.url) == sorted(each.entry_id for each in entries)
    assert await stored(database.url) == sums(entries)


async def test_a_full_disk_is_an_alarm_and_is_survived_without_help(
    database: Any, pool: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    entries = some_entries(700, 2)
    async with open_connection(database.url) as connection, ledger_over(pool, tmp_path) as ledger:
        full = FAILING.format(chance=2, code="53100", when="before insert", table="usage_hourly")
        await connection.execute(full)
        for each in entries:
            ledger.record(each)
        await until(lambda: "usage cannot be written (DiskFullError" in caplog.text)
        assert (ledger.backlog, ledger.written) == (700, 0)
        assert await ids(database.url) == []
        await connection.execute("drop function failing cascade")
        await ledger.flush()
        await until(lambda: "usage is written again" in caplog.text)
    assert await stored(database.url) == sums(entries)


async def test_an_acknowledgement_that_is_lost_on_its_way_doubles_nothing(database: Any, pool: Any) -> None:
    class Forgetful:
        """Commits, and then says that the connection broke, as a network may."""

        lost = 0

        def __init__(self, connection: Any) -> None:
            self._connection = connection

        async def fetchrow(self, *arguments: Any, **options: Any) -> Any:
            answer = await self._connection.fetchrow(*arguments, **options)
            if Forgetful.lost < 4:
                Forgetful.lost += 1
                raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
            return answer

        def __getattr__(self, name: str) -> Any:
            return getattr(self._connection, name)

    class ForgetfulPool:
        @asynccontextmanager
        async def acquire(self, **options: Any) -> AsyncIterator[Any]:
            async with pool.acquire(**options) as connection:
                yield Forgetful(connection)

    entries = some_entries(1200, 3)
    ledger = PostgresLedger(ForgetfulPool())
    for each in entries:
        ledger.record(each)
    await ledger.flush()
    assert Forgetful.lost == 4
    assert await stored(database.url) == sums(entries)
    assert await stored_roll_ups(database.url) == roll_ups(entries)
    await ledger.aclose()


# ── no connection, no lock ──


async def test_while_every_connection_is_taken_nobody_waits_long_and_nothing_is_lost(
    database: Any, tmp_path: Path
) -> None:
    entries = some_entries(300, 4)
    pool = await create_pool(database.url, max_size=2)
    async with ledger_over(pool, tmp_path) as ledger:
        async with pool.acquire(), pool.acquire():
            for each in entries:
                ledger.record(each)
            assert await seconds(ledger.balances("default", ["alice"], 202611)) < 0.75
            assert ledger.backlog == 300
            ledger.check()
        await ledger.flush()
        assert await stored(database.url) == sums(entries)
    await pool.close()


async def test_a_server_without_a_free_connection_is_asked_again(
    database: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entries = some_entries(300, 5)
    await database.admin("drop role if exists plain_writer", "create role plain_writer login")
    async with open_connection(database.url) as connection:
        await connection.execute("grant all on all tables in schema public to plain_writer")
    await database.admin(f"alter database {database.name} connection limit 1")
    url = database.url.replace("postgres@", "plain_writer@")
    pool = await asyncpg.create_pool(url, min_size=0, max_size=2, server_settings={"app.tenant_id": "*"})
    async with AsyncExitStack() as the_only_one:
        await the_only_one.enter_async_context(open_connection(url))
        async with ledger_over(pool, tmp_path) as ledger:
            for each in entries:
                ledger.record(each)
            await until(lambda: "usage cannot be written (TooManyConnectionsError" in caplog.text)
            await the_only_one.aclose()
            await ledger.flush()
    await pool.close()
    assert await stored(database.url) == sums(entries)


@pytest.mark.parametrize("table", ["usage_entry", "usage_balance", "usage_daily", "open_permit"])
async def test_a_lock_on_any_table_holds_nothing_up_but_the_writer(
    database: Any, pool: Any, tmp_path: Path, table: str
) -> None:
    entries = some_entries(600, 6)
    async with ledger_over(pool, tmp_path, write_timeout_s=0.2) as ledger:
        async with open_connection(database.url) as connection, connection.transaction():
            await connection.execute(f"lock table {table} in access exclusive mode")
            for each in entries:
                ledger.record(each)
                ledger.check()
            await until(lambda: ledger.lag_s > 0.5)
            assert ledger.written == 0
            if table == "usage_balance":
                assert await seconds(ledger.balances("default", ["alice"], 202611)) < 0.75
            else:
                assert await ledger.balances("default", ["alice"], 202611) == {}
        await ledger.flush()
    assert await stored(database.url) == sums(entries)


async def test_connections_cut_every_moment_lose_and_double_nothing(database: Any, pool: Any, tmp_path: Path) -> None:
    chance = random.Random(7)
    entries = some_entries(6000, 7)
    cuts = 0

    async def cut() -> None:
        nonlocal cuts
        async with open_connection(database.url) as connection:
            while cuts < 15:
                cuts += await connection.fetchval(
                    "select count(pg_terminate_backend(pid)) from pg_stat_activity "
                    "where datname = current_database() and pid <> pg_backend_pid()"
                )
                await asyncio.sleep(chance.uniform(0.005, 0.06))

    async with ledger_over(pool, tmp_path, gather_s=0.0) as ledger:
        cutting = asyncio.create_task(cut())
        for number, each in enumerate(entries):
            ledger.record(each)
            if number % 30 == 0:
                await asyncio.sleep(0.005)
        for each in entries:  # what has been written long ago is written again, as long as connections are cut
            if cutting.done():
                break
            ledger.record(each)
            await asyncio.sleep(0.002)
        await cutting
        await ledger.flush()
        assert ledger.journal is not None
        assert ledger.journal.closed_entries == 0
    assert await ids(database.url) == sorted(each.entry_id for each in entries)
    assert await stored(database.url) == sums(entries)


# ── no Postgres ──


async def test_postgres_gone_for_seconds_under_load_costs_nothing_but_bounded_memory(
    own_dir: Path, tmp_path: Path
) -> None:
    server = EmbeddedPostgres(own_dir / "postgres", log=own_dir / "log", settings={"fsync": "off"})
    url = await asyncio.to_thread(server.start)
    try:
        await migrate(url)
        pool = await create_pool(url)
        async with ledger_over(pool, tmp_path) as ledger:
            written: dict[str, int] = {}

            def work(count: int) -> None:
                for _ in range(count):
                    ledger.check()
                    each = entry(user_id=f"user-{count % 7}", tokens=count, request_id="r" * 36, trace_id="t" * 32)
                    ledger.open(each)
                    ledger.record(each)
                    written[each.entry_id] = each.tokens

            work(500)
            await ledger.flush()
            await asyncio.to_thread(server.stop)
            gc.collect()
            before = psutil.Process().memory_info().rss
            for _ in range(400):  # 40,000 entries
                work(100)
                await asyncio.sleep(0.001)
            grown = psutil.Process().memory_info().rss - before
            assert ledger.backlog == 40_000
            with pytest.raises(StoreUnavailable):
                await ledger.balances("default", ["user-0"], 202611)
            await asyncio.to_thread(server.start)
            work(500)
            begun = asyncio.get_running_loop().time()
            await ledger.flush()
            drained_s = asyncio.get_running_loop().time() - begun
            assert ledger.written == len(written) == 41_000
        async with open_connection(url) as connection:
            rows = await connection.fetch("select entry_id::text, tokens from usage_entry")
            assert {row["entry_id"]: row["tokens"] for row in rows} == written
            assert len(rows) == len(written)
        assert grown < 50 * 2**20
        assert drained_s < 30
        await stored(url)
        await pool.close()
    finally:
        await asyncio.to_thread(server.stop)
