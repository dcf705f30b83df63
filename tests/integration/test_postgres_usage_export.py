"""An export that is large, breaks off, or runs beside a ledger that is being written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pulse_gateway.errors import ConfigError
from pulse_host.database.pool import open_connection
from pulse_host.usage.csv_sink import CsvSink
from pulse_host.usage.export import Column, Wanted, export, output_file

FILL = """
insert into usage_entry (
    entry_id, request_id, trace_id, tenant_id, user_id, accounts, period, operation, dialect, alias, provider, model, attempt,
    outcome, source, requests, failed, unpriced, tokens, images, videos, total_ms, at, meta)
select gen_random_uuid(), 'req_' || i, 't', 'default', 'ada', '{}', 202611, 'chat', 'openai.chat', 'fast', 'openai', 'gpt-6', 1,
    'completed', 'provider', 1, 0, 0, i, 0, 0, 1, '2026-10-01T00:00:00Z'::timestamptz + i * interval '1 hour', '{}'
from generate_series(1, $1::integer) as i
"""


class Watching:
    """A sink that notes what it is given, and does something at the first rows."""

    def __init__(self, at_first: Callable[[], Any] | None = None) -> None:
        self.tokens: list[int] = []
        self.largest = 0
        self._at_first = at_first

    def begin(self, columns: Sequence[Column]) -> None:
        self.names = [column.name for column in columns]

    def write(self, rows: Sequence[Any]) -> None:
        self.largest = max(self.largest, len(rows))
        self.tokens += [row["tokens"] for row in rows]
        if self._at_first is not None:
            at_first, self._at_first = self._at_first, None
            at_first()

    def end(self) -> None:
        """Nothing is held back."""


async def test_many_rows_come_in_order_over_months_and_few_at_a_time(database: Any) -> None:
    async with open_connection(database.url) as connection:
        await connection.execute(FILL.replace("$1::integer", "10000"))  # some of them in the net below the months
        sink = Watching()
        assert await export(connection, Wanted(), sink) == 10_000
    assert sink.tokens == list(range(1, 10_001))
    assert sink.largest <= 2_000


async def test_what_is_added_meanwhile_is_not_in_it(database: Any) -> None:
    async def add() -> None:
        async with open_connection(database.url) as other:
            await other.execute(FILL.replace("$1::integer", "5000"))

    def add_aside() -> None:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, add()).result()

    await add()
    async with open_connection(database.url) as connection:
        assert await export(connection, Wanted(), Watching(add_aside)) == 5_000
        assert await export(connection, Wanted(), Watching()) == 10_000


async def test_a_file_is_there_whole_or_not_at_all(database: Any, tmp_path: Path) -> None:
    target = tmp_path / "entries.csv"
    target.write_text("of yesterday\n")
    with pytest.raises(ZeroDivisionError), output_file(str(target)) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert target.read_text() == "of yesterday\n"
    assert list(tmp_path.iterdir()) == [target]
    with output_file(str(target)) as file:
        file.write(b"whole")
        assert target.read_text() == "of yesterday\n"
    assert target.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [target]


async def test_a_database_that_goes_away_in_the_middle_is_an_error_and_leaves_nothing(
    database: Any, tmp_path: Path
) -> None:
    target = tmp_path / "entries.csv"
    async with open_connection(database.url) as connection:
        await connection.execute(FILL.replace("$1::integer", "5000"))

        class Leaving(CsvSink):
            def write(self, rows: Sequence[Any]) -> None:
                super().write(rows)
                connection.terminate()

        with (
            pytest.raises(ConfigError, match="Postgres failed before everything was read"),
            output_file(str(target)) as file,
        ):
            await export(connection, Wanted(), Leaving(file))
    assert list(tmp_path.iterdir()) == []
