"""The ledger's months: made ahead, healed, and filled from a database of the release before."""

from __future__ import annotations

import asyncio
import logging
import shutil
import uuid
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from ledger_values import DECEMBER, NOVEMBER, entry, roll_ups, some_entries, stored, stored_roll_ups, sums

from pulse_gateway.ledger.audit import balance_differences, rebuild_balances, rebuild_roll_ups, roll_up_differences
from pulse_gateway.ledger.batches import write_entries
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.maintenance import Partitions, ensure_partitions
from pulse_gateway.limits.accounts import escaped
from pulse_gateway.store.migrations import LIBRARY, MigrationSource
from pulse_gateway.types.usage import Usage
from pulse_host.database.migrate import migrate
from pulse_host.database.pool import create_pool, open_connection

ODD_IDS = ["alice", "u/1 %", "بحث", "a@b.example", "", "-._~@", "tab\t", "💥", "é"]


async def parts(connection: Any) -> Counter[str]:
    """How many entries there are in each partition that has any."""
    rows = await connection.fetch("select tableoid::regclass::text as part from usage_entry")
    return Counter(row["part"] for row in rows)


async def names(connection: Any) -> set[str]:
    rows = await connection.fetch("select relid::text from pg_partition_tree('usage_entry') where level = 1")
    return {row["relid"] for row in rows}


async def write(connection: Any, *entries: Any) -> int:
    return (await write_entries(connection, entries, [None] * len(entries), [])).added


# ── from the release before ──

OLD_ENTRY = """
insert into usage_entry (
    entry_id, request_id, trace_id, tenant_id, user_id, key_id, period, operation, dialect, alias, provider, model, attempt,
    outcome, source, input_tokens, output_tokens, tokens, cost_nano_usd, images, videos, total_ms, at, meta)
values ($1, 'request', 'trace', $2, $3, $4, $5, 'chat', 'openai.chat', $15, 'provider', 'model', $6, $7, 'provider',
    $8, $9, $10, $11, $12, $13, 1.5, to_timestamp($14), '{}')
"""


async def test_a_database_of_the_release_before_keeps_every_entry_and_balance(
    empty_database: Any, tmp_path: Path
) -> None:
    for file in LIBRARY.folder.iterdir():
        if file.name.startswith(("0001_", "0002_")):
            shutil.copy(str(file), tmp_path)
    url = empty_database.url
    await migrate(url, [MigrationSource(LIBRARY.name, tmp_path)])
    old = [each for seed in range(3) for each in some_entries(100, seed)]
    old += [entry(user_id=name, key_id=f"k/{name}", at=NOVEMBER - 90 * 86_400.0) for name in ODD_IDS]
    async with open_connection(url) as connection:
        for each in old:
            usage = each.usage
            await connection.execute(
                OLD_ENTRY,
                *(each.entry_id, each.tenant_id, each.user_id, each.key_id, each.period, each.attempt),
                *(each.outcome.value, usage.input_tokens, usage.output_tokens, each.tokens, each.cost_nano_usd),
                *(each.images, each.videos, each.at, each.alias),
            )
        await connection.execute(
            "insert into usage_balance (user_id, period, kind, amount) "
            "select user_id, period, 'tokens', sum(tokens) from usage_entry group by 1, 2"
        )
        await connection.execute("insert into usage_balance values ('put away', 202501, 'tokens', 12345)")
        await connection.execute("insert into tenant values ('acme', 'Acme')")
        customer = await connection.fetchval(
            "insert into app_user (tenant_id, plan) values ('acme', 'basic') returning id::text"
        )
        await connection.execute("insert into usage_balance values ($1, 202501, 'tokens', 5)", customer)

    await migrate(url)

    async with open_connection(url) as connection:
        rows = await connection.fetch("select entry_id::text, accounts from usage_entry")
        assert {row["entry_id"]: tuple(row["accounts"]) for row in rows} == {
            each.entry_id: each.accounts for each in old
        }
        assert await parts(connection) == Counter(
            f"usage_entry_{datetime.fromtimestamp(each.at, UTC):%Y_%m}" for each in old
        )
    found = await stored(url)
    assert found.pop(("default", "put%20away", 202501, "tokens")) == 12345
    assert found.pop(("acme", customer, 202501, "tokens")) == 5
    assert found == sums(old)
    # The old table had no other classes in this test.
    unknown = set(Usage.__struct_fields__) - {"input_tokens", "output_tokens", "images"}
    expected = {key: number for key, number in roll_ups(old).items() if key[-1] not in unknown}
    assert await stored_roll_ups(url) == expected


