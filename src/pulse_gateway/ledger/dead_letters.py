"""Entries that cannot be written, whoever tries: kept in a file for somebody to look at."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

from pulse_gateway.ledger.ledger import UsageEntry

__all__ = ["DEAD_LETTERS", "keep_dead_letter", "log_whole"]

DEAD_LETTERS = "refused.jsonl"  # in the journal's folder; one JSON object a line, `why` and `entry`

_log = logging.getLogger(__name__)


def keep_dead_letter(directory: Path, entry: UsageEntry, why: str) -> bool:
    """Whether the entry is on the disk now; else it is in the log."""
    line = b'{"why":%b,"entry":%b}\n' % (msgspec.json.encode(why), _json(entry))
    path = directory / DEAD_LETTERS
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError("the disk took a part only")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        log_whole(entry, f"{why}; nor can it be put into {path}: {error}")
        return False
    _log.error("a usage entry is not in the ledger but in %s: %s: %s", path, entry.entry_id, why)
    return True


def log_whole(entry: UsageEntry, why: str) -> None:
    _log.error("a usage entry is not in the ledger: %s: %s", why, _json(entry).decode())


def _json(entry: UsageEntry) -> bytes:
    try:
        return msgspec.json.encode(entry)
    except (TypeError, ValueError, OverflowError):  # values that are not what their types say
        return msgspec.json.encode(ascii(entry))
