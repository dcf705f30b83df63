"""`pulse usage export`: the entries of the ledger, every column, as a file."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from importlib.resources import files
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec

from pulse_gateway.errors import ConfigError
from pulse_gateway.store.tenants import list_tenants
from pulse_host.database.pool import POSTGRES_ERRORS

__all__ = ["Column", "Sink", "Wanted", "export", "output_file"]

_BATCH_ROWS = 2_000
_STDOUT = "-"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Entries of attempts that began on these days (UTC, both included; None: no bound), of one tenant or of all."""

    first: date | None = None
    last: date | None = None
    tenant_id: str | None = None


class Column(msgspec.Struct, frozen=True):
    """`kind` is Postgres' word: text, uuid, int2, int4, int8, float8, timestamptz."""

    name: str
    kind: str


class Sink(Protocol):
    """A file being written, one batch of rows after the other."""

    def begin(self, columns: Sequence[Column]) -> None: ...

    def write(self, rows: Sequence[Any]) -> None: ...

    def end(self) -> None:
        """Write what is still held back. The file itself stays open."""
        ...


async def export(connection: Any, wanted: Wanted, sink: Sink) -> int:
    """Write what is wanted, as it stands at this moment, and return how many entries it was. Holds no more than a batch at once.

    `connection` must bound no statement's time (`open_connection`).

    Raises: ConfigError when there is no such tenant, or Postgres fails on the way.
    """
    if wanted.tenant_id is not None and not await list_tenants(connection, wanted.tenant_id):
        raise ConfigError(f"there is no tenant {wanted.tenant_id!r}; see `pulse tenants list`")
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await _write(connection, wanted, sink)
    except POSTGRES_ERRORS as error:
        raise ConfigError(f"Postgres failed before everything was read: {error}") from error


async def _write(connection: Any, wanted: Wanted, sink: Sink) -> int:
    query = files("pulse_host.usage").joinpath("queries", "export.sql").read_text(encoding="utf-8")
    if wanted.tenant_id is not None:
        await connection.execute("select set_config('app.tenant_id', $1, true)", wanted.tenant_id)
    statement = await connection.prepare(query)
    sink.begin([Column(attribute.name, attribute.type.name) for attribute in statement.get_attributes()])
    cursor = await statement.cursor(_midnight(wanted.first), _midnight_after(wanted.last), wanted.tenant_id)
    count = 0
    while rows := await cursor.fetch(_BATCH_ROWS):
        sink.write(rows)
        count += len(rows)
    sink.end()
    return count


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)


def _midnight_after(day: date | None) -> datetime | None:
    return None if day is None or day == date.max else datetime.combine(day + timedelta(days=1), time(), UTC)


@contextmanager
def output_file(path: str) -> Iterator[IO[bytes]]:
    """The file to write to; `-` is standard output. Under its name it appears whole, when all went well, or not at all.

    Raises: ConfigError when it cannot be written.
    """
    if path == _STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(path)
    if target.is_dir():
        raise ConfigError(f"{path} is a folder; name a file")
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
