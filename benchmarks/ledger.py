"""How many ledger entries a second one process brings into Postgres, journal included: `python -m benchmarks.ledger [--json FILE]`.

Each attempt is opened, sent and recorded, so written to the journal three times, and is then in `usage_entry`, in three balances
and in both roll-ups. Postgres is an embedded one with its own settings (`fsync` on), on the same machine; the last figure of each
round is what the process itself spent on an entry, the rest is Postgres'. Rounds differ in how many users the entries are of: the
more, the more rows of balances and roll-ups a batch touches.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import statistics
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.process import this_machine
from pulse_gateway.ids import new_entry_id
from pulse_gateway.ledger.audit import balance_differences, roll_up_differences
from pulse_gateway.ledger.journal import Journal
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.postgres import PostgresLedger
from pulse_gateway.limits.accounts import key_account, tenant_account, user_account
from pulse_gateway.types.usage import Outcome, Usage, UsageSource
from pulse_host.database.migrate import migrate
from pulse_host.database.pool import create_pool, open_connection
from pulse_host.dev.embedded import EmbeddedPostgres

USERS = (10, 1_000, 100_000)
AT_ONCE = 250  # attempts that begin in one turn of the loop


def an_entry(chance: random.Random, users: int) -> UsageEntry:
    number = chance.randrange(users)
    user_id, key_id = str(uuid.UUID(int=number)), f"key{number:08x}"
    return UsageEntry(
        entry_id=new_entry_id(),
        request_id=f"req_{chance.getrandbits(128):032x}",
        trace_id=f"{chance.getrandbits(128):032x}",
        tenant_id="default",
        user_id=user_id,
        key_id=key_id,
        period=202611,
        operation="chat",
        dialect="openai.chat",
        alias=chance.choice(("fast", "good")),
        provider="openai",
        model="gpt-6",
        attempt=1,
        outcome=Outcome.COMPLETED,
        source=UsageSource.PROVIDER,
        usage=Usage(input_tokens=812, cached_input_tokens=256, output_tokens=140, reasoning_tokens=0),
        tokens=1208,
        cost_nano_usd=chance.randrange(10**7),
        price_source="catalog (2026-11-01)",
        price_version="5f3a9c",
        first_byte_ms=312.5,
        total_ms=1204.75,
        at=time.time(),
        accounts=(user_account(user_id), key_account(key_id), tenant_account("default")),
    )


async def round_of(url: str, folder: Path, entries: int, users: int) -> dict[str, float]:
    """Entries per second from the first `open` to the last acknowledged commit."""
    chance = random.Random(users)
    made = [an_entry(chance, users) for _ in range(entries)]
    pool: Any = await create_pool(url)
    ledger = PostgresLedger(pool, journal=Journal.take(folder))
    await ledger.start()
    cpu_s, server_s = _cpu_s(), _server_cpu_s()
    begun = time.perf_counter()
    for start in range(0, entries, AT_ONCE):
        for entry in made[start : start + AT_ONCE]:
            ledger.check()
            ledger.open(entry)
            ledger.sent(entry.entry_id)
            ledger.record(entry)
        await asyncio.sleep(0)
        while ledger.backlog > 4 * AT_ONCE:
            await asyncio.sleep(0.001)
    await ledger.flush()
    took_s = time.perf_counter() - begun
    cpu_s, server_s = _cpu_s() - cpu_s, _server_cpu_s() - server_s
    if ledger.written != entries:
        raise RuntimeError(f"{ledger.written} of {entries} entries were written")
    reads = []
    for _ in range(200):
        accounts = made[chance.randrange(entries)].accounts
        before = time.perf_counter()
        await ledger.balances("default", accounts, 202611)
        reads.append((time.perf_counter() - before) * 1000)
    await ledger.aclose()
    await pool.close()
    return {
        "users": users,
        "entries_per_s": entries / took_s,
        "cpu_us_per_entry": cpu_s / entries * 1e6,
        "postgres_cpu_us_per_entry": server_s / entries * 1e6,
        "balances_p50_ms": statistics.median(reads),
        "balances_p99_ms": statistics.quantiles(reads, n=100)[98],
    }


async def journal_alone(folder: Path, entries: int) -> float:
    """What the journal's part of it costs, in µs of CPU an attempt."""
    chance = random.Random(0)
    made = [an_entry(chance, 1000) for _ in range(entries)]
    journal = Journal.take(folder)
    await journal.start()
    cpu_s = _cpu_s()
    for start in range(0, entries, AT_ONCE):
        batch = made[start : start + AT_ONCE]
        for entry in batch:
            journal.open(entry)
            journal.close(entry)
        journal.done([entry.entry_id for entry in batch])
        await asyncio.sleep(0)
    cpu_s = _cpu_s() - cpu_s
    await journal.aclose()
    return cpu_s / entries * 1e6


async def measure(url: str, folder: Path, entries: int, rounds: int) -> dict[str, Any]:
    figures: dict[int, list[dict[str, float]]] = {users: [] for users in USERS}
    await round_of(url, folder / "warm", entries // 4, 1000)
    for number in range(rounds):
        for users in USERS:
            figures[users].append(await round_of(url, folder / f"{number}-{users}", entries, users))
    async with open_connection(url) as connection:
        if await balance_differences(connection) or await roll_up_differences(connection):
            raise RuntimeError("balances or roll-ups are not the sums of the entries")
    return {
        **this_machine(),
        "entries_per_round": entries,
        "journal_cpu_us_per_attempt": await journal_alone(folder / "journal", entries),
        "rounds": [each for users in USERS for each in figures[users]],
    }


def _server_cpu_s() -> float:
    """User and system time of every process of the embedded server, of which this one is the parent."""
    spent = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            spent += times.user + times.system
    return spent


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def lines(found: dict[str, Any]) -> list[str]:
    told = ["entries into Postgres, journal included:"]
    for users in USERS:
        own = [each for each in found["rounds"] if each["users"] == users]
        middle = {name: statistics.median(each[name] for each in own) for name in own[0]}
        told.append(
            f"  {users:>7} users: {middle['entries_per_s']:>8,.0f} entries/s, {middle['cpu_us_per_entry']:>5.1f} µs of CPU each, "
            f"Postgres {middle['postgres_cpu_us_per_entry']:.1f}; "
            f"balances read in {middle['balances_p50_ms']:.2f} ms (p99 {middle['balances_p99_ms']:.2f})"
        )
    return [*told, f"  journal alone: {found['journal_cpu_us_per_attempt']:.1f} µs of CPU an attempt"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger", description=__doc__)
    parser.add_argument("--entries", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the raw figures here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        folder = Path(data)
        folder.chmod(0o755)
        postgres = EmbeddedPostgres(folder / "postgres", log=folder / "postgres.log")
        url = postgres.start()
        try:
            asyncio.run(migrate(url))
            result = asyncio.run(measure(url, folder, arguments.entries, arguments.rounds))
        finally:
            postgres.stop()
    print("\n".join(lines(result)))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
