"""The second wall between tenants, tried as a role that no policy lets pass: every table, every partition, every way to look and write."""

from __future__ import annotations

import itertools
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import asyncpg
import pytest
from ledger_values import entry, until

from pulse_gateway.errors import ConfigError, StoreUnavailable
from pulse_gateway.ledger.postgres import PostgresLedger
from pulse_gateway.store.postgres import PostgresKeyStore, add_key, save_user
from pulse_gateway.store.tenants import add_tenant, list_tenants
from pulse_gateway.types.identity import Plan, Principal
from pulse_host.database import pool as pools
from pulse_host.database.pool import DatabaseUnusable, create_pool, ignores_policies, open_connection, tenant_scope
from pulse_host.usage.history import PostgresHistory, Range

TENANTS = ("acme", "globex")
WITHOUT_TENANTS = {"schema_migrations"}
_numbers = itertools.count(1)

_TABLES = """
select pg_class.oid::regclass::text as name, pg_class.relkind::text as kind, pg_class.relispartition as part
from pg_class
where pg_class.relnamespace = 'public'::regnamespace and pg_class.relkind in ('r', 'p')
order by 1
"""
_COLUMNS = """
select attname as name, format_type(atttypid, null) as type, attnotnull and not atthasdef and attidentity = '' as needed
from pg_attribute where attrelid = $1::text::regclass and attnum > 0 and not attisdropped order by attnum
"""
_SAMPLES = {
    "text": "md5(random()::text)",
    "uuid": "gen_random_uuid()",
    "integer": "0",
    "smallint": "0",
    "bigint": "0",
    "boolean": "false",
    "double precision": "0",
    "timestamp with time zone": "now()",
    "date": "current_date",
    "bytea": "sha256(gen_random_uuid()::text::bytea)",
    "jsonb": "'{}'",
    "text[]": "'{}'",
}


class Plain:
    """A database with rows of two tenants in every table, and a role that may do everything in it and pass no policy."""

    def __init__(self, database: Any, role: str, tables: list[str], parts: list[str]) -> None:
        self.database, self.role, self.tables, self.parts = database, role, tables, parts
        self.url = database.url.replace("//postgres@", f"//{role}@")

    @asynccontextmanager
    async def connected(self, tenant: str | None) -> AsyncIterator[Any]:
        settings = {} if tenant is None else {"app.tenant_id": tenant}
        connection = await asyncpg.connect(self.url, server_settings=settings)
        try:
            yield connection
        finally:
            await connection.close()


def tenant_column(table: str) -> str:
    return "id" if table == "tenant" else "tenant_id"


async def row_of(connection: Any, table: str, tenant: str) -> str:
    """A statement that adds a row of `tenant`."""
    values = {tenant_column(table): f"'{tenant}'"}
    if table == "api_key":
        values["user_id"] = f"(select id from app_user where tenant_id = '{tenant}' limit 1)"
    for column in await connection.fetch(_COLUMNS, table):
        if column["needed"]:
            values.setdefault(column["name"], _SAMPLES[column["type"]])
    return f"insert into {table} ({', '.join(values)}) values ({', '.join(values.values())})"


@pytest.fixture
async def plain(database: Any) -> AsyncIterator[Plain]:
    role = f"plain_{next(_numbers)}"
    async with open_connection(database.url) as connection:
        await connection.execute(f"create role {role} login nosuperuser nobypassrls")
        await connection.execute(f"grant all on all tables in schema public to {role}")
        found = await connection.fetch(_TABLES)
        tables = [row["name"] for row in found if not row["part"] and row["name"] not in WITHOUT_TENANTS]
        parts = [row["name"] for row in found if row["part"]]
        first = ["tenant", "app_user"]
        for table in first + [table for table in tables if table not in first]:
            for tenant in TENANTS:
                await connection.execute(await row_of(connection, table, tenant))
    yield Plain(database, role, tables, parts)
    async with open_connection(database.url) as connection:
        await connection.execute(f"drop owned by {role} cascade; drop role {role}")


# ── that nothing is left out ──


