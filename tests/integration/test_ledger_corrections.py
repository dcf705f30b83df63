"""Estimates made by somebody else, and the word of those who know: the net is the truth, whatever comes when and how often."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_values import an_entry, entry, roll_ups, stored, stored_roll_ups, sums

from pulse_gateway.ledger.batches import Written, write_entries
from pulse_gateway.ledger.columns import JOURNAL, PERMIT
from pulse_gateway.ledger.estimates import estimate_of
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.types.usage import Outcome, Usage, UsageSource
from pulse_host.database.pool import open_connection

REPORTED = None
ORIGINS = (REPORTED, JOURNAL, PERMIT)  # the best word first


def words(seed: int) -> dict[str | None, UsageEntry]:
    """What the process, its journal and its open permit say of one attempt."""
    chance = random.Random(seed)
    reported = an_entry(chance)

    def guess() -> UsageEntry:
        usage = Usage(input_tokens=chance.randrange(5000), output_tokens=chance.choice([None, chance.randrange(3000)]))
        cost = chance.choice([None, chance.randrange(10**12)])
        return estimate_of(
            msgspec.structs.replace(
                reported,
                usage=usage,
                tokens=usage.total,
                cost_nano_usd=cost,
                images=0,
                videos=1,
                source=UsageSource.ESTIMATED,
            )
        )

    return {REPORTED: reported, JOURNAL: guess(), PERMIT: guess()}


async def write(connection: Any, said: UsageEntry, origin: str | None = REPORTED) -> Written:
    return await write_entries(connection, [said], [origin], [])


async def rows(url: str) -> list[dict[str, Any]]:
    async with open_connection(url) as connection:
        found = await connection.fetch("select * from usage_entry order by reverses nulls first, recorded_at")
    return [dict(row) for row in found]


# ── one attempt ──


async def test_the_first_better_word_corrects_an_estimate_once(database: Any) -> None:
    said = words(1)
    async with open_connection(database.url) as connection:
        assert await write(connection, said[JOURNAL], JOURNAL) == Written(added=1, corrected=0)
        assert await write(connection, said[REPORTED]) == Written(added=0, corrected=1)
        for origin in ORIGINS * 2:
            assert await write(connection, said[origin], origin) == Written(added=0, corrected=0)
    first, second = await rows(database.url)
    assert (first["recovered"], first["source"], first["outcome"], first["error_code"]) == (
        "journal",
        "estimated",
        "interrupted",
        "gateway_ended",
    )
    reported, estimate = said[REPORTED], said[JOURNAL]
    assert str(first["entry_id"]) == reported.entry_id
    assert second["reverses"] == first["entry_id"]
    assert second["at"] == first["at"]
    assert (second["recovered"], second["source"], second["outcome"]) == (None, "provider", reported.outcome.value)
    assert second["tokens"] == reported.tokens - estimate.tokens
    assert second["requests"] == 0
    assert await stored(database.url) == sums([reported])
    assert await stored_roll_ups(database.url) == roll_ups([reported])


async def test_better_word_that_came_first_leaves_no_room_for_estimates(database: Any) -> None:
    said = words(2)
    async with open_connection(database.url) as connection:
        await write(connection, said[REPORTED])
        for origin in (JOURNAL, PERMIT):
            assert await write(connection, said[origin], origin) == Written(added=0, corrected=0)
    assert len(await rows(database.url)) == 1


async def test_an_estimate_from_an_open_permit_gives_way_to_the_journal_and_that_to_the_process(database: Any) -> None:
    said = words(3)
    async with open_connection(database.url) as connection:
        await write(connection, said[PERMIT], PERMIT)
        assert (await write(connection, said[JOURNAL], JOURNAL)).corrected == 1
        assert await stored(database.url) == sums([said[JOURNAL]])
        assert (await write(connection, said[PERMIT], PERMIT)).corrected == 0
        assert (await write(connection, said[REPORTED])).corrected == 1
    assert await stored(database.url) == sums([said[REPORTED]])
    assert await stored_roll_ups(database.url, "usage_daily") == roll_ups([said[REPORTED]], "%Y-%m-%d")
    assert len(await rows(database.url)) == 3


async def test_both_in_one_batch_are_the_better_one(database: Any) -> None:
    said = words(4)
    batch = [said[PERMIT], said[REPORTED], said[JOURNAL], said[REPORTED]]
    async with open_connection(database.url) as connection:
        done = await write_entries(connection, batch, [PERMIT, REPORTED, JOURNAL, REPORTED], [])
    assert done == Written(added=1, corrected=0)
    assert await stored(database.url) == sums([said[REPORTED]])


async def test_an_attempt_that_used_nothing_takes_its_estimate_back_to_nothing(database: Any) -> None:
    reported = entry(usage=Usage(), tokens=0, cost_nano_usd=0, source=UsageSource.NONE, outcome=Outcome.CANCELLED)
    guess = estimate_of(msgspec.structs.replace(reported, usage=Usage(input_tokens=9), tokens=9, cost_nano_usd=None))
    async with open_connection(database.url) as connection:
        await write(connection, guess, PERMIT)
        assert (await write(connection, reported)).corrected == 1
    assert await stored(database.url) == Counter()
    assert await stored_roll_ups(database.url) == roll_ups([reported])


async def test_the_same_correction_by_several_at_once_is_made_once(database: Any, pool: Any) -> None:
    said = [words(seed) for seed in range(40)]
    async with open_connection(database.url) as connection:
        await write_entries(connection, [each[PERMIT] for each in said], [PERMIT] * 40, [])

    async def correct(origin: str | None, seed: int) -> Written:
        order = random.Random(seed).sample(said, 40)
        async with pool.acquire() as connection:
            return await write_entries(connection, [each[origin] for each in order], [origin] * 40, [])

    done = await asyncio.gather(*(correct(origin, seed) for seed in range(3) for origin in (REPORTED, JOURNAL)))
    assert sum(each.added for each in done) == 0
    assert 40 <= sum(each.corrected for each in done) <= 80
    assert await stored(database.url) == sums(each[REPORTED] for each in said)
    assert await stored_roll_ups(database.url) == roll_ups(each[REPORTED] for each in said)


async def test_a_correction_by_hand_is_a_row_like_any_other_and_is_not_undone(database: Any) -> None:
    said = words(5)
    reported = said[REPORTED]
    refund = entry(
        entry_id=str(uuid.uuid4()),
        tenant_id=reported.tenant_id,
        user_id=reported.user_id,
        accounts=reported.accounts,
        period=reported.period,
        at=reported.at,
        usage=Usage(),
        tokens=0,
        cost_nano_usd=-5,
        reverses=reported.entry_id,
    )
    async with open_connection(database.url) as connection:
        await write(connection, said[PERMIT], PERMIT)
        assert await write(connection, refund) == Written(added=1, corrected=0)
        assert (await write(connection, reported)).corrected == 1
        assert await write(connection, refund) == Written(added=0, corrected=0)
    expected = sums([reported])
    for account in reported.accounts:
        expected[reported.tenant_id, account, reported.period, "cost_nano_usd"] -= 5
    assert await stored(database.url) == expected


@pytest.mark.parametrize("amount", ["tokens", "images", "videos", "cost_nano_usd"])
async def test_only_a_correction_may_take_back(database: Any, amount: str) -> None:
    async with open_connection(database.url) as connection:
        with pytest.raises(Exception, match="only_corrections_take_back"):
            await write(connection, entry(**{amount: -1}))
        assert (await write(connection, entry(**{amount: -1}, reverses=str(uuid.uuid4())))).added == 1


def test_what_the_provider_had_said_before_the_process_ended_is_no_estimate() -> None:
    marked = entry(source=UsageSource.PROVIDER)
    assert estimate_of(marked).source is UsageSource.PROVIDER
    assert estimate_of(marked).outcome is Outcome.INTERRUPTED
    assert estimate_of(entry(source=UsageSource.NONE)).source is UsageSource.ESTIMATED


# ── any interleaving ──

deliveries = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, 5), st.sampled_from(ORIGINS)), min_size=1, max_size=6),
        st.sampled_from(["committed", "committed", "rolled back", "beside the next"]),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(program=deliveries, seed=st.integers(0, 10**6))
async def test_whatever_comes_in_whatever_order_the_net_is_the_best_word(
    database: Any, pool: Any, program: list[tuple[list[tuple[int, str | None]], str]], seed: int
) -> None:
    said = [words(seed + number) for number in range(6)]
    best: dict[int, str | None] = {}
    beside: list[asyncio.Task[Written]] = []

    async def deliver(batch: list[tuple[int, str | None]]) -> Written:
        async with pool.acquire() as connection:
            return await write_entries(
                connection, [said[number][origin] for number, origin in batch], [origin for _, origin in batch], []
            )

    async with pool.acquire() as connection:
        await connection.execute("truncate usage_entry, usage_balance, usage_hourly, usage_daily")
        for batch, fate in program:
            if fate == "rolled back":
                await asyncio.gather(*beside)
                beside.clear()
                transaction = connection.transaction()
                await transaction.start()
                await write_entries(
                    connection, [said[number][origin] for number, origin in batch], [origin for _, origin in batch], []
                )
                await transaction.rollback()
                continue
            beside.append(asyncio.create_task(deliver(batch)))
            if fate == "committed":
                await asyncio.gather(*beside)
                beside.clear()
            for number, origin in batch:
                best[number] = min(best.get(number, PERMIT), origin, key=ORIGINS.index)
        await asyncio.gather(*beside)
    truth = [said[number][origin] for number, origin in best.items()]
    assert await stored(database.url) == sums(truth)
    assert await stored_roll_ups(database.url) == roll_ups(truth)
    assert await stored_roll_ups(database.url, "usage_daily") == roll_ups(truth, "%Y-%m-%d")
