"""Whether balances and roll-ups are the sums of the entries they stand for, and making them so. For operators."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.sql import ROLL_UP_DIFFERENCES, SET_ROLL_UPS, composed, query

__all__ = [
    "BalanceDifference",
    "OpenPermit",
    "RollUpDifference",
    "balance_differences",
    "open_permits",
    "rebuild_balances",
    "rebuild_roll_ups",
    "roll_up_differences",
]

_entries = msgspec.json.Decoder(UsageEntry)


class BalanceDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A balance that is not the sum of its entries."""

    tenant_id: str
    account: str
    period: int
    kind: str
    balance: int
    entries: int


class RollUpDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `usage_hourly` or `usage_daily` that is not the sum of its entries, in one number or several.

    `starts_at` is the hour or the day. `key_id` is empty for calls without a key.
    """

    roll_up: str
    tenant_id: str
    starts_at: str
    user_id: str
    key_id: str
    alias: str
    provider: str
    model: str
    kept_tokens: int
    entries_tokens: int
    kept_cost_nano_usd: int
    entries_cost_nano_usd: int


class OpenPermit(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt under way, as far as Postgres has been told: those sent a moment ago are not here yet."""

    entry: UsageEntry
    opened_at: datetime
    deadline: datetime


async def balance_differences(connection: Any, period: int | None = None) -> list[BalanceDifference]:
    """Every balance that differs from the sum of its entries, in one month (`202611`) or in all whose entries are here.

    Reads the entries themselves. Takes no lock.
    """
    rows = await connection.fetch(query("balance_differences"), period, await _oldest_period(connection))
    return [msgspec.convert(dict(row), BalanceDifference) for row in rows]


async def rebuild_balances(connection: Any, period: int | None = None) -> list[BalanceDifference]:
    """Set every balance that differs to the sum of its entries; returns what was corrected. Writers wait meanwhile."""
    async with connection.transaction():
        await connection.execute("lock table usage_balance in share row exclusive mode")
        found = await balance_differences(connection, period)
        names = ("tenant_id", "account", "period", "kind", "entries")
        await connection.execute(query("set_balances"), *([getattr(each, name) for each in found] for name in names))
    return found


async def roll_up_differences(connection: Any, period: int | None = None) -> list[RollUpDifference]:
    """Every row of the roll-ups that differs from the sum of its entries: those that began in one month (`202611`), or all.

    Reads the entries themselves. Takes no lock.
    """
    rows = await connection.fetch(composed(ROLL_UP_DIFFERENCES), *await _span(connection, period))
    return [msgspec.convert(dict(row), RollUpDifference) for row in rows]


async def rebuild_roll_ups(connection: Any, period: int | None = None) -> list[RollUpDifference]:
    """Make the roll-ups the sums of their entries; returns what was corrected. Writers wait meanwhile."""
    async with connection.transaction():
        await connection.execute("lock table usage_hourly, usage_daily in share row exclusive mode")
        found = await roll_up_differences(connection, period)
        if found:
            since, until = await _span(connection, period)
            await connection.execute(query("empty_hourly"), since, until)
            await connection.execute(query("empty_daily"), since, until)
            await connection.execute(composed(SET_ROLL_UPS), since, until)
    return found


async def open_permits(connection: Any, tenant_id: str | None = None) -> list[OpenPermit]:
    """Attempts under way, of one tenant or of all, the oldest first."""
    rows = await connection.fetch(query("list_permits"), tenant_id)
    return [
        OpenPermit(entry=_entries.decode(row["entry"]), opened_at=row["opened_at"], deadline=row["deadline"])
        for row in rows
    ]


async def _oldest_period(connection: Any) -> int:
    """Months are put away whole, the oldest first: from this one on every entry is here."""
    months = await connection.fetch(query("months"))
    return int(months[0]["period"]) if months else 0


async def _span(connection: Any, period: int | None) -> tuple[datetime, datetime]:
    """The moments from which and up to which entries began, for one month or for all that are here."""
    oldest = await _oldest_period(connection) or 197001
    if period is None:
        return _month(oldest), datetime.max.replace(tzinfo=UTC)
    following = period + (89 if period % 100 == 12 else 1)
    return _month(max(period, oldest)), _month(max(following, oldest))


def _month(period: int) -> datetime:
    return datetime(period // 100, period % 100, 1, tzinfo=UTC)
