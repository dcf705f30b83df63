"""What waits to be written: in order, and in bounded memory."""

from __future__ import annotations

import logging
import tempfile
from collections import deque
from itertools import islice
from pathlib import Path
from typing import IO

import msgspec

from pulse_gateway.ledger.ledger import UsageEntry

__all__ = ["Backlog", "Pending"]

_log = logging.getLogger(__name__)

_CHUNK = 500


class Pending(msgspec.Struct, frozen=True, array_like=True):
    """An entry to be written.

    `since` is when it came, by the monotonic clock. `recovered` and `permit`: see `batches.write_entries`. `journal` is the number
    of the journal that holds it, 0 for this process' own. `left`: by an earlier process.
    """

    entry: UsageEntry
    since: float
    recovered: str | None = None
    permit: bool = False
    journal: int = 0
    left: bool = False


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Pending])


class Backlog:
    """A queue of which about `in_memory` items are in memory; the rest is in a file without a name in `directory`.

    The file only saves memory: it ends with the process, and what it holds is in a journal too. Without a `directory`
    everything is in memory. What the disk refuses stays in memory; what it does not give back is left to the journal, which is
    read again at the next start, and logged.
    """

    def __init__(self, in_memory: int, directory: Path | None) -> None:
        self._in_memory = in_memory
        self._directory = directory
        self._front: deque[Pending] = deque()
        self._chunks: deque[tuple[int, int, int]] = deque()  # in the file: offset, length in bytes, items
        self._back: list[Pending] = []
        self._file: IO[bytes] | None = None
        self._end = 0  # of the file
        self.count = 0
        """How many items there are."""

    @property
    def spilled(self) -> int:
        """How many items are in the file."""
        return sum(items for _, _, items in self._chunks)

    def append(self, item: Pending) -> None:
        self.count += 1
        if not self._chunks and not self._back and (len(self._front) < self._in_memory or self._directory is None):
            self._front.append(item)
            return
        self._back.append(item)
        if len(self._back) % _CHUNK == 0:
            self._spill()

    def head(self, items: int) -> list[Pending]:
        """The oldest items, at most so many; none only when there are none."""
        while not self._front and self.count:
            self._refill()
        return list(islice(self._front, items))

    def drop(self, items: int) -> None:
        """Take away as many of the oldest: those that `head` gave."""
        for _ in range(items):
            self._front.popleft()
        self.count -= items

    @property
    def oldest_since(self) -> float | None:
        """When the oldest item came; None when there is none."""
        self.head(1)
        return self._front[0].since if self._front else None

    def drop_all(self) -> None:
        """Forget everything; the queue can still be used."""
        self._front.clear()
        self._chunks.clear()
        self._back.clear()
        self.count = self._end = 0
        if self._file is not None:
            self._file.close()
            self._file = None

    def _spill(self) -> None:
        data = _encoder.encode(self._back)
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._directory, buffering=0)  # noqa: SIM115 (kept open)
            self._file.seek(self._end)
            if self._file.write(data) != len(data):
                raise OSError("the disk took a part only")
        except OSError as error:
            _log.warning("%d usage entries stay in memory: %s", len(self._back), error)
            return
        self._chunks.append((self._end, len(data), len(self._back)))
        self._end += len(data)
        self._back.clear()

    def _refill(self) -> None:
        """Bring the next items in line to the front."""
        if not self._chunks:
            self._front.extend(self._back)
            self._back.clear()
            return
        offset, length, items = self._chunks.popleft()
        try:
            assert self._file is not None, "there are chunks"
            self._file.seek(offset)
            self._front.extend(_decoder.decode(self._file.read(length)))
        except (OSError, msgspec.DecodeError):
            _log.exception("%d usage entries cannot be read back; they are written after the next start", items)
            self.count -= items
        if not self._chunks and self._file is not None:
            self._file.truncate(0)
            self._end = 0
