"""Which entries a journal still needs, and where their newest records are: all it keeps in memory of them."""

from __future__ import annotations

from itertools import islice

import msgspec

from pulse_gateway.ledger.disk_work import Segment
from pulse_gateway.ledger.segments import CLOSE, OPEN

__all__ = ["Held", "Holdings"]

_GROWTH_BYTES = 512  # by how much the record of an attempt's end may be longer than that of its beginning


class Held(msgspec.Struct):
    """The newest record of an entry. `promised_bytes` are kept free for its end, and before that for its being sent."""

    segment: Segment
    offset: int
    size_bytes: int
    kind: int
    promised_bytes: int


class Holdings:
    """The entries that are not done. `needed_bytes` are their newest records, `promised_bytes` the room for those still to come.

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
        promised_bytes = 0
        if kind != CLOSE:
            promised_bytes = self.room_for(size_bytes, kind) - size_bytes
            self.promised_bytes += promised_bytes
            self.open_entries += 1
        self.needed_bytes += size_bytes
        held = self._held.get(entry_id)
        if held is None:
            self._held[entry_id] = Held(segment, offset, size_bytes, kind, promised_bytes)
            segment.entry_ids.add(entry_id)
            return
        self._no_longer(held)
        if held.segment is not segment:
            held.segment.entry_ids.discard(entry_id)
            segment.entry_ids.add(entry_id)
            held.segment = segment
        held.offset, held.size_bytes, held.kind, held.promised_bytes = offset, size_bytes, kind, promised_bytes

    def forget(self, entry_id: str) -> bool:
        """False: it was not held."""
        held = self._held.pop(entry_id, None)
        if held is None:
            return False
        held.segment.entry_ids.discard(entry_id)
        self._no_longer(held)
        return True

    def _no_longer(self, held: Held) -> None:
        self.needed_bytes -= held.size_bytes
        if held.kind != CLOSE:
            self.promised_bytes -= held.promised_bytes
            self.open_entries -= 1

    def some_in(self, segment: Segment, at_most: int) -> list[tuple[str, Held]]:
        """A few of the entries whose newest record is in `segment`."""
        return [(entry_id, self._held[entry_id]) for entry_id in islice(segment.entry_ids, at_most)]

    @staticmethod
    def room_for(size_bytes: int, kind: int) -> int:
        """What must be free for an attempt whose first record has that size: it ends, and before that it is sent, where it is not yet."""
        return size_bytes * (3 if kind == OPEN else 2) + _GROWTH_BYTES
