"""The conversation of a generateContent request in neutral words."""

from __future__ import annotations

from typing import Any

import pytest
from gemini_request_reading import decode, parts

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.chat import (
    AudioPart,
    DocumentPart,
    ImagePart,
    Message,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

# ── contents ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_calls_without_ids_get_one_and_their_results_find_them_by_name_and_order() -> None:
    request = decode(
        {
            "contents": [
                {"parts": [{"text": "go"}]},
                {
                    "role": "model",
                    "parts": [
                        {"functionCall": {"name": "f", "args": {"a_b": "é", "n": 1.0}}},
                        {"functionCall": {"name": "g"}},
                        {"functionCall": {"name": "f", "args": None}},
                    ],
                },
                {
                    "role": "user",
                    "parts": [
                        {"functionResponse": {"name": "g", "response": {"output": "from g"}}},
                        {"text": "and now?"},
                        {"functionResponse": {"name": "f", "response": {"result": {"a_b": 1}}}},
                        {"functionResponse": {"name": "f", "response": {"error": "broken"}}},
                    ],
                },
            ]
        }
    )

    assert request.messages[1].parts == (
        ToolCallPart("call_1_0", "f", '{"a_b":"é","n":1.0}'),
        ToolCallPart("call_1_1", "g", "{}"),
        ToolCallPart("call_1_2", "f", "{}"),
    )
    assert request.messages[2:] == (
        Message(
            "tool",
            (
                ToolResultPart("call_1_1", (TextPart("from g"),), "g"),
                ToolResultPart("call_1_0", (TextPart('{"a_b":1}'),), "f"),
                ToolResultPart("call_1_2", (TextPart("broken"),), "f", is_error=True),
            ),
            path="contents[2]",
        ),
        Message("user", (TextPart("and now?"),), path="contents[2]"),
    )


def test_results_with_ids_find_their_call_whatever_the_order() -> None:
    request = decode(
        {
            "contents": [
                {"role": "model", "parts": [{"functionCall": {"name": "f", "id": name}} for name in ("one", "two")]},
                {
                    "parts": [
                        {"functionResponse": {"name": "f", "id": "two", "response": {"output": "2"}}},
                        {"functionResponse": {"name": "f", "response": {"a": 1, "b": 2}}},
                    ]
                },
            ]
        }
    )

    assert request.messages[1].parts == (
        ToolResultPart("two", (TextPart("2"),), "f"),
        ToolResultPart("one", (TextPart('{"a":1,"b":2}'),), "f", structured=True),
    )


@pytest.mark.parametrize(
    "response",
    [
        {"name": "g", "response": {}},
        {"name": "f", "id": "unknown", "response": {}},
    ],
)
def test_a_result_that_answers_no_call_is_refused_by_its_path(response: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(
            {
                "contents": [
                    {"role": "model", "parts": [{"functionCall": {"name": "f", "id": "one"}}]},
                    {"parts": [{"functionResponse": response}]},
                ]
            }
        )
    assert caught.value.param == "contents[1].parts[0].functionResponse"


def test_a_call_is_answered_once() -> None:
    answer = {"functionResponse": {"name": "f", "response": {}}}
    with pytest.raises(InvalidRequest) as caught:
        decode(
            {
                "contents": [
                    {"role": "model", "parts": [{"functionCall": {"name": "f"}}]},
                    {"parts": [answer, answer]},
                ]
            }
        )
    assert caught.value.param == "contents[1].parts[1].functionResponse"


def test_a_result_may_hold_images_and_documents() -> None:
    request = decode(
        {
            "contents": [
                {"role": "model", "parts": [{"functionCall": {"name": "f"}}]},
                {
                    "parts": [
                        {
                            "functionResponse": {
                                "name": "f",
                                "response": {"output": "see"},
                                "parts": [
                                    {"inline_data": {"mime_type": "image/png", "data": "__4="}},
                                    {"fileData": {"fileUri": "https://a.example/b.pdf"}},
                                    {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
                                ],
                            }
                        }
                    ]
                },
            ]
        }
    )

    assert request.messages[1].parts[0].parts == (  # type: ignore[union-attr]
        TextPart("see"),
        ImagePart("image/png", "//4="),
        DocumentPart("application/pdf", url="https://a.example/b.pdf"),
    )
    assert list(request.extra) == ["contents[1].parts[0].functionResponse.parts[2].inlineData"]


def test_a_streamed_answer_sent_back_in_pieces_is_one_turn() -> None:
    request = decode(
        {
            "contents": [
                {"parts": [{"text": "hi"}, {"text": "there"}]},
                {"role": "model", "parts": [{"text": "I ", "thought": True}]},
                {"role": "model", "parts": [{"text": "think", "thought": True}]},
                {"role": "model", "parts": [{"text": "Hel"}]},
                {"role": "model", "parts": [{"text": "lo"}, {"functionCall": {"name": "f", "id": "one"}}]},
                {"role": "model", "parts": [{"text": ""}]},
            ]
        }
    )

    assert request.messages == (
        Message("user", (TextPart("hi"), TextPart("there")), path="contents[0]"),
        Message(
            "assistant",
            (ReasoningPart("I think"), TextPart("Hello"), ToolCallPart("one", "f", "{}")),
            path="contents[1]",
        ),
    )


def test_the_vendor_s_own_signatures_are_reported_as_left_out_except_on_calls() -> None:
    request = decode(
        {
            "contents": [
                {
                    "role": "model",
                    "parts": [
                        {"text": "hm", "thought": True, "thoughtSignature": "c2ln"},
                        {"text": "done", "thought_signature": "c2ln"},
                        {"functionCall": {"name": "f", "id": "one"}, "thoughtSignature": "_-8"},
                    ],
                }
            ]
        }
    )

    assert request.messages[0].parts == (
        ReasoningPart("hm"),
        TextPart("done"),
        ToolCallPart("one", "f", "{}", "/+8="),
    )
    assert request.hints == {
        "contents[0].parts[0].thoughtSignature": True,
        "contents[0].parts[1].thoughtSignature": True,
    }


def test_a_hint_is_one_by_its_own_name_not_by_how_its_path_ends() -> None:
    request = decode({"contents": [{"parts": [{"text": "hi", "mediaResolution": {}, "x\r\ny: .mediaResolution": 1}]}]})
    assert request.hints == {"contents[0].parts[0].mediaResolution": {}}
    assert list(request.extra) == ["contents[0].parts[0].x\r\ny: .mediaResolution"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"inlineData": {"mimeType": "audio/mp3", "data": "AAAA"}}, AudioPart("audio/mp3", "AAAA")),
        ({"inlineData": {"mimeType": "image/jpg", "data": "AAA"}}, ImagePart("image/jpeg", "AAA=")),
        (
            {"inlineData": {"mimeType": "application/pdf", "data": "AAAA", "display_name": "a.pdf"}},
            DocumentPart("application/pdf", "AAAA", title="a.pdf"),
        ),
        (
            {"inlineData": {"mimeType": "text/csv; charset=utf-8", "data": "w6ksYg=="}},
            DocumentPart("text/csv", text="é,b"),
        ),
        (
            {"fileData": {"fileUri": "https://a.example/b.webp?x=1"}},
            ImagePart("image/webp", url="https://a.example/b.webp?x=1"),
        ),
        (
            {"fileData": {"fileUri": "http://a.example/b", "mimeType": "application/pdf"}},
            DocumentPart("application/pdf", url="http://a.example/b"),
        ),
    ],
)
def test_media_become_parts_of_their_kind(written: dict[str, Any], expected: Any) -> None:
    assert parts(written) == (expected,)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ({"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}}, "inlineData"),
        ({"fileData": {"fileUri": "gs://bucket/a.png", "mimeType": "image/png"}}, "fileData"),
        ({"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/a", "mimeType": "image/png"}}, "fileData"),
        ({"fileData": {"fileUri": "https://youtu.be/a", "mimeType": "video/mp4"}}, "fileData"),
        ({"fileData": {"fileUri": "https://a.example/unknown"}}, "fileData"),
        ({"fileData": {"fileUri": "https://[broken/a.png"}}, "fileData"),
    ],
)  # fmt: skip
def test_media_nobody_else_can_read_are_kept_under_their_path(written: dict[str, Any], name: str) -> None:
    request = decode({"contents": [{"parts": [{"text": "see"}, written]}]})

    assert list(request.extra) == [f"contents[0].parts[1].{name}"]
