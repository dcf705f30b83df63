"""A process that records usage and says what it does, until it is killed: `python ledger_process.py URL JOURNAL SEED [hold]`.

A line each: the step that was just done and the number of the attempt. Everything of an attempt follows from its number. With
`hold`, nothing ever reaches Postgres: it is as if that were away.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import uuid
from pathlib import Path
from typing import Any

import msgspec
from ledger_values import NOVEMBER, entry

from pulse_gateway.ledger.journal import Journal
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.postgres import PostgresLedger
from pulse_gateway.types.usage import Outcome, Usage, UsageSource
from pulse_host.database.pool import create_pool

STEPS = ("open", "sent", "mark 1", "mark 2", "record")  # in this order; an attempt may lack any but the first


def attempt(seed: int, number: int, step: str) -> UsageEntry:
    """What the process says of an attempt at a step."""
    tokens = {"open": 100, "sent": 100, "mark 1": 110, "mark 2": 120, "record": 1000 + number}[step]
    ended = step == "record"
    return entry(
        entry_id=str(uuid.UUID(int=seed * 10**6 + number)),
        user_id=f"user-{number % 5}",
        usage=Usage(input_tokens=tokens),
        tokens=tokens,
        cost_nano_usd=tokens * 10,
        source=UsageSource.PROVIDER if ended else UsageSource.ESTIMATED,
        outcome=Outcome.COMPLETED if ended else Outcome.INTERRUPTED,
        error_code=None if ended else "gateway_ended",
        at=NOVEMBER + number / 1000,
    )


async def main(url: str, journal: str, seed: int, hold: bool) -> None:
    pool: Any = await create_pool(url)
    ledger = PostgresLedger(pool, journal=Journal.take(Path(journal)), permit_after_s=0.02)
    if hold:
        for _ in range(10):
            await pool.acquire()
    await ledger.start()
    chance = random.Random(seed)
    running: dict[int, list[str]] = {}
    number = 0
    while True:
        if len(running) < 20:
            number += 1
            on_the_way = [step for step in STEPS[1:-1] if chance.random() < 0.8]
            running[number] = ["open", *(on_the_way if "sent" in on_the_way else []), "record"]
        chosen = chance.choice(list(running))
        steps = running[chosen]
        step = steps.pop(0)
        said = attempt(seed, chosen, step)
        if step == "open":
            ledger.open(said)
        elif step == "sent":
            ledger.sent(said.entry_id)
        elif step == "record":
            ledger.record(said)
        else:
            ledger.mark(said)
        os.write(1, b"%b\n" % msgspec.json.encode([step, chosen]))
        if not steps:
            del running[chosen]
        if chance.random() < 0.2:
            await asyncio.sleep(0.001)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:] == ["hold"]))
