"""What is said, and never said, when Postgres cannot be reached; and what bounds the queries of a pool."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pulse_host.database.pool import DatabaseUnusable, create_pool, open_connection
from pulse_host.dev.embedded import EmbeddedPostgres

PASSWORD = "s3cr3t/W0rd"


async def refusal(url: str) -> str:
    with pytest.raises(DatabaseUnusable) as caught:
        await create_pool(url, wait_s=0.1)
    return str(caught.value)


async def test_jsonb_comes_and_goes_as_values(pool: Any) -> None:
    value = {"tags": {"فريق": "بحث"}, "n": [1, 2.5, None]}
    async with pool.acquire() as connection:
        assert await connection.fetchval("select $1::jsonb", value) == value


async def test_a_query_ends_after_the_pools_bound(database: Any) -> None:
    pool = await create_pool(database.url, query_timeout_s=0.1)
    async with pool.acquire() as connection:
        with pytest.raises(TimeoutError):
            await connection.execute("select pg_sleep(30)")
        assert await connection.fetchval("show statement_timeout") == "10s"
    await pool.close()


async def test_an_address_where_nobody_listens_is_named(unused_tcp_port: int) -> None:
    said = await refusal(f"postgresql://pulse:s3cr3t@127.0.0.1:{unused_tcp_port}/app")
    assert f"does not answer at 127.0.0.1:{unused_tcp_port} (database app, user pulse)" in said
    assert "s3cr3t" not in said


async def test_a_host_without_address_is_named() -> None:
    assert "nowhere.invalid" in await refusal("postgresql://pulse:s3cr3t@nowhere.invalid/app")


async def test_a_wrong_password_is_called_that_and_not_shown(database: Any) -> None:
    await database.admin("drop role if exists with_password", "create role with_password login password 'right'")
    url = database.url.replace("postgres@", "with_password:wr0ng@")
    said = await refusal(url)
    assert "refuses the user or the password" in said
    assert "wr0ng" not in said
    async with open_connection(url.replace("wr0ng", "right")) as connection:
        assert await connection.fetchval("select current_user") == "with_password"


async def test_an_unknown_user_is_named(database: Any) -> None:
    assert "nobody_here" in await refusal(database.url.replace("postgres@", "nobody_here@"))


async def test_a_missing_database_is_named(database: Any) -> None:
    said = await refusal(database.url.replace(database.name, "not_there"))
    assert "no such database" in said
    assert "not_there" in said


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mysql://pulse:s3cr3tW0rd@host/app",
        "postgresql://pulse:s3cr3t/W0rd@host/app",
        "postgresql://pulse:s3cr3t?W0rd@host/app",
        "postgresql://pulse:s3cr3t#W0rd@host/app",
        "postgresql://pulse:12#W0rd@host/app",
        "postgresql://pulse:12/W0rd@host/app",
        "postgresql://pulse:s3@cr3t/W0rd@host/app",
        "postgresql://pulse:s3cr3tW0rd@host:port/app",
        "postgresql://pulse:s3cr3t[W0rd@host/app",
        "postgresql://pulse:s3cr3tW0rd@host/app?sslmode=W0rd",
    ],
)
async def test_an_unreadable_address_is_refused_without_quoting_it(url: str) -> None:
    said = await refusal(url)
    assert "percent-encoded" in said
    for part in ("s3", "cr3t", "W0rd", "12"):
        assert part not in said


async def test_a_server_that_starts_late_is_waited_for(own_dir: Path) -> None:
    server = EmbeddedPostgres(own_dir / "postgres", log=own_dir / "log", settings={"fsync": "off"})
    url = server.url()
    opening = asyncio.create_task(create_pool(url))
    await asyncio.to_thread(server.start)
    try:
        pool = await opening
        assert await pool.fetchval("select 1") == 1
        await pool.close()
    finally:
        await asyncio.to_thread(server.stop)


async def test_when_all_connections_are_taken_it_is_waited_too(database: Any) -> None:
    await database.admin(
        f"alter database {database.name} connection limit 1", "drop role if exists plain", "create role plain login"
    )
    url = database.url.replace("postgres@", "plain@")
    async with open_connection(url):
        assert "too many connections" in await refusal(url)
