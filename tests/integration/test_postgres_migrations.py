"""Migrations against a real Postgres: many at once, edited files, failures in the middle."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pulse_gateway.store.migrations import LIBRARY, MigrationError, MigrationSource, discover
from pulse_host.database.migrate import SOURCES, migrate, pending, require_migrated
from pulse_host.database.pool import open_connection


def source(folder: Path, files: dict[str, str]) -> MigrationSource:
    for name, sql in files.items():
        (folder / name).write_text(sql, encoding="utf-8")
    return MigrationSource("app", folder)


async def tables(url: str) -> set[str]:
    async with open_connection(url) as connection:
        rows = await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
    return {row["tablename"] for row in rows}


async def test_a_new_database_gets_every_table_once(empty_database: Any) -> None:
    applied = await migrate(empty_database.url)
    assert applied == discover(SOURCES)
    assert {"tenant", "app_user", "api_key", "usage_entry", "usage_balance", "schema_migrations"} <= await tables(
        empty_database.url
    )
    assert await migrate(empty_database.url) == []


async def test_eight_at_once_apply_each_migration_once(empty_database: Any, tmp_path: Path) -> None:
    extra = source(
        tmp_path,
        {
            "0001_item.sql": "create table item (n int);",
            # Waits for every other snapshot in the database: must not deadlock with replicas that wait for the lock.
            "0002_index.sql": "-- no-transaction\ncreate index concurrently item_n on item (n)",
            "0003_rows.sql": "insert into item select generate_series(1, 10);",
        },
    )
    sources = [LIBRARY, extra]
    applied = await asyncio.gather(*(migrate(empty_database.url, sources) for _ in range(8)))
    assert sorted(map(len, applied)) == [0] * 7 + [len(discover(sources))]
    async with open_connection(empty_database.url) as connection:
        assert await connection.fetchval("select count(*) from item") == 10
        assert await connection.fetchval("select indisvalid from pg_index where indexrelid = 'item_n'::regclass")
        rows = await connection.fetch("select source, version, sha256, duration_ms from schema_migrations")
    assert {(row["source"], row["version"], row["sha256"]) for row in rows} == {
        (migration.source, migration.version, migration.sha256) for migration in discover(sources)
    }
    assert all(row["duration_ms"] >= 0 for row in rows)


async def test_looking_at_what_is_pending_changes_nothing(empty_database: Any) -> None:
    async with open_connection(empty_database.url) as connection:
        assert await pending(connection) == discover(SOURCES)
        with pytest.raises(MigrationError, match=r"0001_accounts_and_keys\.sql.*run `pulse migrate`"):
            await require_migrated(connection)
    assert await tables(empty_database.url) == set()


async def test_a_migrated_database_is_accepted(database: Any) -> None:
    async with open_connection(database.url) as connection:
        assert await pending(connection) == []
        await require_migrated(connection)


async def test_a_changed_file_is_refused_before_anything_is_done(empty_database: Any, tmp_path: Path) -> None:
    await migrate(empty_database.url, [source(tmp_path, {"0001_a.sql": "create table a ();"})])
    changed = source(tmp_path, {"0001_a.sql": "create table a (n int);", "0002_b.sql": "create table b ();"})
    with pytest.raises(MigrationError, match=r"app/0001_a\.sql was changed"):
        await migrate(empty_database.url, [changed])
    assert "b" not in await tables(empty_database.url)


async def test_a_new_file_with_a_lower_number_is_refused(empty_database: Any, tmp_path: Path) -> None:
    await migrate(empty_database.url, [source(tmp_path, {"0002_b.sql": "create table b ();"})])
    with pytest.raises(MigrationError, match=r"app/0001_a\.sql is new, but 0002"):
        await migrate(empty_database.url, [source(tmp_path, {"0001_a.sql": "create table a ();"})])
    assert "a" not in await tables(empty_database.url)


async def test_a_failing_file_leaves_nothing_and_the_next_run_goes_on(empty_database: Any, tmp_path: Path) -> None:
    files = {
        "0001_good.sql": "create table good ();",
        "0002_bad.sql": "create table half ();\n\ninsert into nowhere values (1);\n",
        "0003_later.sql": "create table later ();",
    }
    with pytest.raises(MigrationError) as caught:
        await migrate(empty_database.url, [source(tmp_path, files)])
    assert str(caught.value) == (
        'app/0002_bad.sql: line 3: relation "nowhere" does not exist; nothing of it was applied'
    )
    assert await tables(empty_database.url) == {"schema_migrations", "good"}

    repaired = source(tmp_path, {"0002_bad.sql": "create table half ();"})
    assert [migration.version for migration in await migrate(empty_database.url, [repaired])] == [2, 3]
    assert {"half", "later"} <= await tables(empty_database.url)


async def test_a_failing_file_without_transaction_says_so(empty_database: Any, tmp_path: Path) -> None:
    bad = source(tmp_path, {"0001_bad.sql": "-- no-transaction\ncreate index concurrently i on nowhere (n)"})
    with pytest.raises(MigrationError, match=r"app/0001_bad\.sql: .*nowhere.*outside a transaction"):
        await migrate(empty_database.url, [bad])


async def test_a_file_waits_five_seconds_for_a_table_at_most(empty_database: Any, tmp_path: Path) -> None:
    observing = source(
        tmp_path, {"0001_a.sql": "create table seen as select current_setting('lock_timeout') as value;"}
    )
    await migrate(empty_database.url, [observing])
    async with open_connection(empty_database.url) as connection:
        assert await connection.fetchval("select value from seen") == "5s"


async def test_bodies_with_dollar_quotes_and_several_statements_run_as_written(
    empty_database: Any, tmp_path: Path
) -> None:
    sql = """
    create function twice(n int) returns int language plpgsql as $$ begin return n * 2; end; $$;
    create table result as select twice(21) as n;  -- a ; in a comment
    """
    await migrate(empty_database.url, [source(tmp_path, {"0001_f.sql": sql})])
    async with open_connection(empty_database.url) as connection:
        assert await connection.fetchval("select n from result") == 42


async def test_a_lock_that_never_comes_free_is_reported(empty_database: Any) -> None:
    holding, release = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with open_connection(empty_database.url) as connection:
            await connection.execute("select pg_advisory_lock(x'70756C7365'::bigint)")
            holding.set()
            await release.wait()

    holder = asyncio.create_task(hold())
    await holding.wait()
    with pytest.raises(MigrationError, match="another process has been migrating"):
        await migrate(empty_database.url, lock_wait_s=0.2)
    release.set()
    await holder
    assert await migrate(empty_database.url) == discover(SOURCES)


async def test_every_query_file_can_be_prepared(database: Any) -> None:
    root = Path(__file__).parents[2] / "src"
    queries = sorted(root.glob("*/*/queries/*.sql"))
    assert len(queries) >= 11
    async with open_connection(database.url) as connection:
        for query in queries:
            await connection.prepare(query.read_text(encoding="utf-8"))
