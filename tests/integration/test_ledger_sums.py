"""Balances and roll-ups are the sums of the entries: as they grow, when somebody spoils them, and while they are made anew."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_values import DECEMBER, entry, ids, roll_ups, some_entries, stored, stored_roll_ups, sums

from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.ledger.audit import (
    BalanceDifference,
    balance_differences,
    rebuild_balances,
    rebuild_roll_ups,
    roll_up_differences,
)
from pulse_gateway.ledger.batches import write_entries
from pulse_gateway.ledger.maintenance import ensure_partitions, sweep_open_permits
from pulse_gateway.ledger.postgres import PostgresLedger
from pulse_gateway.ledger.sql import CORRECT_ESTIMATES, RECORD, ROLL_UP_DIFFERENCES, SET_ROLL_UPS, composed
from pulse_host.database.pool import create_pool, open_connection


async def fill(url: str, entries: list[Any]) -> None:
    async with open_connection(url) as connection:
        for start in range(0, len(entries), 100):
            batch = entries[start : start + 100]
            await write_entries(connection, batch, [None] * len(batch), [])


# ── each entry once ──


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    deliveries=st.lists(
        st.tuples(st.lists(st.integers(0, 39), min_size=1, max_size=30), st.booleans()), min_size=1, max_size=10
    ),
    seed=st.integers(0, 10**6),
)
async def test_batches_repeated_reordered_split_and_side_by_side_come_to_the_sum_of_the_distinct(
    database: Any, pool: Any, deliveries: list[tuple[list[int], bool]], seed: int
) -> None:
    entries = some_entries(40, seed)

    async def deliver(numbers: list[int]) -> int:
        async with pool.acquire() as connection:
            batch = [entries[number] for number in numbers]
            return (await write_entries(connection, batch, [None] * len(batch), [])).added

    async with pool.acquire() as connection:
        await connection.execute("truncate usage_entry, usage_balance, usage_hourly, usage_daily")
    added, beside = 0, []
    for numbers, alone in deliveries:
        beside.append(asyncio.create_task(deliver(numbers)))
        if alone:
            added += sum(await asyncio.gather(*beside))
            beside.clear()
    added += sum(await asyncio.gather(*beside))
    delivered = [entries[number] for number in {number for numbers, _ in deliveries for number in numbers}]
    assert added == len(delivered)
    assert await ids(database.url) == sorted(each.entry_id for each in delivered)
    assert await stored(database.url) == sums(delivered)
    assert await stored_roll_ups(database.url) == roll_ups(delivered)
    assert await stored_roll_ups(database.url, "usage_daily") == roll_ups(delivered, "%Y-%m-%d")


async def test_roll_ups_count_requests_attempts_failures_and_what_has_no_price(database: Any) -> None:
    await fill(
        database.url,
        [
            entry(attempt=1),
            entry(attempt=2, cost_nano_usd=None),
            *some_entries(30, 1),
        ],
    )
    async with open_connection(database.url) as connection:
        row = await connection.fetchrow(
            "select sum(requests)::int, sum(attempts)::int, sum(failed)::int, sum(unpriced)::int from usage_daily"
        )
    others = some_entries(30, 1)
    assert tuple(row) == (
        1 + sum(each.attempt == 1 for each in others),
        32,
        sum(each.outcome.value in {"failed", "interrupted"} for each in others),
        1 + sum(each.cost_nano_usd is None for each in others),
    )


@pytest.mark.parametrize("parts", [RECORD, CORRECT_ESTIMATES, ROLL_UP_DIFFERENCES, SET_ROLL_UPS])
async def test_the_parts_make_statements(database: Any, parts: tuple[str, ...]) -> None:
    async with open_connection(database.url) as connection:
        await connection.prepare(composed(parts))


# ── balances ──


async def test_balances_are_read_by_account_and_kind(database: Any, pool: Any) -> None:
    ledger = PostgresLedger(pool)
    for each in (
        entry(images=2, key_id="k/1"),
        entry(cost_nano_usd=None),
        entry(user_id="bob", videos=1),
        entry(period=202612),
        entry(tenant_id="acme", tokens=1),
    ):
        ledger.record(each)
    await ledger.flush()
    asked = ["alice", "bob", "carol", "key/k%2F1", "tenant/default"]
    assert await ledger.balances("default", asked, 202611) == {
        "alice": {"tokens": 14, "cost_nano_usd": 70, "images": 2},
        "bob": {"tokens": 7, "cost_nano_usd": 70, "videos": 1},
        "key/k%2F1": {"tokens": 7, "cost_nano_usd": 70, "images": 2},
        "tenant/default": {"tokens": 21, "cost_nano_usd": 140, "images": 2, "videos": 1},
    }
    assert await ledger.balances("acme", ["alice"], 202611) == {"alice": {"tokens": 1, "cost_nano_usd": 70}}
    assert await ledger.balances("default", asked, 202701) == {}
    assert await ledger.balances("default", [], 202611) == {}
    await database.go_away()
    with pytest.raises(StoreUnavailable):
        await ledger.balances("default", asked, 202611)
    await database.come_back()
    await ledger.aclose()


async def test_balances_are_found_by_their_key(database: Any) -> None:
    async with open_connection(database.url) as connection:
        await connection.execute(
            "insert into usage_balance select 'default', 'user-' || n, 202611, 'tokens', n from generate_series(1, 20000) as n"
        )
        await connection.execute("analyze usage_balance")
        plan = await connection.fetch(
            "explain select account, kind, amount from usage_balance "
            "where tenant_id = 'default' and account = any('{user-1,user-2}') and period = 202611"
        )
    assert "Index" in plan[0][0]


async def test_balances_that_went_wrong_are_found_and_rebuilt(database: Any) -> None:
    entries = some_entries(200, 10)
    await fill(database.url, entries)
    async with open_connection(database.url) as connection:
        await connection.execute(
            "update usage_balance set amount = amount + 5 where tenant_id = 'acme' and account = 'user-1' and kind = 'tokens'"
        )
        await connection.execute("delete from usage_balance where account = 'tenant/default' and kind = 'images'")
        await connection.execute("insert into usage_balance values ('default', 'ghost', 202611, 'tokens', 3)")
        found = await balance_differences(connection)
        assert (
            BalanceDifference(tenant_id="default", account="ghost", period=202611, kind="tokens", balance=3, entries=0)
            in found
        )
        assert len(found) == 5
        assert {(each.tenant_id, each.account) for each in await balance_differences(connection, 202612)} == {
            ("acme", "user-1"),
            ("default", "tenant/default"),
        }
        assert await rebuild_balances(connection) == found
        assert await rebuild_balances(connection) == []
    assert await stored(database.url) == sums(entries)


async def test_roll_ups_that_went_wrong_are_found_and_rebuilt(database: Any) -> None:
    entries = [*some_entries(150, 11), entry(at=DECEMBER + 20 * 86_400.0)]
    await fill(database.url, entries)
    async with open_connection(database.url) as connection:
        assert await roll_up_differences(connection) == []
        await connection.execute(
            "update usage_hourly set failed = failed + 1 where (user_id, alias, tenant_id) = ('user-3', 'fast', 'acme')"
        )
        await connection.execute("delete from usage_daily where user_id = 'user-4' and day >= '2026-12-01'")
        await connection.execute(
            "insert into usage_daily select tenant_id, day, 'ghost', key_id, alias, provider, model, requests, attempts, failed, "
            "unpriced, input_tokens, cached_input_tokens, cache_write_tokens, cache_write_long_tokens, audio_input_tokens, "
            "output_tokens, reasoning_tokens, audio_output_tokens, image_output_tokens, tokens, images, videos, cost_nano_usd "
            "from usage_daily where day < '2026-12-01' limit 1"
        )
        november, december = [await roll_up_differences(connection, period) for period in (202611, 202612)]
        assert {each.user_id for each in november} == {"user-3", "ghost"}
        assert {each.user_id for each in december} == {"user-3", "user-4"}
        found = await roll_up_differences(connection)
        assert len(found) == len(november) + len(december)
        assert await rebuild_roll_ups(connection, 202611) == november
        assert await rebuild_roll_ups(connection) == december
        assert await rebuild_roll_ups(connection) == []
    assert await stored_roll_ups(database.url) == roll_ups(entries)
    assert await stored_roll_ups(database.url, "usage_daily") == roll_ups(entries, "%Y-%m-%d")


async def test_rebuilding_while_others_write_ends_exact(database: Any, pool: Any) -> None:
    ledger = PostgresLedger(pool, gather_s=0.0)
    entries = some_entries(3000, 12)

    async def rebuild() -> None:
        async with open_connection(database.url) as connection:
            for _ in range(6):
                await rebuild_balances(connection)
                await rebuild_roll_ups(connection)

    rebuilding = asyncio.create_task(rebuild())
    for number, each in enumerate(entries):
        ledger.record(each)
        if number % 30 == 0:
            await asyncio.sleep(0.002)
    await ledger.flush()
    await rebuilding
    assert await stored(database.url) == sums(entries)
    await ledger.aclose()


async def test_writers_of_the_same_accounts_side_by_side_do_not_deadlock(database: Any) -> None:
    pool = await create_pool(database.url)
    ledgers = [PostgresLedger(pool, gather_s=0.0) for _ in range(6)]
    entries = some_entries(2000, 13)
    for number, ledger in enumerate(ledgers):
        for each in random.Random(number).sample(entries, 1000):
            ledger.record(each)
    await asyncio.gather(*(ledger.flush() for ledger in ledgers))
    async with pool.acquire() as connection:
        deadlocks = await connection.fetchval(
            "select deadlocks from pg_stat_database where datname = current_database()"
        )
    assert deadlocks == 0
    await stored(database.url)
    await asyncio.gather(*(ledger.aclose() for ledger in ledgers))
    await pool.close()


# ── under the policies ──


async def test_a_role_that_no_policy_lets_pass_writes_for_every_tenant(database: Any) -> None:
    """The gateway's own role is no superuser: its pool says that it works for everybody."""
    await database.admin("drop role if exists plain_gateway", "create role plain_gateway login")
    async with open_connection(database.url) as connection:
        for statement in (
            "grant all on schema public to plain_gateway",
            "do $$ declare name text; begin for name in select relname from pg_class where relkind in ('r', 'p') "
            "and relnamespace = 'public'::regnamespace loop execute format('alter table %I owner to plain_gateway', name); "
            "end loop; end $$",
        ):
            await connection.execute(statement)
    url = database.url.replace("postgres@", "plain_gateway@")
    entries = some_entries(300, 14)
    pool = await create_pool(url)
    ledger = PostgresLedger(pool)
    for each in entries:
        ledger.record(each)
    await ledger.flush()
    await ledger.aclose()
    assert await stored(url) == sums(entries)
    async with pool.acquire() as connection:
        made = await ensure_partitions(connection, 0, now=datetime(2031, 1, 1, tzinfo=UTC))
        assert made.created == ("usage_entry_2031_01",)
        assert await sweep_open_permits(connection) == 0
        await connection.execute("select set_config('app.tenant_id', 'acme', false)")
        assert {row["tenant_id"] for row in await connection.fetch("select tenant_id from usage_hourly")} == {"acme"}
    await pool.close()
