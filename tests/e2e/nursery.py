"""A process that has imported all of Pulse, and of which each `pulse` of these tests is a fork.

A start costs a second of CPU, most of it imports, and the tests make hundreds of them. A fork has its own memory, descriptors, session,
environment and working directory, as it would have had from `python -m pulse_host`; the fork happens before anything has been started,
without threads, as it does for the workers of `pulse serve`. Where the start itself is what is looked at, tests use a fresh interpreter.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["Born", "Nursery"]

_IMPORTS = (
    "pulse_host.cli", "pulse_host.serve", "pulse_host.app", "pulse_host.dev.run",
    "pulse_host.account_commands", "pulse_host.usage.commands", "litestar.plugins.pydantic", "uvloop", "asyncpg",
)  # fmt: skip


class Born:
    """A child of the nursery; the part of `subprocess.Popen` that tests use."""

    def __init__(self, pid: int, line: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._line = line
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Raises: subprocess.TimeoutExpired."""
        with self._lock:
            if self.returncode is None:
                if not select.select([self._line], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired("pulse", timeout or 0)
                said = self._line.recv(64)
                assert said, "the nursery has ended"
                self.returncode = int(said)
                self._line.close()
            return self.returncode

    def send_signal(self, how: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, how)


class Nursery:
    """Started with the first birth, ended with this process."""

    def __init__(self) -> None:
        self._line: socket.socket | None = None
        self._lock = threading.Lock()

    def bear(self, arguments: list[str], env: Mapping[str, str], cwd: Path | None, stdout: int, stderr: int) -> Born:
        """`pulse` with these arguments and no other environment; its output goes to the two descriptors."""
        with self._lock:
            line = self._line or self._open()
            ours, theirs = socket.socketpair()
            asked = {
                "arguments": arguments,
                "env": dict(env),
                "cwd": str(cwd or Path.cwd()),
                "files": resource.getrlimit(resource.RLIMIT_NOFILE),
            }
            request = json.dumps(asked).encode()
            with theirs:
                line.sendall(len(request).to_bytes(4, "big"))
                line.sendall(request)
                socket.send_fds(line, [b"."], [stdout, stderr, theirs.fileno()])
            pid = int.from_bytes(line.recv(4), "big")
            assert pid, "the nursery has ended"
            return Born(pid, ours)

    def _open(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            env = {name: value for name, value in os.environ.items() if name in _KEPT}
            process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=env | {"PYTHONUNBUFFERED": "1"},
                cwd="/",
            )
        atexit.register(process.wait)
        atexit.register(ours.close)  # before the other: it is what ends the nursery
        self._line = ours
        return ours


_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")


def _nurse(line: socket.socket) -> dict[str, Any] | None:
    """In each child: what it is to do. In the nursery itself: None, at the end."""
    lines: dict[int, socket.socket] = {}  # by pid
    wake, waker = os.pipe()
    for end in (wake, waker):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        heard, _, _ = select.select([line, wake], [], [])
        if wake in heard:
            os.read(wake, 1024)
            _tell(lines)
        if line not in heard:
            continue
        head = line.recv(4, socket.MSG_WAITALL)
        if not head:
            return None
        request: dict[str, Any] = json.loads(line.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))
        _, (stdout, stderr, told), _, _ = socket.recv_fds(line, 1, 3)
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for each in (line, *lines.values()):
                each.close()
            for end in (wake, waker, told):
                os.close(end)
            return {**request, "stdout": stdout, "stderr": stderr}
        os.close(stdout)
        os.close(stderr)
        lines[pid] = socket.socket(fileno=told)
        line.sendall(pid.to_bytes(4, "big"))


def _tell(lines: dict[int, socket.socket]) -> None:
    """How each child ended that has."""
    while lines:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with lines.pop(pid) as told, contextlib.suppress(OSError):
            told.sendall(str(os.waitstatus_to_exitcode(status)).encode())


def _live(request: dict[str, Any]) -> None:
    """What `python -m pulse_host ARGUMENTS` does."""
    os.setsid()
    os.chdir(request["cwd"])
    resource.setrlimit(resource.RLIMIT_NOFILE, request["files"])
    os.environ.clear()
    os.environ.update(request["env"])
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(request[name], number)
    for descriptor in {request["stdout"], request["stderr"]}:
        os.close(descriptor)
    sys.argv = ["pulse", *request["arguments"]]
    sys.path[0] = request["cwd"]
    from pulse_host.__main__ import main as pulse

    code: object = None
    try:
        pulse()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    # As an interpreter ends, but for taking all that was imported apart, which takes longer than a start.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def main() -> None:
    for name in _IMPORTS:
        with contextlib.suppress(ImportError):
            __import__(name)
    gc.collect()
    gc.freeze()  # pages that are not looked at stay shared
    request = _nurse(socket.socket(fileno=int(sys.argv[1])))
    if request is not None:
        _live(request)


if __name__ == "__main__":
    main()
