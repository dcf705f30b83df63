"""A large prompt whose texts are left as they stand is read as one whose texts are made strings of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from translation_bodies import BODIES

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.wire import prompt_texts
from pulse_gateway.wire.prompt_texts import size_of
from pulse_gateway.wire.registry import DIALECTS, codec

FIXTURE = [HealthCheck.function_scoped_fixture]
ARABIC = "السلام عليكم ورحمة الله وبركاته. "
ODD: list[Any] = [
    None,
    7,
    True,
    {},
    [],
    [None],
    [7],
    [{}],
    [{"type": "text"}],
    [{"type": "text", "text": 7}],
    [{"text": None}],
]
PLACES: dict[str, Callable[[object], dict[str, Any]]] = {
    "openai.chat": lambda odd: {"model": "m", "messages": [{"role": "user", "content": odd}]},
    "openai.responses": lambda odd: {"model": "m", "input": [{"role": "user", "content": odd}]},
    "anthropic.messages": lambda odd: {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": odd}]},
    "gemini": lambda odd: {"contents": [{"role": "user", "parts": odd}]},
}


def _envelope(dialect: str, body: bytes) -> object:
    where = {"model": "alias", "stream": False} if dialect == "gemini" else {}
    try:
        read = codec(dialect).read_envelope(body, **where)  # type: ignore[arg-type]
    except InvalidRequest as error:
        return error.param or str(error)
    return msgspec.structs.replace(read, texts=[read.text])


def _both(dialect: str, body: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[object, object]:
    with monkeypatch.context() as patch:
        patch.setattr(prompt_texts, "_LARGE_BYTES", 0)
        unread = _envelope(dialect, body)
        patch.setattr(prompt_texts, "_LARGE_BYTES", 10**9)
        return unread, _envelope(dialect, body)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(data=st.data())
@settings(max_examples=40, suppress_health_check=FIXTURE)
def test_what_is_left_as_it_stands_is_read_the_same(
    dialect: str, data: st.DataObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = data.draw(BODIES[dialect](anything=True)) | {"x-arabic": ARABIC}
    unread, read = _both(dialect, msgspec.json.encode(body), monkeypatch)
    assert unread == read


@pytest.mark.parametrize("odd", ODD, ids=str)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_wrong_in_it_is_named_the_same(dialect: str, odd: object, monkeypatch: pytest.MonkeyPatch) -> None:
    unread, read = _both(dialect, msgspec.json.encode(PLACES[dialect](odd) | {"x-arabic": ARABIC}), monkeypatch)
    assert unread == read


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_large_prompt_is_as_long_as_its_texts(dialect: str) -> None:
    text = ARABIC * 1_000
    part = {"text": text} if dialect in {"gemini", "openai.responses"} else {"type": "text", "text": text}
    if dialect == "openai.responses":
        part["type"] = "input_text"
    body = msgspec.json.encode(PLACES[dialect]([part, part]))
    where = {"model": "alias", "stream": False} if dialect == "gemini" else {}
    read = codec(dialect).read_envelope(body, **where)  # type: ignore[arg-type]
    assert not any(isinstance(each, str) for each in read.texts)
    assert read.text == f"{text}\n{text}"
    characters, size_bytes = size_of(read.texts)
    assert size_bytes == len(read.text.encode())
    assert characters == pytest.approx(len(read.text), rel=0.01)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_large_prompt_that_is_no_utf8_is_refused_once_its_texts_are_wanted(dialect: str) -> None:
    text = ARABIC * 1_000
    part = {"type": "input_text" if dialect == "openai.responses" else "text", "text": text}
    body = msgspec.json.encode(PLACES[dialect]([part])).replace("وبركاته".encode(), b"\xff\xfe", 1)
    where = {"model": "alias", "stream": False} if dialect == "gemini" else {}
    read = codec(dialect).read_envelope(body, **where)  # type: ignore[arg-type]
    assert size_of(read.texts)[1] > len(text)
    with pytest.raises(InvalidRequest, match="not valid UTF-8"):
        _ = read.text
