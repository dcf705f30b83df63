"""Entries as columns: everything in its place, nothing that Postgres cannot hold."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse_gateway.ledger.columns import JOURNAL, as_uuid, clean, columns_of, correction_id
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.types.usage import Outcome, Usage, UsageSource

A = UsageEntry(
    entry_id="019ab1c2-0000-7000-8000-000000000001", request_id="request", trace_id="trace", tenant_id="default",
    user_id="alice", key_id="key", period=202611, operation="chat", dialect="openai.chat", alias="alias", provider="provider",
    model="model", attempt=1, outcome=Outcome.CLIENT_GONE, source=UsageSource.DRAINED, usage=Usage(input_tokens=1, images=3, video_ms=8000, variant="1080p"),
    tokens=1, cost_nano_usd=2, price_source="config", price_version="v1", images=3, videos=4, first_byte_ms=1.5, total_ms=2.5,
    at=1_795_000_000.25, error_code="code", tags=(("team", "بحث"),), accounts=("alice", "key/key"),
    reverses="019ab1c2-0000-7000-8000-000000000002",
)  # fmt: skip


def test_every_value_stands_where_the_statement_expects_it() -> None:
    columns = columns_of([A, A], [None, JOURNAL])
    assert [None if column is None else column[1:-1].split(",", 1)[0] for column in columns] == [
        *(f'"{A.entry_id}"', '"request"', '"trace"', '"default"', '"alice"', '"key"'),
        *('"{\\"alice\\"', "202611", '"chat"', '"openai.chat"'),
        *('"alias"', '"provider"', '"model"', "1", '"client_gone"', '"drained"', "null", f'"{A.reverses}"'),
        *("1", *[None] * 11, "8000", None, None, None, '"1080p"'),
        *("1", "2", '"config"', '"v1"', "3", "4", "1.5", "2.5", "1795000000.25", '"code"'),
        '"{\\"tags\\":{\\"team\\":\\"بحث\\"}}"',
    ]
    assert columns[6] == '{"{\\"alice\\",\\"key/key\\"}","{\\"alice\\",\\"key/key\\"}"}'
    assert columns[16] == '{null,"journal"}'


def test_a_column_without_values_is_none() -> None:
    columns = columns_of([msgspec.structs.replace(A, key_id=None, tags=())], [None])
    assert columns[5] is None
    assert columns[16] is None
    assert columns[-1] == '{"{}"}'


def test_names_from_outside_lose_what_postgres_cannot_hold() -> None:
    odd = msgspec.structs.replace(
        A,
        alias="nul\x00",
        model="\ud800x",
        tags=(("\x00", "\udfff"),),
        accounts=('a"b', "c\\d", "\x00"),
        entry_id="odd\ud800",
        usage=Usage(images=1, variant="\x00/high"),
    )
    columns = columns_of([odd, A], [None, None])
    assert columns[10] == '{"nul\ufffd","alias"}'
    assert columns[12] == '{"?x","model"}'
    assert columns[34] == '{"\ufffd/high","1080p"}'
    assert columns[6] is not None
    assert columns[6].startswith(r'{"{\"a\\\"b\",\"c\\\\d\",\"' + "\ufffd")
    assert columns[-1] is not None
    assert columns[-1].startswith(r'{"{\"tags\":{\"' + "\ufffd" + r'\":\"?\"}}"')
    assert columns[0] is not None
    assert uuid.UUID(columns[0][2:38])
    assert msgspec.json.encode(clean(odd))


@given(st.text(min_size=0, max_size=40))
def test_every_id_has_one_uuid(entry_id: str) -> None:
    assert as_uuid(entry_id) == as_uuid(entry_id)
    assert str(uuid.UUID(as_uuid(entry_id))) == as_uuid(entry_id)


@given(st.uuids())
def test_a_uuid_is_itself_however_it_is_spelled(value: uuid.UUID) -> None:
    assert as_uuid(str(value)) == as_uuid(str(value).upper()) == as_uuid(value.hex) == str(value)


def test_each_word_on_an_entry_has_a_correction_of_its_own() -> None:
    ids = {correction_id(A.entry_id, origin) for origin in (None, JOURNAL)}
    assert len(ids) == 2
    assert A.entry_id not in ids
    assert ids == {correction_id(A.entry_id.upper(), origin) for origin in (None, JOURNAL)}


@pytest.mark.parametrize("changes", [{"outcome": "completed"}, {"usage": None}, {"accounts": 5}, {"alias": 5}])
def test_values_of_another_type_are_an_error_of_the_batch(changes: dict[str, Any]) -> None:
    with pytest.raises((AttributeError, TypeError, ValueError)):
        columns_of([msgspec.structs.replace(A, **changes)], [None])
