"""Redis is a cache of the ledger: compared with it, corrected by it, built anew from it.

Whoever does it twice, or at the same time as another, has done it once: a counter is set where it is still what it was, or what is
certain is added where nobody else has corrected it since.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, TypeVar

import msgspec

from pulse_gateway.clock import Clock
from pulse_gateway.limits.asks import QUOTA, Ask
from pulse_gateway.limits.balances import Balances, SharedBalances
from pulse_gateway.limits.crossings import Crossings
from pulse_gateway.limits.limiter import COST
from pulse_gateway.limits.periods import Month, month_numbered
from pulse_gateway.limits.replicas import forget_who_was_behind
from pulse_gateway.limits.scripts import Grant, Reading, Room, Scripts, room_of
from pulse_gateway.transport.redis import RedisClient

__all__ = ["Difference", "Reconciler", "Used", "rebuild", "verify"]

QUIET_US = 5_000_000  # what was settled more recently may not be in the ledger yet
_DUE_AFTER_S = 30.0
_AGAIN_AFTER_S = 10.0
_SURE_AFTER_S = 6.0  # a call that is in the ledger is in Redis by then, and the other way round
_MOST_AT_ONCE = 2_000
_AT_ONCE = 500
_TAKEN_BACK = "X"  # what is kept of a permit whose lease has ended

_T = TypeVar("_T")


class _Seen(NamedTuple):
    """What Redis and then the ledger said, at `at_s` by the monotonic clock and `as_of` by the server's."""

    at_s: float
    as_of: int
    reading: Reading
    balance: int


class _Touched(NamedTuple):
    due_s: float
    room: Room
    account: str
    kind: str
    month: Month
    cap: int = -1
    seen: _Seen | None = None


