"""Which process has which journal: a folder each, held by a lock that the kernel drops when the process ends."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from pulse_gateway.ledger.segments import JournalError, segment_files

__all__ = ["JournalLocked", "lock_directory", "lock_free_slot", "orphans"]

_LOCK = "lock"
_MOST_SLOTS = 4096


class JournalLocked(JournalError):
    """Another process has this journal."""


def lock_directory(directory: Path) -> int:
    """Make `directory` ours, creating it if need be; returns the descriptor that holds it until it is closed.

    Raises: JournalLocked; JournalError when it cannot be used.
    """
    try:
        directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise JournalError(f"{directory}: the journal cannot be kept here: {error.strerror}") from error
    try:
        for patience_s in (0.01, 0.02, 0.04, None):  # `orphans` holds a free lock for an instant
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as taken:
                if patience_s is None:
                    owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
                    raise JournalLocked(
                        f"{directory}: process {owner} has this journal; each process needs a folder of its own"
                    ) from taken
                time.sleep(patience_s)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except JournalLocked:
        os.close(descriptor)
        raise
    except OSError as error:
        os.close(descriptor)
        raise JournalError(f"{directory}: the journal cannot be locked: {error.strerror}") from error
    return descriptor


def lock_free_slot(root: Path) -> tuple[Path, int]:
    """The first folder 0, 1, 2 … below `root` that nobody has, and the descriptor that holds it.

    Raises: JournalError when `root` cannot be used.
    """
    for number in range(_MOST_SLOTS):
        slot = root / str(number)
        try:
            return slot, lock_directory(slot)
        except JournalLocked:
            continue
    raise JournalError(f"{root}: all {_MOST_SLOTS} journals are taken")


def orphans(root: Path) -> list[Path]:
    """The folders below `root` whose process has ended and left something. Each can be opened as a `Journal`, which adopts it.

    Raises: JournalError when `root` cannot be read.
    """
    try:
        slots = sorted((path for path in root.iterdir() if path.name.isdecimal()), key=lambda path: int(path.name))
        return [slot for slot in slots if segment_files(slot) and not _is_held(slot)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise JournalError(f"{root}: cannot be read: {error.strerror}") from error


def _is_held(slot: Path) -> bool:
    try:
        descriptor = os.open(slot / _LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
