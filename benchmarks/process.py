"""Processes under measurement: started, asked for their CPU time and memory by the kernel's accounting, stopped."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

__all__ = ["CHECKOUT", "Running", "environment", "measures_this_checkout", "of_this_checkout", "python", "this_machine"]

START_S = 60.0
CHECKOUT = Path(__file__).parents[1]
_SOURCE = CHECKOUT / "src"


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Of a process that is measured: nothing of this one's that could change what it does."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONUNBUFFERED": "1", **extra}


def of_this_checkout(extra: Mapping[str, str]) -> dict[str, str]:
    """The same for Pulse itself, whose source is then that beside this file, whatever its interpreter has installed."""
    return environment({"PYTHONPATH": str(_SOURCE), **extra})


def measures_this_checkout() -> None:
    """Raises: SystemExit when this interpreter's Pulse is another one than that beside this file, as a worktree run with the Python of another is."""
    spec = importlib.util.find_spec("pulse_gateway")
    found = Path(spec.origin or "").resolve() if spec else None
    if found is None or not found.is_relative_to(_SOURCE.resolve()):
        python = CHECKOUT / ".venv/bin/python"
        sys.exit(
            f"{sys.executable} would measure {found}, not {_SOURCE}: use {python}, which `make .venv/.installed` makes"
        )


def this_machine() -> dict[str, object]:
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


class Running:
    """A process whose output goes to a file, so that nobody has to read a pipe while it is measured."""

    def __init__(self, child: subprocess.Popen[bytes], log: Path) -> None:
        self._child, self._log = child, log
        self._process = psutil.Process(child.pid)

    @property
    def cpu_s(self) -> float:
        """User and system time so far, in seconds."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    @property
    def rss_bytes(self) -> int:
        return int(self._process.memory_info().rss)

    def wait_for(self, pattern: str) -> re.Match[str]:
        import time

        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            found = re.search(pattern, self._log.read_text(errors="replace"))
            if found:
                return found
            if self._child.poll() is not None:
                break
            time.sleep(0.01)
        raise RuntimeError(f"{pattern!r} did not appear; the output was:\n{self._log.read_text(errors='replace')}")

    @classmethod
    @contextmanager
    def start(cls, command: list[str], env: Mapping[str, str], cpu: int | None = None) -> Iterator[Running]:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            with log.open("wb") as output:
                child = subprocess.Popen(
                    command,
                    env=environment(env),
                    cwd=folder,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            if cpu is not None:
                os.sched_setaffinity(child.pid, {cpu})
            try:
                yield cls(child, log)
            finally:
                child.send_signal(signal.SIGTERM)
                try:
                    child.wait(30)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