class Reconciler:
    """Sets the counters of accounts that were used lately to what the ledger says, at the latest half a minute after they were used.

    Where nothing was settled for five seconds, and the counter still is what it was when the ledger was read, the ledger is right.
    Where calls end all the time, no two readings are of the same moment, and only what is certain is corrected, by two looks that are
    six seconds apart, and by adding to a counter that nobody else has corrected in between:

    - Calls in the ledger at the first look have been settled in Redis by the second. So the counter should be at least the first
      balance by then, and what it lacks to that, it lacks. (The smaller of both balances: a correction in the ledger may have made it
      less.) What is settled in between hides as much of a shortage: what is left is less than the account uses in the six seconds of
      its least use. A call that was tried twice and still runs has its first try in the ledger only: it is counted twice until the
      counter is next lowered.
    - Calls settled in Redis at the first look are in the ledger by the second, while no replica is behind. So what the counter then had
      above the second balance is too much.
    """

    def __init__(self, scripts: Scripts, balances: SharedBalances, clock: Clock, crossings: Crossings) -> None:
        self._scripts, self._balances, self._clock, self._crossings = scripts, balances, clock, crossings
        self._touched: dict[str, _Touched] = {}
        self.corrections = 0

    def knows(self, key: str) -> bool:
        """Whether this counter was there a moment ago."""
        return key in self._touched

    def touch(self, ask: Ask, grant: Grant) -> None:
        """Look at the counter of `ask`, a monthly one, in a while."""
        if ask.key not in self._touched:
            due_s = self._clock.monotonic() + _DUE_AFTER_S
            self._touched[ask.key] = _Touched(due_s, grant.room, ask.account, ask.kind, grant.month, ask.cap)

    def touch_all(self, grant: Grant) -> None:
        """Look at every monthly counter of a permit, soon."""
        for ask in grant.asks:
            if ask.form == QUOTA:
                self.touch(ask, grant)
                self.doubt(ask.key, grant.room, ask.account, ask.kind, grant.month)

    def doubt(self, key: str, room: Room, account: str, kind: str, month: Month) -> None:
        """Look at a monthly counter the next time."""
        touched = self._touched.get(key) or _Touched(0.0, room, account, kind, month)
        self._touched[key] = touched._replace(due_s=0.0)

    async def run(self, *, may_lower: bool = True) -> None:
        """Compare what is due, and correct it: upwards only, unless all that was settled is in the ledger but for the last seconds.

        Raises: StoreUnavailable.
        """
        now_s = self._clock.monotonic()
        due: dict[tuple[Room, Month], list[str]] = defaultdict(list)
        overdue = [key for key, touched in self._touched.items() if touched.due_s <= now_s]
        for key in overdue[:_MOST_AT_ONCE]:
            due[self._touched[key].room, self._touched[key].month].append(key)
        for (room, month), keys in due.items():
            for part in _parts(keys):
                await self._compare(room, month, {key: self._touched.pop(key) for key in part}, may_lower=may_lower)

    async def lower(self, tenant: str, counters: Sequence[tuple[Ask, int]], month: Month) -> bool:
        """Whether one of `counters`, monthly ones with what Redis says was used, stood above the ledger and was set to it.

        Raises: StoreUnavailable.
        """
        as_of = self._scripts.now_us
        found = await self._balances.read(tenant, list({ask.account for ask, _ in counters}), month.period)
        lowered = False
        for ask, used in counters:
            balance = found[ask.account].get(ask.kind, 0)
            lowered |= balance < used and await self._set(ask.key, balance, month, expected=used, as_of=as_of)
        return lowered

    async def _compare(self, room: Room, month: Month, counters: Mapping[str, _Touched], *, may_lower: bool) -> None:
        try:
            at_s, as_of = self._clock.monotonic(), self._scripts.now_us
            readings = await asyncio.gather(*[self._scripts.used(key) for key in counters])  # before the ledger
            accounts = list({touched.account for touched in counters.values()})
            found = await self._balances.read(room.tenant, accounts, month.period)
            for (key, touched), reading in zip(counters.items(), readings, strict=True):
                balance = found[touched.account].get(touched.kind, 0)
                if reading is None or reading.used == balance:
                    continue
                now = _Seen(at_s, as_of, reading, balance)
                is_right = (reading.used < balance or may_lower) and await self._set(
                    key, balance, month, expected=reading.used, as_of=as_of
                )
                if is_right:
                    self._tell(touched, reading.used, balance)
                else:
                    seen = await self._correct_what_is_certain(key, touched, now, may_lower=may_lower)
                    self._later(key, touched._replace(seen=seen), _AGAIN_AFTER_S if touched.seen else _SURE_AFTER_S)
        except BaseException:  # cancelled, or a store away: what was taken out to be compared is put back
            for key, touched in counters.items():
                self._later(key, touched, 0.0)
            raise

    async def _correct_what_is_certain(self, key: str, touched: _Touched, second: _Seen, *, may_lower: bool) -> _Seen:
        """Returns the look that the next one is to be compared with."""
        if (first := touched.seen) is None:
            return second
        if second.at_s - first.at_s < _SURE_AFTER_S:
            return first
        lacks = min(first.balance, second.balance) - second.reading.used
        excess = first.reading.used - second.balance
        if lacks > 0:
            amount, as_of = lacks, first.as_of
        elif excess > 0 and may_lower and first.reading.as_of == second.reading.as_of:
            amount, as_of = -excess, second.as_of
        else:
            return second
        if await self._scripts.add(key, amount, touched.month, since=second.reading.as_of, as_of=as_of):
            self.corrections += 1
            self._tell(touched, second.reading.used, second.reading.used + amount)
        return second

    async def _set(self, key: str, balance: int, month: Month, *, expected: int, as_of: int) -> bool:
        is_set = await self._scripts.correct(key, balance, month, expected=expected, quiet_us=QUIET_US, as_of=as_of)
        self.corrections += is_set
        return is_set

    def _tell(self, touched: _Touched, before: int, used: int) -> None:
        where = (touched.room.tenant, touched.account, touched.kind, touched.month.period)
        self._crossings.look(*where, touched.cap, before, used)

    def _later(self, key: str, touched: _Touched, after_s: float) -> None:
        """Unless it has come to be in doubt meanwhile; what was seen of it is kept."""
        due_s = self._clock.monotonic() + after_s
        if (fresh := self._touched.get(key)) is not None:
            due_s = min(due_s, fresh.due_s)
        self._touched[key] = touched._replace(due_s=due_s)


