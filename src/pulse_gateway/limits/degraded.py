"""What stands in while the shared store is away: this process's share of each limit, counted here.

A window or a number of calls at once is shared out evenly: `cap // replicas` is what this process lets through. A user's monthly
quota is the ledger's balance, what was settled here since it was read, and what is held here, with at most two calls of a user at
once, since nobody sees what the other replicas hold. A key's or a tenant's month has as many callers as it likes: what is left of it
is shared out instead.

Once the store is back its counters have not seen what was let through here. So for one window more both must agree: see `agree`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from pulse_gateway.clock import Clock
from pulse_gateway.errors import AdmissionError, StoreUnavailable
from pulse_gateway.limits.asks import QUOTA, RUNNING, Ask
from pulse_gateway.limits.balances import SharedBalances
from pulse_gateway.limits.counters import GRANTED, RUNNING_WAIT_US, SLICES, Counters, Row
from pulse_gateway.limits.limiter import CONCURRENCY
from pulse_gateway.limits.periods import Month
from pulse_gateway.limits.policies import CLOSED, LOCAL, OPEN, Policies
from pulse_gateway.limits.verdicts import amounts_used, refusal

__all__ = ["AWAY_S", "Decision", "StandIn"]

AWAY_S = 5.0  # what callers are told to wait for a store that is away
CALLS_AT_ONCE = 2  # of one user with a monthly cap
_BALANCE_HOLDS_S = 3.0
_LEDGER_LAG_S = 5.0  # what was settled this shortly before a balance was read may be missing in it
_SWEPT = 64
_FOR_EVER_US = 1 << 60


class Decision(NamedTuple):
    """What was decided here and how it stands; `how` is the laxest policy that took part."""

    asks: list[Ask]
    rows: list[Row]
    how: str


class _Taken(NamedTuple):
    at_us: int
    asks: list[Ask]


class _Month:
    """One monthly counter as the ledger and this process know it."""

    __slots__ = ("balance", "read_s", "settled")

    def __init__(self) -> None:
        self.balance = 0
        self.read_s = float("-inf")
        self.settled: deque[tuple[float, int]] = deque()  # moment, amount: as long as a balance may lack it


class StandIn:
    """Counts in this process. `replicas` says how many share the limits, None while nobody knows; `lag_s` how far the ledger is
    behind with what this process used.

    Every permit it granted is ended by `settle` or `cancel` here as well.
    """

    def __init__(
        self,
        ledger: SharedBalances,
        clock: Clock,
        policies: Policies,
        *,
        replicas: Callable[[], int | None],
        lag_s: Callable[[], float],
    ) -> None:
        self._ledger, self._clock, self._policies = ledger, clock, policies
        self._replicas, self._lag_s = replicas, lag_s
        self._counters = Counters()
        self._taken: dict[str, _Taken] = {}
        self._months: dict[str, _Month] = {}
        self._counts_until: dict[str, int] = {}  # window → µs until which something in it was let through here
        self._agree_until_us = 0
        self._deciding = 0

    @property
    def has_a_say(self) -> bool:
        """Whether `agree` is to be asked about anybody, now that the store is back."""
        if not self._counts_until and not self._agree_until_us:
            return False
        now_us = self._now_us()
        self._forget_windows(now_us)
        if now_us >= self._agree_until_us:
            self._agree_until_us = 0
        return bool(self._counts_until or self._agree_until_us)

    def agree_for(self, longest_window_us: int) -> None:
        """The store is back: from now on, for as long as its longest window, whoever it grants needs a grant here too."""
        self._agree_until_us = self._now_us() + longest_window_us

    def forget(self) -> None:
        """The store is back: keep nothing that no permit and no window needs."""
        if not self.has_a_say and not self._taken and not self._deciding:
            self._counters, self._months = Counters(), {}

    def adopt(self, tenant: str, permit_id: str, asks: Sequence[Ask]) -> None:
        """Count what a permit holds that the store granted before it went away."""
        held = [ask for ask in asks if not ask.window_us and ask.cap >= 0 and self._policies.of(ask) == LOCAL]
        held += _at_once(tenant, held)
        if held and permit_id not in self._taken:
            now_us = self._now_us()
            self._counters.renew(now_us, permit_id, _FOR_EVER_US, held)
            self._taken[permit_id] = _Taken(now_us, held)

    async def acquire(self, tenant: str, permit_id: str, asks: Sequence[Ask], month: Month, now_s: float) -> Decision:
        """Take what `local` limits allow, and nothing else is limited.

        Raises: RateLimited, ConcurrencyLimited, QuotaExceeded; StoreUnavailable for a limit whose policy is `closed`, for one
        of which this process's share is too small for the request, for a user's month while two calls of that user are under way,
        and where the ledger is away too.
        """
        how = LOCAL
        local = []
        for ask in asks:
            if ask.cap < 0:
                continue
            policy = self._policies.of(ask)
            if policy == CLOSED:
                raise StoreUnavailable(
                    f"the store of the limits does not answer, and {ask.kind} are not admitted without it",
                    retry_after_s=AWAY_S,
                )
            if policy == OPEN:
                how = OPEN
            else:
                local.append(ask)
        await self._read_months(tenant, local, month)
        shares, rows = self._take(permit_id, local, month, now_s, [*_at_once(tenant, local)])
        return Decision(shares, rows, how)

    def agree(self, permit_id: str, asks: Sequence[Ask], month: Month, now_s: float) -> bool:
        """Take the windows that the store alone would not keep, since it has not seen what was let through here.

        Returns whether there was anything to take. Raises: RateLimited; StoreUnavailable as `acquire`.
        """
        everything = self._agree_until_us > 0
        local = [
            ask
            for ask in asks
            if ask.window_us and ask.cap >= 0 and (everything or ask.key in self._counts_until)
            and self._policies.of(ask) == LOCAL
        ]  # fmt: skip
        if local:
            self._take(permit_id, local, month, now_s, [])
        return bool(local)

    async def look(self, tenant: str, asks: Sequence[Ask], month: Month) -> Decision:
        """Where the counters stand here. What is not counted here is left out.

        Raises: StoreUnavailable when the ledger is away too.
        """
        shown = [ask for ask in asks if ask.form == QUOTA or (ask.cap >= 0 and self._policies.of(ask) == LOCAL)]
        await self._read_months(tenant, shown, month)
        shares = [self._share(ask) for ask in shown]
        return Decision(shares, self._counters.acquire(self._now_us(), "", 0, shares).rows, LOCAL)

    def settle(self, permit_id: str, used: Mapping[str, int]) -> None:
        """What a permit of `acquire` or `agree` really used. Nothing happens for others."""
        if (taken := self._taken.pop(permit_id, None)) is None:
            return
        actual = amounts_used(taken.asks, used)
        self._counters.settle(self._now_us(), permit_id, taken.at_us, taken.asks, actual, first=True)
        now_s = self._clock.monotonic()
        for ask, amount in zip(taken.asks, actual, strict=True):
            if ask.form == QUOTA and amount:
                self._months.setdefault(ask.key, _Month()).settled.append((now_s, amount))

    def cancel(self, permit_id: str) -> None:
        """Give back what a permit took here. Nothing happens for those that took nothing."""
        if (taken := self._taken.pop(permit_id, None)) is not None:
            self._counters.cancel(self._now_us(), permit_id, taken.at_us, taken.asks)

    # ── taking ──

    def _take(
        self, permit_id: str, asks: Sequence[Ask], month: Month, now_s: float, besides: list[Ask]
    ) -> tuple[list[Ask], list[Row]]:
        shares = [self._share(ask) for ask in asks]
        now_us = self._now_us()
        self._counters.sweep(now_us, _SWEPT)
        self._forget_windows(now_us)
        verdict = self._counters.acquire(now_us, permit_id, 0, [*shares, *besides])
        if verdict.code != GRANTED:
            raise self._refusal(asks, [*shares, *besides], verdict.rows, month, now_s)
        self._taken[permit_id] = _Taken(verdict.now_us, [*shares, *besides])
        for ask in shares:
            if ask.window_us:
                self._counts_until.pop(ask.key, None)  # the order is that of the latest grants
                self._counts_until[ask.key] = verdict.now_us + ask.window_us + ask.window_us // SLICES + 1
        return shares, verdict.rows[: len(shares)]

    def _refusal(
        self, asks: Sequence[Ask], shares: Sequence[Ask], rows: Sequence[Row], month: Month, now_s: float
    ) -> AdmissionError | StoreUnavailable:
        """The limit that is in the way; or that the store is away, where only the size of the share is, or what stands in for a month:
        the caller has no such limit.
        """
        for ask, share, row in zip(asks, shares, rows, strict=False):
            if row.wait_us and share.cap < ask.cap:
                needed = ask.amount if ask.form != QUOTA else row.used + row.held + ask.amount
                if share.cap < needed <= ask.cap:
                    return StoreUnavailable(
                        f"the store of the limits does not answer, and this gateway's share of the limit on {ask.kind} "
                        "is too small for the request",
                        retry_after_s=AWAY_S,
                    )
        own = rows[: len(asks)]
        if any(row.wait_us for row in own):
            return refusal(shares[: len(asks)], own, month, now_s)
        return StoreUnavailable(
            "the store of the limits does not answer, so monthly quotas cannot be counted exactly now, and no more than "
            f"{CALLS_AT_ONCE} calls of a user with one are admitted at once",
            retry_after_s=RUNNING_WAIT_US / 1e6,
        )

    def _share(self, ask: Ask) -> Ask:
        if ask.cap < 0:
            return ask
        if ask.form == QUOTA:
            left = ask.cap - self._months[ask.key].balance
            if left <= 0 or _is_a_users(ask):
                return ask
            return msgspec.structs.replace(ask, cap=ask.cap - left + left // self._sharers())
        return msgspec.structs.replace(ask, cap=ask.cap // self._sharers())

    def _sharers(self) -> int:
        replicas = self._replicas()
        if replicas is None:
            raise StoreUnavailable(
                "the store of the limits has not answered yet, so nobody knows how many gateways share them",
                retry_after_s=AWAY_S,
            )
        return max(1, replicas)

    async def _read_months(self, tenant: str, asks: Sequence[Ask], month: Month) -> None:
        """Bring the balances of every month asked for up to date.

        Raises: StoreUnavailable.
        """
        now_s = self._clock.monotonic()
        months = {ask.key: (ask, self._months.setdefault(ask.key, _Month())) for ask in asks if ask.form == QUOTA}
        old = [(ask, known) for ask, known in months.values() if now_s - known.read_s > _BALANCE_HOLDS_S]
        if not old:
            return
        self._deciding += 1
        try:
            found = await self._ledger.read(tenant, list({ask.account for ask, _ in old}), month.period)
        finally:
            self._deciding -= 1
        complete_until_s = now_s - _LEDGER_LAG_S - self._lag_s()
        for ask, known in old:
            known.balance, known.read_s = found[ask.account].get(ask.kind, 0), now_s
            while known.settled and known.settled[0][0] <= complete_until_s:
                known.settled.popleft()
            self._counters.set_used(ask.key, known.balance + sum(amount for _, amount in known.settled))

    # ── forgetting ──

    def _forget_windows(self, now_us: int) -> None:
        """Those in which nothing counts any more."""
        while self._counts_until:
            key, until_us = next(iter(self._counts_until.items()))
            if until_us > now_us:
                return
            del self._counts_until[key]

    def _now_us(self) -> int:
        return int(self._clock.monotonic() * 1e6 + 0.5)


def _is_a_users(ask: Ask) -> bool:
    return not ask.account.startswith(("key/", "tenant/"))


def _at_once(tenant: str, asks: Sequence[Ask]) -> list[Ask]:
    """Beside a user's monthly cap: at most two calls at once."""
    accounts = {ask.account for ask in asks if ask.form == QUOTA and _is_a_users(ask)}
    return [
        Ask(RUNNING, f"at once:{tenant}:{account}", 1, CALLS_AT_ONCE, 0, account, CONCURRENCY)
        for account in sorted(accounts)
    ]
