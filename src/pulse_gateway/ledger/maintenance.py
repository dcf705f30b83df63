"""What has to be done to the ledger's tables every minute or so, by whichever replica comes first."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from pulse_gateway.ledger.batches import write_entries
from pulse_gateway.ledger.columns import PERMIT
from pulse_gateway.ledger.estimates import estimate_of
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.sql import query

__all__ = ["Partitions", "ensure_partitions", "sweep_open_permits"]

_log = logging.getLogger(__name__)

_PARTITIONS_LOCK = 0x70756C73650002
_SWEEP_LOCK = 0x70756C73650003
_TIMEOUT_S = 10.0  # a statement; the connection may be one on which they are expected to be quick
_entries = msgspec.json.Decoder(UsageEntry)


class Partitions(msgspec.Struct, frozen=True, kw_only=True):
    """`created` are the partitions made now. `stray` is how many rows were found in the DEFAULT partition, where none should be;
    `moved` of them have been put into their months, the others lie too far in the past or the future.
    """

    created: tuple[str, ...]
    stray: int
    moved: int


async def ensure_partitions(connection: Any, months_ahead: int = 3, *, now: datetime | None = None) -> Partitions:
    """Make the partitions of this month and of `months_ahead` more, unless they are there.

    Safe from any number of replicas at once: one works, the others do nothing. When everything is there it takes no lock.
    Making one waits at most 2 s for those who read the whole ledger; it fails then, and is for the next time.

    Rows in the DEFAULT partition mean that a month was missing when they came, or a clock was wrong: they are logged as an
    error. Those of this month, of months ahead and of months between the oldest there is and this are moved where they belong.

    Raises: what the driver raises.
    """
    this = _month_number((now or datetime.now(UTC)).astimezone(UTC))
    there = await _months(connection)
    wanted = {this + ahead for ahead in range(months_ahead + 1)}
    stray = await connection.fetchval(query("count_strays"), timeout=_TIMEOUT_S)
    if stray:
        found = {_month_number(row["month"]) for row in await connection.fetch(query("months_of_strays"))}
        oldest = min(there, default=this)
        wanted |= {month for month in found if oldest <= month < this}
    created: list[str] = []
    moved = 0
    if wanted - there:
        async with connection.transaction():
            if not await connection.fetchval("select pg_try_advisory_xact_lock($1)", _PARTITIONS_LOCK):
                return Partitions(created=(), stray=stray, moved=0)
            await connection.execute("set local lock_timeout = '2s'")
            for month in sorted(wanted - await _months(connection)):
                name, rows = await _create(connection, month)
                created.append(name)
                moved += rows
        _log.info("the ledger has new partitions: %s", ", ".join(created) or "made by another process meanwhile")
    if stray:
        _log.error(
            "%d usage entries were in the DEFAULT partition, %d of them are now in their months: a month was missing when they "
            "came, or a clock is wrong",
            *(stray, moved),
        )
    return Partitions(created=tuple(created), stray=stray, moved=moved)


async def sweep_open_permits(
    connection: Any, *, most: int = 500, on_recovered: Callable[[Sequence[UsageEntry]], None] | None = None
) -> int:
    """End attempts of which nothing was heard past their deadline, as estimates; returns how many there were.

    At most `most` at a time, by one replica at a time. Should word of one come after all, it becomes a correction. `on_recovered`
    is called with those that were written.

    Raises: what the driver raises.
    """
    async with connection.transaction():
        if not await connection.fetchval("select pg_try_advisory_xact_lock($1)", _SWEEP_LOCK):
            return 0
        rows = await connection.fetch(query("overdue_permits"), most)
        if not rows:
            return 0
        entries = [estimate_of(_entries.decode(row["entry"])) for row in rows]
        done = await write_entries(
            connection, entries, [PERMIT] * len(rows), [row["entry_id"] for row in rows], _TIMEOUT_S
        )
    if on_recovered is not None:
        on_recovered(entries)
    _log.warning("%d attempts were never heard of again; they are in the ledger as estimates", done.added)
    return done.added


async def _months(connection: Any) -> set[int]:
    """The months that have a partition."""
    periods = [row["period"] for row in await connection.fetch(query("months"))]
    return {period // 100 * 12 + period % 100 - 1 for period in periods}


async def _create(connection: Any, month: int) -> tuple[str, int]:
    """Make the partition of one month beside the ledger, with what lies in DEFAULT of it, and put it in.

    Attaching a table lets others write to the rest meanwhile; creating it as a part would stop everybody.
    """
    name = f"usage_entry_{month // 12:04d}_{month % 12 + 1:02d}"
    since, until = _first_moment(month), _first_moment(month + 1)
    await connection.execute(f"create table {name} (like usage_entry including all)", timeout=_TIMEOUT_S)
    await connection.execute(f"select pulse_protect('{name}')")
    await connection.execute("lock table usage_entry_default in access exclusive mode", timeout=_TIMEOUT_S)
    moved = await connection.fetchval(
        f"with moved as (delete from usage_entry_default where at >= $1 and at < $2 returning *), "  # noqa: S608 (our own name)
        f"put as (insert into {name} select * from moved) select count(*) from moved",
        *(since, until),
        timeout=_TIMEOUT_S,
    )
    await connection.execute(
        f"alter table usage_entry attach partition {name} for values from ('{since.isoformat()}') to ('{until.isoformat()}')",
        timeout=_TIMEOUT_S,
    )
    return name, moved


def _month_number(moment: datetime) -> int:
    """Months since the year 0."""
    return moment.year * 12 + moment.month - 1


def _first_moment(month: int) -> datetime:
    return datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
