"""Rows as Parquet, by pyarrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any

from pulse_gateway.errors import ConfigError
from pulse_host.usage.export import Column

__all__ = ["ParquetSink"]

_GROUP_ROWS = 20_000  # kept in memory at once: some 30 MB


class ParquetSink:
    """Integers as int64 and int32, moments as microseconds in UTC, ids and JSON as strings; compressed with zstd."""

    def __init__(self, file: IO[bytes]) -> None:
        """Raises: ConfigError unless pyarrow is installed."""
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise ConfigError("Parquet needs pyarrow; run: pip install 'pulse-gateway[parquet]'") from error
        self._pyarrow = pyarrow
        self._file = file
        self._schema: Any = None
        self._writer: Any = None
        self._rows: list[Any] = []

    def begin(self, columns: Sequence[Column]) -> None:
        arrow = self._pyarrow
        types = {
            "int2": arrow.int32(),
            "int4": arrow.int32(),
            "int8": arrow.int64(),
            "float8": arrow.float64(),
            "timestamptz": arrow.timestamp("us", tz="UTC"),
        }
        self._schema = arrow.schema([(column.name, types.get(column.kind, arrow.string())) for column in columns])
        self._writer = arrow.parquet.ParquetWriter(self._file, self._schema, compression="zstd")

    def write(self, rows: Sequence[Any]) -> None:
        self._rows += rows
        if len(self._rows) >= _GROUP_ROWS:
            self._write_group()

    def end(self) -> None:
        if self._rows:
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        arrow, rows = self._pyarrow, self._rows
        arrays = [
            arrow.array(_texts(values) if field.type == arrow.string() else values, type=field.type)
            for field, values in zip(self._schema, zip(*rows, strict=True), strict=True)
        ]
        self._writer.write_batch(arrow.record_batch(arrays, schema=self._schema))
        self._rows = []


def _texts(values: Sequence[Any]) -> list[str | None]:
    return [None if value is None else str(value) for value in values]
