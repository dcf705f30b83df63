"""Tenants in Postgres: their limits, their users, and what a key of theirs carries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.store.limits_json import LimitsChange
from pulse_gateway.store.migrations import LIBRARY, MigrationSource
from pulse_gateway.store.postgres import PostgresKeyStore, add_key, find_users, limit_key, list_keys, save_user
from pulse_gateway.store.tenants import add_tenant, list_tenants, update_tenant
from pulse_gateway.testing.clock import FakeClock
from pulse_gateway.types.identity import NO_ALLOWANCE, Allowance, Plan
from pulse_host.database.migrate import migrate
from pulse_host.database.pool import open_connection

PLANS = {"free": Plan(name="free")}
ALL = Allowance(requests=(1000, 60.0), tokens="off", concurrency=5, budget_nano_usd=9_000_000_000_000_000)


@pytest.fixture
async def connection(database: Any) -> AsyncIterator[Any]:
    async with open_connection(database.url) as opened:
        yield opened


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(now=datetime.now(UTC).timestamp())


# ── tenants ──


async def test_a_tenant_is_made_once_and_listed_with_its_limits_and_users(connection: Any) -> None:
    made = await add_tenant(connection, "acme", name="شركة", limits=ALL)
    assert made is not None
    assert (made.tenant_id, made.name, made.limits, made.users) == ("acme", "شركة", ALL, 0)
    assert await add_tenant(connection, "acme", limits=Allowance(concurrency=1)) is None
    await save_user(connection, email="a@example.com", plan="free", tenant_id="acme")
    await save_user(connection, email="b@example.com", plan="free", tenant_id="acme")
    listed = {tenant.tenant_id: tenant for tenant in await list_tenants(connection)}
    assert list(listed) == ["acme", "default"]
    assert (listed["acme"].users, listed["acme"].limits) == (2, ALL)
    assert (listed["default"].name, listed["default"].limits) == ("Default", NO_ALLOWANCE)
    assert await list_tenants(connection, "acme") == [listed["acme"]]
    assert await list_tenants(connection, "unknown") == []


@pytest.mark.parametrize("tenant_id", ["", "*", "a b", "-a", "a*", "a/b", "ä", "a" * 65, "a\n"])
async def test_an_id_that_means_something_else_is_refused(connection: Any, tenant_id: str) -> None:
    with pytest.raises(ValueError, match="id of a tenant"):
        await add_tenant(connection, tenant_id)


@pytest.mark.parametrize("tenant_id", ["", "*"])
async def test_the_words_of_the_setting_are_no_tenants_in_the_table_either(connection: Any, tenant_id: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await connection.execute("insert into tenant (id, name) values ($1, 'x')", tenant_id)


async def test_a_change_touches_what_it_names(connection: Any) -> None:
    await add_tenant(connection, "acme", limits=ALL)
    change = LimitsChange(put=Allowance(requests="off", budget_nano_usd=7), forget=("tokens",))
    assert await update_tenant(connection, "acme", name=None, change=change)
    (changed,) = await list_tenants(connection, "acme")
    assert changed.name == "acme"
    assert changed.limits == Allowance(requests="off", concurrency=5, budget_nano_usd=7)
    assert await update_tenant(connection, "acme", name="New", change=LimitsChange())
    (renamed,) = await list_tenants(connection, "acme")
    assert (renamed.name, renamed.limits) == ("New", changed.limits)
    assert not await update_tenant(connection, "unknown", name="x", change=LimitsChange())


# ── users ──


async def test_one_address_is_one_user_in_each_tenant(connection: Any) -> None:
    await add_tenant(connection, "acme")
    ours = await save_user(connection, email="ada@example.com", plan="free")
    theirs = await save_user(connection, email="Ada@Example.com", plan="pro", tenant_id="acme")
    again = await save_user(connection, email="ADA@example.com", plan="free", tenant_id="acme")
    assert (theirs.user_id, theirs.plan, again.plan) == (again.user_id, "pro", "free")
    assert ours.user_id != theirs.user_id
    assert await find_users(connection, "ada@example.com") == [again, ours]
    assert await find_users(connection, "ada@example.com", tenant_id="default") == [ours]
    assert await find_users(connection, ours.user_id, tenant_id="acme") == []


async def test_a_user_of_no_tenant_cannot_be(connection: Any) -> None:
    with pytest.raises(LookupError, match="'unknown'"):
        await save_user(connection, email="ada@example.com", plan="free", tenant_id="unknown")
    assert await find_users(connection, "ada@example.com") == []


async def test_a_key_cannot_stand_in_one_tenant_for_a_user_of_another(connection: Any) -> None:
    await add_tenant(connection, "acme")
    user = await save_user(connection, email="ada@example.com", plan="free")
    _, record = await add_key(connection, user_id=user.user_id, name="x")
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await connection.execute("update api_key set tenant_id = 'acme' where key_id = $1", record.key_id)


# ── keys ──


async def test_a_key_carries_its_own_limits_and_its_tenants(connection: Any, pool: Any, clock: FakeClock) -> None:
    await add_tenant(connection, "acme", limits=ALL)
    user = await save_user(connection, email="ada@example.com", plan="free", tenant_id="acme")
    own = Allowance(concurrency=1, budget_nano_usd=0)
    secret, record = await add_key(connection, user_id=user.user_id, name="x", limits=own)
    assert (record.tenant_id, record.limits) == ("acme", own)
    store = PostgresKeyStore(pool, PLANS, clock=clock)
    principal = await store.authenticate(secret)
    assert (principal.tenant_id, principal.key, principal.tenant) == ("acme", own, ALL)
    assert principal.key_id == record.key_id

    await limit_key(connection, record.key_id, LimitsChange(put=Allowance(requests=(5, 1.0)), forget=("concurrency",)))
    await update_tenant(connection, "acme", name=None, change=LimitsChange(forget=("budget_nano_usd",)))
    assert (await store.authenticate(secret)).key == own  # believed for a minute
    clock.advance(60)
    changed = await store.authenticate(secret)
    assert changed.key == Allowance(requests=(5, 1.0), budget_nano_usd=0)
    assert changed.tenant == Allowance(requests=(1000, 60.0), tokens="off", concurrency=5)
    await store.aclose()


async def test_a_key_without_limits_says_nothing(connection: Any, pool: Any) -> None:
    user = await save_user(connection, email="ada@example.com", plan="free")
    secret, _ = await add_key(connection, user_id=user.user_id, name="x")
    store = PostgresKeyStore(pool, PLANS)
    principal = await store.authenticate(secret)
    assert principal.key is NO_ALLOWANCE
    assert principal.tenant is NO_ALLOWANCE
    await store.aclose()


async def test_only_a_live_key_can_be_limited(connection: Any) -> None:
    user = await save_user(connection, email="ada@example.com", plan="free")
    _, record = await add_key(connection, user_id=user.user_id, name="x")
    assert await limit_key(connection, record.key_id, LimitsChange(put=ALL))
    await connection.execute("update api_key set revoked_at = now()")
    assert not await limit_key(connection, record.key_id, LimitsChange(put=NO_ALLOWANCE))
    assert not await limit_key(connection, "unknown", LimitsChange(put=ALL))
    assert [key.limits for key in await list_keys(connection)] == [ALL]


async def test_a_key_given_again_keeps_its_limits_unless_it_is_given_others(connection: Any) -> None:
    await add_tenant(connection, "acme")
    first = await save_user(connection, email="ada@example.com", plan="free")
    second = await save_user(connection, email="ada@example.com", plan="free", tenant_id="acme")
    await add_key(connection, user_id=first.user_id, name="x", secret="given", limits=ALL)
    _, moved = await add_key(connection, user_id=second.user_id, name="x", secret="given")
    assert (moved.tenant_id, moved.limits) == ("acme", ALL)
    _, changed = await add_key(connection, user_id=second.user_id, name="x", secret="given", limits=NO_ALLOWANCE)
    assert changed.limits == NO_ALLOWANCE


async def test_keys_are_listed_by_tenant_and_by_user(connection: Any) -> None:
    await add_tenant(connection, "acme")
    names = {}
    for tenant_id, email in (("default", "ada@x"), ("acme", "ada@x"), ("acme", "bob@x")):
        user = await save_user(connection, email=email, plan="free", tenant_id=tenant_id)
        await add_key(connection, user_id=user.user_id, name=f"{tenant_id} {email}")
        names[tenant_id, email] = user.user_id

    async def listed(**asked: Any) -> list[str]:
        return [key.name for key in await list_keys(connection, **asked)]

    assert await listed() == ["default ada@x", "acme ada@x", "acme bob@x"]
    assert await listed(tenant_id="acme") == ["acme ada@x", "acme bob@x"]
    assert await listed(user_ids=[names["default", "ada@x"], names["acme", "ada@x"]]) == ["default ada@x", "acme ada@x"]
    assert await listed(user_ids=[names["default", "ada@x"]], tenant_id="acme") == []


@pytest.mark.parametrize("table", ["api_key", "tenant"])
async def test_limits_that_nobody_can_read_let_nobody_through(
    connection: Any, pool: Any, clock: FakeClock, table: str
) -> None:
    user = await save_user(connection, email="ada@example.com", plan="free")
    secret, _ = await add_key(connection, user_id=user.user_id, name="x")
    other = await save_user(connection, email="bob@example.com", plan="free")
    fine, _ = await add_key(connection, user_id=other.user_id, name="y")
    await connection.execute(f"""update {table} set limits = '{{"requests": "60/60s"}}'""")
    store = PostgresKeyStore(pool, PLANS, clock=clock)
    with pytest.raises(StoreUnavailable):
        await store.authenticate(secret)
    await connection.execute(f"update {table} set limits = '{{}}'")
    assert (await store.authenticate(fine)).user_id == other.user_id  # at once: it was no outage
    assert (await store.authenticate(secret)).user_id == user.user_id
    await store.aclose()


# ── a database of before ──


async def test_what_was_there_before_there_were_tenants_stays(empty_database: Any, tmp_path: Path) -> None:
    for file in LIBRARY.folder.iterdir():
        if file.name[:4] in {"0001", "0002"}:
            (tmp_path / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    await migrate(empty_database.url, [MigrationSource(LIBRARY.name, tmp_path)])
    async with open_connection(empty_database.url) as connection:
        await connection.execute(
            "insert into tenant (id, name) values ('acme corp', 'Acme');"
            "insert into app_user (tenant_id, email, plan) values ('default', 'Ada@x', 'free'), ('acme corp', 'bob@x', 'free');"
            "insert into api_key (key_id, digest, prefix, last4, user_id, tenant_id, name)"
            "  select email, sha256(email::bytea), '', '', id, tenant_id, 'old' from app_user;"
        )
    await migrate(empty_database.url)
    async with open_connection(empty_database.url) as connection:
        keys = await list_keys(connection)
        assert sorted((key.key_id, key.tenant_id, key.limits) for key in keys) == [
            ("Ada@x", "default", NO_ALLOWANCE),
            ("bob@x", "acme corp", NO_ALLOWANCE),
        ]
        (ada,) = await find_users(connection, "ada@x")
        assert (await save_user(connection, email="ADA@x", plan="pro")).user_id == ada.user_id
        await save_user(connection, email="bob@x", plan="free")  # another one, in another tenant
        assert len(await find_users(connection, "bob@x")) == 2