async def test_every_table_with_rows_of_tenants_is_protected(database: Any) -> None:
    async with open_connection(database.url) as connection:
        open_tables = await connection.fetch(
            """
            select relname from pg_class
            where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not (
                relrowsecurity and relforcerowsecurity
                and exists (select from pg_policy where polrelid = pg_class.oid and polname = 'tenant' and polpermissive)
                and not exists (select from pg_policy where polrelid = pg_class.oid and polname <> 'tenant'))
            """
        )
        assert {row["relname"] for row in open_tables} == WITHOUT_TENANTS
        views = await connection.fetch(
            """
            select relname from pg_class where relnamespace = 'public'::regnamespace and (
                relkind = 'm' or relkind = 'v' and not coalesce(reloptions, '{}') @> '{security_invoker=true}')
            """
        )
        assert views == []  # a view looks with the rights of its owner, a materialized one has looked already


async def test_keys_between_tables_hold_within_a_tenant(database: Any) -> None:
    async with open_connection(database.url) as connection:
        keys = await connection.fetch(
            "select conname, pg_get_constraintdef(oid) as text from pg_constraint where contype = 'f'"
        )
    assert keys
    for key in keys:
        assert "tenant_id" in key["text"], key["conname"]


# ── looking ──


async def test_a_tenant_sees_its_rows_everybody_all_and_nobody_none(plain: Plain) -> None:
    assert plain.tables
    async with plain.connected(None) as nobody, plain.connected("") as empty, plain.connected("*") as everybody:
        assert not await ignores_policies(nobody)
        for table in plain.tables:
            count = f"select count(*) from {table} where {tenant_column(table)} in ('acme', 'globex')"
            assert await nobody.fetchval(f"select count(*) from {table}") == 0, table
            assert await empty.fetchval(f"select count(*) from {table}") == 0, table
            assert await everybody.fetchval(count) == 2, table
    async with plain.connected("acme") as acme:
        for table in plain.tables:
            seen = await acme.fetch(f"select {tenant_column(table)} from {table}")
            assert [row[0] for row in seen] == ["acme"], table
            other = await acme.fetch(f"select from {table} where {tenant_column(table)} = 'globex'")
            assert other == [], table


async def test_a_partition_named_directly_shows_no_more(plain: Plain) -> None:
    assert plain.parts
    async with plain.connected(None) as nobody, plain.connected("acme") as acme, plain.connected("*") as everybody:
        seen = dict.fromkeys(("nobody", "acme", "everybody"), 0)
        for part in plain.parts:
            seen["nobody"] += await nobody.fetchval(f"select count(*) from {part}")
            seen["acme"] += await acme.fetchval(f"select count(*) from {part}")
            seen["everybody"] += await everybody.fetchval(f"select count(*) from {part}")
    assert seen == {"nobody": 0, "acme": 1, "everybody": 2}


async def test_a_partition_made_later_is_protected_like_the_others(plain: Plain) -> None:
    async with open_connection(plain.database.url) as owner:
        await owner.execute(
            "create table later partition of usage_entry for values from ('2031-01-01 00:00Z') to ('2031-02-01 00:00Z');"
            "select pulse_protect('later');"
            f"grant all on later to {plain.role}"
        )
        statement = await row_of(owner, "usage_entry", "globex")
        await owner.execute(statement.replace("now()", "'2031-01-05'"))
    async with plain.connected("acme") as acme, plain.connected("*") as everybody:
        assert await everybody.fetchval("select count(*) from later") == 1
        assert await acme.fetchval("select count(*) from later") == 0


async def test_the_owner_of_the_tables_is_bound_too(plain: Plain) -> None:
    async with open_connection(plain.database.url) as superuser:
        for table in plain.tables:
            await superuser.execute(f"alter table {table} owner to {plain.role}")
    async with plain.connected("acme") as owner:
        for table in plain.tables:
            assert await owner.fetchval(f"select count(*) from {table}") == 1, table
        await owner.execute("set row_security = off")  # asks to be told rather than filtered, and lets nobody past
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await owner.fetch("select * from api_key")


# ── writing ──


