"""What the journal costs and keeps, beside an outbox in Redis: `python -m benchmarks.journal [--json FILE]`.

An exchange is two records, opened and closed, and its share of one that says what is done. The outbox is the same payloads in a
stream of an embedded Valkey on this machine: `XADD` for the first two, `XDEL` for the last, by 32 callers at once through Pulse's
own client, which is the cheapest way to Redis we know, and through redis-py. What survives is counted: entries that were
acknowledged before the kill and are there after it.
"""

from __future__ import annotations

import asyncio
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import redis.asyncio

from benchmarks.command import run
from pulse_gateway.clock import SystemClock
from pulse_gateway.ids import new_entry_id
from pulse_gateway.ledger.journal import Journal, read_journal
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.segments import encode_entry
from pulse_gateway.transport.redis import RedisClient, RedisUnavailable
from pulse_gateway.types.usage import Outcome, Usage, UsageSource
from pulse_host.dev.valkey import EmbeddedValkey

CALLERS = 32
STREAM = "{outbox}"


def an_entry() -> UsageEntry:
    return UsageEntry(
        entry_id=new_entry_id(),
        request_id="req_018f3a6c1b2d7c3e9f40000000000001",
        trace_id="0af7651916cd43dd8448eb211c80319c",
        tenant_id="default",
        user_id="sara@example.com",
        key_id="k_4f1c2d",
        period=202611,
        operation="chat",
        dialect="openai.chat",
        alias="gpt-5.2",
        provider="openai",
        model="gpt-5.2-2025-12-11",
        attempt=1,
        outcome=Outcome.COMPLETED,
        source=UsageSource.PROVIDER,
        usage=Usage(input_tokens=812, cached_input_tokens=256, output_tokens=140, reasoning_tokens=0),
        tokens=1208,
        cost_nano_usd=4_830_000,
        price_source="catalog",
        price_version="2026-11-20",
        first_byte_ms=312.5,
        total_ms=1204.75,
        at=time.time(),
        accounts=("sara@example.com", "key/k_4f1c2d", "tenant"),
    )


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def percentiles(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=1000)
    return {"p50": cuts[499], "p99": cuts[989], "p99.9": cuts[998], "max": max(values)}


# ── the journal ───────────────────────────────────────────────────────────────────────────────────────────────────────


def each_record(folder: Path, count: int) -> dict[str, float]:
    """µs of CPU a call, in the thread that makes it."""
    journal = Journal(folder)
    made = [an_entry() for _ in range(count)]
    took = {}
    steps: dict[str, Callable[[], None]] = {
        "open": lambda: [journal.open(entry) for entry in made] and None,
        "mark": lambda: [journal.mark(entry) for entry in made] and None,
        "close": lambda: [journal.close(entry) for entry in made] and None,
        "done, 250 at once": lambda: (
            [journal.done([entry.entry_id for entry in made[n : n + 250]]) for n in range(0, count, 250)] and None
        ),
    }
    for name, step in steps.items():
        before = time.thread_time()
        step()
        took[name] = (time.thread_time() - before) / count * 1e6
    asyncio.run(journal.aclose())
    return took


async def exchanges(folder: Path, count: int) -> dict[str, float]:
    """A busy process: CPU with the thread that forces the disk, and what is on disk at the end."""
    journal = Journal(folder)
    await journal.start()
    made = [an_entry() for _ in range(count)]
    largest = 0
    used, begun, loop_s = cpu_s(), time.perf_counter(), time.thread_time()
    for start in range(0, count, 250):
        batch = made[start : start + 250]
        for entry in batch:
            journal.open(entry)
            journal.close(entry)
        journal.done([entry.entry_id for entry in batch])
        largest = max(largest, journal.size_bytes)
        await asyncio.sleep(0)
    figures = {
        "cpu_us": (cpu_s() - used) / count * 1e6,
        "cpu_us_of_the_loop": (time.thread_time() - loop_s) / count * 1e6,
        "records_per_s": 2 * count / (time.perf_counter() - begun),
        "largest_mib": largest / 2**20,
    }
    await journal.aclose()
    return figures


