"""Values out of schemas and patterns, words out of dice, tokens out of bytes."""

from __future__ import annotations

import re
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from pulse_gateway.testing.simulator.answer import fragments
from pulse_gateway.testing.simulator.dice import Dice, decode_base64, is_seal, seal
from pulse_gateway.testing.simulator.pattern_values import UnsupportedPattern, matching
from pulse_gateway.testing.simulator.schema_values import value_for
from pulse_gateway.testing.simulator.scripts import ARABIC, LATIN, filler, script_of
from pulse_gateway.testing.simulator.tokens import Tally, count_text, cut


class Inner(BaseModel):
    kind: Literal["a", "b"]
    ratio: float = Field(ge=0.5, lt=2)


class Tree(BaseModel):
    name: str = Field(min_length=3, max_length=8)
    children: list[Tree] = []


class Chain(BaseModel):
    link: Inner
    next: Chain | None


class Everything(BaseModel):
    text: str
    count: int = Field(gt=3, le=9)
    even: int = Field(multiple_of=2, ge=10, le=20)
    price: float
    yes: bool
    nothing: None
    inner: Inner
    many: list[Inner] = Field(min_length=3, max_length=4)
    unique: set[Literal["x", "y", "z"]]
    either: int | list[bool] | None
    table: dict[str, int]
    pair: tuple[int, str]
    code: str = Field(pattern=r"^[A-Z]{2}-\d{3,5}$")
    tree: Tree


@pytest.mark.parametrize("draw", range(20))
@pytest.mark.parametrize("model", [Everything, Tree, Chain, Inner])
def test_values_are_valid_against_their_schema(model: type[BaseModel], draw: int) -> None:
    value = value_for(model.model_json_schema(), Dice(bytes([draw])), ARABIC)
    model.model_validate(value, strict=False)
    assert set(value) == set(model.model_fields)


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": ["null", "integer"]}, int),
        ({"type": "STRING", "nullable": True}, str),
        ({"const": 5}, int),
        ({"enum": ["a"]}, str),
        ({"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}}, {"required": ["b"]}]}, dict),
        ({"properties": {"a": {}}}, dict),
        ({"items": {"type": "integer"}}, list),
        ({"type": "object"}, dict),
        ({}, str),
        (True, str),
        ({"$ref": "#/nowhere"}, str),
        ({"type": "string", "format": "date"}, str),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.1}, float),
        ({"type": "integer", "minimum": 5, "exclusiveMinimum": True}, int),
        ({"type": "integer", "maximum": -5}, int),
    ],
)
def test_schemas_of_every_writing_give_their_kind(schema: Any, kind: type) -> None:
    value = value_for(schema, Dice(b"x"), LATIN)
    assert isinstance(value, kind)


def test_schemas_that_never_end_end_anyway() -> None:
    twice = {"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a", "b"]}
    assert value_for(twice, Dice(b"x"), LATIN)["a"]["b"]
    assert len(value_for({"type": "array", "minItems": 10**9}, Dice(b"x"), LATIN)) == 5000
    assert len(value_for({"type": "string", "minLength": 10**9}, Dice(b"x"), LATIN)) >= 100_000
    assert value_for({"type": "object", "minProperties": 3}, Dice(b"x"), LATIN).keys() == {"key_0", "key_1", "key_2"}


def test_bounds_are_kept() -> None:
    for draw in range(50):
        dice = Dice(bytes([draw]))
        assert 0 < value_for({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.1}, dice, LATIN) < 0.1
        assert value_for({"type": "integer", "maximum": -5}, dice, LATIN) <= -5
        assert value_for({"type": "integer", "minimum": 5, "exclusiveMinimum": True}, dice, LATIN) > 5


