"""The calendar month (UTC) that a monthly quota counts in."""

from __future__ import annotations

import calendar
import time

import msgspec

__all__ = ["Month", "month_numbered", "month_of"]


class Month(msgspec.Struct, frozen=True):
    """`period` is year and month, `202611`. The month runs from `starts_at` up to, not including, `resets_at` (epoch seconds)."""

    period: int
    starts_at: int
    resets_at: int


def month_of(now_s: float) -> Month:
    """The month in which the moment `now_s` (seconds since the epoch) lies."""
    year, month = time.gmtime(now_s)[:2]
    next_year, next_month = (year + 1, 1) if month == 12 else (year, month + 1)
    return Month(
        period=year * 100 + month,
        starts_at=calendar.timegm((year, month, 1, 0, 0, 0)),
        resets_at=calendar.timegm((next_year, next_month, 1, 0, 0, 0)),
    )


def month_numbered(period: int) -> Month:
    """The month whose `period` is given."""
    return month_of(calendar.timegm((period // 100, period % 100, 1, 0, 0, 0)))
