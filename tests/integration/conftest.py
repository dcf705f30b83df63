"""One embedded Postgres for the whole session; every test that asks gets a database of its own, copied from a migrated one."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest

from pulse_host.database.migrate import migrate
from pulse_host.database.pool import create_pool, open_connection
from pulse_host.dev.embedded import EmbeddedPostgres

_T = TypeVar("_T")
_numbers = itertools.count(1)


class Database:
    """A database that can be made to go away: connections are cut, and new ones refused, until it comes back."""

    def __init__(self, server: EmbeddedPostgres, name: str) -> None:
        self.name = name
        self.url = server.url(name)
        self._admin_url = server.url()

    async def admin(self, *statements: str) -> None:
        async with open_connection(self._admin_url) as connection:
            for statement in statements:
                await connection.execute(statement)

    async def go_away(self) -> None:
        await self.admin(
            f"alter database {self.name} with allow_connections false",
            f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{self.name}'",
        )

    async def come_back(self) -> None:
        await self.admin(f"alter database {self.name} with allow_connections true")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    folder = _folder()
    access = folder / "access.conf"
    access.write_text("local all with_password scram-sha-256\nlocal all all trust\n", encoding="ascii")
    settings = {"fsync": "off", "hba_file": str(access)}
    server = EmbeddedPostgres(folder / "postgres", log=folder / "postgres.log", settings=settings)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def migrated_template(postgres_server: EmbeddedPostgres) -> str:
    async def prepare() -> None:
        async with open_connection(postgres_server.url()) as connection:
            await connection.execute("create database migrated")
        await migrate(postgres_server.url("migrated"))

    _outside_any_loop(prepare())
    return "migrated"


@pytest.fixture
async def database(postgres_server: EmbeddedPostgres, migrated_template: str) -> AsyncIterator[Database]:
    """A migrated database for this test alone."""
    created = Database(postgres_server, f"test_{next(_numbers)}")
    await created.admin(f"create database {created.name} template {migrated_template} strategy file_copy")
    yield created
    await created.admin(f"drop database {created.name} with (force)")


@pytest.fixture
async def empty_database(postgres_server: EmbeddedPostgres) -> AsyncIterator[Database]:
    """A database for this test alone, without a table."""
    created = Database(postgres_server, f"test_{next(_numbers)}")
    await created.admin(f"create database {created.name} template template0")
    yield created
    await created.admin(f"drop database {created.name} with (force)")


@pytest.fixture
def own_dir() -> Iterator[Path]:
    """A folder for a server of the test's own."""
    folder = _folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def database_url(database: Database) -> str:
    """The address of a migrated database for this test alone."""
    return database.url


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Any]:
    opened = await create_pool(database.url)
    yield opened
    opened.terminate()  # quick, and works even if the test left the database away


def _folder() -> Path:
    """A new folder, in memory where there is room, for databases are hard on a disk.

    Not below pytest's own: pytest closes that to other users at every start, and as root the server is another user.
    """
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 * 2**30
    return Path(tempfile.mkdtemp(prefix="pulse-tests-", dir=memory if roomy else None))


def _outside_any_loop(work: Coroutine[Any, Any, _T]) -> _T:
    """Run `work` to its end in a thread with a loop of its own: a fixture of the session has no loop."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, work).result()