def test_free_strings_have_both_writings_and_what_json_must_escape() -> None:
    texts = [value_for({"type": "string"}, Dice(bytes([draw])), LATIN) for draw in range(30)]
    assert all(script_of(text.split()[1]) is ARABIC for text in texts)
    assert any('"' in text and "\\" in text and "\n" in text for text in texts)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^\d{4}-\d{2}-\d{2}$", r"^[a-z][a-z0-9_]*$", r"(foo|bar)+", r"^(?:a|b{2,3})c?$", r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$",
        r"^#[0-9a-fA-F]{6}$", r"^\+964\d{10}$", r"^.{3,5}$", r"^[\w.-]+$", r"\bword\b", r"^$", r"^(?P<year>\d+)$",
        r"^[\]\[-]x$", r"a{,3}b", r"^[^a-z]{3}$",
    ],
)  # fmt: skip
def test_strings_match_their_pattern(pattern: str) -> None:
    for draw in range(30):
        assert re.search(pattern, matching(pattern, Dice(bytes([draw]))))


@pytest.mark.parametrize("pattern", [r"(?=a)b", r"(a)\1", r"[", r"(a", r"*", r"a)b(", r"((a{999}){999}){999}"])
def test_patterns_that_cannot_be_generated_say_so(pattern: str) -> None:
    with pytest.raises(UnsupportedPattern):
        matching(pattern, Dice(b"x"))


@settings(deadline=None, max_examples=200)
@given(st.text(), st.integers(0, 30))
def test_cutting_keeps_characters_whole_and_fits(text: str, tokens: int) -> None:
    part = cut(text, tokens)
    assert text.startswith(part)
    assert count_text(part) <= tokens
    if part != text:
        assert count_text(part + text[len(part)]) > tokens


@settings(deadline=None, max_examples=200)
@given(st.text(), st.one_of(st.none(), st.integers(1, 20)))
def test_fragments_add_up(text: str, pieces: int | None) -> None:
    parts = fragments(text, b"digest", "label", pieces)
    assert "".join(parts) == text
    assert all(parts)
    if pieces is not None:
        assert len(parts) == min(pieces, len(text))


def test_filler_is_exactly_as_long_as_asked() -> None:
    for script in (LATIN, ARABIC, script_of("漢字"), script_of("हिन्दी")):
        for tokens in (0, 1, 2, 3, 39, 500, 2500, 12_345):
            assert count_text(filler(script, Dice(b"x"), tokens)) == tokens


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("hello", "latin"), ("", "latin"), ("123 !?", "latin"), ("سلام", "arabic"), ("سلام ok", "arabic"),
        ("привет", "cyrillic"), ("שלום", "hebrew"), ("你好", "han"), ("日本語です", "kana"), ("안녕", "hangul"),
        ("नमस्ते", "devanagari"), ("🙂🙂", "latin"), ("crème brûlée", "latin"),
    ],
)  # fmt: skip
def test_the_writing_of_a_text_is_recognised(text: str, name: str) -> None:
    assert script_of(text).name == name


def test_tokens_are_four_bytes_each_and_media_a_fixed_number() -> None:
    tally = Tally(0, "v", "m")
    tally.text("abc")
    tally.text("de")
    assert tally.tokens == 2
    tally.mark()
    tally.media(b"x")
    assert (tally.tokens, tally.marked_tokens) == (260, 2)


def test_seals_hold_for_their_seed_and_parts_only() -> None:
    text = seal(1, "call", "f", "{}")
    assert is_seal(1, text, "call", "f", "{}")
    assert is_seal(1, text.replace("+", "-").replace("/", "_").rstrip("="), "call", "f", "{}")
    assert not is_seal(2, text, "call", "f", "{}")
    assert not is_seal(1, text, "call", "g", "{}")
    assert not is_seal(1, "!", "call", "f", "{}")


def test_base64_is_strict_unless_the_other_alphabet_is_allowed() -> None:
    assert decode_base64("//79") == b"\xff\xfe\xfd"
    for text in ("__79", "//79A", "é"):
        assert decode_base64(text) is None
    assert decode_base64("__79", url_safe=True) == b"\xff\xfe\xfd"
    assert decode_base64("YQ", url_safe=True) == b"a"


def test_dice_are_the_same_everywhere() -> None:
    dice = Dice(b"digest", "label")
    assert [dice.below(100) for _ in range(5)] == [50, 70, 79, 94, 66]
