"""What admission asks of a limiter, and what it gets back."""

from __future__ import annotations

from collections.abc import Awaitable, Generator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec

__all__ = ["ALERT_AT_PERCENT", "CONCURRENCY", "COST", "REQUESTS", "Charge", "Limiter", "Permit", "Ready", "Standing"]

T = TypeVar("T")

REQUESTS, CONCURRENCY, COST = "requests", "concurrency", "cost_nano_usd"
ALERT_AT_PERCENT = (80, 100)  # of a monthly cap: what is used passes them once a month, and is told then


class Charge(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One amount asked of one counter.

    Which counter it is follows from its fields:

    - with `window_s` and the kind `requests`: an exact sliding window, one entry a grant;
    - with `window_s` and another kind (`tokens`): a sliding window in twentieths, which never lets more through than its cap, and
      may give a place back up to a twentieth of the window late; what a call really used takes the place of its estimate;
    - the kind `concurrency`: calls under way, given back when the permit ends;
    - else a monthly quota in the calendar month (UTC) of the grant: `tokens`, `images`, `videos`, or `cost_nano_usd`.

    `cap` None counts without refusing. `account` is whose counter it is, as `limits.accounts` writes it.
    """

    account: str
    kind: str
    amount: int
    cap: int | None
    window_s: float | None = None


class Standing(msgspec.Struct, frozen=True, gc=False):
    """Where one counter stands after the decision. `reset_s`: seconds until it is back to full.

    `crossed` names the percentages of the cap (`ALERT_AT_PERCENT`) that this settlement, and no other, has passed.
    """

    kind: str
    limit: int | None
    used: int
    reserved: int
    reset_s: float
    account: str = ""
    window_s: float | None = None
    resets_at: float | None = None  # seconds since the epoch, for monthly quotas
    starts_at: float | None = None
    crossed: tuple[int, ...] = ()

    @property
    def remaining(self) -> int | None:
        """None without a limit; never negative."""
        return None if self.limit is None else max(0, self.limit - self.used - self.reserved)


class Ready(msgspec.Struct, Generic[T], eq=False):
    """A `value` that is there already: nobody who awaits it waits."""

    value: T

    def __await__(self) -> Generator[Any, Any, T]:
        yield from ()
        return self.value


class Permit(Protocol):
    """A grant, to be ended exactly once: by `settle` or `cancel`. The first of them counts, further ones do nothing.

    A permit is a lease: the limiter renews it while this process lives, and takes its holds back by itself when it does not.
    Who need not wait returns `Ready`, and spares the caller a task that would wait instead.
    """

    @property
    def permit_id(self) -> str: ...

    @property
    def period(self) -> int:
        """The month of the grant, `202611`: what is used is charged to it, however long the call takes."""
        ...

    @property
    def standings(self) -> Sequence[Standing]: ...

    @property
    def degraded(self) -> str | None:
        """None: every limit was decided by the store that all replicas share. Else the policy that stood in for it:
        `local` or `open`."""
        ...

    def settle(self, used: Mapping[str, int], /) -> Awaitable[Sequence[Standing]]:
        """Replace the hold by what was really used, per kind; a kind not named used nothing. Returns the new standings."""
        ...

    def cancel(self) -> Awaitable[None]:
        """Give everything back, the places in windows too: the request was refused before anything was done for it."""
        ...


class Limiter(Protocol):
    def acquire(self, charges: Sequence[Charge], /, *, tenant: str = "default") -> Awaitable[Permit]:
        """Take all charges or none, in one step. Who need not wait returns `Ready`, and may raise before anything is awaited.

        Raises: RateLimited, QuotaExceeded, ConcurrencyLimited (with `standings` for the headers); StoreUnavailable when the
        limits cannot be decided and their policy is to refuse then.
        """
        ...

    async def standings(self, charges: Sequence[Charge], /, *, tenant: str = "default") -> Sequence[Standing]:
        """Where the counters stand; `amount` is ignored and nothing is taken.

        Raises: StoreUnavailable.
        """
        ...

    def corrected(self, tenant: str, accounts: Sequence[str], change: Mapping[str, int], period: int, /) -> None:
        """The ledger has corrected what these accounts used in a month (`202611`): by `change`, per kind, mostly less. Counted as soon as
        can be; never waits.
        """
        ...

    async def aclose(self) -> None:
        """Bring what is settled to where it is counted, for a bounded time, and stop renewing."""
        ...
