"""Several processes on one listening socket, under a parent that starts them, watches over them and passes on what it is told.

The parent opens the socket and every worker inherits it, so that a connection waits in one queue whichever worker takes it, and none
is lost when one of them ends. (With a socket each, the kernel would deal connections out, and drop those waiting at a worker that goes.)

Parent and worker are joined by a pair of sockets. The parent says `s` stop, `h` make haste, `r` reload; a worker says `r` once it
serves. The end of the line says that the other side is gone: a worker then drains and ends, so that none outlives its parent, and the
parent starts another. What a signal asks of a worker that got it as well, because it was sent to all of a group, is asked but once.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import msgspec
import structlog

from pulse_gateway.errors import ConfigError
from pulse_host.server import Signals

__all__ = ["Supervisor", "Worker"]

_log = structlog.get_logger("pulse")

_STOP, _HASTE, _RELOAD, _READY = b"s", b"h", b"r", b"r"
_MINDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 30.0
_SOUND_AFTER_S = 60.0  # a worker that has lived this long did not die of how it was started
_MOST_DEATHS = 10  # in a row, while no worker serves


class Worker(msgspec.Struct, frozen=True):
    """What a worker knows of itself: its number, from 1 on, its line to the parent, and the folder where workers meet."""

    number: int
    line: socket.socket
    folder: Path

    def listen(self, signals: Signals) -> None:
        """Hand on what the parent says, on the running event loop."""
        import asyncio

        loop = asyncio.get_running_loop()

        def hear() -> None:
            try:
                words = self.line.recv(64)
            except BlockingIOError:
                return
            if not words:
                loop.remove_reader(self.line)
                signals.stop("the parent has ended")
            if _STOP in words:
                signals.stop("stop from the parent")
            if _HASTE in words:
                signals.hurry()
            if _RELOAD in words:
                signals.reload()

        self.line.setblocking(False)
        loop.add_reader(self.line, hear)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _MINDED)

    def ready(self) -> None:
        """Tell the parent that this worker serves."""
        try:
            self.line.send(_READY)
        except OSError as error:  # it has ended, and the line will say so
            _log.warning("the parent could not be told", reason=str(error))


class _Child:
    """A worker as its parent sees it."""

    def __init__(self, number: int, pid: int, line: socket.socket) -> None:
        self.number, self.pid, self.line = number, pid, line
        self.born = time.monotonic()
        self.ready = False

    def say(self, word: bytes) -> None:
        try:
            self.line.send(word)
        except OSError:
            return  # it has just ended, and SIGCHLD says so


class Supervisor:
    """Keeps `count` workers running; each runs `work` in a process of its own, which is to return when its server has drained.

    The first one starts alone, so that what is wrong with the configuration is said once. A worker that dies later is started again
    after a pause, which doubles, up to 30 s, while they keep dying young; when ten in a row have died and none serves, the parent
    gives up. `on_ready` is called once, when all serve.
    """

    def __init__(self, count: int, work: Callable[[Worker], None], *, on_ready: Callable[[], None]) -> None:
        self._count, self._work, self._on_ready = count, work, on_ready
        self._children: dict[int, _Child] = {}  # by number
        self._due: dict[int, float] = {}  # number → when to start it, by the monotonic clock
        self._pauses: dict[int, float] = {}
        self._deaths = 0  # since a worker last became ready
        self._established = self._announced = False
        self._stopping = self._hurried = self._failed = False
        self._terminals = [stream for stream in (0, 1, 2) if os.isatty(stream)]

    def run(self) -> int:
        """Returns the exit code: 0 when every worker drained in order, else 1. Call it on the main thread, without an event loop."""
        self._folder = Path(tempfile.mkdtemp(prefix="pulse-workers-"))
        self._wake, self._waker = os.pipe()
        for end in (self._wake, self._waker):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._waker)
        for each in (*_MINDED, signal.SIGCHLD):
            signal.signal(each, lambda *_: None)  # what counts is the byte in the pipe
        try:
            self._start(1)
            while self._children or (self._due and not self._stopping):
                self._wait()
                self._bury()
                self._start_due()
        finally:
            signal.set_wakeup_fd(-1)
            shutil.rmtree(self._folder, ignore_errors=True)
        return 1 if self._failed else 0

    # ── what happens ──

    def _wait(self) -> None:
        """Until a signal comes, a worker says something, or one is to be started."""
        until = min(self._due.values(), default=None)
        timeout_s = None if until is None else max(0.0, until - time.monotonic())
        lines = {child.line.fileno(): child for child in self._children.values()}
        heard, _, _ = select.select([self._wake, *lines], [], [], timeout_s)
        for end in heard:
            if end == self._wake:
                for number in os.read(self._wake, 1024):
                    self._told(signal.Signals(number))
            else:
                self._hear(lines[end])

    def _told(self, what: signal.Signals) -> None:
        if what == signal.SIGCHLD:
            return
        if what == signal.SIGHUP and not (self._terminals and not any(map(os.isatty, self._terminals))):
            self._say(_RELOAD)
        elif not self._stopping:
            _log.info("stopping", signal=what.name, workers=len(self._children))
            self._stop()
        elif not self._hurried:
            self._hurried = True
            self._say(_HASTE)

    def _stop(self) -> None:
        self._stopping = True
        self._due.clear()
        self._say(_STOP)

    def _say(self, word: bytes) -> None:
        for child in self._children.values():
            child.say(word)

    def _hear(self, child: _Child) -> None:
        try:
            words = child.line.recv(16)
        except OSError:
            words = b""
        if not words:
            # It closed its line before it was gone: wait for it, or the end of the line would be heard again and again.
            self._has_ended(child, os.waitpid(child.pid, 0)[1])
            return
        child.ready, self._deaths = True, 0
        if not self._established:
            self._established = True
            if not self._stopping:
                for number in range(2, self._count + 1):
                    self._start(number)
        if (
            not self._announced
            and len(self._children) == self._count
            and all(each.ready for each in self._children.values())
        ):
            self._announced = True
            self._on_ready()

    def _bury(self) -> None:
        for child in list(self._children.values()):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                self._has_ended(child, status)

    def _has_ended(self, child: _Child, status: int) -> None:
        del self._children[child.number]
        child.line.close()
        code = os.waitstatus_to_exitcode(status)
        if self._stopping:
            self._failed = self._failed or code != 0
            if code != 0:
                _log.error("a worker did not end in order", worker=child.number, exit_code=code)
            return
        if not self._established:
            self._failed = self._stopping = True  # it has said why
            return
        self._deaths += 1
        if self._deaths >= _MOST_DEATHS and not any(each.ready for each in self._children.values()):
            _log.error("workers keep ending; giving up", deaths=self._deaths)
            self._failed = True
            self._stop()
            return
        lived_s = time.monotonic() - child.born
        before = 0.0 if lived_s >= _SOUND_AFTER_S else self._pauses.get(child.number, 0.0)
        pause_s = min(_LONGEST_PAUSE_S, before * 2 or _FIRST_PAUSE_S)
        self._pauses[child.number] = pause_s
        self._due[child.number] = time.monotonic() + pause_s
        _log.error(
            "a worker has ended; another is started",
            worker=child.number,
            pid=child.pid,
            exit_code=code,
            lived_s=round(lived_s, 1),
            pause_s=pause_s,
        )

    # ── starting ──

    def _start_due(self) -> None:
        now = time.monotonic()
        for number in [number for number, when in self._due.items() if when <= now]:
            del self._due[number]
            self._start(number)

    def _start(self, number: int) -> None:
        ours, theirs = socket.socketpair()
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal that comes before the worker minds them waits for that moment.
        signal.pthread_sigmask(signal.SIG_BLOCK, _MINDED)
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._become(Worker(number, theirs, self._folder))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _MINDED)
        theirs.close()
        self._children[number] = _Child(number, pid, ours)

    def _become(self, worker: Worker) -> NoReturn:
        """In the new process. It ends here: nothing of the parent's may be undone by it."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for each in (*_MINDED, signal.SIGCHLD):
                signal.signal(each, signal.SIG_DFL)
            for end in (self._wake, self._waker):
                os.close(end)
            for sibling in self._children.values():
                sibling.line.close()  # held open here, it would hide from the sibling that the parent has ended
            self._work(worker)
            code = 0
        except ConfigError as error:
            print(f"Error: {error}", file=sys.stderr)  # noqa: T201 -- as the command line says it
        except BaseException:  # noqa: BLE001 -- whatever it is, it is shown, and the parent is told by the exit code
            traceback.print_exc()
        finally:
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)
