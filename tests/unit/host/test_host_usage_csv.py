"""The ledger as CSV."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta, timezone

import pytest

from pulse_host.usage.csv_sink import CsvSink
from pulse_host.usage.export import Column

COLUMNS = [
    Column("user_id", "text"),
    Column("tokens", "int8"),
    Column("at", "timestamptz"),
    Column("total_ms", "float8"),
]
AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def written(*rows: tuple[object, ...], bom: bool = False) -> bytes:
    file = io.BytesIO()
    sink = CsvSink(file, bom=bom)
    sink.begin(COLUMNS)
    sink.write(rows)
    sink.end()
    return file.getvalue()


def read(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8"), newline="")))


def test_rows_come_under_a_header_with_moments_in_utc() -> None:
    there = datetime(2026, 11, 24, 15, 30, 0, 5, tzinfo=timezone(timedelta(hours=3)))
    assert read(written(("ada", -5, there, 1.5), (None, None, None, None))) == [
        ["user_id", "tokens", "at", "total_ms"],
        ["ada", "-5", "2026-11-24T12:30:00.000005Z", "1.5"],
        ["", "", "", ""],
    ]


def test_milliseconds_have_three_digits_of_a_fraction_at_most() -> None:
    assert [row[3] for row in read(written(("ada", 1, AT, 0.1 + 0.2), ("ada", 1, AT, 12.34567)))[1:]] == [
        "0.3",
        "12.346",
    ]


@pytest.mark.parametrize(
    "formula", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1", "＋1", "－1", "＠a"]
)
def test_no_text_is_a_formula(formula: str) -> None:
    ((_, row)) = read(written((formula, 1, AT, 1.0)))
    assert row[0] == f"'{formula}"


@pytest.mark.parametrize("text", ['مرحبا، "نص"', 'a,"b"\r\nc', "a=b", "x-1", "", "🙂"])
def test_other_text_comes_back_as_it_was(text: str) -> None:
    ((_, row)) = read(written((text, 1, AT, 1.0)))
    assert row[0] == text


def test_the_mark_for_excel_is_there_when_asked_for() -> None:
    assert written(("ada", 1, AT, 1.0), bom=True) == b"\xef\xbb\xbf" + written(("ada", 1, AT, 1.0))
