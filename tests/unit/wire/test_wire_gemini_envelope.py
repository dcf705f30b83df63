"""What the gateway reads from a Gemini request without decoding it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.wire.gemini import GeminiCodec

CODEC = GeminiCodec()
HELLO = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}


def envelope(body: Any, *, stream: bool = False) -> Any:
    return CODEC.read_envelope(msgspec.json.encode(body), model="gemini-3.8-flash", stream=stream)


def test_model_and_streaming_come_from_the_path() -> None:
    read = envelope({**HELLO, "model": "models/another", "stream": False}, stream=True)

    assert (read.model, read.stream, read.include_usage) == ("gemini-3.8-flash", True, True)


def test_a_request_without_a_model_in_its_path_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        CODEC.read_envelope(msgspec.json.encode(HELLO), stream=True)
    assert caught.value.param == "model"


def test_every_text_is_joined_and_every_attachment_counted() -> None:
    read = envelope(
        {
            "systemInstruction": {"parts": [{"text": "be brief"}]},
            "contents": [
                {"parts": [{"text": "one"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]},
                {"role": "model", "parts": [{"text": "thinking", "thought": True}, {"functionCall": {"name": "f"}}]},
                {"role": "function", "parts": [{"functionResponse": {"name": "f", "response": {}}}]},
                {"role": "user", "parts": [{"text": "two"}, {"file_data": {"file_uri": "https://a.example/b.png"}}]},
            ],
        }
    )

    assert read.text == "be brief\none\nthinking\ntwo"
    assert read.attachments == 2


@pytest.mark.parametrize(
    ("response", "text"),
    [
        ({"output": "sunny"}, "sunny"),
        ({"result": {"قائمة": [1]}}, '{"قائمة":[1]}'),
        ({"error": "no such city"}, "no such city"),
        ({"city": "Doha", "degrees": 41}, '{"city":"Doha","degrees":41}'),
    ],
)
@pytest.mark.parametrize("spelling", ["functionResponse", "function_response"])
def test_what_a_tool_answered_is_read_like_any_text(spelling: str, response: dict[str, Any], text: str) -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    answered = {spelling: {"name": "f", "response": response, "parts": [image]}}
    read = envelope({"contents": [*HELLO["contents"], {"role": "user", "parts": [answered]}]})

    assert read.text == f"hello\n{text}"
    assert read.attachments == 1


@pytest.mark.parametrize(
    "config",
    [
        {"generationConfig": {"maxOutputTokens": 64, "candidateCount": 3}},
        {"generation_config": {"max_output_tokens": 64, "candidate_count": 3}},
        {"generationConfig": {"max_output_tokens": "64", "candidateCount": 3.0}},
    ],
)
def test_limits_are_read_in_either_spelling_and_in_any_form_of_an_integer(config: dict[str, Any]) -> None:
    read = envelope({**HELLO, **config})

    assert (read.max_output_tokens, read.n) == (64, 3)


def test_what_is_not_said_has_its_default() -> None:
    read = envelope(HELLO)

    assert (read.max_output_tokens, read.n, read.attachments, read.stream) == (None, 1, 0, False)


def test_one_message_may_stand_without_its_list() -> None:
    read = envelope({"system_instruction": {"parts": {"text": "a cat"}}, "contents": {"parts": {"text": "hello"}}})

    assert read.text == "a cat\nhello"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "contents"),
        ({"contents": []}, "contents"),
        ({"contents": None}, "contents"),
        ({"contents": "hello"}, "contents"),
        ({"contents": [{"role": "assistant", "parts": []}]}, "contents[0].role"),
        ({"contents": [{"role": "system", "parts": []}]}, "contents[0].role"),
        ({"contents": [{"parts": "hello"}]}, "contents[0].parts"),
        ({"contents": [{"parts": [{"text": 1}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": [{"inline_data": "AAAA"}]}]}, "contents[0].parts[0].inlineData"),
        ({**HELLO, "system_instruction": "be brief"}, "systemInstruction"),
        ({**HELLO, "generation_config": []}, "generationConfig"),
        ({**HELLO, "generationConfig": {"maxOutputTokens": 0}}, "generationConfig.maxOutputTokens"),
        ({**HELLO, "generationConfig": {"maxOutputTokens": "many"}}, "generationConfig.maxOutputTokens"),
        ({**HELLO, "generationConfig": {"max_output_tokens": 1.5}}, "generationConfig.maxOutputTokens"),
        ({**HELLO, "generationConfig": {"candidateCount": True}}, "generationConfig.candidateCount"),
        ({**HELLO, "generationConfig": {"stop_sequences": "END"}}, "generationConfig.stopSequences"),
        ({**HELLO, "generationConfig": {}, "generation_config": {}}, "generationConfig"),
        (
            {**HELLO, "generationConfig": {"maxOutputTokens": 1, "max_output_tokens": 9}},
            "generationConfig.maxOutputTokens",
        ),
    ],
)
def test_a_bad_field_is_named_by_its_camel_case_path(body: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        envelope(body)
    assert caught.value.param == param


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"text"', b'{"contents":[{"parts":[{"text":"\xff"}]}]}', b'{"x":' + b"[" * 100_000],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        CODEC.read_envelope(body, model="m", stream=False)


def test_unknown_fields_pass() -> None:
    read = envelope({**HELLO, "futureField": {"a": 1}, "contents": [{"parts": [{"text": "x", "future": 1}]}]})

    assert read.text == "x"


def test_a_request_for_the_same_dialect_is_the_very_same_bytes() -> None:
    body = b' {"contents" : [ {"parts":[{"text":"caf\\u00e9"}]} ], "model": "models/a"}\n'

    assert CODEC.rewrite_request(body, model="another", show_usage=True) is body
