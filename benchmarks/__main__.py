"""The figures of docs/performance.md, measured in one run: `make bench`, or `python -m benchmarks [--only PART …] [--json FILE]`.

Pulse beside LiteLLM, Portkey, TensorZero and nginx, put into docs/: `cpu` (per request), `latency` (added), `memory` (idle streams, large bodies),
`growth` (of RSS over many requests), `cold` (starts, imports). Pulse alone: `start` (import and start-up time), `chat` (a whole gateway beside a bare route), `limits` (counting in Redis beside redis-py),
`pieces` (what accounting adds within the process), `codecs` (reading and translating), `pipeline` (a request without a network), `transport` (the HTTP client beside httpx), `journal` (a journal beside an outbox in Redis),
`ledger` (entries a second into Postgres), `scale` (workers, and replicas on one Redis). Instructions per request: benchmarks/instructions.py.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import chat, codecs, journal, ledger, limits, pieces, pipeline, scale, transport
from benchmarks.chat import a_simulator, line, provider_environment
from benchmarks.comparison.report import text
from benchmarks.comparison.run import NAMES, PARTS, compare
from benchmarks.process import Running, environment, measures_this_checkout, python, this_machine

_IMPORT = "import time; t = time.perf_counter(); import pulse_gateway; print((time.perf_counter() - t) * 1000)"
_HEAVY = (
    "litestar",
    "starlette",
    "asyncpg",
    "redis",
    "openai",
    "anthropic",
    "google.genai",
    "httpx",
    "structlog",
    "pydantic",
)


def import_ms() -> list[float]:
    return [float(subprocess.check_output(python("-c", _IMPORT), env=environment({}))) for _ in range(7)]


def heavy_modules() -> list[str]:
    code = f"import json, sys, pulse_gateway; print(json.dumps([name for name in {_HEAVY!r} if name in sys.modules]))"
    return list(json.loads(subprocess.check_output(python("-c", code), env=environment({}))))


def dev_ready_s(data_dir: Path) -> list[float]:
    """Seconds from the command to its welcome: the first start makes the database, later ones find it."""
    starts = []
    with a_simulator() as simulator:
        settings = provider_environment(simulator)
        for _ in range(4):
            started = time.perf_counter()
            words = python("-m", "pulse_host", "dev", "--port", "0", "--data-dir", str(data_dir))
            with Running.start(words, settings) as pulse:
                pulse.wait_for(r"Ctrl-C")
                starts.append(time.perf_counter() - started)
    return starts


def measure_start(data: Path) -> dict[str, Any]:
    starts = dev_ready_s(data / "dev")
    return {
        "import_ms": import_ms(),
        "heavy_modules_imported": heavy_modules(),
        "dev_ready_s": {"first": starts[:1], "later": starts[1:]},
    }


def start_lines(found: dict[str, Any]) -> list[str]:
    return [
        line("import pulse_gateway", found["import_ms"], "ms"),
        f"{'  and with it':<42} {found['heavy_modules_imported'] or 'no framework, driver or SDK'}",
        line("pulse dev ready, first start", found["dev_ready_s"]["first"], "s", 2),
        line("pulse dev ready, later starts", found["dev_ready_s"]["later"], "s", 2),
    ]


def apart(module: str, data: Path, *words: str) -> dict[str, Any]:
    """Run one of the others in a process of its own, so that nothing here is measured with it."""
    written = data / f"{module}.json"
    subprocess.run(
        python("-m", f"benchmarks.{module}", "--json", str(written), *words), check=True, stdout=subprocess.DEVNULL
    )
    return dict(json.loads(written.read_text()))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    alone = ("start", "chat", "limits", "pieces", "codecs", "pipeline", "transport", "journal", "ledger", "scale")
    parser.add_argument("--only", choices=(*PARTS, *alone), nargs="+", default=[*PARTS, *alone])
    parser.add_argument(
        "--requests", type=int, default=4000, help="a round; the ledger's has five times as many entries"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the raw figures here")
    beside = parser.add_argument_group("the comparison")
    beside.add_argument("--gateways", choices=NAMES, nargs="+", default=list(NAMES))
    beside.add_argument("--seconds", type=float, default=3.0, help="of load in each round")
    beside.add_argument("--rates", type=int, nargs="+", default=[50, 500], help="requests a second, for latency")
    beside.add_argument("--growth", type=int, default=100_000, help="requests; the long form is 1000000")
    beside.add_argument("--into", type=Path, default=Path("docs"), help="where figures, tables and picture go")
    beside.add_argument(
        "--python", type=Path, help="what Pulse and LiteLLM run on; else the quickest CPython that is found"
    )
    asked = parser.parse_args()
    measures_this_checkout()
    requests, rounds = str(asked.requests), str(asked.rounds)
    measured: dict[str, tuple[Callable[[Path], dict[str, Any]], Callable[[dict[str, Any]], list[str]]]] = {
        "start": (measure_start, start_lines),
        "chat": (lambda data: chat.measure(asked.requests, asked.rounds, data), chat.lines),
        "limits": (lambda data: apart("limits", data, "--calls", requests, "--rounds", rounds), limits.lines),
        "pieces": (lambda data: apart("pieces", data, "--times", requests, "--rounds", rounds), pieces.lines),
        "codecs": (lambda data: apart("codecs", data, "--rounds", rounds), codecs.lines),
        "pipeline": (lambda data: apart("pipeline", data, "--rounds", rounds), pipeline.lines),
        "transport": (lambda data: apart("transport", data, "--times", requests, "--rounds", rounds), transport.lines),
        "journal": (lambda data: apart("journal", data, "--exchanges", requests, "--rounds", rounds), journal.lines),
        "ledger": (
            lambda data: apart("ledger", data, "--entries", str(5 * asked.requests), "--rounds", "3"),
            ledger.lines,
        ),
        "scale": (lambda data: apart("scale", data, "--rounds", rounds), scale.lines),
    }
    alone_asked = [part for part in alone if part in asked.only]
    result: dict[str, Any] = {**this_machine(), "requests_per_round": asked.requests, "rounds": asked.rounds}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        data.chmod(0o755)
        for part in alone_asked:
            measure, told = measured[part]
            result[part] = measure(data)
            print("\n".join(told(result[part])), flush=True)
    beside_asked = [part for part in PARTS if part in asked.only]
    if beside_asked:
        found = compare(
            beside_asked,
            asked.gateways,
            rounds=asked.rounds,
            seconds=asked.seconds,
            rates=asked.rates,
            growth_requests=asked.growth,
            into=asked.into,
            python=asked.python,
        )
        print(text(found))
        result["comparison"] = found
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
