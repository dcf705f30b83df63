"""What accounting adds to a request inside the process: `python -m benchmarks.pieces [--json FILE]`.

µs of CPU each, one after the other on one task, without a network: working out the charges, the ledger's life of an attempt (opened,
sent, recorded; with its mark in a stream) in the journal, and the layer of `Idempotency-Key` for requests that have none.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import uvloop

from benchmarks.command import run, spread
from benchmarks.limits import NEED, charged_to, principals
from pulse_gateway.clock import SystemClock
from pulse_gateway.ids import new_entry_id
from pulse_gateway.ledger.journal import Journal
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.pipeline.attempt import Attempt
from pulse_gateway.pipeline.exchange import Exchange, Inbound
from pulse_gateway.pipeline.idempotent import Idempotent
from pulse_gateway.pipeline.reply import Reply
from pulse_gateway.types.catalog import Deployment, Model, Price, Rates
from pulse_gateway.types.usage import Outcome, Usage
from pulse_gateway.wire.codec import Envelope
from pulse_gateway.wire.reading import Reading

_RATES = Rates(input=2_000_000_000, output=8_000_000_000, cached_input=500_000_000)
_DEPLOYMENT = Deployment(
    provider="openai",
    kind="openai",
    base_url="https://api.openai.com/v1",
    model=Model(provider="openai", name="gpt-6", price=Price(rates=_RATES, source="catalog", as_of="2026-11-01")),
)
_DONE_AT_ONCE = 250


class _JournalOnly(MemoryLedger):
    """A ledger that has nothing behind its journal."""

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal, self._closed = journal, list[str]()
        self._announced: dict[str, UsageEntry] = {}

    def open(self, entry: UsageEntry, /) -> None:
        self._journal.check()
        self._announced[entry.entry_id] = entry

    def sent(self, entry_id: str, /) -> None:
        self._journal.open(self._announced.pop(entry_id))

    def mark(self, entry: UsageEntry, /) -> None:
        self._journal.mark(entry)

    def record(self, entry: UsageEntry, /) -> None:
        self._journal.close(entry)
        self._closed.append(entry.entry_id)
        if len(self._closed) == _DONE_AT_ONCE:
            self._journal.done(self._closed)
            self._closed.clear()


class _Nothing(MemoryLedger):
    """Keeps nothing: what is left is making the entries."""

    def open(self, entry: UsageEntry, /) -> None:
        pass

    mark = record = open  # noqa: A003 -- the ledger's, not the builtin


def exchange() -> Exchange:
    found = Exchange(Inbound(dialect="openai.chat"), None, time.monotonic())
    found.principal = principals("default")[7]
    found.envelope = Envelope(model="fast", stream=False, attachments=0, max_output_tokens=None, n=1)
    found.deployment, found.prompt_tokens, found.period = _DEPLOYMENT, 812, 202611
    return found


def reading() -> Reading:
    found = Reading()
    found.started = found.ended = True
    found.usage = Usage(input_tokens=812, cached_input_tokens=256, output_tokens=140, reasoning_tokens=0)
    found.usage_is_final = True
    return found


def attempt(ledger: MemoryLedger, *, marked: bool) -> Callable[[], None]:
    clock, asked, read = SystemClock(), exchange(), reading()

    def once() -> None:
        tried = Attempt(asked, _DEPLOYMENT, ledger=ledger, clock=clock)
        tried.sent()
        tried.accepted = True
        tried.first_byte()
        tried.reading = read
        if marked:
            tried.mark()
        tried.end(Outcome.COMPLETED)

    return once


async def cpu_us(once: Callable[[], object], times: int) -> float:
    """µs of CPU each, with the turns of the loop that background tasks need."""
    await asyncio.sleep(0.02)
    spent = 0.0
    for _ in range(times // 250):
        before = time.process_time()
        for _ in range(250):
            once()
        spent += time.process_time() - before
        await asyncio.sleep(0)
    return spent / (times // 250 * 250) * 1e6


async def layer_us(times: int) -> float:
    """What the layer of idempotency keys costs a request that has none."""
    reply = Reply(200, [], b"{}")

    async def inner(exchange: Exchange) -> Reply:
        return reply

    layer = Idempotent(
        inner, executions=cast(Any, None), authenticator=cast(Any, None), total_s=60.0, clock=SystemClock(),
        supervisor=cast(Any, None), observers=(),
    )  # fmt: skip
    asked, spent = exchange(), []
    for handler in (inner, layer):
        before = time.process_time()
        for _ in range(times):
            await handler(asked)
        spent.append(time.process_time() - before)
    return (spent[1] - spent[0]) / times * 1e6


async def measure(times: int, rounds: int) -> dict[str, Any]:
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal.take(Path(folder))
        await journal.start()
        kept, nothing = _JournalOnly(journal), _Nothing()
        pieces: dict[str, Callable[[], object]] = {
            "new_entry_id": new_entry_id,
            "charges, the default two": lambda: charged_to("default", plain),
            "charges, all sixteen": lambda: charged_to("everything", rich),
            "attempt without a ledger": attempt(nothing, marked=False),
            "attempt in the journal": attempt(kept, marked=False),
            "streamed attempt in the journal": attempt(kept, marked=True),
        }
        plain, rich = principals("default")[7], principals("everything")[7]
        for _ in range(rounds):
            for name, once in pieces.items():
                found.setdefault(name, []).append(await cpu_us(once, times))
            found.setdefault("layer of idempotency keys", []).append(await layer_us(times))
        await journal.aclose()
    return {"cpu_us": found, "need": NEED.tokens}


def lines(found: dict[str, Any]) -> list[str]:
    return ["inside the process, µs of CPU each:"] + [
        f"  {name:<32} {spread(values, 2)}" for name, values in found["cpu_us"].items()
    ]


if __name__ == "__main__":
    sys.exit(
        run("pieces", __doc__, lambda times, rounds: uvloop.run(measure(times, rounds)), lines, times=5_000, rounds=5)
    )
