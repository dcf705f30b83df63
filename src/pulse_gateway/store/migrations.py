"""Which migrations there are, and which of them a database still lacks. Pure: running them is the host's work.

A migration is a file `NNNN_name.sql` in the folder of a source. Files only go forward and are never edited once released:
a correction is a new file with a higher number. A file runs in one transaction, unless its first line is
`-- no-transaction`; such a file holds one statement, because Postgres wraps several that come together in a transaction
of its own, and must be safe to run again (`create index concurrently if not exists …`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable

import msgspec

from pulse_gateway.errors import ConfigError

__all__ = ["LIBRARY", "Applied", "Migration", "MigrationError", "MigrationSource", "discover", "missing"]

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_NO_TRANSACTION = "-- no-transaction"


class MigrationError(ConfigError):
    """The database cannot be brought to, or is not at, the state this release needs; the message says what to do."""


class MigrationSource(msgspec.Struct, frozen=True):
    """A package that brings migrations: its name, as recorded in the database, and the folder that holds the files."""

    name: str
    folder: Traversable


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """One file. `sha256` is of its text with line ends as `\\n`, so that it is the same on every checkout."""

    source: str
    version: int
    name: str
    sql: str
    sha256: str

    @property
    def transactional(self) -> bool:
        return self.sql.partition("\n")[0].strip() != _NO_TRANSACTION

    @property
    def label(self) -> str:
        """How messages name it: `pulse_gateway/0001_accounts_and_keys.sql`."""
        return _label(self.source, self.version, self.name)


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `schema_migrations`."""

    source: str
    version: int
    name: str
    sha256: str


# The tables of the library's own Postgres rooms: accounts and keys, usage.
LIBRARY = MigrationSource("pulse_gateway", files("pulse_gateway.store").joinpath("migrations"))


def discover(sources: Iterable[MigrationSource]) -> list[Migration]:
    """Every migration, in the order to apply them: source after source, numbers ascending.

    Raises: MigrationError for a `.sql` file with a malformed name and for two files with one number.
    """
    found = []
    for source in sources:
        of_source: dict[int, Migration] = {}
        for file in source.folder.iterdir():
            if not file.name.endswith(".sql"):
                continue
            match = _FILE_NAME.fullmatch(file.name)
            if match is None:
                raise MigrationError(f"{source.name}/{file.name}: a migration is named NNNN_name.sql")
            version, name = int(match[1]), match[2]
            if version in of_source:
                raise MigrationError(f"{of_source[version].label} and {file.name}: two migrations with one number")
            sql = file.read_text(encoding="utf-8").replace("\r\n", "\n")
            digest = hashlib.sha256(sql.encode()).hexdigest()
            of_source[version] = Migration(source=source.name, version=version, name=name, sql=sql, sha256=digest)
        found += [of_source[version] for version in sorted(of_source)]
    return found


def missing(migrations: Sequence[Migration], applied: Iterable[Applied]) -> list[Migration]:
    """Those of `migrations` still to be applied, in order.

    A database that is ahead of this release (it was migrated by a newer one, and replicas of both run side by side) lacks
    nothing.

    Raises: MigrationError when an applied file was changed, renamed or removed, or when a file is new but has a lower
    number than one already applied.
    """
    known = {(migration.source, migration.version): migration for migration in migrations}
    newest_known: dict[str, int] = {}
    for migration in migrations:
        newest_known[migration.source] = max(migration.version, newest_known.get(migration.source, -1))
    done: set[tuple[str, int]] = set()
    newest_applied: dict[str, int] = {}
    for row in applied:
        done.add((row.source, row.version))
        newest_applied[row.source] = max(row.version, newest_applied.get(row.source, -1))
        counterpart = known.get((row.source, row.version))
        if counterpart is None:
            if row.version < newest_known.get(row.source, -1):
                raise MigrationError(
                    f"{_label(row.source, row.version, row.name)} was applied to this database but its file is gone; "
                    "restore it: applied migrations are never removed"
                )
        elif (counterpart.name, counterpart.sha256) != (row.name, row.sha256):
            raise MigrationError(
                f"{counterpart.label} was changed after it had been applied to this database; "
                "restore the file and put the change into a new migration"
            )
    todo = [migration for migration in migrations if (migration.source, migration.version) not in done]
    for migration in todo:
        newest = newest_applied.get(migration.source, -1)
        if migration.version < newest:
            raise MigrationError(
                f"{migration.label} is new, but {newest:04d} of {migration.source} was already applied to this database; "
                f"give the file a number above {newest:04d}"
            )
    return todo


def _label(source: str, version: int, name: str) -> str:
    return f"{source}/{version:04d}_{name}.sql"
