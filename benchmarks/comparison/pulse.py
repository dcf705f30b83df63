"""Pulse itself in the comparison: `pulse serve` with everything on that a production server has on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path

from tests.valkey_server import ValkeyProcess

from benchmarks.comparison.kinds import KINDS
from benchmarks.comparison.peers import Gateway
from benchmarks.comparison.process import Tree, running
from benchmarks.process import environment
from pulse_host.dev.embedded import EmbeddedPostgres

__all__ = ["Pulse", "Rooms"]

_PULSE = [sys.executable, "-m", "pulse_host"]
_ON = (
    "one process; key checked, requests counted in an exact window of 60 s (set high), tokens held and settled against a monthly quota, "
    "journal on the disk and ledger in Postgres, metrics, one JSON log line per request"
)


class Rooms:
    """Postgres and Valkey for all that want them: made at the first call, ended with the stack. They run where the caller runs."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._database: str | None = None
        self._redis: str | None = None
        self.postgres_pid = 0
        self.valkey_pid = 0

    def database(self) -> str:
        if self._database is None:
            postgres = EmbeddedPostgres(self._folder / "postgres", log=self._folder / "postgres.log")
            self._database = postgres.start()
            self._stack.callback(postgres.stop)
            self.postgres_pid = postgres.pid or 0
        return self._database

    def redis(self) -> str:
        if self._redis is None:
            valkey = self._stack.enter_context(ValkeyProcess(appendonly="yes", appendfsync="everysec"))
            self._redis, self.valkey_pid = valkey.url, valkey.pid
        return self._redis


class Pulse:
    """One server; with Redis, what it counts is counted there."""

    def __init__(self, rooms: Rooms, *, redis: bool) -> None:
        self._rooms, self._redis = rooms, redis
        self.name = "pulse-redis" if redis else "pulse"
        self.settings = f"{_ON}; counted in {'Valkey' if redis else 'its own memory'}"

    def install(self, home: Path) -> str:
        return version("pulse-gateway")

    @contextmanager
    def start(self, home: Path, folder: Path, upstream: str, core: set[int]) -> Iterator[Gateway]:
        (folder / "pulse.toml").write_text(self._config(upstream))
        settings = {
            "PULSE_CONFIG": str(folder / "pulse.toml"),
            "PULSE_DATABASE_URL": self._rooms.database(),
            "PULSE_JOURNAL_DIR": str(folder / "journal"),
            "PULSE_RATE_LIMIT": "100000000/60s",
            "BENCH_KEY": "sk-benchmark",
        }
        if self._redis:
            settings["PULSE_REDIS_URL"] = self._rooms.redis()
        key = self._key(settings)
        with running([*_PULSE, "serve", "--port", "0"], settings, folder, self.name, core) as tree:
            yield Gateway(
                tree=tree,
                port=_port(tree),
                headers=lambda kind: {"authorization": f"Bearer {key}", "content-type": "application/json"},
            )

    def _config(self, upstream: str) -> str:
        lines = [] if self._redis else ["[limits]", 'store = "local"']
        lines += ["[plans.bench]", "tokens = 1_000_000_000_000_000"]
        for kind in KINDS:
            anthropic = kind == "claude"
            model = "claude-haiku-4-5" if anthropic else "gpt-5.2"
            lines += [
                f"[providers.{kind}]",
                f'kind = "{"anthropic" if anthropic else "openai"}"',
                'key = "env:BENCH_KEY"',
                f'base_url = "{upstream}/{kind}{"" if anthropic else "/v1"}"',
                f"[models.{kind}]",
                f'targets = ["{kind}:{model}"]',
            ]
        return "\n".join(lines) + "\n"

    def _key(self, settings: dict[str, str]) -> str:
        env = environment(settings)
        subprocess.run([*_PULSE, "migrate"], env=env, check=True, stdout=subprocess.DEVNULL)
        create = [*_PULSE, "keys", "create", "--user", f"{self.name}@example.com", "--plan", "bench", "--json"]
        return str(json.loads(subprocess.check_output(create, env=env))["key"])


def _port(tree: Tree) -> int:
    return int(tree.wait_for(r'"url":"http://127\.0\.0\.1:(\d+)"')[1])
