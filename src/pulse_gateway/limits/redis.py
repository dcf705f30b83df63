"""Limits that all replicas share, counted in Redis or Valkey by the scripts in `lua/`.

One call admits, in one trip, another settles. While Redis is away: `degraded.py`; counters and ledger brought together: `reconcile.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from pulse_gateway.clock import Clock
from pulse_gateway.errors import AdmissionError, StoreUnavailable
from pulse_gateway.ids import new_entry_id
from pulse_gateway.limits.asks import QUOTA, Ask, asks_of, holds_of
from pulse_gateway.limits.balances import Balances, SharedBalances
from pulse_gateway.limits.chores import Chore
from pulse_gateway.limits.counters import COLD, GRANTED, LOST, REFUSED, SEEN, Row
from pulse_gateway.limits.crossings import Crossings, OnCrossed
from pulse_gateway.limits.degraded import AWAY_S, StandIn
from pulse_gateway.limits.doubts import Doubts
from pulse_gateway.limits.leases import Leases
from pulse_gateway.limits.limiter import COST, Charge, Permit, Standing
from pulse_gateway.limits.overdue import Overdue
from pulse_gateway.limits.periods import Month, month_numbered
from pulse_gateway.limits.policies import CLOSED, LOCAL, Policies
from pulse_gateway.limits.reconcile import Reconciler
from pulse_gateway.limits.redis_permit import RedisPermit
from pulse_gateway.limits.replicas import ANNOUNCED_EVERY_S, Replicas
from pulse_gateway.limits.scripts import ANOTHER_MONTH, Room, Scripts, room_of, rows_of, settled_rows
from pulse_gateway.limits.settlements import Ending, Endings
from pulse_gateway.limits.standings import Standings
from pulse_gateway.limits.tally import Charges
from pulse_gateway.limits.verdicts import amounts_used, refusal, settled_standings
from pulse_gateway.transport.redis import RedisClient, RedisUnavailable

__all__ = ["RedisLimiter"]

_log = logging.getLogger(__name__)
_TRIES = 5  # of one acquire: another month, cold counters, a confirmed refusal; then something is wrong with the store
_RESENT_EVERY_S = 1.0
_RECONCILED_EVERY_S = 5.0
_CLOSING_S = 2.0
_MONTHLY = ("tokens", "images", "videos", COST)


class RedisLimiter:
    """A `Limiter` for any number of processes. `open` it before use, after the client.

    `ledger` says what was used where Redis has no counter of the month yet; `lag_s`, how far this process is behind with writing to
    it. `replicas` None: as many as have announced themselves of late. `policies` hold while Redis is away.
    """

    def __init__(
        self,
        redis: RedisClient,
        *,
        ledger: Balances,
        clock: Clock,
        prefix: str = "pulse",
        lease_s: float = 60.0,
        replicas: int | None = None,
        policies: Policies | None = None,
        lag_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._redis, self._clock, self._prefix = redis, clock, prefix
        self._scripts = Scripts(redis, clock)
        self._balances = SharedBalances(ledger)
        self._replicas = Replicas(redis, self._scripts, prefix=prefix, fixed=replicas, lag_s=lag_s)
        self._stand_in = StandIn(
            self._balances, clock, policies or Policies(), replicas=lambda: self._replicas.count, lag_s=lag_s
        )
        self._leases = Leases(self._scripts, lease_s, clock)
        self._crossings = Crossings()
        self._reconciler = Reconciler(self._scripts, self._balances, clock, self._crossings)
        self._endings = Endings(
            self._scripts, ended=self._ended_late, left_to_the_ledger=self._reconciler.touch_all, lag_s=lag_s
        )
        self._overdue = Overdue(redis, self._scripts, prefix=prefix)
        self._doubts = Doubts(clock)
        self._longest_window_us = 0
        self._is_recovering = False
        self._chores = {
            "leases": Chore("leases", self._leases.renew, every_s=self._leases.renewed_every_s, clock=clock),
            "endings": Chore("settlements", self._send_endings, every_s=_RESENT_EVERY_S, clock=clock),
            "overdue": Chore("overdue permits", self._overdue.sweep, every_s=self._leases.renewed_every_s, clock=clock),
            "replicas": Chore("replicas", self._announce, every_s=ANNOUNCED_EVERY_S, clock=clock),
            "reconcile": Chore("reconciliation", self._reconcile, every_s=_RECONCILED_EVERY_S, clock=clock),
        }
        self.degraded_grants: Counter[str] = Counter()
        """Requests let through without Redis, by policy: `local`, `open`."""
        self.degraded_refusals: Counter[str] = Counter()
        """Requests refused without Redis, by policy: `local` (their share was used up), `closed`."""
        redis.on_change(self._availability_changed)

    @property
    def on_crossed(self) -> OnCrossed:
        """Hears of monthly caps that were passed with nobody waiting for the standings of a settlement; by default the log does."""
        return self._crossings.on_crossed

    @on_crossed.setter
    def on_crossed(self, told: OnCrossed) -> None:
        self._crossings.on_crossed = told

    @property
    def outstanding(self) -> int:
        """How many permits are neither settled nor cancelled."""
        return len(self._leases.open)

    @property
    def state(self) -> Literal["ok", "degraded"]:
        """`degraded` while Redis is away and the policies decide."""
        return "ok" if self._redis.available else "degraded"

    @property
    def settlements_waiting(self) -> int:
        """How many settlements Redis has not taken yet."""
        return self._endings.waiting

    @property
    def settlements_dropped(self) -> int:
        """How many settlements were left to reconciliation because too many waited."""
        return self._endings.dropped

    @property
    def corrections(self) -> int:
        """How many counters were found to differ from the ledger, and were set to it."""
        return self._reconciler.corrections

    @property
    def replicas(self) -> int | None:
        """How many gateways share the limits; None while nobody knows."""
        return self._replicas.count

    async def open(self) -> None:
        """Announce this process and begin to renew its leases. Redis may be away."""
        try:
            await self._replicas.announce()
        except RedisUnavailable as away:
            _log.warning("redis is away: %s", away.message)
        for chore in self._chores.values():
            chore.start()

    async def aclose(self) -> None:
        """Send what waits, for two seconds at most, and stop renewing: what is still held comes back with its lease."""
        for chore in self._chores.values():
            await chore.stop()
        await self._leases.aclose()
        try:
            async with asyncio.timeout(_CLOSING_S):
                await self._endings.send()
                await self._endings.look_for_lost_grants()
                await self._replicas.leave()
        except (RedisUnavailable, TimeoutError):
            if self._endings.waiting:
                _log.warning("%d settlements did not reach redis; the ledger has them", self._endings.waiting)

    def doubt(self, tenant: str, accounts: Iterable[str], period: int) -> None:
        """The ledger has come to know more of these accounts' month (`202611`) than was settled here: compare what Redis counts."""
        room, month = room_of(self._prefix, tenant), month_numbered(period)
        charges = [Charge(account=each, kind=kind, amount=0, cap=None) for each in accounts for kind in _MONTHLY]
        for ask in asks_of(room.prefix, charges, period):
            self._reconciler.doubt(ask.key, room, ask.account, ask.kind, month)
        self._chores["reconcile"].wake()

    def corrected(self, tenant: str, accounts: Sequence[str], change: Mapping[str, int], period: int, /) -> None:
        """As soon as the ledger has it, which is asked."""
        self.doubt(tenant, accounts, period)

    # ── what admission asks ──

    async def acquire(self, charges: Sequence[Charge], /, *, tenant: str = "default") -> Permit:
        """Take all charges or none, in one trip.

        Raises: RateLimited, QuotaExceeded, ConcurrencyLimited; StoreUnavailable where a policy says so, and for accounts that Redis
        does not know while the ledger is away.
        """
        room, permit_id = room_of(self._prefix, tenant), new_entry_id()
        self._overdue.serves(tenant)
        if self._stand_in.has_a_say and self._redis.available:
            self._agree(room, permit_id, charges)
        try:
            permit = await self._decide(room, permit_id, charges)
        except RedisUnavailable as away:
            self._stand_in.cancel(permit_id)
            permit = await self._decide_here(room, permit_id, charges, away)
        except BaseException:  # refused or cancelled: what the stand-in had agreed to is given back
            self._stand_in.cancel(permit_id)
            raise
        self._leases.open[permit_id] = permit
        return permit

    async def standings(self, charges: Sequence[Charge], /, *, tenant: str = "default") -> Sequence[Standing]:
        """Where the counters stand; `amount` is ignored and nothing is taken.

        Raises: StoreUnavailable.
        """
        room = room_of(self._prefix, tenant)
        try:
            return (await self._decide(room, "", charges)).standings
        except RedisUnavailable:
            month = self._scripts.month
            seen = await self._stand_in.look(tenant, asks_of(room.prefix, charges, month.period), month)
            return Standings(seen.asks, seen.rows, month, self._scripts.now_s)

    async def _decide(self, room: Room, permit_id: str, charges: Sequence[Charge]) -> RedisPermit:
        """Ask the store; without a `permit_id`, only look.

        Raises: as `acquire`, and RedisUnavailable.
        """
        asked = permit_id
        for _ in range(_TRIES):
            month = self._scripts.month
            permit = self._permit(room, permit_id, charges, month)
            asks = permit.asks
            try:
                reply = await self._scripts.acquire(permit, self._leases.lease_us, asked)
            except asyncio.CancelledError:
                if permit_id:
                    self._endings.seek(permit)
                raise
            code, now_us = reply[0], reply[1]
            if code == GRANTED or (code == REFUSED and not asked):
                permit.granted(now_us, reply)
                self._look_at(asks, permit)
                return permit
            if code == REFUSED:
                rows = rows_of(reply)
                if not await self._corrected(room, asks, rows, month):
                    raise refusal(asks, rows, month, now_us / 1e6)
            elif code == COLD:
                await self._warm(room, asks, rows_of(reply), month)
            elif (
                code == SEEN
            ):  # the call was executed twice: the permit is ours already, and only its standing is to be asked
                asked = ""
            else:
                assert code == ANOTHER_MONTH
                self._scripts.learn(now_us)
        raise StoreUnavailable("the store of the limits does not come to a decision", retry_after_s=AWAY_S)

    def _permit(self, room: Room, permit_id: str, charges: Sequence[Charge], month: Month) -> RedisPermit:
        """Not granted yet."""
        if isinstance(charges, Charges):
            counted = charges.tally.counted(self._prefix, room.tenant, month.period)
            if counted is not None:
                return RedisPermit(
                    room, permit_id, month, counted.asks(charges), "", counted, limiter=self, period=month.period
                )
        asks = asks_of(room.prefix, charges, month.period)
        return RedisPermit(room, permit_id, month, asks, "", limiter=self, period=month.period)

    async def _decide_here(
        self, room: Room, permit_id: str, charges: Sequence[Charge], away: RedisUnavailable
    ) -> RedisPermit:
        """What the policies say without Redis. A call that may have been executed all the same has then granted the same permit, or is
        taken back.
        """
        month = self._scripts.month
        asks = asks_of(room.prefix, charges, month.period)
        permit = RedisPermit(room, permit_id, month, asks, holds_of(asks), limiter=self, period=month.period)
        try:
            decision = await self._stand_in.acquire(room.tenant, permit_id, asks, month, self._scripts.now_s)
        except BaseException as error:  # cancelled too: a grant nobody has seen is looked for
            if away.maybe_done:
                self._endings.seek(permit)
            if isinstance(error, AdmissionError | StoreUnavailable):
                self._count_refusal(error)
            raise
        self.degraded_grants[decision.how] += 1
        permit.degraded, permit.doubted = decision.how, away.maybe_done
        permit.stands(Standings(decision.asks, decision.rows, month, self._scripts.now_s))
        self._chores["leases"].wake()  # Redis is to hold it as soon as it can
        return permit

    def _agree(self, room: Room, permit_id: str, charges: Sequence[Charge]) -> None:
        month = self._scripts.month
        try:
            self._stand_in.agree(permit_id, asks_of(room.prefix, charges, month.period), month, self._scripts.now_s)
        except (AdmissionError, StoreUnavailable) as error:
            self._count_refusal(error)
            raise

    def _count_refusal(self, error: AdmissionError | StoreUnavailable) -> None:
        error.limits_policy = LOCAL if isinstance(error, AdmissionError) else CLOSED
        self.degraded_refusals[error.limits_policy] += 1

    # ── what the ledger is asked ──

    async def _warm(self, room: Room, asks: Sequence[Ask], rows: Sequence[Row], month: Month) -> None:
        """Say what was used of the quotas that Redis does not know.

        Raises: RedisUnavailable; StoreUnavailable when the ledger is away, and while a gateway is behind with writing to it: what it
        knows is then too little to begin with.
        """
        if self._replicas.are_behind:
            raise StoreUnavailable(
                "usage is being written late, and what was used of this account is not known meanwhile",
                retry_after_s=AWAY_S,
            )
        cold = [ask for ask, row in zip(asks, rows, strict=True) if row.used < 0]
        if any(self._reconciler.knows(ask.key) for ask in cold):
            await self._leases.renew_all()  # Redis has forgotten: what is held must be there before anybody is let in
        as_of = self._scripts.now_us
        found = await self._balances.read(room.tenant, list({ask.account for ask in cold}), month.period)
        await asyncio.gather(
            *[self._scripts.warm(ask.key, found[ask.account].get(ask.kind, 0), month, as_of=as_of) for ask in cold]
        )
        for ask in cold:
            used = found[ask.account].get(ask.kind, 0)
            self._crossings.look(room.tenant, ask.account, ask.kind, month.period, ask.cap, 0, used)

    async def _corrected(self, room: Room, asks: Sequence[Ask], rows: Sequence[Row], month: Month) -> bool:
        """Whether a quota was in the way that counted more than the ledger knows of, and was set right. Looked up at most once in ten
        seconds for each, and never while anybody's use is still on its way to the ledger.
        """
        if self._endings.waiting or self._replicas.may_be_behind:
            return False
        doubted = self._doubts.about(asks, rows)
        if not doubted:
            return False
        try:
            await self._announce()  # what is known of the others is to be new
            return not self._replicas.may_be_behind and await self._reconciler.lower(room.tenant, doubted, month)
        except StoreUnavailable:
            return False  # then Redis has the last word

    # ── what a permit does ──

    async def settle(self, permit: RedisPermit, used: Mapping[str, int]) -> Sequence[Standing]:
        """As the permit says."""
        if self._leases.open.pop(permit.permit_id, None) is None:
            return permit.standings
        self._stand_in.settle(permit.permit_id, used)
        at_s, actual = self._clock.monotonic(), amounts_used(permit.asks, used)
        try:
            reply = await self._scripts.settle(permit, actual)
        except RedisUnavailable as away:  # it is told later
            self._endings.postpone(Ending(permit, "settle", actual, at_s), maybe_done=away.maybe_done)
            return permit.standings
        except asyncio.CancelledError:
            self._endings.postpone(Ending(permit, "settle", actual, at_s), maybe_done=True)
            raise
        self._scripts.learn(reply[1])
        settled = self._settled(permit, reply, actual)
        permit.stands(settled)
        if reply[0] == LOST and permit.known:
            self._leases.renew_all_soon()
        return settled

    async def cancel(self, permit: RedisPermit) -> None:
        """As the permit says."""
        if self._leases.open.pop(permit.permit_id, None) is None:
            return
        self._stand_in.cancel(permit.permit_id)
        ending = Ending(permit, "cancel", [0] * len(permit.asks), self._clock.monotonic())
        try:
            await self._scripts.end(permit, "cancel", ending.actual)
        except RedisUnavailable as away:
            self._endings.postpone(ending, maybe_done=away.maybe_done)
        except asyncio.CancelledError:
            self._endings.postpone(ending, maybe_done=True)
            raise

    def _settled(self, permit: RedisPermit, reply: Sequence[int], actual: Sequence[int]) -> Sequence[Standing]:
        """Where the counters stand after a settlement; what was not decided by Redis has no windows to tell of."""
        now_s, month = reply[1] / 1e6, permit.month
        if permit.degraded is None:
            rows = settled_rows(permit.asks, permit.reply, reply)
            return settled_standings(permit.asks, rows, rows, actual, month, now_s, permit.counted)
        told = [(ask, at) for at, ask in enumerate(permit.asks) if not ask.window_us]
        rows = [Row(reply[2 + 2 * at], reply[3 + 2 * at], 0, 0) for _, at in told]
        return settled_standings([ask for ask, _ in told], rows, rows, [actual[at] for _, at in told], month, now_s)

    def _ended_late(self, ending: Ending, _code: int, rows: Sequence[Row]) -> None:
        """A settlement that had to wait has reached Redis; who waited for it has left."""
        if ending.mode == "cancel":
            return
        self._reconciler.touch_all(ending.grant)
        grant = ending.grant
        for ask, row, amount in zip(grant.asks, rows, ending.actual, strict=True):
            if ask.form == QUOTA and row.used >= 0:
                where = (grant.room.tenant, ask.account, ask.kind, grant.month.period)
                self._crossings.look(*where, ask.cap, row.used - amount, row.used)

    # ── in the background ──

    async def _send_endings(self) -> None:
        if self._is_recovering or self._replicas.has_news:
            await self._announce()  # first, for the answer says whether Redis is what it was
        await self._endings.send()
        await self._endings.look_for_lost_grants()

    async def _announce(self) -> None:
        has_forgotten = await self._replicas.announce()
        self._is_recovering = False
        if has_forgotten:
            self._leases.renew_all_soon()
        self._stand_in.forget()

    async def _reconcile(self) -> None:
        if not self._endings.waiting:
            await self._announce()  # what is known of the others is to be new
            await self._reconciler.run(may_lower=not self._replicas.may_be_behind)

    def _look_at(self, asks: Sequence[Ask], permit: RedisPermit) -> None:
        reconciler = self._reconciler
        for ask in asks:
            if ask.window_us:
                if ask.window_us > self._longest_window_us:  # noqa: PLR1730 -- hardly ever so, and `max` is slow
                    self._longest_window_us = ask.window_us
            elif ask.form == QUOTA and not reconciler.knows(ask.key):
                reconciler.touch(ask, permit)

    def _availability_changed(self, available: bool) -> None:
        if available:
            _log.info("limits are decided by redis again; %d settlements wait for it", self._endings.waiting)
            self._is_recovering = True
            self._stand_in.agree_for(self._longest_window_us)
            self._leases.renew_all_soon()
            self._chores["endings"].wake()
        else:
            _log.warning("redis is away: the policies for limits without it hold")
            for permit in self._leases.open.values():
                self._stand_in.adopt(permit.room.tenant, permit.permit_id, permit.asks)
