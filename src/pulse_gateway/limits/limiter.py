"""What admission asks of a limiter, and what it gets back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

__all__ = ["Charge", "Limiter", "Permit", "Standing"]


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """One amount asked of one counter.

    With `window_s` the counter is an exact sliding window of requests. Without, it is a monthly quota: its period is the
    calendar month (UTC) at the grant. `cap` None counts without refusing. `kind` is `requests`, `tokens`, `images` or
    `videos`; units are of that kind.
    """

    account: str
    kind: str
    amount: int
    cap: int | None
    window_s: float | None = None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where one counter stands after the decision. `reset_s`: seconds until it is back to full."""

    kind: str
    limit: int | None
    used: int
    reserved: int
    reset_s: float
    window_s: float | None = None
    resets_at: float | None = None  # seconds since the epoch, for monthly quotas
    starts_at: float | None = None

    @property
    def remaining(self) -> int | None:
        """None without a limit; never negative."""
        return None if self.limit is None else max(0, self.limit - self.used - self.reserved)


class Permit(Protocol):
    """A grant, to be ended exactly once: by `settle` or `cancel`. The first of them counts, further ones do nothing."""

    @property
    def standings(self) -> Sequence[Standing]: ...

    async def settle(self, used: Mapping[str, int], /) -> Sequence[Standing]:
        """Replace the hold by what was really used, per kind; a kind not named used nothing. Returns the new standings."""
        ...

    async def cancel(self) -> None:
        """Give everything back, the place in the window too: the request was refused before anything was done for it."""
        ...


class Limiter(Protocol):
    async def acquire(self, charges: Sequence[Charge], /) -> Permit:
        """Take all charges or none.

        Raises: RateLimited, QuotaExceeded (both with `retry_after_s`, `param` None, and `standings` for the headers).
        """
        ...

    async def standings(self, charges: Sequence[Charge], /) -> Sequence[Standing]:
        """Where the counters stand; `amount` is ignored and nothing is taken."""
        ...
