"""What every embedded server needs: a socket whose path fits, an orderly end, and what a killed run of it left behind."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from pulse_gateway.errors import ConfigError
from pulse_host.dev.server_account import ServerAccount, let_pass

__all__ = ["EmbeddedError", "drop_socket_dir", "end", "run_of", "socket_dir", "socket_fits", "still_in", "trim_log"]

_LONGEST_SOCKET_BYTES = 100  # sockaddr_un holds 108 on Linux, 104 on macOS, one of them the final NUL
_LARGEST_LOG_BYTES = 5_000_000


class EmbeddedError(ConfigError):
    """An embedded server cannot be used; the message says why and where its log is."""


# ── the socket ──


def socket_fits(folder: Path, name: str) -> bool:
    """Whether the path of a socket in `folder` is short enough for the kernel."""
    return len(os.fsencode(folder / name)) <= _LONGEST_SOCKET_BYTES


def socket_dir(data: Path, name: str, account: ServerAccount | None = None) -> Path:
    """A short private folder for the socket `name` of the server over `data`, whose own path is too long; made anew.

    Raises: EmbeddedError.
    """
    short = Path(tempfile.mkdtemp(prefix=_prefix(data)))
    if not socket_fits(short, name):
        short.rmdir()
        raise EmbeddedError(f"the paths {data} and {short} are too long for a Unix socket; choose a shorter --data-dir")
    if account is not None:
        os.chown(short, account.uid, account.gid)
        let_pass(account, short)
    return short


def drop_socket_dir(data: Path, folder: Path) -> None:
    """Remove a folder that `socket_dir` made, with what a killed server left in it; any other is left alone."""
    if folder.name.startswith(_prefix(data)) and folder.parent == Path(tempfile.gettempdir()):
        shutil.rmtree(folder, ignore_errors=True)


def _prefix(data: Path) -> str:
    return f"pulse-{hashlib.sha256(os.fsencode(data)).hexdigest()[:8]}-"


# ── processes ──


def run_of(program: str, folder: Path) -> list[psutil.Process]:
    """The live processes of `program` that work in `folder`, which is where each server has its working directory."""
    return [process for process in psutil.process_iter() if still_in(folder, program, process)]


def still_in(folder: Path, program: str, process: psutil.Process) -> bool:
    """Whether `process` is alive, is `program`, and works in `folder`."""
    try:
        return process.name() == program and Path(process.cwd()).samefile(folder)
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False
    except (psutil.AccessDenied, PermissionError):
        return False  # it belongs to another user, and our files are closed to that one


def end(
    send_signal: Callable[[int], None],
    ended: Callable[[], bool],
    steps: Sequence[tuple[signal.Signals, float]],
) -> bool:
    """Send one signal after the other, each with its patience in seconds, until it has ended; returns whether it has."""
    for step, patience_s in steps:
        with suppress(psutil.NoSuchProcess):
            send_signal(step)
        begun = time.monotonic()
        while time.monotonic() - begun < patience_s:
            if ended():
                return True
            time.sleep(0.01)
    return False


def trim_log(log: Path) -> None:
    """Put a log that has grown large aside; one earlier is kept."""
    if log.exists() and log.stat().st_size > _LARGEST_LOG_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))
