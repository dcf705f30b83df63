"""Scaling out: `--workers 1` beside `--workers 2`, and one to three replicas on one Valkey: `python -m benchmarks.scale`.

Load, upstream, Postgres and Valkey want the same cores as Pulse, so that answers a second do not double with the workers where there are two
cores in all. What tells whether Pulse itself scales is how much CPU a request takes, and so how many answers there are for each
second that a core is busy with Pulse: linear is the same figure for more workers, and for more replicas. How busy Valkey was, per request, says how
many requests a second one Redis carries: it decides in one thread.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

from benchmarks.command import run, spread
from benchmarks.comparison.load import Found
from benchmarks.comparison.peers import Gateway
from benchmarks.comparison.pulse import Pulse, Rooms
from benchmarks.comparison.session import Session, ask_of, under_load
from benchmarks.process import measures_this_checkout

__all__ = ["lines", "measure"]

_WORKERS = (1, 2)
_REPLICAS = 3
_CONNECTIONS = 32  # to each process
_WARM_UP_S = 2.0
_REDIS_DEADLINE_MS = 5_000  # all want the same cores: that Valkey answers late is no reason to count without it
_FIGURES = ("per_s", "cpu_us", "per_busy_core_s", "redis_cpu_us", "p99_ms")


def measure(rounds: int, seconds: int) -> dict[str, Any]:
    """By number of workers and of replicas: the figures of each round, and how many requests failed and why. A round without any answer
    has no figures.
    """
    measures_this_checkout()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pulse-scale-")))
        folder.chmod(0o755)  # Postgres has an account of its own
        session = Session(folder, folder, stack)
        session.core = session.core | session.others  # all cores for everybody
        rooms = Rooms(folder, stack)
        workers = {count: _begun(session, rooms, stack, f"workers-{count}", count) for count in _WORKERS}
        replicas = [_begun(session, rooms, stack, f"replica-{number}", 1) for number in range(1, _REPLICAS + 1)]
        valkey = psutil.Process(rooms.valkey_pid)
        sets: dict[str, tuple[list[Gateway], int]] = {}
        for count, gateway in workers.items():
            sets[f"{count} worker{'s' * (count > 1)}"] = ([gateway], count)
        for count in range(1, _REPLICAS + 1):
            sets[f"{count} replica{'s' * (count > 1)}"] = (replicas[:count], count)
        found: dict[str, dict[str, list[float]]] = {name: {figure: [] for figure in _FIGURES} for name in sets}
        failed: dict[str, Counter[str]] = {name: Counter() for name in sets}
        for name, (gateways, count) in sets.items():
            failed[name].update(_errors(_asked(gateways, count, _WARM_UP_S)))
        for _ in range(rounds):
            for name, (gateways, count) in sets.items():
                failed[name].update(_round(found[name], gateways, count, valkey, seconds))
    return {
        "scale": found,
        "failed": {name: dict(errors) for name, errors in failed.items()},
        "connections_to_each_process": _CONNECTIONS,
    }


def _begun(session: Session, rooms: Rooms, stack: ExitStack, name: str, workers: int) -> Gateway:
    pulse = Pulse(rooms, redis=True, workers=workers, redis_deadline_ms=_REDIS_DEADLINE_MS)
    pulse.name = name
    return session.begin(pulse, stack)


def _asked(gateways: Sequence[Gateway], processes: int, seconds: float) -> list[Found]:
    """All of them at once, as one user, who is known to each of them and counted once for all."""
    each = processes // len(gateways) * _CONNECTIONS
    asks = [
        ask_of(gateway, "answer", headers=gateways[0].headers("answer"), connections=each, seconds=seconds)
        for gateway in gateways
    ]
    with ThreadPoolExecutor(len(asks)) as pool:
        return list(pool.map(under_load, asks))


def _errors(done: Sequence[Found]) -> Counter[str]:
    errors: Counter[str] = Counter()
    for each in done:
        errors.update(each.errors)
    return errors


def _round(
    book: dict[str, list[float]], gateways: Sequence[Gateway], processes: int, valkey: psutil.Process, seconds: float
) -> Counter[str]:
    """What failed, by why: it took CPU as well, so that a round with many of them says little."""
    before = sum(gateway.tree.cpu_s() for gateway in gateways)
    redis_before = _cpu_s(valkey)
    done = _asked(gateways, processes, seconds)
    used = sum(gateway.tree.cpu_s() for gateway in gateways) - before
    redis_used = _cpu_s(valkey) - redis_before
    answers = sum(each.done for each in done)
    if not answers:
        return _errors(done)
    book["per_s"].append(round(sum(each.done / each.seconds for each in done), 1))
    book["cpu_us"].append(round(used / answers * 1e6, 1))
    book["per_busy_core_s"].append(round(answers / used, 1))
    book["redis_cpu_us"].append(round(redis_used / answers * 1e6, 1))
    book["p99_ms"].append(max(each.whole.p99 for each in done if each.whole is not None))
    return _errors(done)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def lines(found: dict[str, Any]) -> list[str]:
    """A line for each number of processes, and what follows for linearity and for one Redis."""
    scale, failed = found["scale"], found["failed"]
    told = [
        f"{'':<12} {'answers/s':>22} {'CPU, µs':>24} {'per busy core second':>26} {'CPU of Valkey, µs':>24} {'failed':>8}"
    ]
    for name, book in scale.items():
        cells = [spread(book[figure]) if book[figure] else "no answer" for figure in _FIGURES[:4]]
        count = sum(failed[name].values())
        told.append(f"{name:<12} {cells[0]:>22} {cells[1]:>24} {cells[2]:>26} {cells[3]:>24} {count:>8}")
    told += [f"{name}, failed: {why}: {count}" for name in scale for why, count in failed[name].items()]
    for one, more in (("1 worker", f"{_WORKERS[-1]} workers"), ("1 replica", f"{_REPLICAS} replicas")):
        parts = zip(scale[more]["per_busy_core_s"], scale[one]["per_busy_core_s"], strict=False)
        if not (ratios := [this / that for this, that in parts]):
            continue
        told.append(f"{more} to {one}, answers per busy core second (1 is linear): {spread(ratios, 2).strip()}")
    taken = scale[f"{_REPLICAS} replicas"]["redis_cpu_us"]
    if taken and (each := statistics.median(taken)):
        told.append(f"one Redis at {each:.0f} µs of CPU a request: at most {1e6 / each:,.0f} requests a second")
    return told


if __name__ == "__main__":
    sys.exit(run("scale", __doc__, measure, lines, rounds=5, seconds=3))
