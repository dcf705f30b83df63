"""A gateway under measurement: a tree of processes on a core of its own, and what the kernel's books say about it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.process import environment

__all__ = ["Tree", "cores", "running"]

_TICKS = os.sysconf("SC_CLK_TCK")
_START_S = 180.0


def cores() -> tuple[set[int], set[int]]:
    """The gateway's (the last one), and everybody else's."""
    *others, last = sorted(os.sched_getaffinity(0))
    return {last}, set(others) or {last}


class Tree:
    """A process and all its children."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, started: float) -> None:
        self._process = process
        self._log = log
        self.started = started
        """By the monotonic clock, just before its command was run."""

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def _pids(self) -> list[int]:
        root = psutil.Process(self.pid)
        return [root.pid, *(child.pid for child in root.children(recursive=True))]

    def cpu_s(self) -> float:
        """User and system time of all of them, and of their children that have ended, from /proc/PID/stat: in steps of 10 ms."""
        ticks = 0
        for pid in self._pids():
            with suppress(FileNotFoundError, ProcessLookupError):
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                ticks += sum(int(field) for field in fields[11:15])  # utime, stime, cutime, cstime
        return ticks / _TICKS

    def rss_bytes(self) -> int:
        return self._status("VmRSS")

    def peak_bytes(self) -> int:
        """The most that was resident since `forget_peak`."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        for pid in self._pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def _status(self, name: str) -> int:
        total = 0
        for pid in self._pids():
            with suppress(FileNotFoundError, ProcessLookupError):
                found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
                total += int(found[1]) * 1024 if found else 0
        return total

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Raises: RuntimeError with the end of its output."""
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            found = re.search(pattern, self.log)
            if found:
                return found
            if self.has_ended:
                break
            time.sleep(0.005)
        raise RuntimeError(f"{pattern!r} did not appear; the end of the output: {self.log[-1500:]}")


@contextmanager
def running(command: list[str], env: Mapping[str, str], folder: Path, name: str, core: set[int]) -> Iterator[Tree]:
    """Run it in `folder`, its output in a file there; at the end it and its children get SIGTERM, and after ten seconds SIGKILL."""
    log = folder / f"{name}.log"
    pinned = ["taskset", "-c", ",".join(str(number) for number in sorted(core)), *command]
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            pinned,
            env=environment(env),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Tree(process, log, started)
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
