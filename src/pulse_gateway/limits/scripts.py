"""The scripts in `lua/` as calls, and the server's clock, learned from every reply.

`Counters` in `counters.py` is their twin: what they do is told there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from functools import lru_cache
from importlib import resources
from typing import Literal, NamedTuple

import msgspec

from pulse_gateway.clock import Clock
from pulse_gateway.limits.asks import Ask, holds_of, key_prefix
from pulse_gateway.limits.counters import Row
from pulse_gateway.limits.packed import Packed
from pulse_gateway.limits.periods import Month, month_of
from pulse_gateway.limits.tally import Charges, Counted, Tally
from pulse_gateway.transport.redis import RedisClient, Script

__all__ = [
    "ANOTHER_MONTH",
    "Announced",
    "Grant",
    "Mode",
    "Reading",
    "Room",
    "Scripts",
    "Snapshot",
    "room_of",
    "rows_of",
    "settled_rows",
]

ANOTHER_MONTH = 4  # what acquire answers beside the codes of `counters`: by the server's clock it is not the month that was asked for
Mode = Literal["settle", "again", "cancel"]
_KEPT_AFTER_MONTH_S = 40 * 86_400
_LEAST_KEPT_MS = 60_000  # a counter of a month long past, looked at once more
_UNKNOWN_MOMENT_US = 0
_NO_AMOUNTS = Charges(Tally(()), 0, 0)


def _script(name: str) -> Script:
    return Script(name, resources.files(__package__).joinpath("lua", f"{name}.lua").read_text("utf-8"))


_ACQUIRE, _SETTLE, _RENEW = _script("acquire_v1"), _script("settle_v1"), _script("renew_v1")
_BALANCE, _ANNOUNCE = _script("balance_v1"), _script("announce_v1")
_LIST, _SNAPSHOT = _script("list_v1"), _script("snapshot_v1")
_LISTED_AT_ONCE = 1_000


class Room(NamedTuple):
    """What a tenant's keys begin with, and the two that its permits share."""

    tenant: str
    prefix: str
    leases: str
    holds: str


@lru_cache(maxsize=4_096)
def room_of(prefix: str, tenant: str) -> Room:
    begin = key_prefix(prefix, tenant)
    return Room(tenant, begin, f"{begin}leases", f"{begin}holds")


class Grant(msgspec.Struct, eq=False):
    """What the server needs to know of a permit, again and again until it ends.

    `known`: the server has it, so that a repeated settlement can be told from a first one. `doubted`: a call about it was lost with its
    connection, and may be executed yet, after others that are made later. `granted_us` is by the server's clock.
    `counted` is what the asks were made by, if they were prepared. `holds` is as `holds_of` writes it.
    """

    room: Room
    permit_id: str
    month: Month
    asks: Sequence[Ask]
    holds: str
    counted: Counted | None = None
    granted_us: int = _UNKNOWN_MOMENT_US
    known: bool = False
    doubted: bool = False

    @property
    def keys(self) -> list[str]:
        return [self.room.leases, self.room.holds, *[ask.key for ask in self.asks]]


class Snapshot(NamedTuple):
    """Permits with a lease; what each permit holds, as `counters.holds_of` writes it, or `X`; and counters by key."""

    leased: set[str]
    holds: dict[str, str]
    used: dict[str, int]
    held: dict[str, int]
    running: dict[str, int]


class Reading(NamedTuple):
    """What was used of a quota, and which look at the ledger it was last set by: none if 0."""

    used: int
    as_of: int


class Announced(NamedTuple):
    """How many replicas live, how many of them are behind with their ledger, and how many are missed, or were behind when they ended.
    `epoch` is another one once the server has forgotten everything.
    """

    epoch: str
    live: int
    behind: int
    missed: int


