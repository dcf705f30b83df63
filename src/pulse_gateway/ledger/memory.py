"""A ledger that lives and dies with the process: for the library without stores, and for tests."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from pulse_gateway.ledger.ledger import UsageEntry

__all__ = ["MemoryLedger"]


class MemoryLedger:
    """Keeps the totals of every account, month and kind for ever, and the last `max_entries` entries.

    An entry recorded twice counts once, as long as it is among those kept: a repetition later than that counts again. Kinds
    are `tokens`, `images`, `videos` and `cost_nano_usd`.
    """

    def __init__(self, max_entries: int = 10_000) -> None:
        self._entries: deque[UsageEntry] = deque()
        self._ids: set[str] = set()
        self._max_entries = max_entries
        self._totals: dict[tuple[str, str, int], dict[str, int]] = {}  # tenant, account, period → kind → amount

    @property
    def entries(self) -> list[UsageEntry]:
        """The entries still kept, in the order they came."""
        return list(self._entries)

    def check(self) -> None:
        """Memory is always at hand."""

    def open(self, entry: UsageEntry, /) -> None:
        """Nothing to keep: what this process has not recorded when it ends goes with it."""

    def sent(self, entry_id: str, /) -> None:
        """Nothing to keep."""

    def mark(self, entry: UsageEntry, /) -> None:
        """Nothing to keep."""

    def record(self, entry: UsageEntry, /) -> None:
        if entry.entry_id in self._ids:
            return
        if len(self._entries) >= self._max_entries:
            self._ids.discard(self._entries.popleft().entry_id)
        self._entries.append(entry)
        self._ids.add(entry.entry_id)
        amounts = (
            ("tokens", entry.tokens),
            ("images", entry.images),
            ("videos", entry.videos),
            ("cost_nano_usd", entry.cost_nano_usd),
        )
        used = [(kind, amount) for kind, amount in amounts if amount]
        for account in entry.accounts:
            totals = self._totals.setdefault((entry.tenant_id, account, entry.period), {})
            for kind, amount in used:
                totals[kind] = totals.get(kind, 0) + amount

    async def balances(self, tenant_id: str, accounts: Sequence[str], period: int) -> dict[str, dict[str, int]]:
        """What each of `accounts` has used in a month (`202611`), by kind."""
        found = {account: self._totals.get((tenant_id, account, period)) for account in accounts}
        return {account: dict(totals) for account, totals in found.items() if totals}

    async def flush(self) -> None:
        """Every entry is kept as soon as it is recorded."""

    async def aclose(self) -> None:
        """There is nothing to close; what was kept can still be read."""