async def forcing(folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """ms of `sync`, and µs of a `close` while another thread forces the disk at that rate."""
    journal = Journal(folder)
    await journal.start()
    waits, writes = [], []
    for _ in range(rounds):
        for _ in range(20):
            entry = an_entry()
            before = time.perf_counter()
            journal.close(entry)
            writes.append((time.perf_counter() - before) * 1e6)
            journal.done([entry.entry_id])
            await asyncio.sleep(0)
        before = time.perf_counter()
        await journal.sync()
        waits.append((time.perf_counter() - before) * 1000)
    await journal.aclose()
    return {"sync_ms": percentiles(waits), "write_us": percentiles(writes)}


def replaying(folder: Path, count: int) -> dict[str, float]:
    journal = Journal(folder, max_bytes=2**30)
    for _ in range(count):
        entry = an_entry()
        journal.open(entry)
        journal.close(entry)
    asyncio.run(journal.aclose())
    size = sum(path.stat().st_size for path in folder.iterdir())
    before = time.perf_counter()
    found = read_journal(folder)
    read_s = time.perf_counter() - before
    if len(found.closed) != count:
        raise RuntimeError(f"{len(found.closed)} of {count} entries were replayed")
    before = time.perf_counter()
    again = Journal(folder, max_bytes=2**30)
    open_s = time.perf_counter() - before
    asyncio.run(again.aclose())
    return {"entries": count, "mib": size / 2**20, "read_s": read_s, "take_over_s": open_s}


# ── the outbox ────────────────────────────────────────────────────────────────────────────────────────────────────────


def server(folder: Path, settings: dict[str, str]) -> EmbeddedValkey:
    folder.mkdir(parents=True, exist_ok=True)
    valkey = EmbeddedValkey(folder, log=folder / "valkey.log", settings=settings)
    valkey.start()
    return valkey


async def outbox_by(
    command: Callable[..., Awaitable[Any]], process: psutil.Process, payload: bytes, count: int
) -> dict[str, float]:
    """CPU of both sides and latency, by 32 callers, for the three calls of an exchange."""
    waits: list[float] = []

    async def caller(share: int) -> None:
        for _ in range(share):
            ids = []
            for _ in range(2):
                before = time.perf_counter()
                ids.append(await command("XADD", STREAM, "*", "e", payload))
                waits.append((time.perf_counter() - before) * 1000)
            await command("XDEL", STREAM, *ids)

    times = process.cpu_times()
    used = cpu_s()
    await asyncio.gather(*(caller(count // CALLERS) for _ in range(CALLERS)))
    used = cpu_s() - used
    after = process.cpu_times()
    theirs = after.user + after.system - times.user - times.system
    return {"cpu_us": used / count * 1e6, "server_cpu_us": theirs / count * 1e6, **percentiles(waits)}


async def outbox(folder: Path, count: int) -> dict[str, dict[str, float]]:
    payload = encode_entry(an_entry())
    figures = {}
    for name, settings in (
        ("memory", {"appendonly": "no"}),
        ("everysec", {"appendonly": "yes", "appendfsync": "everysec"}),
        ("always", {"appendonly": "yes", "appendfsync": "always"}),
    ):
        valkey = server(folder / name, settings)
        process = psutil.Process(valkey.pid)
        ours = RedisClient(valkey.url, clock=SystemClock(), deadline_s=10.0)
        await ours.open()
        figures[f"{name}, Pulse's client"] = await outbox_by(ours.command, process, payload, count)
        await ours.aclose()
        theirs = redis.asyncio.Redis.from_url(valkey.url, max_connections=CALLERS)
        figures[f"{name}, redis-py"] = await outbox_by(theirs.execute_command, process, payload, count // 4)
        if name == "memory":
            for _ in range(10_000):
                await theirs.xadd(STREAM, {"e": payload})
            figures["memory, Pulse's client"]["bytes_per_entry"] = await theirs.memory_usage(STREAM, samples=0) / 10_000
        await theirs.aclose()
        valkey.stop()
    return figures


# ── what survives ─────────────────────────────────────────────────────────────────────────────────────────────────────

WRITER = """
import os, sys
from pathlib import Path
from benchmarks.journal import an_entry
from pulse_gateway.ledger.journal import Journal
journal = Journal(Path(sys.argv[1]))
while True:
    entry = an_entry()
    journal.close(entry)
    os.write(1, (entry.entry_id + "\\n").encode())
"""


def journal_after_kill(folder: Path, seconds: float) -> dict[str, int]:
    """The gateway is killed while it writes as fast as it can."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline()]
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            said.append(writer.stdout.readline())
        writer.kill()
        said += writer.stdout.read().splitlines(keepends=True)
    acknowledged = {line.strip() for line in said if line.endswith("\n")}
    kept = {entry.entry_id for entry in read_journal(folder).closed}
    return {"acknowledged": len(acknowledged), "lost": len(acknowledged - kept)}


async def outbox_after_kill(folder: Path, seconds: float, settings: dict[str, str], *, flush: bool) -> dict[str, int]:
    """The server is killed, or flushed, while 32 callers write; it comes back with the data it kept."""
    payload = encode_entry(an_entry())
    acknowledged = 0
    valkey = server(folder, settings)
    client = RedisClient(valkey.url, clock=SystemClock(), deadline_s=10.0)
    await client.open()
    stopping = False

    async def caller() -> None:
        nonlocal acknowledged
        while not stopping:
            try:
                await client.command("XADD", STREAM, "*", "e", payload)
            except RedisUnavailable:
                return
            acknowledged += 1

    callers = [asyncio.create_task(caller()) for _ in range(CALLERS)]
    await asyncio.sleep(seconds)
    if flush:
        stopping = True
        await asyncio.gather(*callers)
        await client.command("FLUSHALL")
    else:
        psutil.Process(valkey.pid).kill()
        await asyncio.gather(*callers)
        valkey.stop()
        valkey = server(folder, settings)
    await client.aclose()
    reader = redis.asyncio.Redis.from_url(valkey.url)
    kept = int(await reader.xlen(STREAM))
    await reader.aclose()
    valkey.stop()
    return {"acknowledged": acknowledged, "lost": max(0, acknowledged - kept)}


async def survival(folder: Path, seconds: float) -> dict[str, dict[str, int]]:
    memory = {"appendonly": "no"}
    everysec = {"appendonly": "yes", "appendfsync": "everysec"}
    return {
        "journal, gateway killed": journal_after_kill(folder / "killed", seconds),
        "outbox in memory, server killed": await outbox_after_kill(folder / "a", seconds, memory, flush=False),
        "outbox everysec, server killed": await outbox_after_kill(folder / "b", seconds, everysec, flush=False),
        "outbox everysec, FLUSHALL": await outbox_after_kill(folder / "c", seconds, everysec, flush=True),
    }


def measure(count: int, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        each_record(folder / "warm", 2000)
        return {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
            "python": platform.python_version(),
            "record_bytes": len(encode_entry(an_entry())) + 9,
            "each_cpu_us": [each_record(folder / f"each{n}", count) for n in range(rounds)],
            "exchange": [asyncio.run(exchanges(folder / f"many{n}", count)) for n in range(rounds)],
            "forcing": asyncio.run(forcing(folder / "forced", 200)),
            "replay": replaying(folder / "replayed", 100_000),
            "outbox_exchange": asyncio.run(outbox(folder / "outbox", count // 2)),
            "survival": asyncio.run(survival(folder / "survival", 2.0)),
        }


def lines(found: dict[str, Any]) -> list[str]:
    told = []
    for name in found["each_cpu_us"][0]:
        values = [each[name] for each in found["each_cpu_us"]]
        told.append(
            f"{name:<28} {statistics.median(values):>9.2f} µs of CPU (min {min(values):.2f}, max {max(values):.2f})"
        )
    for name in found["exchange"][0]:
        values = [each[name] for each in found["exchange"]]
        told.append(
            f"{'exchange, ' + name:<28} {statistics.median(values):>9.1f} (min {min(values):.1f}, max {max(values):.1f})"
        )
    for part in ("forcing", "replay", "outbox_exchange", "survival"):
        for name, value in found[part].items():
            said = value
            if isinstance(value, dict):
                said = ", ".join(f"{key} {number:.4g}" for key, number in value.items())
            told.append(f"{name:<34} {said}")
    return told


if __name__ == "__main__":
    sys.exit(run("journal", __doc__, measure, lines, exchanges=20_000, rounds=5))