class Scripts:
    """Every method is one call in one trip. Raises: RedisUnavailable, all of them."""

    def __init__(self, redis: RedisClient, clock: Clock) -> None:
        self._redis, self._clock = redis, clock
        self._ahead_s = clock.now() - clock.monotonic()  # of the monotonic clock; until a reply says better
        self._month = month_of(clock.now())

    @property
    def now_s(self) -> float:
        """What time it is on the server, in seconds since the epoch."""
        return self._clock.monotonic() + self._ahead_s

    @property
    def now_us(self) -> int:
        """The same in µs."""
        return int(self.now_s * 1e6)

    def moment_us(self, monotonic_s: float) -> int:
        """What time it was on the server at a moment of the monotonic clock, in µs."""
        return int((monotonic_s + self._ahead_s) * 1e6)

    @property
    def month(self) -> Month:
        """What month it is on the server."""
        now_s = self._clock.monotonic() + self._ahead_s
        if not self._month.starts_at <= now_s < self._month.resets_at:
            self._month = month_of(now_s)
        return self._month

    def acquire(self, grant: Grant, lease_us: int, permit_id: str) -> Awaitable[list[int]]:
        """The reply as it came: code, now_us, and four numbers a counter (`rows_of`). An empty `permit_id` only looks.

        With ANOTHER_MONTH the moment is that of the server's clock, for `learn`; otherwise it may be that of the newest grant in a window.
        """
        month = grant.month
        begin = (lease_us, month.starts_at * 1_000_000, month.resets_at * 1_000_000)
        if (
            permit_id
            and grant.counted is not None
            and (packed := _packed(grant.counted, grant.room, begin)) is not None
        ):
            grant.holds = packed.holds(grant.asks)
            call = packed.acquire(permit_id, grant.holds, grant.asks)
            return self._redis.run_packed(_ACQUIRE, grant.room.leases, call)
        if not grant.holds:
            grant.holds = holds_of(grant.asks)
        args: list[str | int] = [permit_id, *begin, grant.holds]
        for ask in grant.asks:
            args += (ask.form, ask.amount, ask.cap, ask.window_us)
        return self._redis.run(_ACQUIRE, grant.keys, args)

    def settle(self, grant: Grant, actual: Sequence[int]) -> Awaitable[list[int]]:
        """The reply as it came, to what ends a permit for the first time: SETTLED or LOST, now_us for `learn`, and two numbers a counter:
        used, held. `actual` has one amount for each ask.
        """
        if grant.counted is not None and not grant.doubted and isinstance(packed := grant.counted.packed, Packed):
            call = packed.settle(grant.permit_id, grant.granted_us, grant.asks, actual)
            return self._redis.run_packed(_SETTLE, grant.room.leases, call)
        return self._redis.run(_SETTLE, grant.keys, _settling(grant, "settle", actual))

    async def end(
        self, grant: Grant, mode: Mode, actual: Sequence[int], *, in_ledger_us: int | None = None
    ) -> tuple[int, list[Row]]:
        """SETTLED, UNKNOWN or LOST, and where quotas and running calls stand. `actual` has one amount for each ask.

        `in_ledger_us`: from which moment of the server on the ledger has it. Quotas that were set by a later look at it are left.
        """
        args = _settling(grant, mode, actual, in_ledger_us)
        reply: list[int] = await self._redis.run(_SETTLE, grant.keys, args)
        self.learn(reply[1])
        return reply[0], [Row(reply[i], reply[i + 1], 0, 0) for i in range(2, len(reply), 2)]

    async def cancel(self, grant: Grant) -> int:
        """SETTLED, or UNKNOWN when there was nothing to give back."""
        code, _ = await self.end(grant, "cancel", [0] * len(grant.asks))
        return code

    async def renew(self, room: Room, grants: Sequence[Grant], lease_us: int) -> int:
        """How many of `grants`, all of that tenant, had been forgotten or had expired, and are held anew."""
        args: list[str | int] = [lease_us]
        for grant in grants:
            args += (grant.permit_id, grant.holds)
        anew: int = await self._redis.run(_RENEW, [room.leases, room.holds], args)
        return anew

    async def warm(self, key: str, used: int, month: Month, *, as_of: int) -> None:
        """Say what was used of a quota that nobody has said it of; nothing happens where somebody has. `as_of` is when the ledger was
        asked, in µs of the server.
        """
        await self._redis.run(_BALANCE, [key], [used, self._kept_ms(month), "cold", "", "", as_of])

    async def correct(self, key: str, used: int, month: Month, *, expected: int, quiet_us: int, as_of: int) -> bool:
        """Set what was used if it still is `expected` and nothing was settled for `quiet_us`. Returns whether it was set."""
        args: list[str | int] = [used, self._kept_ms(month), "expected", expected, quiet_us, as_of]
        return bool(await self._redis.run(_BALANCE, [key], args))

    async def add(self, key: str, amount: int, month: Month, *, since: int, as_of: int) -> bool:
        """Add what a counter lacks, or with a minus has too much, if it was not set since it was read `as_of` = `since`."""
        reply = await self._redis.run(_BALANCE, [key], [amount, self._kept_ms(month), "add", since, "", as_of])
        return bool(reply)

    async def set_used(self, key: str, used: int, month: Month, *, as_of: int) -> None:
        """Set what was used, whatever it was."""
        await self._redis.run(_BALANCE, [key], [used, self._kept_ms(month), "always", "", "", as_of])

    async def used(self, key: str) -> Reading | None:
        """What was used of a quota; None while nobody has said it."""
        used, as_of = await self._redis.command("HMGET", key, "used", "as_of")
        return None if used is None else Reading(int(used), int(as_of or 0))

    async def announce(
        self,
        key: str,
        replica: str,
        *,
        is_behind: bool,
        holds_s: float,
        missed_after_s: float,
        missed_for_s: float,
        behind_for_s: float,
        epoch: str,
    ) -> Announced:
        """Say that `replica` lives. `epoch` begins where the server knows of none."""
        spans_us = [round(seconds * 1e6) for seconds in (holds_s, missed_after_s, missed_for_s, behind_for_s)]
        reply = await self._redis.run(_ANNOUNCE, [key], [replica, int(is_behind), *spans_us, epoch])
        self.learn(reply[0])
        return Announced(reply[1].decode(), *reply[2:])

    async def keys(self, room: Room, pattern: str) -> list[str]:
        """The keys of a tenant that match `pattern`, which follows what they all begin with. Sorted."""
        found: set[str] = set()
        cursor = "0"
        while True:
            next_cursor, keys = await self._redis.run(
                _LIST, [room.leases], [cursor, f"{room.prefix}{pattern}", _LISTED_AT_ONCE]
            )
            found.update(key.decode() for key in keys)
            cursor = next_cursor.decode()
            if cursor == "0":
                return sorted(found)

    async def snapshot(self, room: Room, months: Sequence[str], running: Sequence[str]) -> Snapshot:
        """All of a tenant's permits and the counters named, at one moment."""
        leased, held, counters = await self._redis.run(
            _SNAPSHOT, [room.leases, room.holds, *months, *running], [len(months)]
        )
        of_months = counters[: len(months)]
        return Snapshot(
            leased={permit.decode() for permit in leased},
            holds={held[i].decode(): held[i + 1].decode() for i in range(0, len(held), 2)},
            used={key: int(used) for key, (used, _) in zip(months, of_months, strict=True) if used is not None},
            held={key: int(holds or 0) for key, (_, holds) in zip(months, of_months, strict=True)},
            running={key: int(calls or 0) for key, calls in zip(running, counters[len(months) :], strict=True)},
        )

    def learn(self, now_us: int) -> None:
        """What time it is on the server, by a reply that has just come."""
        self._ahead_s = now_us / 1e6 - self._clock.monotonic()

    def _kept_ms(self, month: Month) -> int:
        return max(_LEAST_KEPT_MS, int((month.resets_at + _KEPT_AFTER_MONTH_S - self.now_s) * 1000))


