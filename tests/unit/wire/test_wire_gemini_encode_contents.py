"""Neutral messages as the contents of a generateContent request."""

from __future__ import annotations

from typing import Any

import pytest
from gemini_request_writing import CALLED, CODEC, DUMMY, HELLO, OLD, dropped, encode, model, refused, user_part

from pulse_gateway.errors import InvalidRequest, PulseError, UnsupportedParameter
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import (
    AudioPart,
    ChatRequest,
    DocumentPart,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    Tool,
    ToolCallPart,
    ToolResultPart,
)

# ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_results_and_what_the_user_adds_are_one_turn_results_first() -> None:
    body = encode(
        OLD,
        messages=(
            *HELLO,
            Message(
                "assistant",
                (TextPart(""), ToolCallPart("one", "f", '{"a" : 1.0}'), ToolCallPart("two", "g", "")),
                path="messages[1]",
            ),
            Message("tool", (ToolResultPart("two", (TextPart("2"), TextPart("b"))),), path="messages[2]"),
            Message("tool", (ToolResultPart("one", (TextPart("oops"),), is_error=True),), path="messages[3]"),
            Message("user", (TextPart("go on"),), path="messages[4]"),
        ),
    )

    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "hello"}]},
        {
            "role": "model",
            "parts": [
                {"functionCall": {"id": "one", "name": "f", "args": {"a": 1.0}}},
                {"functionCall": {"id": "two", "name": "g", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "two", "name": "g", "response": {"output": "2\nb"}}},
                {"functionResponse": {"id": "one", "name": "f", "response": {"error": "oops"}}},
                {"text": "go on"},
            ],
        },
    ]


def test_an_object_that_gemini_sent_goes_back_as_an_object() -> None:
    result = ToolResultPart("one", (TextPart('{"a":1,"n":1e400}'),), structured=True)
    request = ChatRequest(model="m", messages=(*HELLO, CALLED, Message("tool", (result,), path="messages[2]")))

    assert b'"response":{"a":1,"n":1e400}' in CODEC.encode_request(request, OLD).body


def test_the_first_call_of_each_step_of_the_current_turn_is_signed() -> None:
    body = encode(
        messages=(
            *HELLO,
            CALLED,
            Message("tool", (ToolResultPart("one", (TextPart("1"),)),)),
            Message("assistant", (TextPart("done"),)),
            Message("user", (TextPart("more"),)),
            Message("assistant", (ToolCallPart("two", "f", "{}"), ToolCallPart("three", "f", "{}"))),
            Message("tool", (ToolResultPart("two", (TextPart("2"),)), ToolResultPart("three", (TextPart("3"),)))),
            Message("user", (TextPart("beside the results"),)),
            Message("assistant", (ToolCallPart("four", "f", "{}", "c2ln"), ToolCallPart("five", "f", "{}"))),
            Message("tool", (ToolResultPart("four", (TextPart("4"),)), ToolResultPart("five", (TextPart("5"),)))),
        ),
    )
    signatures = {
        part["functionCall"]["id"]: part.get("thoughtSignature")
        for content in body["contents"]
        for part in content["parts"]
        if "functionCall" in part
    }

    assert signatures == {"one": None, "two": DUMMY, "three": None, "four": "c2ln", "five": None}


def test_only_thinking_that_gemini_signed_goes_back_to_it() -> None:
    thought = ReasoningPart("hm", "gemini:c2ln")
    body = encode(messages=(*HELLO, Message("assistant", (ReasoningPart("no"), thought, TextPart("ok"))), *HELLO))

    assert body["contents"][1]["parts"] == [
        {"text": "hm", "thought": True, "thoughtSignature": "c2ln"},
        {"text": "ok"},
    ]


def test_a_turn_of_which_nothing_is_left_is_no_turn() -> None:
    body = encode(messages=(*HELLO, Message("assistant", (ReasoningPart("hm"),)), Message("user", (TextPart("?"),))))

    assert body["contents"] == [{"role": "user", "parts": [{"text": "hello"}, {"text": "?"}]}]


