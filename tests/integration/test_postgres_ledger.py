"""The ledger in Postgres: nothing lost, nothing doubled, whatever happens to the connection."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ledger_values import entry, ids, some_entries, stored, sums, until

from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.ledger.ledger import Ledger
from pulse_gateway.ledger.postgres import PostgresLedger
from pulse_gateway.types.usage import Outcome, Usage, UsageSource
from pulse_host.database.migrate import migrate
from pulse_host.database.pool import create_pool, open_connection
from pulse_host.dev.embedded import EmbeddedPostgres

# ── what is written ──


async def test_every_field_is_written_as_it_was_recorded(database: Any, pool: Any) -> None:
    ledger: Ledger = PostgresLedger(pool)
    full = entry(
        key_id="key",
        attempt=2,
        outcome=Outcome.CLIENT_GONE,
        source=UsageSource.DRAINED,
        usage=Usage(
            input_tokens=1,
            cached_input_tokens=2,
            cache_write_tokens=3,
            cache_write_long_tokens=4,
            audio_input_tokens=5,
            output_tokens=6,
            reasoning_tokens=7,
            audio_output_tokens=8,
            image_output_tokens=0,
            image_input_tokens=11,
            video_input_tokens=12,
            video_output_tokens=13,
            images=9,
            video_ms=14,
            audio_ms=15,
            characters=2**40,
            searches=0,
            variant="1024x1024/high",
        ),
        tokens=36,
        cost_nano_usd=2**53 + 1,
        price_source="config",
        images=9,
        videos=10,
        first_byte_ms=12.25,
        total_ms=345.5,
        at=1_795_000_000.25,
        price_version="2026-11-01",
        error_code="upstream_timeout",
        tags=(("team", "بحث"), ("tier", "gold")),
    )
    ledger.record(full)
    ledger.record(entry(entry_id=str(uuid.UUID(int=0)), usage=Usage()))
    await ledger.flush()
    await ledger.aclose()
    async with open_connection(database.url) as connection:
        bare, row = [dict(row) for row in await connection.fetch("select * from usage_entry order by attempt")]
    assert datetime.now(UTC) >= row.pop("recorded_at")
    expected = msgspec.structs.asdict(full)
    expected |= msgspec.structs.asdict(expected.pop("usage"))  # images stands there once, and so in the row
    tags = expected.pop("tags")
    expected |= {
        "accounts": ["alice", "key/key", "tenant/default"],
        "recovered": None,
        "requests": 0,
        "failed": 0,
        "unpriced": 0,
        "entry_id": uuid.UUID(full.entry_id),
        "outcome": "client_gone",
        "source": "drained",
        "at": datetime.fromtimestamp(full.at, UTC),
        "meta": {"tags": dict(tags)},
    }
    assert row == expected
    assert bare["input_tokens"] is None
    assert bare["meta"] == {}


async def test_a_lone_entry_is_written_at_once(database: Any, pool: Any) -> None:
    ledger = PostgresLedger(pool)
    ledger.record(entry())
    assert ledger.backlog == 1
    await until(lambda: ledger.backlog == 0)
    assert (ledger.lag_s, ledger.written) == (0.0, 1)
    await ledger.aclose()


async def test_names_that_postgres_cannot_hold_do_not_stop_a_batch(database: Any, pool: Any) -> None:
    ledger = PostgresLedger(pool)
    odd = entry(
        entry_id="not-a-uuid",
        model="nul\x00",
        alias="\ud800",
        tags=(("a\x00", "\udfff"),),
        usage=Usage(images=1, variant="1x1/\x00"),
    )
    for each in (odd, entry(), odd):
        ledger.record(each)
    await ledger.flush()
    assert ledger.written == 2
    assert ledger.refused == 0
    await ledger.aclose()


# ── each entry once ──


@pytest.mark.parametrize("seed", range(5))
async def test_batches_delivered_twice_reordered_and_split_count_once(database: Any, pool: Any, seed: int) -> None:
    entries = some_entries(700, seed)
    delivered = entries * 2
    random.Random(seed).shuffle(delivered)
    first, second = PostgresLedger(pool), PostgresLedger(pool)
    for number, each in enumerate(delivered):
        (first if number % 3 else second).record(each)
        if number % 97 == 0:
            await asyncio.sleep(0)  # batches of many sizes
    await asyncio.gather(first.flush(), second.flush())
    assert first.written + second.written == len(entries)
    assert await stored(database.url) == sums(entries)
    assert await ids(database.url) == sorted(each.entry_id for each in entries)
    await asyncio.gather(first.aclose(), second.aclose())


async def test_many_ledgers_writing_the_same_users_do_not_deadlock(database: Any, pool: Any) -> None:
    ledgers = [PostgresLedger(pool) for _ in range(6)]
    entries = [some_entries(1200, seed) for seed in range(6)]
    for ledger, own in zip(ledgers, entries, strict=True):
        for each in own:
            ledger.record(each)
    await asyncio.gather(*(ledger.flush() for ledger in ledgers))
    assert await stored(database.url) == sums(each for own in entries for each in own)
    async with open_connection(database.url) as connection:
        assert (
            await connection.fetchval("select deadlocks from pg_stat_database where datname = current_database()") == 0
        )
    await asyncio.gather(*(ledger.aclose() for ledger in ledgers))


# ── Postgres away ──


async def test_postgres_going_away_and_coming_back_loses_nothing(
    database: Any, pool: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = PostgresLedger(pool, max_backlog=900)
    before, during = some_entries(300, 1), some_entries(900, 2)
    for each in before:
        ledger.record(each)
    await ledger.flush()

    await database.go_away()
    ledger.check()
    for each in during:
        ledger.record(each)
    await until(lambda: "usage cannot be written" in caplog.text)
    assert ledger.backlog == 900
    assert ledger.lag_s > 0
    with pytest.raises(StoreUnavailable) as caught:
        ledger.check()
    assert caught.value.retry_after_s is not None
    ledger.record(
        entry(entry_id=str(uuid.UUID(int=7)), user_id="late", accounts=("late",), tokens=1, cost_nano_usd=None)
    )
    assert ledger.backlog == 901

    await database.come_back()
    await ledger.flush()
    ledger.check()
    assert ledger.backlog == 0
    found = await stored(database.url)
    assert found.pop(("default", "late", 202611, "tokens")) == 1
    assert found == sums(before + during)
    await ledger.aclose()


async def test_connections_cut_all_the_time_lose_and_double_nothing(database: Any, pool: Any) -> None:
    ledger = PostgresLedger(pool)
    entries = some_entries(4000, 3)
    done = asyncio.Event()

    async def cut() -> int:
        cuts = 0
        async with open_connection(database.url) as connection:
            while not done.is_set():
                cuts += await connection.fetchval(
                    "select count(pg_terminate_backend(pid)) from pg_stat_activity "
                    "where datname = current_database() and pid <> pg_backend_pid()"
                )
                await asyncio.sleep(0.03)
        return cuts

    cutting = asyncio.create_task(cut())
    for number, each in enumerate(entries):
        ledger.record(each)
        if number % 40 == 0:
            await asyncio.sleep(0.005)
    done.set()
    assert await cutting > 0
    await ledger.flush()
    assert await ids(database.url) == sorted(each.entry_id for each in entries)
    assert await stored(database.url) == sums(entries)
    await ledger.aclose()


async def test_a_server_killed_and_restarted_loses_and_doubles_nothing(own_dir: Path) -> None:
    server = EmbeddedPostgres(own_dir / "postgres", log=own_dir / "log", settings={"fsync": "off"})
    url = await asyncio.to_thread(server.start)
    try:
        await migrate(url)
        pool = await create_pool(url)
        ledger = PostgresLedger(pool)
        entries = some_entries(3000, 4)
        for number, each in enumerate(entries):
            ledger.record(each)
            if number % 50 == 0:
                await asyncio.sleep(0.002)
            if number == 1500:
                assert server.pid is not None
                os.kill(server.pid, signal.SIGKILL)
                await until(lambda: server.pid is None)
                restarting = asyncio.create_task(asyncio.to_thread(server.start))
        await restarting
        await ledger.flush()
        assert await ids(url) == sorted(each.entry_id for each in entries)
        assert await stored(url) == sums(entries)
        await ledger.aclose()
        await pool.close()
    finally:
        await asyncio.to_thread(server.stop)


async def test_a_locked_table_is_waited_for(database: Any, pool: Any, caplog: pytest.LogCaptureFixture) -> None:
    ledger = PostgresLedger(pool, write_timeout_s=0.1)
    entries = some_entries(600, 5)
    async with open_connection(database.url) as connection, connection.transaction():
        await connection.execute("lock table usage_entry in access exclusive mode")
        for each in entries:
            ledger.record(each)
        await until(lambda: "usage cannot be written (TimeoutError" in caplog.text)
        assert ledger.backlog == 600
    await ledger.flush()
    assert await stored(database.url) == sums(entries)
    await ledger.aclose()


async def test_flush_waits_only_for_what_was_recorded_before(database: Any, pool: Any) -> None:
    ledger = PostgresLedger(pool)
    await ledger.flush()
    ledger.record(entry())
    flushing = asyncio.create_task(ledger.flush())
    await asyncio.sleep(0)
    for each in some_entries(2000, 6):
        ledger.record(each)
    await flushing
    assert ledger.written >= 1
    await ledger.aclose()
    assert len(await ids(database.url)) == 2001


# ── entries that cannot be written ──


async def test_an_entry_whose_values_are_refused_is_logged_whole_and_holds_up_no_other(
    database: Any, pool: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = PostgresLedger(pool)
    bad = [entry(tokens=-1), entry(images=2**40), entry(at=float("nan"))]
    good = some_entries(100, 7)
    for each in (*good[:50], *bad, *good[50:]):
        ledger.record(each)
    await ledger.flush()
    assert (ledger.written, ledger.refused, ledger.backlog) == (100, 3, 0)
    assert await stored(database.url) == sums(good)
    for each in bad:
        assert f'"entry_id":"{each.entry_id}"' in caplog.text
    await ledger.aclose()


async def test_closing_while_postgres_is_away_is_bounded_and_logs_what_is_left(
    database: Any, pool: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = PostgresLedger(pool, close_timeout_s=0.1)
    await database.go_away()
    left = some_entries(3, 8)
    for each in left:
        ledger.record(each)
    await ledger.aclose()
    late = entry()
    ledger.record(late)
    for each in (*left, late):
        assert caplog.text.count(f'"entry_id":"{each.entry_id}"') == 1
    with pytest.raises(StoreUnavailable):
        ledger.check()
    await ledger.aclose()
    await database.come_back()


async def test_closing_writes_what_is_pending(database: Any, pool: Any) -> None:
    ledger = PostgresLedger(pool)
    entries = some_entries(1200, 9)
    for each in entries:
        ledger.record(each)
    await ledger.aclose()
    assert await stored(database.url) == sums(entries)


async def test_a_writer_that_fails_by_a_defect_is_started_again(
    database: Any, pool: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class DefectiveOnce:
        defects = 1

        def acquire(self, **options: Any) -> Any:
            if self.defects:
                self.defects -= 1
                raise RuntimeError("a defect")
            return pool.acquire(**options)

    ledger = PostgresLedger(DefectiveOnce())
    ledger.record(entry())
    await ledger.flush()
    assert ledger.written == 1
    assert [record.levelno for record in caplog.records if "writer failed" in record.message] == [logging.ERROR]
    await ledger.aclose()