async def test_no_row_of_another_tenant_can_be_made(plain: Plain) -> None:
    async with plain.connected("acme") as acme, plain.connected(None) as nobody:
        for table in plain.tables:
            async with open_connection(plain.database.url) as superuser:
                tenant = "initech" if table == "tenant" else "globex"
                statement = await row_of(superuser, table, tenant)
                if table == "api_key":
                    user = await superuser.fetchval("select id from app_user where tenant_id = 'globex'")
                    statement = statement.replace(
                        "(select id from app_user where tenant_id = 'globex' limit 1)", f"'{user}'"
                    )
            for connection in (acme, nobody):
                with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                    await connection.execute(statement)


async def test_no_row_of_another_tenant_can_be_changed_moved_or_removed(plain: Plain) -> None:
    async with plain.connected("acme") as acme, plain.connected(None) as nobody:
        for table in plain.tables:
            column = tenant_column(table)
            for connection in (acme, nobody):
                same = f"update {table} set {column} = {column} where {column} = 'globex'"
                assert await connection.execute(same) == "UPDATE 0", table
                assert await connection.execute(f"delete from {table} where {column} = 'globex'") == "DELETE 0", table
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                await acme.execute(f"update {table} set {column} = 'globex'")
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                await acme.execute(f"update {table} set {column} = '*'")
    async with plain.connected("*") as everybody:
        for table in plain.tables:
            kept = await everybody.fetchval(f"select count(*) from {table} where {tenant_column(table)} = 'globex'")
            assert kept == 1, table


async def test_a_key_of_another_tenant_cannot_be_taken_over_by_its_digest(plain: Plain) -> None:
    async with plain.connected("*") as everybody:
        users = {row["tenant_id"]: str(row["id"]) for row in await everybody.fetch("select * from app_user")}
        await add_key(everybody, user_id=users["globex"], name="theirs", secret="given")
    async with plain.connected("acme") as acme:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await add_key(acme, user_id=users["acme"], name="ours", secret="given")
        with pytest.raises(LookupError):
            await add_key(acme, user_id=users["globex"], name="theirs", secret="another")


# ── scopes ──


async def test_a_scope_ends_with_its_transaction(plain: Plain) -> None:
    pool = await create_pool(plain.url, max_size=1, every_tenant=False)
    count = "select count(*) from app_user"
    assert await pool.fetchval(count) == 0
    for tenant in TENANTS:
        async with tenant_scope(pool, tenant) as connection:
            assert await connection.fetchval("select tenant_id from app_user") == tenant
            assert await connection.fetchval(count) == 1
        # The one connection of the pool, again: the setting is '' now, and neither an error nor somebody's rows.
        assert await pool.fetchval("select current_setting('app.tenant_id', true)") == ""
        assert await pool.fetchval(count) == 0
    with pytest.raises(ZeroDivisionError):
        async with tenant_scope(pool, "acme"):
            raise ZeroDivisionError
    assert await pool.fetchval(count) == 0
    await pool.close()


async def test_a_session_that_never_said_anything_is_as_blind_after_a_scope_as_before(plain: Plain) -> None:
    async with plain.connected(None) as connection:
        assert await connection.fetchval("select current_setting('app.tenant_id', true)") is None
        async with connection.transaction():
            await connection.execute("select set_config('app.tenant_id', 'acme', true)")
            assert await connection.fetchval("select count(*) from app_user") == 1
        assert await connection.fetchval("select current_setting('app.tenant_id', true)") == ""
        assert await connection.fetchval("select count(*) from app_user") == 0


async def test_a_scope_leaves_nothing_to_whoever_gets_the_connection_next(plain: Plain) -> None:
    class Pooler:
        """Hands its one connection on as it is, as a pooler in transaction mode does."""

        def __init__(self, connection: Any) -> None:
            self._connection = connection

        @asynccontextmanager
        async def acquire(self, timeout: float) -> AsyncIterator[Any]:
            yield self._connection

    async with plain.connected(None) as connection:
        async with tenant_scope(Pooler(connection), "acme") as scoped:
            assert await scoped.fetchval("select count(*) from app_user") == 1
        assert await connection.fetchval("select count(*) from app_user") == 0


