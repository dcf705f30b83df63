"""Rows as CSV (RFC 4180, UTF-8, with a header) that a spreadsheet shows and never runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import IO, Any

from pulse_host.usage.export import Column

__all__ = ["CsvSink"]

_BOM = b"\xef\xbb\xbf"
# What makes a cell a formula to one spreadsheet or another. Source: OWASP, "CSV Injection" (read 2026-11-24).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class CsvSink:
    """Nothing is written as an empty cell, moments in ISO 8601 with a Z, milliseconds with at most three digits of a fraction. A text
    that begins as a formula does gets an apostrophe before it.

    With `bom`, the mark by which Excel knows UTF-8: without it Excel shows Arabic text as another alphabet's.
    """

    def __init__(self, file: IO[bytes], *, bom: bool = False) -> None:
        self._file, self._bom = file, bom
        self._shown: list[Callable[[Any], Any]] = []

    def begin(self, columns: Sequence[Column]) -> None:
        self._shown = [_SHOWN.get(column.kind, _text) for column in columns]
        if self._bom:
            self._file.write(_BOM)
        self._write([[column.name for column in columns]])

    def write(self, rows: Sequence[Any]) -> None:
        shown = self._shown
        self._write([[show(value) for show, value in zip(shown, row, strict=True)] for row in rows])

    def end(self) -> None:
        """Nothing is held back."""

    def _write(self, lines: Sequence[Sequence[Any]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(lines)
        self._file.write(text.getvalue().encode("utf-8"))


def _same(value: Any) -> Any:
    return value


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _moment(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _text(value: Any) -> str | None:
    if value is None:
        return None
    text = str(value)
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


_SHOWN = {"int2": _same, "int4": _same, "int8": _same, "float8": _rounded, "timestamptz": _moment}
