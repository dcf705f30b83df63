"""`pulse usage export` as a person or a script runs it."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pyarrow
import pyarrow.parquet
import pytest
from pulse_process import environment, open_folder, run_pulse

FILL = """
insert into tenant (id, name) values ('acme', 'Acme');
insert into usage_entry (
    entry_id, request_id, trace_id, tenant_id, user_id, key_id, accounts, period, operation, dialect, alias, provider, model,
    attempt, outcome, source, reverses, requests, failed, unpriced, input_tokens, output_tokens, tokens, cost_nano_usd, images,
    videos, total_ms, at, error_code, meta)
values
    ('00000000-0000-7000-8000-000000000001', 'req_1', 't1', 'default', 'ada', 'k1', '{ada,key/k1}', 202610, 'chat', 'openai.chat',
     '=HYPERLINK("http://x")', 'openai', 'gpt-6', 1, 'completed', 'provider', null, 1, 0, 0, 100, 200, 300, 9000000000000000001,
     0, 0, 12.5, '2026-10-31T23:59:59.999999Z', null, '{"tags": {"team": "بحث"}}'),
    ('00000000-0000-7000-8000-000000000002', 'req_2', 't2', 'acme', 'بوب', null, '{}', 202611, 'chat', 'gemini', 'fast', 'google',
     'gemini-3', 2, 'failed', 'none', null, 1, 1, 1, null, null, 0, null, 0, 0, 1, '2026-11-01T00:00:00Z', 'upstream_error', '{}'),
    ('00000000-0000-7000-8000-000000000003', 'req_1', 't1', 'default', 'ada', 'k1', '{ada,key/k1}', 202610, 'chat', 'openai.chat',
     'fast', 'openai', 'gpt-6', 1, 'completed', 'provider', '00000000-0000-7000-8000-000000000001', 0, 0, 0, -10, null, -10, -5,
     0, 0, 12.5, '2026-11-24T12:00:00Z', null, '{}');