async def test_a_scope_writes_nothing(plain: Plain) -> None:
    pool = await create_pool(plain.url, every_tenant=False)
    with pytest.raises(StoreUnavailable):
        async with tenant_scope(pool, "acme") as connection:
            await connection.execute("delete from api_key")
    async with plain.connected("acme") as acme:
        assert await acme.fetchval("select count(*) from api_key") == 1
    await pool.close()


@pytest.mark.parametrize("tenant", ["", "*"])
async def test_a_scope_is_one_tenants(plain: Plain, tenant: str) -> None:
    pool = await create_pool(plain.url, every_tenant=False)
    with pytest.raises(ValueError, match="is no tenant"):
        async with tenant_scope(pool, tenant):
            pass
    await pool.close()


async def test_a_scope_without_a_database_is_an_outage(plain: Plain) -> None:
    pool = await create_pool(plain.url, max_size=1, every_tenant=False)
    taken = await pool.acquire()
    with pytest.raises(StoreUnavailable):
        async with tenant_scope(pool, "acme", wait_s=0.05):
            pass
    await pool.release(taken)
    await plain.database.go_away()
    with pytest.raises(StoreUnavailable):
        async with tenant_scope(pool, "acme"):
            pass
    await plain.database.come_back()
    pool.terminate()


# ── the service itself, as that role ──


async def test_the_service_works_for_everybody(plain: Plain) -> None:
    pool = await create_pool(plain.url)
    async with pool.acquire() as connection:
        assert {tenant.tenant_id for tenant in await list_tenants(connection)} == {*TENANTS, "default"}
        await add_tenant(connection, "initech")
        user = await save_user(connection, email="ada@example.com", plan="free", tenant_id="initech")
        secret, _ = await add_key(connection, user_id=user.user_id, name="x")
    store = PostgresKeyStore(pool, {"free": Plan(name="free")})
    assert (await store.authenticate(secret)).tenant_id == "initech"
    await store.aclose()
    async with pool.acquire() as connection:
        assert await connection.fetchval("select last_used_at from api_key where tenant_id = 'initech'") is not None
    await pool.close()


async def test_a_history_is_read_behind_the_wall(plain: Plain) -> None:
    async with plain.connected("*") as everybody:
        await everybody.execute(
            "update usage_daily set user_id = 'ada', requests = 1, model = tenant_id, day = '2026-11-05'"
        )
    pool = await create_pool(plain.url, every_tenant=False)
    history = PostgresHistory(pool)
    for group_by in ("day", "model"):
        asked = Range(date(2026, 11, 1), date(2026, 11, 30), group_by)  # type: ignore[arg-type]
        for tenant in TENANTS:
            found = await history.history(Principal(user_id="ada", plan=Plan(name="p"), tenant_id=tenant), asked)
            assert [row.requests for row in found.rows] == [1]
            assert [row.model for row in found.rows] == ([None] if group_by == "day" else [tenant])
        nobody = await history.history(Principal(user_id="ada", plan=Plan(name="p"), tenant_id="initech"), asked)
        assert nobody.rows == []
    await pool.close()


async def test_a_query_that_forgets_its_scope_or_its_filter_finds_no_stranger(plain: Plain) -> None:
    pool = await create_pool(plain.url, every_tenant=False)
    assert await pool.fetch("select * from usage_daily") == []
    async with tenant_scope(pool, "acme") as connection:
        rows = await connection.fetch("select tenant_id from usage_daily")
    assert [row["tenant_id"] for row in rows] == ["acme"]
    await pool.close()


# ── what can go wrong around it ──


async def test_a_superuser_is_known_for_one(database: Any) -> None:
    async with open_connection(database.url) as connection:
        assert await ignores_policies(connection)


async def test_a_role_that_passes_policies_is_known_for_one(plain: Plain) -> None:
    await plain.database.admin(f"alter role {plain.role} bypassrls")
    async with plain.connected("acme") as connection:
        assert await ignores_policies(connection)


