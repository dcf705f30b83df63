"""What the journal does to its files besides writing records: all that may wait for the disk, so that a thread can do it."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

from pulse_gateway.ledger.segments import HEADER, segment_name

__all__ = ["DiskWork", "Segment", "cut", "make_segment", "remove", "sync_directory"]

_log = logging.getLogger(__name__)


class Segment(msgspec.Struct, eq=False):
    """A segment as its writer knows it: `end` is where the next record goes, `size_bytes` what the file takes up.

    `entry_ids` are the entries whose newest record is in it. `suspect`: the disk once failed to keep what was written here, and
    what it says it has kept since then is not to be believed.
    """

    number: int
    salt: int
    path: Path
    size_bytes: int
    end: int
    descriptor: int | None = None
    entry_ids: set[str] = msgspec.field(default_factory=set)
    suspect: bool = False

    def close(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


class DiskWork:
    """One round of it: force what was written, remove what is not needed, make new segments. `do` never raises.

    Afterwards `made` are the new segments, `make_error` says why there are not more, and `failed` names the segments that could
    not be forced; nothing is removed then, since what made it unnecessary may not be on the disk.
    """

    def __init__(
        self,
        directory: Path,
        *,
        sealed: list[Segment],
        newest: Segment | None,
        trash: list[Segment],
        numbers: range,
        segment_bytes: int,
    ) -> None:
        self.directory = directory
        self.sealed = sealed
        self.newest = newest
        self.trash = trash
        self.numbers = numbers
        self.segment_bytes = segment_bytes
        self.made: list[Segment] = []
        self.make_error: OSError | None = None
        self.failed: list[tuple[Segment, OSError]] = []

    def do(self) -> None:
        for segment in self.sealed:
            self._force(segment, cut_off=True)
        if self.newest is not None:
            self._force(self.newest, cut_off=False)
        if not self.failed:
            for segment in self.trash:
                remove(segment.path)
        try:
            for number in self.numbers:
                self.made.append(make_segment(self.directory, number, self.segment_bytes))
            if self.made:
                sync_directory(self.directory)
        except OSError as error:
            self.make_error = error

    def _force(self, segment: Segment, *, cut_off: bool) -> None:
        assert segment.descriptor is not None, "segments are closed once they were forced"
        try:
            if cut_off:
                os.ftruncate(segment.descriptor, segment.end)
            _fdatasync(segment.descriptor)
        except OSError as error:
            self.failed.append((segment, error))


def make_segment(directory: Path, number: int, size_bytes: int) -> Segment:
    """A new segment with all its room allocated, so that records fit in it when the disk is full. Raises: OSError."""
    salt = int.from_bytes(os.urandom(4), "little")
    path = directory / segment_name(number, salt)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        _allocate(descriptor, size_bytes)
        os.pwrite(descriptor, HEADER, 0)
        os.fsync(descriptor)
    except OSError:
        os.close(descriptor)
        remove(path)
        raise
    return Segment(number, salt, path, size_bytes, len(HEADER), descriptor)


def cut(path: Path, size_bytes: int) -> None:
    """Shorten a file, for good. Raises: OSError."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.ftruncate(descriptor, size_bytes)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """A file that stays although it should go costs room, and is read again at the next start: nothing that must stop us."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("%s: cannot be removed: %s", path, error.strerror)


def sync_directory(directory: Path) -> None:
    """Make the names in it as durable as the files. Raises: OSError."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# Darwin has neither: there a full disk is noticed by the record that does not fit, and a whole file is forced.
_fdatasync = getattr(os, "fdatasync", os.fsync)


def _allocate(descriptor: int, size_bytes: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size_bytes)
    else:
        os.ftruncate(descriptor, size_bytes)
