"""What a caller has used over a range of days, from the daily sums; never from the entries themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Literal, Protocol

import msgspec

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.identity import Principal
from pulse_gateway.units import usd
from pulse_host.database.pool import tenant_scope

__all__ = [
    "GROUPS",
    "History",
    "HistoryRow",
    "HistorySource",
    "HistoryTotals",
    "PostgresHistory",
    "Range",
    "read_day",
    "read_range",
]

GroupBy = Literal["day", "model"]
GROUPS: tuple[GroupBy, ...] = ("day", "model")
LONGEST_DAYS = 366

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Range(msgspec.Struct, frozen=True):
    """Days in UTC, both of them included."""

    first: date
    last: date
    group_by: GroupBy


class HistoryTotals(msgspec.Struct, frozen=True, kw_only=True):
    """`input_tokens` and `output_tokens` are all there were; `cached_input_tokens` and `reasoning_tokens` are the part of them that
    was read from a prompt cache, and that was thought rather than said. `video_ms` is the length of what was filmed, `audio_ms` of
    what was listened to, `characters` were spoken, `searches` are queries of a rerank. `cost_usd` is an exact decimal; `unpriced` is how many
    calls had no known price and are not in it.
    """

    requests: int
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    tokens: int
    images: int
    videos: int
    video_ms: int
    audio_ms: int
    characters: int
    searches: int
    cost_usd: str
    unpriced: int


class HistoryRow(HistoryTotals, frozen=True, kw_only=True, omit_defaults=True):
    """Either of a `day` (UTC, `2026-11-24`; a call counts on the day it began), or of a `model` of a `provider`."""

    day: str | None = None
    provider: str | None = None
    model: str | None = None


class History(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """`rows` are days in order, those without use left out, or models by name."""

    from_: str
    to: str
    group_by: GroupBy
    rows: list[HistoryRow]
    totals: HistoryTotals


class HistorySource(Protocol):
    async def history(self, principal: Principal, asked: Range, /) -> History:
        """Raises: StoreUnavailable."""
        ...


class PostgresHistory:
    """Reads for one caller at a time. `pool` should be one that sees nothing outside a scope (`create_pool(every_tenant=False)`)."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def history(self, principal: Principal, asked: Range, /) -> History:
        async with tenant_scope(self._pool, principal.tenant_id) as connection:
            found = await connection.fetch(
                _query(f"history_by_{asked.group_by}"), principal.tenant_id, principal.user_id, asked.first, asked.last
            )
        return history_of(asked, [dict(row) for row in found])


def history_of(asked: Range, found: Sequence[dict[str, Any]]) -> History:
    """`found` are rows as the queries name their columns."""
    totals = {name: sum(row[name] for row in found) for name in _AMOUNTS}
    return History(
        from_=asked.first.isoformat(),
        to=asked.last.isoformat(),
        group_by=asked.group_by,
        rows=[msgspec.convert(_shown(row), HistoryRow) for row in found],
        totals=msgspec.convert(_shown(totals), HistoryTotals),
    )


_AMOUNTS = ["cost_nano_usd", *(name for name in HistoryTotals.__struct_fields__ if name != "cost_usd")]


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in row.items() if name != "cost_nano_usd"}
    if "day" in row:
        shown["day"] = row["day"].isoformat()
    return {**shown, "cost_usd": usd(row["cost_nano_usd"])}


@cache
def _query(name: str) -> str:
    return files("pulse_host.usage").joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


# ── what was asked for ──


def read_range(given: dict[str, list[str]], today: date) -> Range:
    """The parameters `from`, `to` (both included) and `group_by`, as often as they were given.

    `to` is today unless given, `from` the first of the month of `to`.

    Raises: InvalidRequest naming the parameter.
    """
    for name, values in given.items():
        if name not in {"from", "to", "group_by"}:
            raise InvalidRequest(f"there is no parameter {name!r} here; known: from, to, group_by", param=name)
        if len(values) > 1:
            raise InvalidRequest(f"{name} was given {len(values)} times", param=name)
    words = {name: values[0] for name, values in given.items()}
    last = read_day(words["to"], "to") if "to" in words else today
    first = read_day(words["from"], "from") if "from" in words else last.replace(day=1)
    if first > last:
        raise InvalidRequest(f"from={first} is after to={last}", param="from")
    if last - first >= timedelta(days=LONGEST_DAYS):
        raise InvalidRequest(f"from={first} is more than {LONGEST_DAYS} days before to={last}", param="from")
    group_by = next((group for group in GROUPS if group == words.get("group_by", "day")), None)
    if group_by is None:
        raise InvalidRequest(f"group_by is one of {', '.join(GROUPS)}", param="group_by")
    return Range(first, last, group_by)


def read_day(text: str, name: str) -> date:
    """Raises: InvalidRequest naming `name`."""
    if _DAY.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError as error:
            raise InvalidRequest(f"{name}={text} is no day: {error}", param=name) from error
    raise InvalidRequest(f"{name} is a day in UTC such as 2026-11-24", param=name)
