"""CPU per request of a whole gateway, as a ratio to a bare Litestar route, and of one that counts in Redis to one that counts in memory.

The simulator, the load generator, Postgres and Valkey are processes of their own; rounds of all servers under measurement take turns.
"""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.valkey_server import ValkeyProcess

from benchmarks.process import Running, environment, python
from pulse_host.dev.embedded import EmbeddedPostgres

CONNECTIONS = 32
_SERVE = python("-m", "pulse_host", "serve", "--port", "0")


def load(url: str, key: str, requests: int, *more: str, connections: int = CONNECTIONS) -> dict[str, float]:
    words = python("-m", "benchmarks.load", url, key, str(requests), str(connections), *more)
    done: dict[str, float] = json.loads(subprocess.check_output(words))
    if done["failed"]:
        raise RuntimeError(f"{done['failed']} of {requests} requests to {url} failed")
    return done


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


@contextmanager
def a_simulator() -> Iterator[str]:
    with Running.start(python("-m", "pulse_host", "simulate", "--port", "0"), {}) as simulator:
        yield simulator.wait_for(r"http://127\.0\.0\.1:\d+")[0]


def prepared(database_url: str) -> str:
    """Migrate the database and make a key in it."""
    settings = environment({"PULSE_DATABASE_URL": database_url})
    subprocess.run(python("-m", "pulse_host", "migrate"), env=settings, check=True, stdout=subprocess.DEVNULL)
    create = python(
        "-m", "pulse_host", "keys", "create", "--user", "bench@example.com", "--plan", "unlimited", "--json"
    )
    return str(json.loads(subprocess.check_output(create, env=settings))["key"])


def measure(requests: int, rounds: int, data: Path) -> dict[str, Any]:
    """Both servers keep a journal and write to Postgres; `pulse` counts in Valkey, `local` in its own memory."""
    local_config = data / "local.toml"
    local_config.write_text('[limits]\nstore = "local"\n')
    with ExitStack() as stack:
        settings = provider_environment(stack.enter_context(a_simulator()))
        valkey = stack.enter_context(ValkeyProcess(appendonly="yes", appendfsync="everysec"))
        postgres = EmbeddedPostgres(data / "postgres", log=data / "postgres.log")
        settings["PULSE_DATABASE_URL"] = postgres.start()
        stack.callback(postgres.stop)
        key = prepared(settings["PULSE_DATABASE_URL"])
        shared = {**settings, "PULSE_JOURNAL_DIR": str(data / "journal"), "PULSE_REDIS_URL": valkey.url}
        local = {**settings, "PULSE_JOURNAL_DIR": str(data / "journal-local"), "PULSE_CONFIG": str(local_config)}
        servers = {
            "bare": stack.enter_context(
                Running.start(python("-m", "benchmarks.bare_route"), {"PYTHONPATH": str(Path.cwd())})
            ),
            "pulse": stack.enter_context(Running.start(_SERVE, shared)),
            "local": stack.enter_context(Running.start(_SERVE, local)),
        }
        urls = {
            name: server.wait_for(r"ready (\S+)" if name == "bare" else r'"url":"([^"]+)"')[1]
            for name, server in servers.items()
        }
        return _compared(servers, urls, key, requests, rounds)


def _compared(
    servers: dict[str, Running], urls: dict[str, str], key: str, requests: int, rounds: int
) -> dict[str, Any]:
    """The same load on all of them in turn, several rounds."""
    idle = servers["pulse"].rss_bytes / 2**20
    for url in urls.values():
        load(url, key, requests // 4)
    figures: dict[str, list[float]] = {name: [] for name in (*servers, "pulse_stream", "local_stream")}
    latency: dict[str, list[float]] = {"pulse": [], "local": []}
    for _ in range(rounds):
        for name, server in servers.items():
            figures[name].append(cpu_us_per_request(server, urls[name], key, requests))
        for name, took_ms in latency.items():
            streamed = cpu_us_per_request(servers[name], urls[name], key, requests // 4, "stream")
            figures[f"{name}_stream"].append(streamed)
            took_ms.append(load(urls[name], key, requests // 8, connections=1)["p50_ms"])
    return {
        "idle_rss_mib": idle,
        "loaded_rss_mib": servers["pulse"].rss_bytes / 2**20,
        "cpu_us_per_request": figures,
        "ratio_to_bare_route": _ratios(figures["pulse"], figures["bare"]),
        "ratio_to_limits_in_memory": _ratios(figures["pulse"], figures["local"]),
        "p50_ms": latency,
    }


def _ratios(these: list[float], those: list[float]) -> list[float]:
    return [this / that for this, that in zip(these, those, strict=True)]


def lines(found: dict[str, Any]) -> list[str]:
    figures = found["cpu_us_per_request"]
    told = [
        f"{'RSS of pulse serve, idle and loaded':<42} {found['idle_rss_mib']:>8.1f} MiB, {found['loaded_rss_mib']:.1f} MiB",
        line("CPU per request, bare route", figures["bare"], "µs"),
        line("CPU per chat, limits in Redis", figures["pulse"], "µs"),
        line("CPU per chat, limits in memory", figures["local"], "µs"),
        line("ratio Pulse / bare route", found["ratio_to_bare_route"], "×"),
        line("ratio limits in Redis / in memory", found["ratio_to_limits_in_memory"], "×"),
        line("CPU per streamed chat, limits in Redis", figures["pulse_stream"], "µs"),
        line("CPU per streamed chat, limits in memory", figures["local_stream"], "µs"),
    ]
    names = {"pulse": "p50 of a chat alone, limits in Redis", "local": "p50 of a chat alone, limits in memory"}
    return told + [line(name, found["p50_ms"][kind], "ms", 2) for kind, name in names.items()]


def line(name: str, values: list[float], unit: str, digits: int = 1) -> str:
    low, middle, high = [f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values))]
    return f"{name:<42} {middle:>8} {unit:<4} (min {low}, max {high})"
