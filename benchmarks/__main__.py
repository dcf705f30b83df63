"""The figures of docs/performance.md, measured in one run: `make bench`, or `python -m benchmarks [--json FILE]`.

Import time, start-up time, memory, and CPU per request of Pulse as a ratio to a bare Litestar route under the same load. The
simulator and the load generator are processes of their own; rounds of both are interleaved.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.process import Running, environment, python
from pulse_host.dev.embedded import EmbeddedPostgres

IMPORT = "import time; t = time.perf_counter(); import pulse_gateway; print((time.perf_counter() - t) * 1000)"


def import_ms() -> list[float]:
    return [float(subprocess.check_output(python("-c", IMPORT), env=environment({}))) for _ in range(7)]


def heavy_modules() -> list[str]:
    heavy = (
        "litestar",
        "starlette",
        "asyncpg",
        "openai",
        "anthropic",
        "google.genai",
        "httpx",
        "structlog",
        "pydantic",
    )
    code = f"import sys, pulse_gateway; print([name for name in {heavy!r} if name in sys.modules])"
    return list(json.loads(subprocess.check_output(python("-c", code), env=environment({})).decode().replace("'", '"')))


def load(url: str, key: str, requests: int, *more: str) -> None:
    done = json.loads(subprocess.check_output(python("-m", "benchmarks.load", url, key, str(requests), "32", *more)))
    if done["failed"]:
        raise RuntimeError(f"{done['failed']} of {requests} requests to {url} failed")


def cpu_us_per_request(process: Running, url: str, key: str, requests: int, *more: str) -> float:
    before = process.cpu_s
    load(url, key, requests, *more)
    return (process.cpu_s - before) / requests * 1e6


def provider_environment(simulator: str) -> dict[str, str]:
    return {
        "PULSE_RATE_LIMIT": "100000000/60s",
        "PULSE_LOG_FORMAT": "json",
        "OPENAI_API_KEY": "x",
        "OPENAI_BASE_URL": f"{simulator}/v1",
    }


def dev_ready_s(data_dir: str, settings: dict[str, str]) -> list[float]:
    """Seconds from the command to its welcome: the first start makes the database, later ones find it."""
    starts = []
    for _ in range(4):
        started = time.perf_counter()
        with Running.start(python("-m", "pulse_host", "dev", "--port", "0", "--data-dir", data_dir), settings) as pulse:
            pulse.wait_for(r"Ctrl-C")
            starts.append(time.perf_counter() - started)
    return starts


def prepared(database_url: str) -> str:
    """Migrate the database and make a key in it."""
    settings = environment({"PULSE_DATABASE_URL": database_url})
    subprocess.run(python("-m", "pulse_host", "migrate"), env=settings, check=True, stdout=subprocess.DEVNULL)
    create = python(
        "-m", "pulse_host", "keys", "create", "--user", "bench@example.com", "--plan", "unlimited", "--json"
    )
    return str(json.loads(subprocess.check_output(create, env=settings))["key"])


def measure(requests: int, rounds: int) -> dict[str, object]:
    result: dict[str, object] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "requests_per_round": requests,
        "rounds": rounds,
        "import_ms": import_ms(),
        "heavy_modules_imported": heavy_modules(),
    }
    with tempfile.TemporaryDirectory() as data:
        Path(data).chmod(0o755)
        with Running.start(python("-m", "pulse_host", "simulate", "--port", "0"), {}) as simulator:
            settings = provider_environment(simulator.wait_for(r"http://127\.0\.0\.1:\d+")[0])
            starts = dev_ready_s(f"{data}/dev", settings)
            result["dev_ready_s"] = {"first": starts[0], "later": starts[1:]}
            postgres = EmbeddedPostgres(Path(data) / "postgres", log=Path(data) / "postgres.log")
            database_url = postgres.start()
            try:
                key = prepared(database_url)
                serve = python("-m", "pulse_host", "serve", "--port", "0")
                with (
                    Running.start(python("-m", "benchmarks.bare_route"), {"PYTHONPATH": str(Path.cwd())}) as bare,
                    Running.start(serve, {**settings, "PULSE_DATABASE_URL": database_url}) as pulse,
                ):
                    compare(bare, pulse, key, requests, rounds, result)
            finally:
                postgres.stop()
    return result


def compare(bare: Running, pulse: Running, key: str, requests: int, rounds: int, result: dict[str, object]) -> None:
    """The same load on both in turn, several rounds."""
    bare_url = bare.wait_for(r"ready (\S+)")[1]
    pulse_url = pulse.wait_for(r'"url":"([^"]+)"')[1]
    result["idle_rss_mib"] = pulse.rss_bytes / 2**20
    load(bare_url, key, requests // 4)
    load(pulse_url, key, requests // 4)
    figures: dict[str, list[float]] = {"bare": [], "pulse": [], "pulse_stream": []}
    for _ in range(rounds):
        figures["bare"].append(cpu_us_per_request(bare, bare_url, key, requests))
        figures["pulse"].append(cpu_us_per_request(pulse, pulse_url, key, requests))
        figures["pulse_stream"].append(cpu_us_per_request(pulse, pulse_url, key, requests // 4, "stream"))
    result["cpu_us_per_request"] = figures
    result["ratio_to_bare_route"] = [p / b for p, b in zip(figures["pulse"], figures["bare"], strict=True)]
    result["loaded_rss_mib"] = pulse.rss_bytes / 2**20


def _line(name: str, values: list[float], unit: str) -> str:
    return f"{name:<34} {statistics.median(values):>9.1f} {unit:<4} (min {min(values):.1f}, max {max(values):.1f})"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the raw figures here")
    arguments = parser.parse_args()
    result = measure(arguments.requests, arguments.rounds)
    figures = result["cpu_us_per_request"]
    ready = result["dev_ready_s"]
    assert isinstance(figures, dict) and isinstance(ready, dict)
    print(_line("import pulse_gateway", result["import_ms"], "ms"))  # type: ignore[arg-type]
    print(f"{'  and with it':<34} {result['heavy_modules_imported'] or 'no framework, driver or SDK'}")
    print(f"{'pulse dev ready, first start':<34} {ready['first']:>9.2f} s")
    print(f"{'pulse dev ready, later starts':<34} {statistics.median(ready['later']):>9.2f} s")
    print(
        f"{'RSS of pulse serve, idle and loaded':<34} {result['idle_rss_mib']:>9.1f} MiB, {result['loaded_rss_mib']:.1f} MiB"
    )
    print(_line("CPU per request, bare route", figures["bare"], "µs"))
    print(_line("CPU per chat, Pulse", figures["pulse"], "µs"))
    print(_line("CPU per streamed chat, Pulse", figures["pulse_stream"], "µs"))
    print(_line("ratio Pulse / bare route", result["ratio_to_bare_route"], "×"))  # type: ignore[arg-type]
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