class Used(Protocol):
    """What a `UsageEntry` of the journal says was used."""

    @property
    def tenant_id(self) -> str: ...
    @property
    def accounts(self) -> Sequence[str]: ...
    @property
    def period(self) -> int: ...
    @property
    def tokens(self) -> int: ...
    @property
    def images(self) -> int: ...
    @property
    def videos(self) -> int: ...
    @property
    def cost_nano_usd(self) -> int | None: ...


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Where Redis does not say what it should. `what` it is about:

    - `used` of a month: should be `ledger` + `journal`;
    - `held` of a month, and `running`, calls at once: should be `holds`, the sum over the permits;
    - `lease`: a permit, named in `account`, that has holds and no lease (`holds` 1, `redis` 0), or the other way round.
    """

    tenant: str
    what: Literal["used", "held", "running", "lease"]
    account: str
    kind: str = ""
    period: int | None = None
    redis: int
    ledger: int = 0
    journal: int = 0
    holds: int = 0

    def __str__(self) -> str:
        where = " ".join(str(part) for part in (self.tenant, self.account, self.kind, self.period) if part)
        if self.what == "used":
            return f"{where}: redis has {self.redis} used, the ledger {self.ledger} and the journal {self.journal}"
        if self.what == "lease":
            return f"{where}: a permit with {'holds and no lease' if self.holds else 'a lease and no holds'}"
        return f"{where}: redis has {self.redis} {self.what}, its permits hold {self.holds}"


class _Counter(NamedTuple):
    key: str
    kind: str
    account: str
    month: Month


async def verify(
    redis: RedisClient,
    ledger: Balances,
    tenants: Iterable[str],
    *,
    clock: Clock,
    prefix: str = "pulse",
    journal: Iterable[Used] = (),
) -> list[Difference]:
    """Every difference between what Redis counts and what it should: that used is ledger plus journal, held is what permits hold, and
    that every permit has a lease. `journal` has the entries that are closed there and not in the ledger.

    Each tenant's counters are taken at one moment, and the ledger is read after it: while calls end, what was settled in between
    shows as a difference.

    Raises: StoreUnavailable.
    """
    scripts, written = Scripts(redis, clock), _sums(journal)
    differences: list[Difference] = []
    for tenant in tenants:
        room = room_of(prefix, tenant)
        months = await _months(scripts, room, "*")
        running = await scripts.keys(room, "ratelimit:*:concurrency")
        seen = await scripts.snapshot(room, [counter.key for counter in months], running)
        for counter, known in await _known(ledger, tenant, [each for each in months if each.key in seen.used]):
            waits = written.get((tenant, counter.account, counter.month.period, counter.kind), 0)
            if (used := seen.used[counter.key]) != known + waits:
                differences.append(_difference("used", tenant, counter, redis=used, ledger=known, journal=waits))
        holds = _held_by_permits(seen.holds)
        gone = [
            _counter(room, key) for key in holds.keys() - seen.held.keys() if key.startswith(f"{room.prefix}usage:")
        ]
        differences += [
            _difference("held", tenant, counter, redis=held, holds=by_permits)
            for counter in (*months, *gone)
            if (held := seen.held.get(counter.key, 0)) != (by_permits := holds.pop(counter.key, 0))
        ]
        differences += [
            Difference(tenant=tenant, what="running", account=_account(room, key), redis=calls, holds=by_permits)
            for key in sorted({*running, *holds})
            if (calls := seen.running.get(key, 0)) != (by_permits := holds.get(key, 0))
        ]
        for permit in sorted(seen.leased ^ set(seen.holds)):
            leased = permit in seen.leased
            differences.append(
                Difference(tenant=tenant, what="lease", account=permit, redis=int(leased), holds=int(not leased))
            )
    return differences


async def rebuild(
    redis: RedisClient,
    ledger: Balances,
    tenants: Iterable[str],
    period: int,
    *,
    clock: Clock,
    prefix: str = "pulse",
    journal: Iterable[Used] = (),
) -> int:
    """Set every counter of a month (`202611`) to the ledger and the journal; what is held stays. Returns how many there were.

    Counters that Redis does not have need no rebuilding: the first request that needs one has it set from the ledger.

    Raises: StoreUnavailable.
    """
    scripts, written = Scripts(redis, clock), _sums(journal)
    await forget_who_was_behind(redis, prefix)
    done = 0
    for tenant in tenants:
        counters = await _months(scripts, room_of(prefix, tenant), f"*:{period // 100}-{period % 100:02d}")
        as_of = scripts.now_us
        for part in _parts(await _known(ledger, tenant, counters)):
            await asyncio.gather(
                *[
                    scripts.set_used(
                        counter.key,
                        known + written.get((tenant, counter.account, counter.month.period, counter.kind), 0),
                        counter.month,
                        as_of=as_of,
                    )
                    for counter, known in part
                ]
            )
            done += len(part)
    return done


async def _months(scripts: Scripts, room: Room, pattern: str) -> list[_Counter]:
    """The monthly counters of a tenant that Redis has."""
    return [_counter(room, key) for key in await scripts.keys(room, f"usage:{pattern}")]


def _counter(room: Room, key: str) -> _Counter:
    _, kind, account, year_month = key.removeprefix(room.prefix).split(":")
    return _Counter(key, kind, account, month_numbered(int(year_month.replace("-", ""))))


def _account(room: Room, key: str) -> str:
    """Whose calls at once are counted under `key`."""
    return key.removeprefix(room.prefix).removeprefix("ratelimit:").removesuffix(":concurrency")


async def _known(ledger: Balances, tenant: str, counters: Sequence[_Counter]) -> list[tuple[_Counter, int]]:
    """Each of `counters` with what the ledger says was used."""
    by_month: dict[int, list[_Counter]] = defaultdict(list)
    for counter in counters:
        by_month[counter.month.period].append(counter)
    found = []
    for period, members in by_month.items():
        for part in _parts(members):
            balances = await ledger.balances(tenant, list({counter.account for counter in part}), period)
            found += [(counter, balances.get(counter.account, {}).get(counter.kind, 0)) for counter in part]
    return found


def _sums(journal: Iterable[Used]) -> dict[tuple[str, str, int, str], int]:
    """By tenant, account, month and kind."""
    sums: dict[tuple[str, str, int, str], int] = defaultdict(int)
    for entry in journal:
        used = {
            "tokens": entry.tokens, "images": entry.images, "videos": entry.videos, COST: entry.cost_nano_usd or 0,
        }  # fmt: skip
        for account in entry.accounts:
            for kind, amount in used.items():
                sums[entry.tenant_id, account, entry.period, kind] += amount
    return dict(sums)


def _held_by_permits(holds: Mapping[str, str]) -> dict[str, int]:
    """By counter."""
    sums: dict[str, int] = defaultdict(int)
    for held in holds.values():
        if held and held != _TAKEN_BACK:
            for part in held.split(";"):
                _, key, amount = part.split("|")
                sums[key] += int(amount)
    return sums


def _difference(what: Literal["used", "held"], tenant: str, counter: _Counter, **numbers: int) -> Difference:
    return Difference(
        tenant=tenant, what=what, account=counter.account, kind=counter.kind, period=counter.month.period, **numbers
    )


def _parts(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (items[begin : begin + _AT_ONCE] for begin in range(0, len(items), _AT_ONCE))