def test_a_refusal_in_the_history_is_text() -> None:
    assert encode(messages=(*HELLO, Message("assistant", (RefusalPart("no"),)), *HELLO))["contents"][1] == {
        "role": "model",
        "parts": [{"text": "no"}],
    }


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (ImagePart("image/png", "AAAA"), {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
        (ImagePart("image/jpg", "AAAA"), {"inlineData": {"mimeType": "image/jpeg", "data": "AAAA"}}),
        (
            ImagePart(url="https://a.example/b.JPG?c=d.gif"),
            {"fileData": {"fileUri": "https://a.example/b.JPG?c=d.gif", "mimeType": "image/jpeg"}},
        ),
        (ImagePart(url="https://a.example/b"), {"fileData": {"fileUri": "https://a.example/b"}}),
        (AudioPart("audio/wav", "AAAA"), {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}),
        (DocumentPart("application/pdf", "AAAA"), {"inlineData": {"mimeType": "application/pdf", "data": "AAAA"}}),
        (DocumentPart(text="é"), {"inlineData": {"mimeType": "text/plain", "data": "w6k="}}),
        (
            DocumentPart(url="https://a.example/b"),
            {"fileData": {"fileUri": "https://a.example/b", "mimeType": "application/pdf"}},
        ),
    ],
)
def test_media_have_their_place(part: Part, expected: dict[str, Any]) -> None:
    assert user_part(part) == expected


@pytest.mark.parametrize(
    ("part", "target"),
    [
        (ImagePart("image/gif", "AAAA"), model()),
        (ImagePart("image/svg+xml", "AAAA"), model()),
        (ImagePart(None, "AAAA"), model()),
        (ImagePart(url="https://a.example/b.gif"), model()),
        (ImagePart(url="https://a.example/b.png"), model(image_urls=False)),
        (ImagePart("image/png"), model()),
        (DocumentPart("application/msword", "AAAA"), model()),
        (DocumentPart(url="https://a.example/b.pdf"), model(image_urls=False)),
    ],
)
def test_media_the_model_does_not_take_are_refused_by_the_path_of_their_message(part: Part, target: Model) -> None:
    assert refused(target, messages=(Message("user", (part,), path="messages[0]"),)).param == "messages[0]"


def test_the_refusal_of_an_image_s_address_says_what_to_send_instead() -> None:
    message = Message("user", (ImagePart(url="https://a.example/b.png"),), path="messages[0]")

    assert "only the bytes" in refused(model(image_urls=False), messages=(message,)).message


def test_images_in_results_are_for_models_from_gemini_3_on() -> None:
    result = ToolResultPart("one", (TextPart("see"), ImagePart("image/png", "AAAA")))
    messages = (*HELLO, CALLED, Message("tool", (result,), path="messages[2]"))

    assert encode(messages=messages)["contents"][2]["parts"][0]["functionResponse"] == {
        "id": "one",
        "name": "f",
        "response": {"output": "see"},
        "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}],
    }
    assert refused(OLD, messages=messages).param == "messages[2]"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (Message("system", (TextPart("be brief"),), path="messages[1]"), UnsupportedParameter),
        (Message("assistant", (ToolCallPart("a", "f", "[1]"),), path="messages[1]"), InvalidRequest),
        (Message("assistant", (ToolCallPart("a", "f", '{"a":'),), path="messages[1]"), InvalidRequest),
        (Message("assistant", (ToolCallPart("a", "no spaces", "{}"),), path="messages[1]"), UnsupportedParameter),
        (Message("tool", (ToolResultPart("lost", (TextPart("a"),)),), path="messages[1]"), InvalidRequest),
    ],
)
def test_a_message_that_cannot_be_said_is_refused_by_its_path(message: Message, kind: type[PulseError]) -> None:
    error = refused(messages=(*HELLO, message))

    assert (type(error), error.param) == (kind, "messages[1]")


def test_instructions_are_text_and_not_all_there_is() -> None:
    picture = Message("system", (ImagePart("image/png", "AAAA"),), path="system")

    assert refused(messages=(picture, *HELLO)).param == "system"
    assert refused(messages=(Message("system", (TextPart("be brief"),)),)).param == "messages"


@pytest.mark.parametrize(
    "last",
    [
        Message("assistant", (TextPart("Once"),), path="messages[1]"),
        Message("user", (TextPart(""),), path="messages[1]"),
    ],
    ids=["an answer begun", "nothing"],
)
def test_a_conversation_ends_with_something_to_answer(last: Message) -> None:
    assert refused(messages=(*HELLO, last)).param == "messages[1]"


def test_a_turn_without_text_is_left_out_and_reported() -> None:
    messages = (*HELLO, Message("assistant", (TextPart(""),)), *HELLO)
    assert encode(messages=messages)["contents"] == [{"role": "user", "parts": [{"text": "hello"}, {"text": "hello"}]}]
    assert dropped(messages=messages) == ("messages.blank_text",)


def test_a_schema_nested_beyond_reason_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(100_000):
        schema = {"items": schema}

    assert "deeply" in refused(tools=(Tool("f", parameters=schema),)).message
