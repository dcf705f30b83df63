"""Which entries a journal still needs, and where their newest records are: all it keeps in memory of them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

import msgspec

from pulse_gateway.ledger.disk_work import Segment
from pulse_gateway.ledger.segments import CLOSE

__all__ = ["GROWTH_BYTES", "Held", "Holdings"]

GROWTH_BYTES: Final = 512  # by how much the record of an attempt's end may be longer than that of its beginning


class Held(msgspec.Struct, frozen=True, gc=False):
    """The newest record of an entry."""

    segment: Segment
    offset: int
    size_bytes: int
    kind: int


class Holdings:
    """The entries that are not done. `needed_bytes` are their newest records, `promised_bytes` the room kept free for their ends.

    `open_entries` counts those that are not closed.
    """

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self.open_entries = 0
        self.needed_bytes = 0
        self.promised_bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def find(self, entry_id: str) -> Held | None:
        return self._held.get(entry_id)

    def hold(self, entry_id: str, segment: Segment, offset: int, size_bytes: int, kind: int) -> None:
        """Its newest record is this one."""
        before = self._held.get(entry_id)
        self._held[entry_id] = Held(segment, offset, size_bytes, kind)
        if before is None:
            segment.entry_ids.add(entry_id)
        else:
            self._no_longer(before)
            if before.segment is not segment:
                before.segment.entry_ids.discard(entry_id)
                segment.entry_ids.add(entry_id)
        self.needed_bytes += size_bytes
        if kind != CLOSE:
            self.promised_bytes += size_bytes + GROWTH_BYTES
            self.open_entries += 1

    def forget(self, entry_ids: Iterable[str]) -> list[str]:
        """Those of them that were held."""
        forgotten = []
        for entry_id in entry_ids:
            held = self._held.pop(entry_id, None)
            if held is not None:
                held.segment.entry_ids.discard(entry_id)
                self._no_longer(held)
                forgotten.append(entry_id)
        return forgotten

    def _no_longer(self, held: Held) -> None:
        self.needed_bytes -= held.size_bytes
        if held.kind != CLOSE:
            self.promised_bytes -= held.size_bytes + GROWTH_BYTES
            self.open_entries -= 1

    def some_in(self, segment: Segment, at_most: int) -> list[tuple[str, Held]]:
        """A few of the entries whose newest record is in `segment`."""
        return [(entry_id, self._held[entry_id]) for entry_id in islice(segment.entry_ids, at_most)]