"""


async def fill(url: str, statements: str = FILL) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statements)
    await connection.close()


@pytest.fixture(scope="module")
def env(new_database: Callable[[], str]) -> dict[str, str]:
    env = {"PULSE_DATABASE_URL": new_database()}
    assert run_pulse("migrate", env=env).returncode == 0
    asyncio.run(fill(env["PULSE_DATABASE_URL"]))
    return env


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as opened:
        yield opened


def exported(env: dict[str, str], *words: str) -> list[dict[str, str]]:
    done = run_pulse("usage", "export", *words, env=env)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout, newline="")))
    assert done.stderr == ("1 entry\n" if len(rows) == 1 else f"{len(rows)} entries\n")
    return rows


def test_every_entry_comes_in_order_with_every_column(env: dict[str, str]) -> None:
    rows = exported(env)
    assert [row["entry_id"][-1] for row in rows] == ["1", "2", "3"]
    first, second, third = rows
    assert first["at"] == "2026-10-31T23:59:59.999999Z"
    assert first["cost_nano_usd"] == "9000000000000000001"  # no float has held it
    assert json.loads(first["meta"]) == {"tags": {"team": "بحث"}}
    assert first["alias"] == '\'=HYPERLINK("http://x")'
    assert (second["user_id"], second["key_id"], second["cost_nano_usd"], second["input_tokens"]) == ("بوب", "", "", "")
    assert (second["error_code"], second["attempt"]) == ("upstream_error", "2")
    assert (third["reverses"], third["tokens"], third["cost_nano_usd"]) == (first["entry_id"], "-10", "-5")


async def test_no_column_of_the_ledger_is_left_out(env: dict[str, str]) -> None:
    connection = await asyncpg.connect(env["PULSE_DATABASE_URL"])
    columns = await connection.fetch(
        "select attname from pg_attribute where attrelid = 'usage_entry'::regclass and attnum > 0 and not attisdropped"
    )
    await connection.close()
    assert set(exported(env)[0]) == {row["attname"] for row in columns}


@pytest.mark.parametrize(
    ("words", "entries"),
    [
        (["--from", "2026-11-01"], "23"),
        (["--to", "2026-10-31"], "1"),
        (["--from", "2026-11-01", "--to", "2026-11-01"], "2"),
        (["--from", "2027-01-01"], ""),
        (["--to", "9999-12-31"], "123"),
        (["--tenant", "acme"], "2"),
        (["--tenant", "default", "--from", "2026-11-01"], "3"),
    ],
)
def test_days_and_tenants_can_be_chosen(env: dict[str, str], words: list[str], entries: str) -> None:
    assert "".join(row["entry_id"][-1] for row in exported(env, *words)) == entries


def test_a_file_can_begin_with_the_mark_for_excel(env: dict[str, str], folder: Path) -> None:
    done = run_pulse("usage", "export", "--bom", "--output", "entries.csv", env=env, cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "3 entries\n")
    content = (folder / "entries.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbfentry_id,")
    assert "بوب" in content.decode("utf-8-sig")
    assert [file.name for file in folder.iterdir()] == ["entries.csv"]


@pytest.mark.parametrize("output", ["entries.parquet", "-"])
def test_parquet_keeps_types(env: dict[str, str], folder: Path, output: str) -> None:
    command = [sys.executable, "-m", "pulse_host", "usage", "export", "--format", "parquet", "--output", output]
    done = subprocess.run(command, env=environment(env), cwd=folder, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"3 entries\n")
    written = io.BytesIO(done.stdout) if output == "-" else folder / output
    table = pyarrow.parquet.read_table(written)
    assert table.schema.field("at").type == pyarrow.timestamp("us", tz="UTC")
    assert table.schema.field("cost_nano_usd").type == pyarrow.int64()
    rows = table.to_pylist()
    assert [row["cost_nano_usd"] for row in rows] == [9000000000000000001, None, -5]
    assert rows[0]["at"] == datetime(2026, 10, 31, 23, 59, 59, 999999, tzinfo=UTC)
    assert rows[0]["alias"] == '=HYPERLINK("http://x")'  # no spreadsheet opens it
    assert [row["user_id"] for row in rows] == ["ada", "بوب", "ada"]
    assert [row["reverses"] for row in rows] == [None, None, rows[0]["entry_id"]]


def test_without_pyarrow_parquet_says_what_to_install_and_csv_works(env: dict[str, str], folder: Path) -> None:
    (folder / "pyarrow.py").write_text("raise ImportError('not here')\n")
    settings = {**env, "PYTHONPATH": str(folder)}
    done = run_pulse("usage", "export", "--format", "parquet", "--output", "x.parquet", env=settings, cwd=folder)
    assert done.returncode == 1
    assert "pip install 'pulse-gateway[parquet]'" in done.stderr
    assert not [file for file in folder.iterdir() if "parquet" in file.name]
    assert len(exported(settings)) == 3


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["--tenant", "nobody"], 1, "there is no tenant 'nobody'; see `pulse tenants list`"),
        (["--output", "gone/entries.csv"], 1, "gone/entries.csv cannot be written: No such file or directory"),
        (["--output", "."], 1, ". is a folder; name a file"),
        (["--from", "november"], 2, "--from is a day in UTC such as 2026-11-24"),
        (["--to", "2026-02-30"], 2, "--to=2026-02-30 is no day"),
        (["--from", "2026-11-02", "--to", "2026-11-01"], 2, "--from 2026-11-02 is after --to 2026-11-01"),
        (["--format", "xlsx"], 2, "'xlsx' is not one of 'csv', 'parquet'"),
        (["--format", "parquet", "--bom"], 2, "--bom is for CSV"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_exit_code(
    env: dict[str, str], folder: Path, words: list[str], code: int, complaint: str
) -> None:
    done = run_pulse("usage", "export", *words, env=env, cwd=folder)
    assert (done.returncode, done.stdout) == (code, "")
    assert complaint in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert list(folder.iterdir()) == []


def test_a_failure_leaves_the_file_of_before(env: dict[str, str], folder: Path) -> None:
    (folder / "entries.csv").write_text("of yesterday\n")
    done = run_pulse("usage", "export", "--tenant", "nobody", "--output", "entries.csv", env=env, cwd=folder)
    assert done.returncode == 1
    assert (folder / "entries.csv").read_text() == "of yesterday\n"
    assert [file.name for file in folder.iterdir()] == ["entries.csv"]


def test_a_database_that_was_never_migrated_is_said(new_database: Callable[[], str]) -> None:
    done = run_pulse("usage", "export", env={"PULSE_DATABASE_URL": new_database()})
    assert done.returncode == 1
    assert "run `pulse migrate`" in done.stderr


MANY = """
insert into usage_entry (
    entry_id, request_id, trace_id, tenant_id, user_id, accounts, period, operation, dialect, alias, provider, model, attempt, outcome,
    source, requests, failed, unpriced, tokens, images, videos, total_ms, at, meta)
select gen_random_uuid(), 'req', '', 'default', 'ada', '{ada}', 202611, 'chat', 'openai.chat', 'fast', 'openai', 'gpt-6', 1, 'completed',
    'provider', 1, 0, 0, 1, 0, 0, 1, '2026-11-24T12:00:00Z', '{}'
from generate_series(1, 5000)
"""


@pytest.mark.parametrize("reader", ["head -n 1", "true"])
@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("rows", ["few", "many"])
def test_a_reader_who_leaves_early_is_no_disaster(
    env: dict[str, str], new_database: Callable[[], str], rows: str, form: str, reader: str
) -> None:
    if rows == "many":  # more than fits into a pipe
        env = {"PULSE_DATABASE_URL": new_database()}
        assert run_pulse("migrate", env=env).returncode == 0
        asyncio.run(fill(env["PULSE_DATABASE_URL"], MANY))
    command = f"{sys.executable} -m pulse_host usage export --format {form} | {reader}"
    done = subprocess.run(["sh", "-c", command], env=environment(env), capture_output=True, check=False)
    if (form, reader) == ("csv", "head -n 1"):
        assert done.stdout.startswith(b"entry_id,")
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr
