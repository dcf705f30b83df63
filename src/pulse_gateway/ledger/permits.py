"""Which attempts are under way, and which of them Postgres should know of. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, islice, takewhile

import msgspec

from pulse_gateway.ledger.ledger import UsageEntry

__all__ = ["OpenPermits"]


class _Open(msgspec.Struct, gc=False):
    entry: UsageEntry
    due: float  # when it is to be written, by the monotonic clock


class OpenPermits:
    """Attempts from `opened` to `closed`. One still under way `after_s` after it was sent is to be written, and again every
    `renew_s`.
    """

    def __init__(self, *, after_s: float, renew_s: float) -> None:
        self._after_s, self._renew_s = after_s, renew_s
        self._unsent: dict[str, UsageEntry] = {}
        self._young: dict[str, _Open] = {}  # not written yet; both in the order of `due`
        self._kept: dict[str, _Open] = {}
        self._told: set[str] = set()  # of those open, the ones that may have a row

    def __len__(self) -> int:
        return len(self._unsent) + len(self._young) + len(self._kept)

    def opened(self, entry: UsageEntry) -> None:
        self._unsent[entry.entry_id] = entry

    def announced(self, entry_id: str) -> UsageEntry | None:
        """What was opened and not sent yet."""
        return self._unsent.get(entry_id)

    def sent(self, entry_id: str, now: float) -> bool:
        """Whether it is the only one under way that was sent: what waits for `next_due` has something to wait for then."""
        entry = self._unsent.pop(entry_id, None)
        if entry is None:
            return False
        first = not self._young and not self._kept
        self._young[entry_id] = _Open(entry, now + self._after_s)
        return first

    def marked(self, entry: UsageEntry) -> None:
        held = self._young.get(entry.entry_id) or self._kept.get(entry.entry_id)
        if held is not None:
            held.entry = entry

    def closed(self, entry_id: str) -> bool:
        """Whether there may be a row to delete."""
        if self._young.pop(entry_id, None) is None and self._unsent.pop(entry_id, None) is None:
            self._kept.pop(entry_id, None)
        if self._told and entry_id in self._told:
            self._told.remove(entry_id)
            return True
        return False

    def next_due(self) -> float | None:
        """When the next one is to be written; None when none is under way."""
        return min((next(iter(held.values())).due for held in (self._young, self._kept) if held), default=None)

    def take(self, now: float, most: int) -> list[UsageEntry]:
        """Those to be written by now. From here on each may have a row."""
        due = chain.from_iterable(
            takewhile(lambda each: each.due <= now, held.values()) for held in (self._young, self._kept)
        )
        entries = [each.entry for each in islice(due, most)]
        self._told.update(entry.entry_id for entry in entries)
        return entries

    def put_off(self, entries: Iterable[UsageEntry], now: float) -> None:
        """They need not be written again before `renew_s` have passed; those closed meanwhile, never."""
        for entry in entries:
            held = self._young.pop(entry.entry_id, None) or self._kept.pop(entry.entry_id, None)
            if held is not None:
                held.due = now + self._renew_s
                self._kept[entry.entry_id] = held
