"""Taking over the files that an earlier process left, damaged ones too."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from pulse_gateway.ledger.disk_work import Segment, cut, remove
from pulse_gateway.ledger.holdings import Holdings
from pulse_gateway.ledger.segments import CLOSE, MARK, RECORD_HEAD_BYTES, Recovered, Replay, Scan, segment_files

__all__ = ["Estate", "take_over"]

_log = logging.getLogger(__name__)


class Estate(msgspec.Struct, frozen=True):
    """What was found: segments that are still needed or may be, oldest first, and the entries in them that are not done."""

    segments: list[Segment]
    holdings: Holdings
    recovered: Recovered
    next_number: int


def take_over(directory: Path) -> Estate:
    """Read every segment and bring the files into a state that the next process can read as well.

    Files without records are removed, torn tails cut off, room allocated ahead given back, and damaged files kept aside
    under another name. Nothing is ever appended to one of them.

    Raises: OSError; JournalError when a later release wrote them.
    """
    files = segment_files(directory)
    replay = Replay()
    sizes = {}
    for file in files:
        data = file.path.read_bytes()
        sizes[file.number] = len(data)
        replay.add(file, data)
    left, unreadable = replay.recovered()
    filled = replay.filled()
    spoiled = replay.damaged()
    segments: dict[int, Segment] = {}
    damaged = []
    for file in files:
        found = replay.scans[file.number]
        size_bytes = sizes[file.number]
        lost = [entry_id for entry_id, number in unreadable.items() if number == file.number]
        if lost or file.number in spoiled:
            damaged.append(_keep_aside(file.path, found, lost))
        elif file.number not in filled:
            remove(file.path)
            continue
        elif found.end < size_bytes:
            if found.tail_bytes:
                said = (file.path, found.end, found.tail_bytes)
                _log.warning("%s: broke off within a record at %d: its %d bytes are cut off", *said)
            cut(file.path, found.end)
            size_bytes = found.end
        segments[file.number] = Segment(file.number, file.salt, file.path, size_bytes, found.end)
    holdings = Holdings()
    unsent = {entry.entry_id for entry in left.unsent}  # nobody's to bring to an end
    for entry_id, newest in replay.newest.items():
        if entry_id not in unreadable and entry_id not in unsent:
            size_bytes = RECORD_HEAD_BYTES + len(newest.payload)
            kind = CLOSE if newest.kind == CLOSE else MARK  # an `OPEN` that is held counts as sent
            holdings.hold(entry_id, segments[newest.number], newest.offset, size_bytes, kind)
    if len(holdings):
        said_left = (directory, len(left.closed), len(left.open), len(left.unsent))
        _log.info("%s: left from before: %d closed entries, %d open ones, %d never sent", *said_left)
    recovered = msgspec.structs.replace(left, damaged=damaged)
    return Estate(list(segments.values()), holdings, recovered, files[-1].number + 1 if files else 1)


def _keep_aside(path: Path, found: Scan, lost: list[str]) -> Path:
    """Say what is damaged, and give the file a second name under which it stays when the journal no longer needs it."""
    aside = path.with_suffix(".damaged")
    gaps = [*found.gaps, (found.end, found.tail_bytes)] if found.tail_bytes else found.gaps
    said = [f"{size_bytes} bytes at {offset} cannot be read" for offset, size_bytes in gaps]
    said += [f"entry {entry_id} is not understood" for entry_id in lost]
    _log.error("%s: damaged: %s. The rest was read; the file is kept as %s", path, ", ".join(said), aside.name)
    with suppress(FileExistsError):
        os.link(path, aside)
    return aside
