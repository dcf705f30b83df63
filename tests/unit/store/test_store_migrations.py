"""Finding migrations and telling which are missing; nothing here touches a database."""

from __future__ import annotations

from pathlib import Path

import pytest

from pulse_gateway.store.migrations import (
    LIBRARY,
    Applied,
    Migration,
    MigrationError,
    MigrationSource,
    discover,
    missing,
)


def source(folder: Path, name: str = "app", **files: str) -> MigrationSource:
    place = folder / name
    place.mkdir(exist_ok=True)
    for file, sql in files.items():
        (place / f"{file.lstrip('_')}.sql").write_text(sql, encoding="utf-8", newline="")
    return MigrationSource(name, place)


def applied(migration: Migration) -> Applied:
    return Applied(source=migration.source, version=migration.version, name=migration.name, sha256=migration.sha256)


def test_migrations_come_source_after_source_and_by_number(tmp_path: Path) -> None:
    first = source(tmp_path, "library", _0010_b="b", _0002_a="a")
    second = source(tmp_path, "host", _0001_c="c")
    assert [migration.label for migration in discover([first, second])] == [
        "library/0002_a.sql",
        "library/0010_b.sql",
        "host/0001_c.sql",
    ]


def test_the_library_ships_its_own_tables() -> None:
    found = discover([LIBRARY])
    assert [migration.version for migration in found] == list(range(1, len(found) + 1))
    everything = " ".join(migration.sql for migration in found)
    for table in ("tenant", "app_user", "api_key", "usage_entry", "usage_balance"):
        assert f"create table {table} (" in everything


@pytest.mark.parametrize("name", ["1_short", "0001-dash", "0001_Upper", "0001_", "notes"])
def test_a_malformed_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(MigrationError, match=rf"app/{name}\.sql.*NNNN_name"):
        discover([source(tmp_path, **{f"_{name}": ""})])


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    found = source(tmp_path, _0001_a="a")
    (tmp_path / "app" / "README.md").write_text("about", encoding="utf-8")
    assert len(discover([found])) == 1


def test_two_files_with_one_number_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="two migrations with one number"):
        discover([source(tmp_path, _0001_a="a", _0001_b="b")])


def test_the_hash_does_not_depend_on_how_lines_end(tmp_path: Path) -> None:
    unix, windows = source(tmp_path, "unix", _0001_a="a\nb\n"), source(tmp_path, "windows", _0001_a="a\r\nb\r\n")
    one, other = discover([unix, windows])
    assert one.sha256 == other.sha256


def test_only_the_exact_first_line_takes_a_file_out_of_its_transaction(tmp_path: Path) -> None:
    found = discover(
        [
            source(
                tmp_path,
                _0001_a="-- no-transaction\ncreate index concurrently i on t (c)",
                _0002_b="-- a comment\n-- no-transaction\nselect 1",
                _0003_c="-- no-transaction  \r\nselect 1",
            )
        ]
    )
    assert [migration.transactional for migration in found] == [False, True, False]


def test_what_is_not_applied_is_missing_in_order(tmp_path: Path) -> None:
    found = discover([source(tmp_path, "library", _0001_a="", _0002_b=""), source(tmp_path, "host", _0001_c="")])
    assert missing(found, []) == found
    assert missing(found, [applied(found[0])]) == found[1:]
    assert missing(found, map(applied, found)) == []


def test_numbers_are_compared_within_a_source_only(tmp_path: Path) -> None:
    found = discover([source(tmp_path, "library", _0001_a=""), source(tmp_path, "host", _0009_c="")])
    assert missing(found, [applied(found[1])]) == [found[0]]


def test_a_changed_file_is_refused_by_name(tmp_path: Path) -> None:
    before = discover([source(tmp_path, _0001_a="before")])
    after = discover([source(tmp_path, _0001_a="after")])
    with pytest.raises(MigrationError, match=r"app/0001_a\.sql was changed"):
        missing(after, map(applied, before))


def test_a_renamed_file_is_refused(tmp_path: Path) -> None:
    (found,) = discover([source(tmp_path, _0001_a="same")])
    row = Applied(source="app", version=1, name="other", sha256=found.sha256)
    with pytest.raises(MigrationError, match=r"app/0001_a\.sql was changed"):
        missing([found], [row])


def test_a_new_file_below_an_applied_number_is_refused(tmp_path: Path) -> None:
    found = discover([source(tmp_path, _0001_a="", _0002_late="", _0003_b="")])
    with pytest.raises(MigrationError, match=r"app/0002_late\.sql is new, but 0003"):
        missing(found, [applied(found[0]), applied(found[2])])


def test_a_removed_file_is_refused_but_a_database_ahead_of_us_is_not(tmp_path: Path) -> None:
    found = discover([source(tmp_path, _0001_a="", _0002_b="", _0003_c="")])
    everything = list(map(applied, found))
    assert missing(found[:2], everything) == []
    with pytest.raises(MigrationError, match=r"app/0002_b\.sql was applied .* its file is gone"):
        missing([found[0], found[2]], everything)