async def test_the_classes_that_came_later_join_a_ledger_that_is_in_use(empty_database: Any, tmp_path: Path) -> None:
    """Rows of before know nothing of them; a gateway of before goes on writing, and corrections of its estimates add up."""
    for file in LIBRARY.folder.iterdir():
        if file.name < "0006":
            shutil.copy(str(file), tmp_path)
    url = empty_database.url
    await migrate(url, [MigrationSource(LIBRARY.name, tmp_path)])
    made = [msgspec.structs.replace(each, usage=Usage(input_tokens=each.tokens)) for each in some_entries(60, 21)]
    old, late = made[:-1], made[-1]
    async with open_connection(url) as connection:
        for each in old:
            await connection.execute(ENTRY_OF_0005, *_values(each))
        for roll_up in ROLL_UPS_OF_0005:
            await connection.execute(roll_up)
        await rebuild_balances(connection)

    await migrate(url)

    assert await stored(url) == sums(old)
    async with open_connection(url) as connection:
        await connection.execute(ENTRY_OF_0005, *_values(late))
        row = await connection.fetchrow("select * from usage_entry where entry_id = $1", uuid.UUID(late.entry_id))
        assert [row[name] for name in ("image_input_tokens", "video_ms", "characters", "variant")] == [None] * 4
        await rebuild_balances(connection)
        await rebuild_roll_ups(connection)
        usage = Usage(input_tokens=1, images=2, video_ms=8_000, video_output_tokens=5, variant="1080p")
        better = msgspec.structs.replace(old[0], usage=usage, tokens=6, images=2)
        assert (await write_entries(connection, [better], [None], [])).corrected == 1
    everything = [better, *old[1:], late]
    assert await stored(url) == sums(everything)
    assert await stored_roll_ups(url) == roll_ups(everything)
    assert await stored_roll_ups(url, "usage_daily") == roll_ups(everything, "%Y-%m-%d")


ENTRY_OF_0005 = """
insert into usage_entry (
    entry_id, request_id, trace_id, tenant_id, user_id, key_id, accounts, period, operation, dialect, alias, provider, model,
    attempt, outcome, source, recovered, requests, failed, unpriced, input_tokens, tokens, cost_nano_usd, images, videos, total_ms,
    at, meta)
values ($1, 'request', 'trace', $2, $3, $4, $5, $6, 'chat', 'openai.chat', $7, 'provider', 'model', $8, $9, 'estimated', 'journal',
    ($8 = 1)::integer, ($9 in ('failed', 'interrupted'))::integer, ($11::bigint is null)::integer, $10, $10, $11, $12, $13, 1.5,
    to_timestamp($14), '{}')
"""
_NAMES = "user_id, coalesce(key_id, ''), alias, provider, model"
_SUMS = (
    "sum(requests), count(*), sum(failed), sum(unpriced), sum(input_tokens), 0, 0, 0, 0, 0, 0, 0, 0, sum(tokens), sum(images), "
    "sum(videos), coalesce(sum(cost_nano_usd), 0)"
)
ROLL_UPS_OF_0005 = [
    f"insert into {table} select tenant_id, {begin}, {_NAMES}, {_SUMS} from usage_entry group by 1, 2, 3, 4, 5, 6, 7"
    for table, begin in (
        ("usage_hourly", "date_trunc('hour', at, 'UTC')"),
        ("usage_daily", "(at at time zone 'UTC')::date"),
    )
]


def _values(each: UsageEntry) -> tuple[Any, ...]:
    return (
        *(each.entry_id, each.tenant_id, each.user_id, each.key_id, list(each.accounts), each.period, each.alias),
        *(each.attempt, each.outcome.value, each.tokens, each.cost_nano_usd, each.images, each.videos, each.at),
    )


@pytest.mark.parametrize("name", ODD_IDS)
def test_the_names_above_are_worth_testing(name: str) -> None:
    assert escaped(name) != name or name in {"alice", "a@b.example", "-._~@"}


# ── made ahead ──


async def test_a_new_database_has_this_month_and_three_more_and_a_net(database: Any) -> None:
    now = datetime.now(UTC)
    months = [divmod(now.year * 12 + now.month - 1 + ahead, 12) for ahead in range(4)]
    async with open_connection(database.url) as connection:
        assert await names(connection) == {"usage_entry_default"} | {
            f"usage_entry_{year}_{month + 1:02d}" for year, month in months
        }
        assert await ensure_partitions(connection) == Partitions(created=(), stray=0, moved=0)


