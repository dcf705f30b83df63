"""Which days a history is asked for."""

from __future__ import annotations

from datetime import date

import pytest

from pulse_gateway.errors import InvalidRequest
from pulse_host.usage.history import Range, history_of, read_range

TODAY = date(2026, 11, 24)


@pytest.mark.parametrize(
    ("given", "first", "last", "group_by"),
    [
        ({}, date(2026, 11, 1), TODAY, "day"),
        ({"to": "2026-03-05"}, date(2026, 3, 1), date(2026, 3, 5), "day"),
        ({"from": "2026-10-30", "group_by": "model"}, date(2026, 10, 30), TODAY, "model"),
        ({"from": "2025-11-24"}, date(2025, 11, 24), TODAY, "day"),  # 366 days
        ({"from": "2026-11-24", "to": "2026-11-24"}, TODAY, TODAY, "day"),
        ({"from": "2024-02-29", "to": "2024-02-29"}, date(2024, 2, 29), date(2024, 2, 29), "day"),
        ({"from": "0001-01-01", "to": "0001-12-31"}, date(1, 1, 1), date(1, 12, 31), "day"),
        ({"to": "9999-12-31"}, date(9999, 12, 1), date.max, "day"),
    ],
)
def test_the_range_is_this_month_unless_it_is_said(
    given: dict[str, str], first: date, last: date, group_by: str
) -> None:
    found = read_range({name: [value] for name, value in given.items()}, TODAY)
    assert (found.first, found.last, found.group_by) == (first, last, group_by)


@pytest.mark.parametrize(
    ("given", "param", "complaint"),
    [
        ({"from": ["2026-11-25"]}, "from", "from=2026-11-25 is after to=2026-11-24"),
        ({"from": ["2025-11-23"]}, "from", "from=2025-11-23 is more than 366 days before to=2026-11-24"),
        ({"from": ["yesterday"]}, "from", "from is a day in UTC such as 2026-11-24"),
        ({"from": ["20261101"]}, "from", "from is a day"),
        ({"from": ["2026-W48-1"]}, "from", "from is a day"),
        ({"from": ["٢٠٢٦-١١-٠١"]}, "from", "from is a day"),
        ({"from": [""]}, "from", "from is a day"),
        ({"to": ["2026-11-24T00:00:00Z"]}, "to", "to is a day"),
        ({"to": ["2026-02-29"]}, "to", "to=2026-02-29 is no day"),
        ({"group_by": ["hour"]}, "group_by", "group_by is one of day, model"),
        ({"group_by": ["day", "model"]}, "group_by", "group_by was given 2 times"),
        ({"form": ["2026-11-01"]}, "form", "there is no parameter 'form' here; known: from, to, group_by"),
    ],
)
def test_a_mistake_is_named(given: dict[str, list[str]], param: str, complaint: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_range(given, TODAY)
    assert caught.value.param == param
    assert complaint in caught.value.message


def test_nothing_used_is_no_rows_and_totals_of_nothing() -> None:
    found = history_of(Range(date(2026, 11, 1), TODAY, "day"), [])
    assert (found.from_, found.to, found.rows) == ("2026-11-01", "2026-11-24", [])
    assert (found.totals.requests, found.totals.tokens, found.totals.cost_usd) == (0, 0, "0")
