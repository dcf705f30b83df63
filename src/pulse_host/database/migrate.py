"""Brings a database to the state this release needs. Any number of replicas may run it at once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

import asyncpg

from pulse_gateway.store.migrations import (
    LIBRARY,
    Applied,
    Migration,
    MigrationError,
    MigrationSource,
    discover,
    missing,
)
from pulse_host.database.pool import open_connection

__all__ = ["SOURCES", "migrate", "pending", "require_migrated"]

_log = logging.getLogger(__name__)

# Whose tables there are, in the order they build on each other.
SOURCES: Sequence[MigrationSource] = (LIBRARY,)

_LOCK = 0x70756C7365  # "pulse": the advisory lock that migrating replicas share
_LOCK_POLL_S = 0.1

_TABLE = """
create table if not exists schema_migrations (
    source      text not null,
    version     integer not null,
    name        text not null,
    sha256      text not null,
    applied_at  timestamptz not null default now(),
    duration_ms integer not null,
    primary key (source, version)
)
"""
_RECORD = "insert into schema_migrations (source, version, name, sha256, duration_ms) values ($1, $2, $3, $4, $5)"


async def pending(connection: Any, sources: Sequence[MigrationSource] = SOURCES) -> list[Migration]:
    """The migrations this database still lacks, in order. Changes nothing.

    Raises: MigrationError when what was applied and the files do not agree.
    """
    rows = []
    if await connection.fetchval("select to_regclass('schema_migrations') is not null"):
        rows = await connection.fetch(
            "select source, version, name, sha256 from schema_migrations order by source, version"
        )
    return missing(discover(sources), [Applied(**row) for row in rows])


async def require_migrated(connection: Any, sources: Sequence[MigrationSource] = SOURCES) -> None:
    """Raises: MigrationError, naming what to run, unless the database has every migration of this release."""
    todo = await pending(connection, sources)
    if todo:
        labels = ", ".join(migration.label for migration in todo)
        raise MigrationError(f"the database lacks {len(todo)} migration(s): {labels}; run `pulse migrate`")


async def migrate(
    url: str, sources: Sequence[MigrationSource] = SOURCES, *, wait_s: float = 30.0, lock_wait_s: float = 300.0
) -> list[Migration]:
    """Apply what is missing, under a lock; returns what was applied by this call. Each file is all or nothing.

    The lock and the migrations share one connection of their own, so that one cannot outlive the other. It must reach
    Postgres itself: a session's lock means nothing through PgBouncer in transaction mode.

    Raises: MigrationError with the file and Postgres' message; DatabaseUnusable.
    """
    async with open_connection(url, wait_s=wait_s) as connection:
        await _lock(connection, lock_wait_s)
        await connection.execute(_TABLE)
        todo = await pending(connection, sources)
        for migration in todo:
            await _apply(connection, migration)
    return todo


async def _lock(connection: Any, wait_s: float) -> None:
    """Hold the lock until the connection ends.

    Asked for again and again rather than waited for: a waiting statement holds a snapshot, and the migration that holds the
    lock would wait for that snapshot to end if it built an index concurrently.
    """
    deadline = time.monotonic() + wait_s
    while not await connection.fetchval("select pg_try_advisory_lock($1)", _LOCK):
        if time.monotonic() > deadline:
            raise MigrationError(f"another process has been migrating this database for {wait_s:g} s; try again later")
        await asyncio.sleep(_LOCK_POLL_S)


async def _apply(connection: Any, migration: Migration) -> None:
    started = time.monotonic()
    try:
        if migration.transactional:
            async with connection.transaction():
                await connection.execute("set local lock_timeout = '5s'")
                await connection.execute(migration.sql)
                await _record(connection, migration, started)
        else:
            await connection.execute(migration.sql)
            await _record(connection, migration, started)
    except asyncpg.LockNotAvailableError as error:
        raise MigrationError(
            f"{migration.label}: a table it changes was in use for 5 s ({error}); nothing of it was applied, run it again"
        ) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        undone = (
            "nothing of it was applied"
            if migration.transactional
            else "it runs outside a transaction: look what it left"
        )
        raise MigrationError(f"{migration.label}: {_said(error, migration.sql)}; {undone}") from error
    _log.info("applied %s in %d ms", migration.label, _elapsed_ms(started))


async def _record(connection: Any, migration: Migration, started: float) -> None:
    await connection.execute(
        _RECORD, migration.source, migration.version, migration.name, migration.sha256, _elapsed_ms(started)
    )


def _elapsed_ms(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def _said(error: BaseException, sql: str) -> str:
    """Postgres' message, with the line of the file it is about where it names one."""
    position = getattr(error, "position", None)
    where = f"line {sql.count(chr(10), 0, int(position) - 1) + 1}: " if position else ""
    details = [str(getattr(error, name)) for name in ("detail", "hint") if getattr(error, name, None)]
    return where + "; ".join([str(getattr(error, "message", None) or error), *details])
