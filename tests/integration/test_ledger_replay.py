"""What a process leaves behind when it ends in the middle of its work, and what becomes of it."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ledger_process import STEPS, attempt
from ledger_values import entry, ids, some_entries, stored, sums, until

from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.ledger.audit import open_permits
from pulse_gateway.ledger.dead_letters import DEAD_LETTERS
from pulse_gateway.ledger.journal import Journal, orphans, read_journal
from pulse_gateway.ledger.maintenance import sweep_open_permits
from pulse_gateway.ledger.postgres import PostgresLedger
from pulse_gateway.testing.clock import FakeClock
from pulse_gateway.types.usage import UsageSource
from pulse_host.database.pool import open_connection


@asynccontextmanager
async def ledger_over(pool: Any, folder: Path, **options: Any) -> AsyncIterator[PostgresLedger]:
    ledger = PostgresLedger(pool, journal=Journal.take(folder), **options)
    await ledger.start()
    try:
        yield ledger
    finally:
        await ledger.aclose()


async def killed_process(url: str, folder: Path, seed: int, lines: int, *more: str) -> list[tuple[str, int]]:
    """What a process said it had done when it was killed, after so many steps."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(__file__).with_name("ledger_process.py")), url, str(folder), str(seed), *more),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    said = [await process.stdout.readline() for _ in range(lines)]
    process.kill()
    said += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    steps: list[tuple[str, int]] = [tuple(msgspec.json.decode(line)) for line in said if line.endswith(b"\n")]
    return steps


def last_steps(done: list[tuple[str, int]]) -> dict[int, str]:
    return {number: step for step, number in done}


async def check_against(url: str, seed: int, done: list[tuple[str, int]]) -> Counter[str]:
    """Every attempt is in the ledger as it was last said of it, or as the step after that, which the process did not live to say."""
    async with open_connection(url) as connection:
        rows = {str(row["entry_id"]): row for row in await connection.fetch("select * from usage_entry")}
        assert await connection.fetchval("select count(*) from open_permit") == 0
    known = {attempt(seed, number, step).entry_id: (number, step) for number, step in last_steps(done).items()}
    last = len(known) + 1  # may have been opened without a word of it
    kinds: Counter[str] = Counter()
    for entry_id, (number, step) in known.items():
        after = STEPS[STEPS.index(step) :]
        row = rows.pop(entry_id, None)
        if row is None:
            assert step == "open", f"attempt {number} is missing after {step!r}"
            kinds["never sent"] += 1
            continue
        assert row["reverses"] is None
        assert row["tokens"] in {attempt(seed, number, each).tokens for each in after}
        if row["recovered"] is None:
            assert row["tokens"] == 1000 + number
            assert (row["source"], row["outcome"], row["error_code"]) == ("provider", "completed", None)
        else:
            assert step != "record"
            assert (row["recovered"], row["source"], row["outcome"]) == ("journal", "estimated", "interrupted")
            assert row["error_code"] == "gateway_ended"
        kinds[row["recovered"] or "reported"] += 1
    assert set(rows) <= {attempt(seed, last, "open").entry_id}
    await stored(url)
    return kinds


@pytest.mark.parametrize("seed", range(4))
async def test_a_killed_process_loses_nothing_and_the_next_one_writes_the_rest(
    database: Any, pool: Any, tmp_path: Path, seed: int
) -> None:
    done = await killed_process(database.url, tmp_path, seed, 400 + 137 * seed)
    async with ledger_over(pool, tmp_path) as ledger:
        await ledger.flush()
        assert ledger.journal is not None
        assert (ledger.journal.closed_entries, ledger.journal.open_entries) == (0, 0)
    kinds = await check_against(database.url, seed, done)
    assert kinds["reported"] > 50
    assert kinds["journal"] > 0
    assert kinds["never sent"] > 0


async def test_what_a_killed_process_never_brought_to_postgres_is_written_by_a_sibling(
    database: Any, pool: Any, tmp_path: Path
) -> None:
    clock = FakeClock()
    async with ledger_over(pool, tmp_path, clock=clock) as ledger:
        assert ledger.journal is not None
        assert ledger.journal.directory.name == "0"
        done = await killed_process(database.url, tmp_path, 7, 900, "hold")
        left = read_journal(tmp_path / "1")
        assert len(left.closed) > 100
        assert len(left.open) > 0
        assert await ids(database.url) == []
        await until(lambda: clock.sleepers == 1)
        clock.advance(60.0)
        await until(lambda: ledger.written >= len(left.closed) + len(left.open))
        await until(lambda: orphans(tmp_path) == [])
        Journal(tmp_path / "1").recovered()  # is free again
    kinds = await check_against(database.url, 7, done)
    assert kinds["reported"] == len(left.closed)
    assert kinds["journal"] == len(left.open)


