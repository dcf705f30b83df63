"""Segments in a row, written at one end and given up at the other."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from pulse_gateway.ledger.disk_work import DiskWork, Segment, make_segment, remove, sync_directory
from pulse_gateway.ledger.segments import RECORD_HEAD_BYTES, frame

__all__ = ["NoSpare", "SegmentLog"]


class NoSpare(OSError):
    """The newest segment is full and the next one is not ready."""

    def __init__(self) -> None:
        super().__init__(errno.ENOSPC, "the next segment is not ready")


class SegmentLog:
    """Writes records to the newest segment and goes on in one made ahead. Never waits, except when it is made.

    What may wait for the disk is handed out as `work`, to be done in a thread or at once, and to be brought back to `apply`.
    `used_bytes` is what records take up, needed or not; `room_bytes` what can surely be written without asking the disk for room.

    Raises: OSError when the first segments cannot be made.
    """

    def __init__(self, directory: Path, segment_bytes: int, inherited: Iterable[Segment], next_number: int) -> None:
        self._directory = directory
        self.segment_bytes = segment_bytes
        self.segments: deque[Segment] = deque(inherited)  # oldest first; the last one is written to
        self._spares: deque[Segment] = deque()
        self._sealed: list[Segment] = []  # full, not yet forced to the disk
        self._trash: list[Segment] = []  # no longer needed, to be removed
        self._next_number = next_number
        self._left_over_bytes = 0  # of a segment: the next record may not fit into what is left at its end
        try:
            for queue in (self.segments, self._spares):
                queue.append(make_segment(directory, self._next_number, segment_bytes))
                self._next_number += 1
            sync_directory(directory)
        except OSError:
            self.close()
            raise
        self.newest = self.segments[-1]
        self.used_bytes = sum(segment.end for segment in self.segments)
        self.room_bytes = self._room_bytes()

    @property
    def size_bytes(self) -> int:
        """What the files take up, room made ahead included."""
        return sum(each.size_bytes for each in (*self.segments, *self._spares, *self._trash))

    def _room_bytes(self) -> int:
        newest, left_over_bytes = self.newest, self._left_over_bytes
        spare_bytes = len(self._spares) * (self.segment_bytes - left_over_bytes)
        return newest.size_bytes - newest.end - left_over_bytes + spare_bytes

    @property
    def has_spare(self) -> bool:
        return bool(self._spares)

    def append(self, kind: int, payload: bytes) -> int:
        """Write one record; returns where it is in the newest segment. Raises: NoSpare; OSError when the disk refuses."""
        segment = self.newest
        size_bytes = RECORD_HEAD_BYTES + len(payload)
        offset = segment.end
        if offset + size_bytes > segment.size_bytes:
            self.roll()
            segment = self.newest
            offset = segment.end
        assert segment.descriptor is not None, "the newest segment is open"
        if os.pwrite(segment.descriptor, frame(kind, payload, segment.salt, offset), offset) != size_bytes:
            raise OSError(errno.ENOSPC, "the disk took a part of a record only")
        segment.end = offset + size_bytes
        self.used_bytes += size_bytes
        self.room_bytes -= size_bytes
        if size_bytes > self._left_over_bytes:
            segment.size_bytes = max(segment.size_bytes, segment.end)  # a record can be larger than a segment
            self._left_over_bytes = min(size_bytes, self.segment_bytes // 4)  # only rare ones are larger
            self.room_bytes = self._room_bytes()
        return offset

    def roll(self) -> None:
        """Go on in the next segment. Raises: NoSpare."""
        if not self._spares:
            raise NoSpare
        self._sealed.append(self.newest)
        self.newest = self._spares.popleft()
        self.segments.append(self.newest)
        self.used_bytes += self.newest.end
        self.room_bytes = self._room_bytes()

    def sweep(self) -> bool:
        """Give up the oldest segments as long as nothing in them is needed; False: there was none.

        Only the oldest: what says that an entry is done must not go before what the entry says.
        """
        swept = False
        while len(self.segments) > 1 and not self.segments[0].entry_ids:
            segment = self.segments.popleft()
            self.used_bytes -= segment.end
            self._trash.append(segment)
            swept = True
        return swept

    def work(self, room_bytes: int, *, force: bool) -> DiskWork:
        """What is to be done, so that there is that much room, and one segment's more. `force`: what the newest one holds as well."""
        missing_bytes = room_bytes + self.segment_bytes - self.room_bytes
        usable_bytes = self.segment_bytes - self._left_over_bytes
        missing = max(-(-missing_bytes // usable_bytes), 1 - len(self._spares))
        work = DiskWork(
            self._directory,
            sealed=self._sealed,
            newest=self.newest if force else None,
            trash=self._trash,
            numbers=range(self._next_number, self._next_number + max(missing, 0)),
            segment_bytes=self.segment_bytes,
        )
        self._next_number += max(missing, 0)
        self._sealed, self._trash = [], []
        return work

    def apply(self, work: DiskWork) -> None:
        """Go on from what was done."""
        self._spares += work.made
        for segment in work.sealed:
            segment.close()
            segment.size_bytes = segment.end
        for segment, _ in work.failed:
            segment.suspect = True
        self.room_bytes = self._room_bytes()
        if work.failed:
            self._trash = work.trash + self._trash

    def remove_all_but(self, kept: Iterable[Segment]) -> None:
        """Remove every file except those of `kept`."""
        kept_numbers = {segment.number for segment in kept}
        for segment in (*self.segments, *self._spares, *self._trash):
            if segment.number not in kept_numbers:
                remove(segment.path)

    def close(self) -> None:
        for segment in (*self.segments, *self._spares, *self._sealed, *self._trash):
            segment.close()