async def test_a_setting_that_does_not_arrive_is_said_at_once(plain: Plain, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as pooled:
        pooled.setattr(pools, "_session", lambda every_tenant: {})  # as a pooler does that keeps settings to itself
        with pytest.raises(DatabaseUnusable, match=r"alter role … set app\.tenant_id = '\*'"):
            await create_pool(plain.url)
        with pytest.raises(DatabaseUnusable, match="does not reach Postgres"):
            async with open_connection(plain.url):
                pass
    await plain.database.admin(f"alter role {plain.role} set app.tenant_id = '*'")
    with monkeypatch.context() as pooled:
        pooled.setattr(pools, "_session", lambda every_tenant: {})
        pool = await create_pool(plain.url)
        assert await pool.fetchval("select count(*) from app_user") == 2
        await pool.close()


async def test_a_pool_that_should_be_blind_and_is_not_is_said_at_once(
    plain: Plain, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await plain.database.admin(f"alter role {plain.role} set app.tenant_id = '*'")
    blind = await create_pool(plain.url, every_tenant=False)
    assert await blind.fetchval("select count(*) from app_user") == 0  # what the session says stands before the role's
    await blind.close()
    with monkeypatch.context() as pooled, caplog.at_level(logging.WARNING):
        pooled.setattr(pools, "_session", lambda every_tenant: {})
        seeing = await create_pool(plain.url, every_tenant=False)
        async with tenant_scope(seeing, "acme") as connection:
            assert await connection.fetchval("select count(*) from app_user") == 1
        await seeing.close()
    assert "sees more than it may" in caplog.text


async def test_protecting_again_changes_nothing_and_waits_for_nobody(plain: Plain) -> None:
    async with open_connection(plain.database.url) as busy, open_connection(plain.database.url) as owner:
        await owner.execute("set lock_timeout = '1ms'")
        async with busy.transaction():
            await busy.execute("lock table app_user, usage_entry in row exclusive mode")
            await owner.execute("select pulse_protect('app_user'), pulse_protect('usage_entry')")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await owner.execute("alter table app_user enable row level security")


# ── the ledger ──


@asynccontextmanager
async def library_pool(url: str, tenant: str | None) -> AsyncIterator[Any]:
    """A pool as a program makes it that embeds the library."""
    settings = {} if tenant is None else {"app.tenant_id": tenant}
    pool = await asyncpg.create_pool(url, min_size=0, max_size=2, server_settings=settings)
    try:
        yield pool
    finally:
        await pool.close()


async def test_a_ledger_whose_connections_do_not_say_for_whom_they_write_does_not_start(plain: Plain) -> None:
    for tenant in (None, "", "acme"):
        async with library_pool(plain.url, tenant) as pool:
            ledger = PostgresLedger(pool)
            with pytest.raises(ConfigError, match=r'server_settings=\{"app\.tenant_id": "\*"\}'):
                await ledger.start()
            await ledger.aclose()


async def test_a_ledger_starts_for_a_role_that_says_so_or_passes_every_policy(plain: Plain) -> None:
    for url, tenant in ((plain.url, "*"), (plain.database.url, None)):
        async with library_pool(url, tenant) as pool:
            ledger = PostgresLedger(pool)
            await ledger.start()
            ledger.record(entry(tenant_id="acme"))
            await ledger.flush()
            assert ledger.written == 1
            await ledger.aclose()


async def test_a_ledger_that_started_without_postgres_says_what_refuses_it_later(
    plain: Plain, caplog: pytest.LogCaptureFixture
) -> None:
    async with library_pool(plain.url, None) as pool:
        ledger = PostgresLedger(pool, close_timeout_s=0.1)
        await plain.database.go_away()
        await ledger.start()
        await plain.database.come_back()
        ledger.record(entry(tenant_id="acme"))
        await until(lambda: "usage cannot be written" in caplog.text)
        await ledger.aclose()
    (first,) = [record for record in caplog.records if "usage cannot be written" in record.getMessage()]
    assert first.levelno == logging.ERROR
    assert "row-level security" in first.getMessage()
    assert 'server_settings={"app.tenant_id": "*"}' in first.getMessage()
    assert "does not answer" not in caplog.text