async def test_several_heirs_share_what_was_left_and_write_it_once(database: Any, pool: Any, tmp_path: Path) -> None:
    done = {seed: await killed_process(database.url, tmp_path / str(seed), seed, 200, "hold") for seed in range(3)}
    heirs_root = tmp_path / "all"
    heirs_root.mkdir()
    for seed in range(3):
        (tmp_path / str(seed) / "0").rename(heirs_root / str(seed + 4))
    ledgers = [PostgresLedger(pool, journal=Journal.take(heirs_root)) for _ in range(3)]
    await asyncio.gather(*(ledger.start() for ledger in ledgers))
    await asyncio.gather(*(ledger.flush() for ledger in ledgers))
    assert orphans(heirs_root) == []
    assert sum(ledger.written for ledger in ledgers) == len(await ids(database.url))
    for seed in range(3):
        recorded = {
            attempt(seed, number, "record").entry_id
            for number, step in last_steps(done[seed]).items()
            if step == "record"
        }
        assert recorded <= set(await ids(database.url))
    await asyncio.gather(*(ledger.aclose() for ledger in ledgers))


async def test_what_could_not_be_written_before_the_end_is_written_after_the_next_start(
    database: Any, pool: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entries = some_entries(700, 1)
    await database.go_away()
    async with ledger_over(pool, tmp_path, close_timeout_s=0.1) as ledger:
        for each in entries:
            ledger.open(each)
            ledger.sent(each.entry_id)
            ledger.record(each)
    assert "700 usage entries stay in the journal" in caplog.text
    with pytest.raises(StoreUnavailable):
        ledger.check()
    assert len(read_journal(tmp_path / "0").closed) == 700
    await database.come_back()
    told: list[str] = []
    async with ledger_over(pool, tmp_path) as ledger:
        ledger.on_recovered = lambda recovered: told.extend(each.entry_id for each in recovered)
        await ledger.flush()
        assert ledger.written == 700
        assert sorted(told) == sorted(each.entry_id for each in entries)
        ledger.record(entry(tenant_id="fresh"))
        await ledger.flush()
        assert len(told) == 700, "only what was left is told of"
    assert {key: each for key, each in (await stored(database.url)).items() if "fresh" not in key} == sums(entries)
    assert read_journal(tmp_path / "0").closed == []


async def test_a_full_journal_closes_admission_and_postgres_coming_back_opens_it(
    database: Any, pool: Any, tmp_path: Path
) -> None:
    ledger = PostgresLedger(pool, journal=Journal.take(tmp_path, max_bytes=600_000))
    await ledger.start()
    await database.go_away()
    admitted = []
    with pytest.raises(StoreUnavailable):
        for each in some_entries(100_000, 2):
            ledger.check()
            ledger.open(each)
            ledger.record(each)
            admitted.append(each)
            await asyncio.sleep(0)
    assert len(admitted) > 100
    await database.come_back()
    await ledger.flush()
    async with asyncio.timeout(10):
        while True:
            try:
                ledger.check()
                break
            except StoreUnavailable:
                await asyncio.sleep(0.01)
    await ledger.aclose()
    assert await ids(database.url) == sorted(each.entry_id for each in admitted)


async def test_entries_beyond_what_memory_is_for_wait_on_the_disk_and_come_back_in_order(
    database: Any, pool: Any, tmp_path: Path
) -> None:
    entries = [entry(user_id=f"user-{number % 3}", tokens=number) for number in range(6000)]
    await database.go_away()
    async with ledger_over(pool, tmp_path, in_memory=500) as ledger:
        for number, each in enumerate(entries):
            ledger.record(each)
            if number == 3000:
                await database.come_back()
            if number > 3000:
                await asyncio.sleep(0)
        await ledger.flush()
        assert ledger.written == 6000
    assert await stored(database.url) == sums(entries)


async def test_an_entry_that_postgres_refuses_is_put_aside_and_is_not_tried_for_ever(
    database: Any, pool: Any, tmp_path: Path
) -> None:
    bad, good = [entry(tokens=-1), entry(images=2**40), entry(outcome="odd")], some_entries(400, 3)
    async with ledger_over(pool, tmp_path) as ledger:
        for each in (*good[:100], *bad, *good[100:]):
            ledger.record(each)
        await ledger.flush()
        assert (ledger.written, ledger.refused, ledger.backlog) == (400, 3, 0)
        lines = (tmp_path / "0" / DEAD_LETTERS).read_bytes().splitlines()
        kept = [msgspec.json.decode(line) for line in lines]
        assert [each["entry"]["entry_id"] for each in kept] == [each.entry_id for each in bad]
        assert "only_corrections_take_back" in kept[0]["why"]
        assert ledger.journal is not None
        assert ledger.journal.closed_entries == 0
    assert await stored(database.url) == sums(good)


async def test_an_entry_that_nobody_takes_stays_in_the_journal(
    database: Any, pool: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "0" / DEAD_LETTERS).mkdir(parents=True)  # no file can be made there
    bad = entry(tokens=-1)
    async with ledger_over(pool, tmp_path) as ledger:
        ledger.record(bad)
        await ledger.flush()
        assert ledger.refused == 1
    assert f'"entry_id":"{bad.entry_id}"' in caplog.text
    assert [each.entry_id for each in read_journal(tmp_path / "0").closed] == [bad.entry_id]


# ── open permits ──


async def test_short_calls_cost_no_row_and_long_ones_one_that_goes_with_their_entry(
    database: Any, pool: Any, tmp_path: Path
) -> None:
    async with open_connection(database.url) as connection, ledger_over(pool, tmp_path, permit_after_s=0.05) as ledger:
        await connection.execute(
            "create table told (entry_id uuid); create function tell() returns trigger language plpgsql as "
            "$$ begin insert into told values (new.entry_id); return null; end $$; "
            "create trigger tell after insert on open_permit for each row execute function tell()"
        )
        short, announced, long = entry(), entry(), entry(tenant_id="acme")
        for each in (short, announced, long):
            ledger.open(each)
        for each in (short, long):
            ledger.sent(each.entry_id)
        ledger.mark(msgspec.structs.replace(long, tokens=9))
        ledger.record(short)
        async with asyncio.timeout(10):
            while not await open_permits(connection):
                await asyncio.sleep(0.01)
        (found,) = await open_permits(connection, "acme")
        assert found.entry == msgspec.structs.replace(long, tokens=9)
        assert found.opened_at == datetime.fromtimestamp(long.at, UTC)
        assert found.deadline > datetime.now(UTC)
        assert await open_permits(connection, "default") == []
        ledger.record(long)
        ledger.record(announced)
        await ledger.flush()
        assert await open_permits(connection) == []
        assert [str(row["entry_id"]) for row in await connection.fetch("select * from told")] == [long.entry_id]
        assert ledger.open_permits == 0
    assert await stored(database.url) == sums([short, announced, long])


async def test_calls_that_go_on_renew_their_rows_with_what_is_known(database: Any, pool: Any, tmp_path: Path) -> None:
    async with (
        open_connection(database.url) as connection,
        ledger_over(pool, tmp_path, permit_after_s=0.01, permit_s=0.3) as ledger,
    ):
        long = entry()
        ledger.open(long)
        ledger.sent(long.entry_id)
        async with asyncio.timeout(10):
            while not (first := await open_permits(connection)):
                await asyncio.sleep(0.01)
            ledger.mark(msgspec.structs.replace(long, tokens=9))
            while (again := await open_permits(connection))[0].entry.tokens != 9:
                await asyncio.sleep(0.01)
        assert again[0].deadline > first[0].deadline
        ledger.record(long)
        await ledger.flush()
        assert await open_permits(connection) == []


async def test_a_lost_disk_leaves_open_permits_that_become_estimates_and_are_corrected_by_better_word(
    database: Any, pool: Any, tmp_path: Path
) -> None:
    said = [entry(user_id=f"user-{number}", tokens=100 + number, source=UsageSource.ESTIMATED) for number in range(5)]
    lost = PostgresLedger(pool, journal=Journal.take(tmp_path / "lost"), permit_after_s=0.0, permit_s=0.2)
    await lost.start()
    for each in said:
        lost.open(each)
        lost.sent(each.entry_id)
    async with open_connection(database.url) as connection:
        async with asyncio.timeout(10):
            while len(await open_permits(connection)) < 5:
                await asyncio.sleep(0.01)
        await lost.aclose()  # and nobody ever looks at its folder again
        swept = 0
        told: list[str] = []
        async with asyncio.timeout(10):
            while swept < 5:
                # Any number of replicas sweep at once.
                swept += sum(await asyncio.gather(*(sweep_by(pool, told) for _ in range(3))))
        assert swept == 5
        assert sorted(told) == sorted(each.user_id for each in said)
        assert await open_permits(connection) == []
        rows = await connection.fetch("select recovered, source, outcome, error_code from usage_entry")
        assert Counter(map(tuple, rows)) == {("permit", "estimated", "interrupted", "gateway_ended"): 5}
        assert await stored(database.url) == sums(said)

        # The disk is found after all, and one of the attempts has even ended.
        ended = msgspec.structs.replace(said[0], tokens=7)
        async with ledger_over(pool, tmp_path / "lost") as heir:
            heir.record(ended)
            await heir.flush()
            assert (heir.written, heir.corrected) == (0, 6)
        assert await sweep_by(pool) == 0
    assert await stored(database.url) == sums([ended, *said[1:]])


async def sweep_by(pool: Any, told: list[str] | None = None) -> int:
    """`told`: of whom it was said that they were ended."""
    async with pool.acquire() as connection:
        return await sweep_open_permits(
            connection,
            on_recovered=lambda entries: told.extend(each.user_id for each in entries) if told is not None else None,
        )