async def test_months_are_made_by_one_of_many_replicas_while_others_write(database: Any) -> None:
    pool = await create_pool(database.url)
    now = datetime(2031, 11, 30, 23, 59, 59, tzinfo=UTC)

    async def make() -> Partitions:
        async with pool.acquire() as connection:
            return await ensure_partitions(connection, 5, now=now)

    async def keep_writing() -> None:
        for _ in range(30):
            async with pool.acquire() as connection:
                await write(connection, entry(), entry(at=DECEMBER))

    *made, _ = await asyncio.gather(*(make() for _ in range(5)), keep_writing())
    assert sorted(name for each in made for name in each.created) == [
        *("usage_entry_2031_11", "usage_entry_2031_12"),
        *("usage_entry_2032_01", "usage_entry_2032_02", "usage_entry_2032_03", "usage_entry_2032_04"),
    ]
    async with pool.acquire() as connection:
        assert (await ensure_partitions(connection, 5, now=now)).created == ()
        # The wall between tenants stands before the new rooms as well.
        unprotected = await connection.fetch(
            "select relid::text from pg_partition_tree('usage_entry') join pg_class on oid = relid "
            "where not (relrowsecurity and relforcerowsecurity)"
        )
        assert unprotected == []
        indexes = "select count(*) from pg_indexes where tablename = $1"
        assert await connection.fetchval(indexes, "usage_entry_2032_01") == await connection.fetchval(
            indexes, "usage_entry"
        )
    await pool.close()


async def test_entries_lie_in_the_month_in_which_they_began(database: Any) -> None:
    december = datetime(2026, 12, 1, tzinfo=UTC).timestamp()
    async with open_connection(database.url) as connection:
        await connection.execute("set time zone 'Asia/Amman'")
        for at in (december - 1e-6, december, december + 0.5, december - 3600):
            assert await write(connection, entry(at=at, period=202611)) == 1
        assert await parts(connection) == Counter(usage_entry_2026_11=2, usage_entry_2026_12=2)
        rows = await connection.fetch(
            "select day::text, sum(requests)::int as n from usage_daily group by 1 order by 1"
        )
        assert [tuple(row) for row in rows] == [("2026-11-30", 2), ("2026-12-01", 2)]
        assert (
            await connection.fetchval("select amount from usage_balance where account = 'alice' and kind = 'tokens'")
            == 28
        )


# ── the net ──


async def test_entries_without_a_month_are_kept_and_called_an_error_and_moved_once_there_is_one(
    database: Any, caplog: pytest.LogCaptureFixture
) -> None:
    july, far = datetime(2031, 7, 15, tzinfo=UTC), datetime(2093, 1, 1, tzinfo=UTC)
    strays = [entry(at=july.timestamp() + number) for number in range(5)] + [entry(at=far.timestamp()), entry(at=0.0)]
    async with open_connection(database.url) as connection:
        assert await write(connection, *strays) == 7
        assert await ensure_partitions(connection) == Partitions(created=(), stray=7, moved=0)
        assert "7 usage entries were in the DEFAULT partition" in caplog.text
        assert [record.levelno for record in caplog.records if "DEFAULT" in record.message] == [logging.ERROR]

        # Nobody had run the job for years; its first run makes this month, and the one from which rows are there.
        found = await ensure_partitions(connection, 1, now=datetime(2031, 9, 1, tzinfo=UTC))
        assert found.created == ("usage_entry_2031_07", "usage_entry_2031_09", "usage_entry_2031_10")
        assert (found.stray, found.moved) == (7, 5)
        assert await parts(connection) == Counter(usage_entry_2031_07=5, usage_entry_default=2)
        assert await write(connection, *strays) == 0  # they are still the same entries
    assert await stored(database.url) == sums(strays)


async def test_a_reader_of_the_whole_ledger_is_not_waited_for_long(database: Any) -> None:
    now = datetime(2031, 1, 1, tzinfo=UTC)
    async with open_connection(database.url) as reader, open_connection(database.url) as connection:
        await write(connection, entry())
        async with reader.transaction():
            await reader.fetch("select * from usage_entry")
            before = asyncio.get_running_loop().time()
            with pytest.raises(asyncpg.LockNotAvailableError):
                await ensure_partitions(connection, 0, now=now)
            assert asyncio.get_running_loop().time() - before < 10
        assert (await ensure_partitions(connection, 0, now=now)).created == ("usage_entry_2031_01",)


async def test_what_was_put_away_is_neither_missed_nor_rebuilt_to_nothing(database: Any) -> None:
    kept, gone = some_entries(50, 1), [entry(at=DECEMBER - 60 * 86_400.0, period=202610) for _ in range(5)]
    async with open_connection(database.url) as connection:
        await ensure_partitions(connection, 0, now=datetime(2026, 10, 5, tzinfo=UTC))
        for each in (*kept, *gone):
            await write(connection, each)
        # One that was granted in October and began in November stays.
        await write(connection, entry(period=202610))
        await connection.execute("alter table usage_entry detach partition usage_entry_2026_10")
        for period in (None, 202610):
            assert await balance_differences(connection, period) == []
            assert await roll_up_differences(connection, period) == []
            assert await rebuild_balances(connection, period) == []
            assert await rebuild_roll_ups(connection, period) == []
        october = "select amount from usage_balance where period = 202610 and account = 'alice' and kind = 'tokens'"
        assert await connection.fetchval(october) == 6 * 7
