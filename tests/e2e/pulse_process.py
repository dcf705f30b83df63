"""Pulse, the simulator and Redis as processes: started on free ports, waited for, and stopped."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import asyncpg
import httpx
import msgspec
from nursery import Born, Nursery

from valkey_server import ValkeyProcess

API_KEY = "pls-test-key-of-the-suite"
PAUSE_S = 0.02  # between two looks at something that settles by itself: the machine is needed for that too
START_S = 60.0
STOP_S = 60.0
# Nothing of the machine's own setting may reach the processes: a provider key in the environment would switch it on.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "COVERAGE_PROCESS_START", "VIRTUAL_ENV", "SSL_CERT_FILE")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**kept, "PYTHONUNBUFFERED": "1", **(extra or {})}


NURSERY = Nursery()
_PULSE = [sys.executable, "-m", "pulse_host"]


def _may_be_born(env: Mapping[str, str]) -> bool:
    """Whether a fork of the nursery is the same as a fresh interpreter: no, where the environment has something to say to it."""
    told = {name for name in env if name.startswith(("PYTHON", "COVERAGE", "LANG", "LC_"))} - {"PYTHONUNBUFFERED"}
    return all(
        name in _INHERITED and env[name] == os.environ.get(name) for name in told - {"COVERAGE_PROCESS_START"}
    ) and ("COVERAGE_PROCESS_START" not in told)


def run_pulse(
    *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """A command of `pulse` that ends by itself."""
    command = [*_PULSE, *arguments]
    if _may_be_born(environment(env)):
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            born = NURSERY.bear([*arguments], environment(env), cwd or Path("/"), stdout.fileno(), stderr.fileno())
            try:
                code = born.wait(START_S)
            except subprocess.TimeoutExpired:
                born.send_signal(signal.SIGKILL)
                raise
            stdout.seek(0)
            stderr.seek(0)
            return subprocess.CompletedProcess(command, code, stdout.read().decode(), stderr.read().decode())
    return subprocess.run(
        command,
        env=environment(env),
        cwd=cwd or Path("/"),
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )


class Stores:
    """One Valkey for the session, with a room for each database, and a folder of journals for each.

    Two servers over one database share both, as replicas on one machine do, unless a test says otherwise.
    """

    def __init__(self) -> None:
        self._valkey = ValkeyProcess(databases=1000)
        self._folder = Path(tempfile.mkdtemp(prefix="pulse-journals-"))
        self._numbers: dict[str, int] = {}
        self._running = False

    def environment(self, database_url: str) -> dict[str, str]:
        if not self._running:
            self._valkey.start()
            self._running = True
        number = self._numbers.setdefault(database_url, len(self._numbers))
        return {
            "PULSE_REDIS_URL": f"redis://127.0.0.1:{self._valkey.port}/{number}",
            "PULSE_JOURNAL_DIR": str(self._folder / str(number)),
        }

    def close(self) -> None:
        if self._running:
            self._valkey.close()
            self._running = False
        shutil.rmtree(self._folder, ignore_errors=True)


STORES = Stores()


@contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder that other users may pass through: run by root, the embedded Postgres is another user, and pytest closes
    its own folders to those."""
    with tempfile.TemporaryDirectory(prefix="pulse-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


class Process:
    """A child whose output is collected: a fork of the nursery, unless it is `fresh` or no `pulse`. `wait_for` returns the first match of a pattern in it: in one line, unless it begins with `(?s)`."""

    def __init__(
        self, arguments: list[str], env: Mapping[str, str], cwd: Path | None = None, *, fresh: bool = False
    ) -> None:
        reading, writing = os.pipe()
        try:
            if not fresh and arguments[:3] == _PULSE and _may_be_born(env):
                self._child: subprocess.Popen[bytes] | Born = NURSERY.bear(arguments[3:], env, cwd, writing, writing)
            else:
                self._child = subprocess.Popen(
                    arguments, env=dict(env), cwd=cwd, stdout=writing, stderr=writing, start_new_session=True
                )
        finally:
            os.close(writing)
        self._output = os.fdopen(reading, "rb")
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._output:
            with self._changed:
                self._lines.append(line.decode("utf-8", "replace"))
                self._changed.notify_all()
        self._output.close()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def output(self) -> str:
        with self._changed:
            return "".join(self._lines)

    @property
    def pid(self) -> int:
        return self._child.pid

    def wait_for(self, pattern: str, timeout_s: float = START_S) -> re.Match[str]:
        found: re.Match[str] | None = None
        looked_at = 0  # lines: what has been searched once is not searched again

        def there() -> bool:
            nonlocal found, looked_at
            found = re.search(pattern, "".join(self._lines[looked_at:]))
            looked_at = 0 if pattern.startswith("(?s)") else len(self._lines)
            return found is not None or self._ended

        with self._changed:
            self._changed.wait_for(there, timeout_s)
        if found is None:
            raise AssertionError(f"{pattern!r} did not appear; the output was:\n{self.output}")
        return found

    @property
    def ended(self) -> bool:
        return self._child.poll() is not None

    def send(self, how: int) -> None:
        if not self.ended:
            self._child.send_signal(how)

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Signal the process and return its exit code."""
        self.send(how)
        try:
            code = self._child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()
            raise AssertionError(f"it did not stop within {STOP_S:g} s; the output was:\n{self.output}") from None
        self._reader.join(STOP_S)
        return code

    def exit_code(self, timeout_s: float = START_S) -> int:
        """Wait for a process that ends by itself."""
        code = self._child.wait(timeout_s)
        self._reader.join(timeout_s)
        return code


class Simulation:
    """The provider simulator."""

    def __init__(self, process: Process, url: str) -> None:
        self.process, self.url = process, url

    @classmethod
    @contextmanager
    def start(cls, *arguments: str) -> Iterator[Self]:
        command = [sys.executable, "-m", "pulse_host", "simulate", "--port", "0", *arguments]
        process = Process(command, environment())
        try:
            yield cls(process, process.wait_for(r"http://127\.0\.0\.1:\d+")[0])
        finally:
            process.stop()

    def provider_environment(self) -> dict[str, str]:
        """What makes Pulse use it as each of the vendors, and as a compatible server."""
        return {
            "OPENAI_API_KEY": "sk-simulated",
            "OPENAI_BASE_URL": f"{self.url}/v1",
            "ANTHROPIC_API_KEY": "sk-ant-simulated",
            "ANTHROPIC_BASE_URL": self.url,
            "GEMINI_API_KEY": "gemini-simulated",
            "GEMINI_BASE_URL": self.url,
            "REPLICATE_API_TOKEN": "r8_simulated",
            "REPLICATE_BASE_URL": self.url,
            "STABILITY_API_KEY": "stability-simulated",
            "STABILITY_BASE_URL": self.url,
            "VLLM_BASE_URL": f"{self.url}/v1",
        }

    def stats(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.url}/_stats", trust_env=False).json()
        return found

    def reset(self) -> None:
        httpx.post(f"{self.url}/_reset", trust_env=False).raise_for_status()


async def entries_of(database_url: str) -> list[dict[str, Any]]:
    """Every row of the ledger in a database."""
    connection = await asyncpg.connect(database_url)
    try:
        return [dict(row) for row in await connection.fetch("select * from usage_entry order by at")]
    finally:
        await connection.close()


class Pulse:
    """A `pulse dev` or `pulse serve`."""

    def __init__(self, process: Process, url: str, key: str, data_dir: Path) -> None:
        self.process, self.url, self.key, self.data_dir = process, url, key, data_dir

    @property
    def database_url(self) -> str:
        """The embedded Postgres, found the way its own tools find it: in postmaster.pid."""
        _, _, _, port, socket_dir, *_ = (self.data_dir / "postgres" / "postmaster.pid").read_text().splitlines()
        return f"postgresql://postgres@/postgres?host={socket_dir}&port={port}"

    async def entries(self) -> list[dict[str, Any]]:
        """Every row of the ledger, once all that is recorded is written: the ledger writes behind."""
        async with asyncio.timeout(20), httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            while "\npulse_ledger_backlog 0.0" not in (await client.get("/metrics")).text:
                await asyncio.sleep(PAUSE_S)
        return await entries_of(self.database_url)

    @classmethod
    @contextmanager
    def dev(
        cls,
        data_dir: Path,
        env: Mapping[str, str] | None = None,
        *,
        arguments: list[str] | None = None,
        stop: int = signal.SIGTERM,
        fresh: bool = False,
    ) -> Iterator[Self]:
        """A running `pulse dev`; its working directory is `data_dir`'s parent, so that no pulse.toml is found by accident."""
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "pulse_host",
            "dev",
            "--port",
            "0",
            "--data-dir",
            str(data_dir),
            *(arguments or []),
        ]
        process = Process(
            command, environment({"PULSE_LOG_FORMAT": "json", **(env or {})}), data_dir.parent, fresh=fresh
        )
        try:
            url = process.wait_for(r"running at\s+(\S+)")[1]
            key = process.wait_for(r"API key\s+(\S+)")[1]
            process.wait_for(r"Ctrl-C")
            yield cls(process, url, key, data_dir)
        finally:
            process.stop(stop)

    @classmethod
    @contextmanager
    def serve(
        cls,
        database_url: str,
        env: Mapping[str, str] | None = None,
        *,
        key: str = "",
        arguments: list[str] | None = None,
        cwd: Path | None = None,
        program: tuple[str, ...] = ("-m", "pulse_host"),
        fresh: bool = False,
    ) -> Iterator[Self]:
        """A running `pulse serve`; `key` is one made for it before. Redis and the journal's folder are those of `STORES`, unless
        `env` names others. `program` is what Python runs."""
        command = [sys.executable, *program, "serve", "--port", "0", *(arguments or [])]
        settings = {
            "PULSE_DATABASE_URL": database_url,
            "PULSE_LOG_FORMAT": "json",
            **STORES.environment(database_url),
            **(env or {}),
        }
        process = Process(command, environment(settings), cwd or Path("/"), fresh=fresh)
        try:
            url = process.wait_for(r"http://\S+?:\d+")[0]
            yield cls(process, url, key, cwd or Path("/"))
        finally:
            process.stop()

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    def log_lines(self, event: str = "exchange", *, with_text: str = "") -> list[dict[str, Any]]:
        """The JSON log lines of one kind; `with_text` of them only those that it stands in."""
        lines = []
        for line in self.process.output.splitlines():
            if line.startswith("{") and with_text in line:
                fields = msgspec.json.decode(line)
                if fields.get("event") == event:
                    lines.append(fields)
        return lines

    def exchange(self, request_id: str, timeout_s: float = 10.0) -> dict[str, Any]:
        """The log line of one exchange, once it is there."""
        said = f'"request_id":"{request_id}"'
        self.process.wait_for(re.escape(said), timeout_s)
        return next(line for line in self.log_lines(with_text=said) if line["request_id"] == request_id)
