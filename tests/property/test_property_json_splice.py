"""Replacing members of a JSON object keeps every other byte."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import MonkeyPatch

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.wire import json_splice
from pulse_gateway.wire.json_splice import remove_member, set_members

SPACE = st.sampled_from(["", " ", "\n  ", "\t", "\r\n"])
NAMES = st.sampled_from(["model", "stream", "messages", "x", "مفتاح", 'quo"te', "back\\slash", "é"])
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def objects(draw: st.DrawFn) -> tuple[str, dict[str, tuple[int, int]]]:
    """An object's text, with odd spacing and spelling, and where each member's value stands in it."""
    text = f"{draw(SPACE)}{{{draw(SPACE)}"
    spans: dict[str, tuple[int, int]] = {}
    for name in draw(st.lists(NAMES, unique=True, max_size=6)):
        value = json.dumps(draw(VALUES), ensure_ascii=draw(st.booleans()))
        if value.lstrip("-").isdigit():
            value += draw(st.sampled_from(["", ".0", "e0", ".50E+1"]))
        comma = "," if spans else ""
        text += f"{comma}{draw(SPACE)}{json.dumps(name, ensure_ascii=draw(st.booleans()))}{draw(SPACE)}:{draw(SPACE)}"
        spans[name] = (len(text), len(text) + len(value))
        text += value + draw(SPACE)
    return f"{text}}}{draw(SPACE)}", spans


@given(objects(), VALUES)
def test_setting_a_member_changes_nothing_else(made: tuple[str, dict[str, tuple[int, int]]], value: Any) -> None:
    text, spans = made
    result = set_members(text.encode(), model=value).decode()
    written = msgspec.json.encode(value).decode()
    if "model" in spans:
        start, end = spans["model"]
        assert result == text[:start] + written + text[end:]
    else:
        closing = text.rindex("}")
        assert result == text[:closing] + ("," if spans else "") + f'"model":{written}' + text[closing:]


@given(objects(), NAMES)
def test_removing_a_member_leaves_the_others(made: tuple[str, dict[str, tuple[int, int]]], name: str) -> None:
    text, spans = made
    result = remove_member(text.encode(), name).decode()
    assert json.loads(result) == {key: value for key, value in json.loads(text).items() if key != name}
    if name not in spans:
        assert result == text
    for other, (start, end) in spans.items():
        if other != name:
            assert text[start:end] in result


@pytest.mark.parametrize(
    "body",
    [b'{"model":"a","model":"b"}', b'{"x":1,"model":"a","x":1}', b'{"model":"a","\\u006dodel":"b"}', b'{"a":1,"a":1}'],
)
def test_a_key_that_occurs_twice_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        set_members(body, model="c")


@pytest.mark.parametrize("body", [b"", b"[]", b'"text"', b"{", b'{"a":}', b"null", b"{} {}"])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        set_members(body, model="c")
    with pytest.raises(InvalidRequest):
        remove_member(body, "model")


def test_every_other_byte_is_kept_exactly() -> None:
    body = b'{ "model" : "alias",\r\n\t"temperature": 1.0e0, "messages":[ {"role":"user"} ] , "unknown" : {"b":1,"a":2} }\n'
    assert set_members(body, model="gpt") == body.replace(b'"alias"', b'"gpt"')


def test_a_new_member_is_added_at_the_end() -> None:
    added: dict[str, Any] = {"include_usage": True}
    assert set_members(b'{"a": 1 }', stream_options=added) == b'{"a": 1 ,"stream_options":{"include_usage":true}}'
    assert set_members(b"{}", a=1) == b'{"a":1}'


@st.composite
def spellings(draw: st.DrawFn) -> bytes:
    """An object as programs write it: one of the two usual spellings, or nearly; a key may occur twice."""
    colon, comma = draw(st.sampled_from([(":", ","), (": ", ", "), (": ", ","), (":", ", "), (": ", ",\n")]))
    names = st.one_of(NAMES, st.sampled_from(["", "%b", "100%", 'a": 1, "b', "\\"]))
    ascii_only = draw(st.booleans())

    def written(value: Any) -> str:
        return json.dumps(value, ensure_ascii=ascii_only, separators=(comma, colon))

    members = draw(st.lists(st.tuples(names, VALUES), max_size=6))
    text = comma.join(f"{written(name)}{colon}{written(value)}" for name, value in members)
    return f"{{{text}}}{draw(st.sampled_from(['', '', '', ' ']))}".encode()


def _outcome(body: bytes, values: dict[str, Any]) -> bytes | str:
    try:
        return set_members(body, **values)
    except InvalidRequest as error:
        return str(error)


@given(spellings(), st.dictionaries(NAMES, VALUES, max_size=3))
def test_the_usual_spellings_are_changed_as_the_scanner_would(body: bytes, values: dict[str, Any]) -> None:
    quick = _outcome(body, values)
    with MonkeyPatch.context() as patch:
        patch.setattr(json_splice, "_LARGE_BYTES", -1)
        thorough = _outcome(body, values)
        patch.setattr(json_splice, "_starts", json_splice._scanned)
        assert quick == thorough == _outcome(body, values)


def test_shapes_of_objects_are_kept_up_to_a_bound() -> None:
    json_splice._shapes.clear()
    for number in range(3 * json_splice._MOST_SHAPES):
        assert set_members(b'{"k%d":1}' % number, x=2) == b'{"k%d":1,"x":2}' % number
    assert len(json_splice._shapes) <= json_splice._MOST_SHAPES
    set_members(b'{"%b":1}' % (b"k" * json_splice._LONGEST_SHAPE_BYTES))
    assert len(json_splice._shapes) <= json_splice._MOST_SHAPES
    assert all(len("".join(names)) < json_splice._LONGEST_SHAPE_BYTES for names in json_splice._shapes)
