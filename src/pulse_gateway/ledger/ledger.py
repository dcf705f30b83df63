"""The append-only record of what was used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from pulse_gateway.types.usage import Outcome, Usage, UsageSource

__all__ = ["Ledger", "UsageEntry"]


class UsageEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at a provider. `entry_id` was made before the call, so that writing it twice is writing it once.

    `period` is the month of the grant, `202611`. `at` is when the attempt began, seconds since the epoch: it stays the same however
    often the entry is written. `cost_nano_usd` None: the model has no known price. `price_version` names the rates that were
    applied, `price_source` where they come from. `source` says where `usage` comes from. `accounts` are the counters whose
    balances it adds to, as `limits.accounts` writes them: the user's, the key's, the tenant's.

    A correction is an entry of its own: `reverses` names the entry it corrects, and its amounts may be negative.
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
    price_version: str | None = None
    images: int = 0
    videos: int = 0
    first_byte_ms: float | None = None
    total_ms: float
    at: float
    error_code: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    accounts: tuple[str, ...] = ()
    reverses: str | None = None


class Ledger(Protocol):
    """`open`, `sent`, any number of `mark`s, `record`: the life of one attempt, under one `entry_id`."""

    def check(self) -> None:
        """Called before anything is spent. Raises: StoreUnavailable when entries could not be kept."""
        ...

    def open(self, entry: UsageEntry, /) -> None:
        """Before the call: what to record should this process end before anything more is heard of the attempt.

        Raises: StoreUnavailable when it could not be kept; the call must then not be made.
        """
        ...

    def sent(self, entry_id: str, /) -> None:
        """The request is about to leave: from now on the provider may bill it. An attempt that was opened and never sent leaves
        nothing when its process ends.

        Raises: StoreUnavailable when it could not be kept; nothing was, and the request must then not leave.
        """
        ...

    def mark(self, entry: UsageEntry, /) -> None:
        """What to record instead, now that more is known. Never waits; may be lost with the machine, not with the process."""
        ...

    def record(self, entry: UsageEntry, /) -> None:
        """The attempt has ended: keep `entry`. Never waits and never drops. Takes entries that were never opened as well."""
        ...

    async def balances(self, tenant_id: str, accounts: Sequence[str], period: int) -> dict[str, dict[str, int]]:
        """What each of `accounts` has used in a month (`202611`), by kind, as far as it is written: `tokens`, `images`,
        `videos`, `cost_nano_usd`. An account that has used nothing is left out.

        Raises: StoreUnavailable.
        """
        ...

    async def flush(self) -> None:
        """Returns when every entry recorded so far is where the ledger keeps it."""
        ...

    async def aclose(self) -> None:
        """Bring every entry to where the ledger keeps it, as `flush` does but not for ever, and close."""
        ...