def _settling(grant: Grant, mode: Mode, actual: Sequence[int], in_ledger_us: int | None = None) -> list[str | int]:
    args: list[str | int] = [grant.permit_id, mode, grant.granted_us]
    for ask, amount in zip(grant.asks, actual, strict=True):
        args += (ask.form, ask.amount, amount, ask.cap, ask.window_us)
    if in_ledger_us is not None or grant.doubted:
        args.append("" if in_ledger_us is None else in_ledger_us)
    if grant.doubted:
        args.append(1)
    return args


def _packed(counted: Counted, room: Room, begin: tuple[int, int, int]) -> Packed | None:
    """None where a prefix of keys is not ASCII."""
    packed = counted.packed
    if isinstance(packed, Packed) and packed.begin == begin:
        return packed
    asks = counted.asks(_NO_AMOUNTS)
    keys = [room.leases, room.holds, *[ask.key for ask in asks]]
    if not "".join(keys).isascii():
        return None
    counted.packed = packed = Packed((_ACQUIRE, _SETTLE), keys, begin, asks, counted.differing)
    return packed


def rows_of(reply: Sequence[int]) -> list[Row]:
    """Where each counter stands by a reply of `Scripts.acquire`."""
    return [Row(reply[i], reply[i + 1], reply[i + 2], reply[i + 3]) for i in range(2, len(reply), 4)]


def settled_rows(asks: Sequence[Ask], granted: Sequence[int], settled: Sequence[int]) -> list[Row]:
    """Where each counter stands by the replies of `Scripts.acquire` and then `Scripts.settle`: windows as when it was granted."""
    rows, was, then = [], 2, 2
    for ask in asks:
        if ask.window_us:
            rows.append(Row(granted[was], granted[was + 1], granted[was + 2], granted[was + 3]))
        else:
            rows.append(Row(settled[then], settled[then + 1], 0, 0))
        was, then = was + 4, then + 2
    return rows
