"""The append-only record of what was used."""

from __future__ import annotations

from typing import Protocol

import msgspec

from pulse_gateway.types.usage import Outcome, Usage, UsageSource

__all__ = ["Ledger", "UsageEntry"]


class UsageEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt that reached a provider. `entry_id` was made before the call, so that writing it twice is writing it once.

    `period` is the month of the grant, `202611`. `cost_nano_usd` None: the model has no known price. `at` is seconds since
    the epoch. `source` says where `usage` comes from.
    """

    entry_id: str
    request_id: str
    trace_id: str
    tenant_id: str
    user_id: str
    key_id: str | None
    period: int
    operation: str
    dialect: str
    alias: str
    provider: str
    model: str
    attempt: int
    outcome: Outcome
    source: UsageSource
    usage: Usage
    tokens: int
    cost_nano_usd: int | None
    price_source: str | None
    images: int = 0
    videos: int = 0
    first_byte_ms: float | None = None
    total_ms: float
    at: float
    error_code: str | None = None
    tags: tuple[tuple[str, str], ...] = ()


class Ledger(Protocol):
    def check(self) -> None:
        """Called before anything is spent. Raises: StoreUnavailable when entries could not be kept."""
        ...

    def record(self, entry: UsageEntry, /) -> None:
        """Keep `entry`. Never waits and never drops."""
        ...

    async def flush(self) -> None:
        """Returns when every entry recorded so far is where the ledger keeps it."""
        ...

    async def aclose(self) -> None:
        """Bring every entry to where the ledger keeps it, as `flush` does but not for ever, and close."""
        ...
