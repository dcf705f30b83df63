"""Keeping the journal's size near what is needed of it: entries that outstay their neighbours are written again, further on.

Segments go oldest first, so one long attempt would keep every later one. Rewriting starts when a quarter or less of what the
files hold is needed, so that it adds at most a third to what is written anyway; from 40 % of the allowed size on it starts at
three quarters, before anybody is alarmed by what is mostly waste.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from pulse_gateway.ledger.disk_work import Segment
from pulse_gateway.ledger.holdings import Holdings
from pulse_gateway.ledger.segment_log import SegmentLog
from pulse_gateway.ledger.segments import unframe

__all__ = ["move_some", "to_be_moved"]

_log = logging.getLogger(__name__)

_NEEDED_SHARE, _NEEDED_SHARE_IN_NEED = 0.25, 0.75
_IN_NEED = 0.4
_SEGMENTS_BESIDES = 4
_AT_ONCE = 100  # records: under a millisecond of the event loop's time


def to_be_moved(log: SegmentLog, holdings: Holdings, max_bytes: int) -> Segment | None:
    """A segment whose entries should be written again: the disk may not have kept them, or they keep others from being removed."""
    newest = log.newest
    for segment in log.segments:
        if segment.suspect and segment.entry_ids and segment is not newest:
            return segment
    share = _NEEDED_SHARE_IN_NEED if log.used_bytes > max_bytes * _IN_NEED else _NEEDED_SHARE
    oldest = log.segments[0]
    if oldest is newest or log.used_bytes <= holdings.needed_bytes / share + _SEGMENTS_BESIDES * log.segment_bytes:
        return None
    return oldest


def move_some(source: Segment, holdings: Holdings, put: Callable[[int, str, bytes], bool]) -> bool:
    """`put` a few of the entries in `source` again; False when it could not take one. Raises: OSError when they cannot be read."""
    descriptor = os.open(source.path, os.O_RDONLY)
    try:
        for entry_id, held in holdings.some_in(source, _AT_ONCE):
            data = os.pread(descriptor, held.size_bytes, held.offset)
            found = unframe(data, 0, source.salt, held.offset)
            if found is None:
                _log.error("%s: entry %s at %d can no longer be read", source.path, entry_id, held.offset)
                holdings.forget([entry_id])
            elif not put(held.kind, entry_id, found[1]):
                return False
    finally:
        os.close(descriptor)
    return True
