"""A client's JSON is read member by member, and what nobody read is known by its path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import InvalidRequest, UpstreamProtocolError
from pulse_gateway.wire.foreign_json import from_client, from_provider, to_provider
from pulse_gateway.wire.gemini.fields import Fields
from pulse_gateway.wire.members import Members


def test_what_nobody_took_is_left_over_by_its_path() -> None:
    top = Members({"a": 1, "b": {"c": 2, "d": None}, "e": [{"f": 3}, {"g": 4}], "h": 5, "i": None})
    assert top.integer("a") == 1
    assert top.child("b") is not None
    first, second = top.children("e")
    assert first.integer("f") == 3
    assert top.leftovers(frozenset({"g"})) == ({"h": 5, "b.c": 2}, {"e[1].g": 4})
    second.leave()
    assert top.leftovers(frozenset({"g"})) == ({"h": 5, "b.c": 2, "e[1]": {"g": 4}}, {})


@pytest.mark.parametrize("text", [r"a\ud800b", r"a\ud83d", r"\udc00", r"\\\ud800\u0041 and much after it"])
def test_half_a_surrogate_pair_is_named_as_what_is_wrong(text: str) -> None:
    with pytest.raises(InvalidRequest, match="half of a surrogate pair"):
        from_client(msgspec.json.decode, b'{"a": "%b"}' % text.encode())


@pytest.mark.parametrize("text", [r"\ud83d\ude00", r"\\ud800", r"\u00e9"])
def test_what_only_looks_like_one_is_not(text: str) -> None:
    assert from_client(msgspec.json.decode, b'{"a": "%b"}' % text.encode())
    with pytest.raises(InvalidRequest, match="not valid JSON"):
        from_client(msgspec.json.decode, b'{"a": "%b"' % text.encode())


def test_a_word_that_is_not_known_is_left_over_and_anything_else_is_no_word() -> None:
    assert Members({"a": "low"}).word("a", ("low", "high")) == "low"
    assert Members({}).word("a", ("low",)) is None
    odd = Members({"a": "heroic"})
    assert odd.word("a", ("low",)) is None
    assert odd.leftovers()[0] == {"a": "heroic"}
    with pytest.raises(InvalidRequest):
        Members({"a": []}).word("a", ("low",))
    with pytest.raises(InvalidRequest):
        Members({}).need_word("a", ("low",))


@pytest.mark.parametrize(
    ("value", "read", "path"),
    [
        (3, lambda top: top.text("a"), "a"),
        ("x", lambda top: top.flag("a"), "a"),
        (True, lambda top: top.integer("a"), "a"),
        (1.5, lambda top: top.integer("a"), "a"),
        (0, lambda top: top.integer("a", least=1), "a"),
        (9, lambda top: top.integer("a", most=8), "a"),
        (True, lambda top: top.number("a"), "a"),
        (10**400, lambda top: top.number("a"), "a"),
        ("x", lambda top: top.strings("a"), "a"),
        (["x", 1], lambda top: top.strings("a"), "a[1]"),
        ([], lambda top: top.object("a"), "a"),
        ([], lambda top: top.child("a"), "a"),
        ([{}, 1], lambda top: top.children("a"), "a[1]"),
        (None, lambda top: top.need_text("a"), "a"),
        (None, lambda top: top.need_object("a"), "a"),
        (None, lambda top: top.need_child("a"), "a"),
    ],
)
def test_a_member_that_is_not_what_it_should_be_is_named(value: Any, read: Callable[[Members], Any], path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(Members({"a": value}))
    assert caught.value.param == path
    assert caught.value.message.startswith(f"{path}: ")


def test_a_list_where_the_body_should_be_has_no_path() -> None:
    with pytest.raises(InvalidRequest) as caught:
        Members([])
    assert (caught.value.param, caught.value.message) == (None, "the body: expected an object")


@pytest.mark.parametrize("written", [256, 256.0, "256"])
def test_protobuf_writes_integers_in_three_ways(written: Any) -> None:
    assert Fields({"top_k": written}).integer("topK") == 256


@pytest.mark.parametrize("value", [False, "", []])
def test_protobufs_empty_values_are_not_set(value: Any) -> None:
    assert Fields({"anything": value}).leftovers() == ({}, {})


class Head(msgspec.Struct):
    role: str
    count: int | None = None


_head = msgspec.json.Decoder(list[Head]).decode


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'[{"role":1}]', "turns[0].role"),
        (b'[{"role":"a"},{}]', "turns[1].role"),
        (b'[{"role":"a","count":"x"}]', "turns[0].count"),
        (b"{}", "turns"),
        (b"[", None),
        (b'[{"role":"\xff"}]', None),
    ],
)
def test_a_body_that_cannot_be_decoded_is_the_clients_mistake(body: bytes, param: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        from_client(_head, body, at="turns")
    assert caught.value.param == param
    assert (caught.value.message.startswith(f"{param}: ")) == (param is not None)


def test_a_body_nested_too_deeply_is_the_clients_mistake() -> None:
    with pytest.raises(InvalidRequest, match="deeply"):
        from_client(msgspec.json.Decoder().decode, b"[" * 100_000)


@pytest.mark.parametrize("body", [b'[{"role":1}]', b"[", b'["\xff"]', b"[" * 100_000, b"<html>"])
def test_an_answer_that_cannot_be_decoded_is_the_providers(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        from_provider(_head, body)


def test_what_is_nested_too_deeply_to_be_written_is_the_clients_mistake() -> None:
    schema: dict[str, Any] = {}
    for _ in range(100_000):
        schema = {"items": schema}
    with pytest.raises(InvalidRequest, match="deeply"):
        to_provider({"schema": schema})
