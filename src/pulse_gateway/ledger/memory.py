"""A ledger that lives and dies with the process: for the library without stores, and for tests."""

from __future__ import annotations

from collections import deque

from pulse_gateway.ledger.ledger import UsageEntry

__all__ = ["MemoryLedger"]


class MemoryLedger:
    """Keeps the totals of every user, month and kind for ever, and the last `max_entries` entries.

    An entry recorded twice counts once, as long as it is among those kept: a repetition later than that counts again. Kinds
    are `tokens`, `images`, `videos` and `cost_nano_usd`.
    """

    def __init__(self, max_entries: int = 10_000) -> None:
        self._entries: deque[UsageEntry] = deque()
        self._ids: set[str] = set()
        self._max_entries = max_entries
        self._totals: dict[int, dict[str, dict[str, int]]] = {}

    @property
    def entries(self) -> list[UsageEntry]:
        """The entries still kept, in the order they came."""
        return list(self._entries)

    def check(self) -> None:
        """Memory is always at hand."""

    def record(self, entry: UsageEntry, /) -> None:
        if entry.entry_id in self._ids:
            return
        if len(self._entries) >= self._max_entries:
            self._ids.discard(self._entries.popleft().entry_id)
        self._entries.append(entry)
        self._ids.add(entry.entry_id)
        totals = self._totals.setdefault(entry.period, {}).setdefault(entry.user_id, {})
        used = (
            ("tokens", entry.tokens),
            ("images", entry.images),
            ("videos", entry.videos),
            ("cost_nano_usd", entry.cost_nano_usd or 0),
        )
        for kind, amount in used:
            if amount > 0:
                totals[kind] = totals.get(kind, 0) + amount

    async def balances(self, period: int) -> dict[str, dict[str, int]]:
        """What each user has used in a month (`202611`), by kind."""
        return {user_id: dict(totals) for user_id, totals in self._totals.get(period, {}).items()}

    async def flush(self) -> None:
        """Every entry is kept as soon as it is recorded."""

    async def aclose(self) -> None:
        """There is nothing to close; what was kept can still be read."""
