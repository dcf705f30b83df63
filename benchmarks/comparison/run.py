"""One run of the comparison, in parts: `cold`, `cpu`, `latency`, `memory`, `growth`. What an earlier run found of the others is kept."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.comparison import cold, cost, latency, memory
from benchmarks.comparison.interpreter import quickest
from benchmarks.comparison.peers import PEERS, Peer
from benchmarks.comparison.pulse import Pulse, Rooms
from benchmarks.comparison.report import publish
from benchmarks.comparison.session import Session
from benchmarks.process import this_machine

__all__ = ["NAMES", "PARTS", "compare"]

PARTS = ("cold", "cpu", "latency", "memory", "growth")
NAMES = ("pulse", "pulse-redis", *(peer.name for peer in PEERS))
_FIGURES = "comparison.json"
_EACH_ALONE = {"cold", "memory", "growth"}  # by gateway; in the others rounds belong together


def compare(
    parts: Sequence[str],
    names: Sequence[str],
    *,
    rounds: int,
    seconds: float,
    rates: list[int],
    growth_requests: int,
    into: Path | None,
    python: Path | None = None,
) -> dict[str, Any]:
    """Measure, and write the figures, the tables and the picture into the folder `into`; None: nothing is written.

    Pulse and LiteLLM run on `python`, or on the quickest that is found. Raises: ValueError when it is none.
    """
    interpreter = quickest(python)
    print(f"Pulse and LiteLLM run on {interpreter.told}, {interpreter.path}", flush=True)
    home = Path(sys.prefix) / "peers"
    load = "{:.2f}, {:.2f}, {:.2f}".format(*os.getloadavg())
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    run = {
        "when": when,
        "load": load,
        "command": f'make bench ARGS="{" ".join(sys.argv[1:])}"' if sys.argv[1:] else "make bench",
    }
    result = _earlier(into)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # or what was started would stay
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pulse-comparison-")))
        folder.chmod(0o755)  # Postgres and nginx's worker have accounts of their own
        session = Session(folder, home, stack, interpreter.path)
        rooms = Rooms(folder, stack)
        ours: list[Peer] = [Pulse(rooms, redis=redis, own=interpreter) for redis in (False, True)]
        asked = session.install([peer for peer in [*ours, *PEERS] if peer.name in names])
        result |= {**this_machine(), "processor": _processor(), "interpreter": msgspec.to_builtins(interpreter)}

        def note(part: str, figures: dict[str, Any]) -> None:
            """At once, so that a run which is broken off has not been for nothing."""
            for about in ("versions", "settings", "missing"):
                result[about] = {**result[about], **getattr(session, about)}
            for name in session.gateways:
                result["missing"].pop(name, None)
            alone = part in _EACH_ALONE
            result["parts"][part] = {**result["parts"].get(part, {}), **figures} if alone else figures
            result["runs"][part] = run
            if into is not None:
                (into / _FIGURES).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
                publish(into, result)

        if "cold" in parts:
            note("cold", cold.measure(session, asked, home, max(1, min(3, rounds))))
        if set(parts) - {"cold"}:
            session.begin_all(asked)
        if "cpu" in parts:
            note("cpu", cost.measure(session, rounds, seconds))
        if "latency" in parts:
            note("latency", latency.measure(session, rounds, 2 * seconds, rates))
        if "growth" in parts:
            note("growth", memory.growth(session, ["pulse", "pulse-redis"], growth_requests))
        if "memory" in parts:  # last: what it leaves behind in a gateway would stand in the others
            note("memory", memory.measure(session, hold_s=2 * seconds))
    return result


def _earlier(into: Path | None) -> dict[str, Any]:
    fresh: dict[str, Any] = {"versions": {}, "settings": {}, "missing": {}, "parts": {}, "runs": {}}
    if into is None or not (into / _FIGURES).exists():
        return fresh
    return fresh | dict(json.loads((into / _FIGURES).read_text(encoding="utf-8")))


def _processor() -> str:
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return found[1] if found else "unknown processor"
