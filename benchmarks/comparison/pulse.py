"""Pulse itself in the comparison: `pulse serve` with everything on that a production server has on."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path

from tests.valkey_server import ValkeyProcess

from benchmarks.comparison.install import Unavailable, done, once, venv
from benchmarks.comparison.interpreter import Interpreter
from benchmarks.comparison.kinds import KINDS
from benchmarks.comparison.peers import Gateway
from benchmarks.comparison.process import Tree, running
from benchmarks.process import CHECKOUT, environment, of_this_checkout
from pulse_host.dev.embedded import EmbeddedPostgres

__all__ = ["Pulse", "Rooms"]

_FOLDER = "pulse"
_WHERE = "import pulse_host; print(pulse_host.__file__)"
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
    """One server; with Redis, what it counts is counted there.

    With an interpreter of its own it gets an environment made by that, of what requirements.lock pins; else it runs in the one that the
    benchmark runs in. Its own source is this checkout's in either.
    """

    def __init__(
        self,
        rooms: Rooms,
        *,
        redis: bool,
        own: Interpreter | None = None,
        workers: int = 1,
        under: Sequence[str] = (),
        more: Mapping[str, str] | None = None,
        redis_deadline_ms: int | None = None,
    ) -> None:
        """`under` is a command that runs the server, as valgrind does; `more` are further variables of its environment;
        `redis_deadline_ms` is how long it waits for Redis, unless as it does by itself.
        """
        self._rooms, self._redis, self._own = rooms, redis, own
        self._workers, self._under, self._more = workers, under, more or {}
        self._limits = "" if redis_deadline_ms is None else f"deadline_ms = {redis_deadline_ms}"
        self.name = "pulse-redis" if redis else "pulse"
        on = f"; on {own.told}" if own else ""
        self.settings = f"{_ON}; counted in {'Valkey' if redis else 'its own memory'}{on}"

    def python(self, home: Path) -> str:
        """What it runs on, once it is installed."""
        return str(home / _FOLDER / "bin/python") if self._own else sys.executable

    def install(self, home: Path, python: str) -> str:
        if self._own is not None:
            _install(home / _FOLDER, self._own)
        found = Path(done([self.python(home), "-c", _WHERE], CHECKOUT, of_this_checkout({})).strip())
        if not found.is_relative_to(CHECKOUT):
            raise Unavailable(f"what would be measured is not this checkout but {found}")
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
            **self._more,
        }
        if self._redis:
            settings["PULSE_REDIS_URL"] = self._rooms.redis()
        pulse = [self.python(home), "-m", "pulse_host"]
        settings = of_this_checkout(settings)
        key = self._key(pulse, settings)
        serve = [*self._under, *pulse, "serve", "--port", "0", "--workers", str(self._workers)]
        with running(serve, settings, folder, self.name, core) as tree:
            yield Gateway(
                tree=tree,
                port=_port(tree),
                headers=lambda kind: {"authorization": f"Bearer {key}", "content-type": "application/json"},
            )

    def _config(self, upstream: str) -> str:
        lines = ["[limits]", self._limits if self._redis else 'store = "local"']
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

    def _key(self, pulse: list[str], settings: dict[str, str]) -> str:
        env = environment(settings)
        subprocess.run([*pulse, "migrate"], env=env, check=True, stdout=subprocess.DEVNULL)
        create = [*pulse, "keys", "create", "--user", f"{self.name}@example.com", "--plan", "bench", "--json"]
        return str(json.loads(subprocess.check_output(create, env=env))["key"])


def _install(folder: Path, interpreter: Interpreter) -> None:
    """Raises: Unavailable."""
    lock = CHECKOUT / "requirements.lock"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    once(
        folder,
        f"{digest}, {interpreter.path}, {interpreter.version}",
        lambda: venv(folder, "--require-hashes", "-r", str(lock), python=interpreter.path),
    )


def _port(tree: Tree) -> int:
    return int(tree.wait_for(r'"url":"http://127\.0\.0\.1:(\d+)"')[1])
