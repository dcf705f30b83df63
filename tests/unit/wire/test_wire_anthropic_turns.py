"""Neutral messages as the turns of a Messages request."""

from __future__ import annotations

from base64 import b64encode

import pytest
from anthropic_request_writing import CODEC, HELLO, claude, content, dropped, encoded, refused

from pulse_gateway.errors import InvalidRequest
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
    ToolCallPart,
    ToolResultPart,
)

# ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_leading_system_messages_are_blocks_of_the_prompt() -> None:
    body = encoded(Message("system", (TextPart("a"), TextPart(""))), Message("system", (TextPart("b"),)), HELLO)
    assert body["system"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert len(body["messages"]) == 1


def test_a_later_system_message_needs_a_model_that_takes_it() -> None:
    later = Message("system", (TextPart("in verse"),), path="messages[1]")
    assert refused(HELLO, later) == "messages[1]"
    body = encoded(HELLO, later, HELLO, model=claude(system_mid_conversation=True))
    assert [turn["role"] for turn in body["messages"]] == ["user", "system", "user"]


def test_results_stand_first_in_one_user_turn() -> None:
    call = Message("assistant", (ToolCallPart("a", "f", "{}"), ToolCallPart("b", "f", "")), path="messages[1]")
    results = [Message("tool", (ToolResultPart(name, (TextPart(name),)),), path="messages[3]") for name in "ab"]
    body = encoded(HELLO, call, Message("user", (TextPart("and?"),), path="messages[2]"), *results)
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": "a"},
        {"type": "tool_result", "tool_use_id": "b", "content": "b"},
        {"type": "text", "text": "and?"},
    ]


def test_consecutive_turns_of_one_role_are_merged() -> None:
    said = Message("assistant", (TextPart("let me see"),), path="messages[1]")
    called = Message("assistant", (ToolCallPart("a", "f", '{"x":1}'),), path="messages[2]")
    body = encoded(HELLO, HELLO, said, called, HELLO)
    assert [len(turn["content"]) for turn in body["messages"]] == [2, 2, 1]


def test_an_assistants_parts() -> None:
    assert content(
        ReasoningPart("hm", signature="sig"),
        ReasoningPart(redacted="XX"),
        TextPart("hello"),
        TextPart(""),
        RefusalPart("I will not"),
        ToolCallPart("call_1", "f", '{"price": 1.10}'),
        role="assistant",
    ) == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "XX"},
        {"type": "text", "text": "hello"},
        {"type": "text", "text": "I will not"},
        {"type": "tool_use", "id": "call_1", "name": "f", "input": {"price": 1.1}},
    ]


def test_arguments_keep_the_spelling_of_their_numbers() -> None:
    call = Message("assistant", (ToolCallPart("a", "f", '{"price": 1.10}'),))
    assert b'"input":{"price":1.10}' in CODEC.encode_request(ChatRequest(model="", messages=(call,)), claude()).body


@pytest.mark.parametrize("arguments", ["nonsense", "[1]", '"text"', '{"a":', "{" * 5000, '{"a":"\ud800"}'])
def test_arguments_that_are_no_object_are_the_callers_mistake(arguments: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        encoded(HELLO, Message("assistant", (ToolCallPart("a", "f", arguments),), path="messages[1]"))
    assert caught.value.param == "messages[1]"


def test_unsigned_thinking_and_foreign_signatures_are_dropped_and_reported() -> None:
    said = Message("assistant", (ReasoningPart("hm"), ToolCallPart("a", "f", "", signature="AAAA")))
    assert dropped(HELLO, said, HELLO) == ("messages.reasoning", "messages.thought_signature")


def test_names_and_image_details_are_dropped_and_reported() -> None:
    shown = Message(
        "user", (ImagePart("image/png", "AAAA", detail="high"), ImagePart("image/png", "AAAA", detail="auto"))
    )
    assert dropped(Message("user", (TextPart("x"),), name="bob"), shown) == ("messages.name", "messages.image_detail")


def test_a_users_parts() -> None:
    plain = b64encode("سلام".encode()).decode()
    assert content(
        ImagePart("image/jpg", "AAAA"),
        ImagePart(url="https://example.test/a.png"),
        DocumentPart(media_type="application/pdf", data="BBBB", title="T"),
        DocumentPart(media_type="text/plain", data=plain),
        DocumentPart(text="plain"),
        DocumentPart(url="https://example.test/a.pdf"),
    ) == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}},
        {"type": "image", "source": {"type": "url", "url": "https://example.test/a.png"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "BBBB"},
            "title": "T",
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "سلام"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}},
        {"type": "document", "source": {"type": "url", "url": "https://example.test/a.pdf"}},
    ]


@pytest.mark.parametrize(
    ("role", "part"),
    [
        ("user", AudioPart("audio/wav", "AAAA")),
        ("user", ImagePart("image/svg+xml", "AAAA")),
        ("user", ImagePart(url="gs://bucket/a.png")),
        ("user", DocumentPart(media_type="application/msword", data="AAAA")),
        ("user", DocumentPart(media_type="text/html", url="https://example.test/")),
        ("user", ToolCallPart("a", "f", "{}")),
        ("assistant", ImagePart("image/png", "AAAA")),
        ("assistant", DocumentPart(text="x")),
        ("tool", TextPart("x")),
        ("tool", ToolResultPart("a", (AudioPart("audio/wav", "AAAA"),))),  # type: ignore[arg-type]  # from a careless program
        ("system", ImagePart("image/png", "AAAA")),
    ],
)
def test_parts_without_a_place_are_refused_by_the_path_of_their_message(role: str, part: Part) -> None:
    message = Message(role, (part,), path="messages[0]")  # type: ignore[arg-type]  # a parametrized role
    assert refused(message, HELLO if role == "assistant" else Message("assistant", (TextPart("x"),))) == "messages[0]"


@pytest.mark.parametrize("text", ["", " \n"])
def test_a_turn_without_text_is_left_out_and_reported(text: str) -> None:
    blank = Message("assistant", (TextPart(text),), path="messages[1]")
    asked = Message("user", (TextPart("more"),), path="messages[2]")
    assert dropped(HELLO, blank, asked) == ("messages.blank_text",)
    assert encoded(HELLO, blank, asked)["messages"] == encoded(HELLO, asked)["messages"]


@pytest.mark.parametrize("role", ["user", "assistant", "system"])
def test_a_last_turn_without_text_is_refused(role: str) -> None:
    blank = Message(role, (TextPart(""),), path="messages[1]")  # type: ignore[arg-type]  # a parametrized role
    model = claude(system_mid_conversation=True)
    assert refused(HELLO, blank, model=model) == "messages[1]"


def test_white_space_between_texts_is_left_out_and_reported() -> None:
    message = Message("user", (TextPart("a"), TextPart("\n"), TextPart(""), TextPart("b")))
    assert dropped(message) == ("messages.blank_text",)
    assert [block["text"] for block in encoded(message)["messages"][0]["content"]] == ["a", "b"]


def test_a_started_answer_may_not_end_with_white_space() -> None:
    started = Message("assistant", (TextPart("Once "),), path="messages[1]")
    assert refused(HELLO, started) == "messages[1]"


def test_a_proof_of_geminis_is_not_shown_to_anthropic() -> None:
    thought = ReasoningPart("hm", signature="gemini:c2ln")
    message = Message("assistant", (thought, TextPart("a")), path="messages[1]")
    assert dropped(HELLO, message, HELLO) == ("messages.reasoning",)
    assert encoded(HELLO, message, HELLO)["messages"][1]["content"] == [{"type": "text", "text": "a"}]


def test_call_ids_used_again_stay_unique_and_paired() -> None:
    def round_of(n: int) -> tuple[Message, ...]:
        call = ToolCallPart("call_0", "f", "{}")
        return (
            Message("user", (TextPart(f"{n}"),)),
            Message("assistant", (call,)),
            Message("tool", (ToolResultPart("call_0", (TextPart(f"r{n}"),)),)),
        )

    turns = encoded(*round_of(1), *round_of(2))["messages"]
    ids = [turns[place]["content"][0]["id"] for place in (1, 3)]
    assert len(set(ids)) == 2
    assert [turns[place]["content"][0]["tool_use_id"] for place in (2, 4)] == ids


def test_image_urls_need_a_model_that_fetches_them() -> None:
    shown = Message("user", (ImagePart(url="https://example.test/a.png"),), path="messages[0]")
    assert refused(shown, model=claude(image_urls=False)) == "messages[0]"


def test_a_document_that_is_not_the_text_it_claims_to_be_is_the_callers_mistake() -> None:
    with pytest.raises(InvalidRequest) as caught:
        encoded(Message("user", (DocumentPart(media_type="text/plain", data="/w=="),), path="messages[0]"))
    assert caught.value.param == "messages[0]"


def test_results_carry_errors_images_and_nothing() -> None:
    image = ImagePart("image/png", "AAAA")
    results = (
        ToolResultPart("a", (), is_error=True),
        ToolResultPart("b", (TextPart(""),)),
        ToolResultPart("c", (TextPart("see"), image)),
        ToolResultPart("d", (image,)),
    )
    wire = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    assert content(*results, role="tool") == [
        {"type": "tool_result", "tool_use_id": "a", "is_error": True},
        {"type": "tool_result", "tool_use_id": "b"},
        {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "see"}, wire]},
        {"type": "tool_result", "tool_use_id": "d", "content": [wire]},
    ]


def test_a_last_assistant_turn_needs_a_model_that_continues_it() -> None:
    prefill = Message("assistant", (TextPart("The answer is ("),), path="messages[1]")
    assert encoded(HELLO, prefill)["messages"][1]["role"] == "assistant"
    assert refused(HELLO, prefill, model=claude(prefill=False)) == "messages[1]"


def test_a_conversation_needs_more_than_a_system_prompt() -> None:
    assert refused(Message("system", (TextPart("x"),), path="messages[0]")) == "messages"


def test_ids_that_the_vendor_refuses_are_escaped_alike_in_calls_and_results() -> None:
    body = encoded(
        HELLO,
        Message("assistant", (ToolCallPart("call:1/β", "f", "{}"),)),
        Message("tool", (ToolResultPart("call:1/β", (TextPart("r"),)),)),
    )
    call, result = body["messages"][1]["content"][0], body["messages"][2]["content"][0]
    assert call["id"] == result["tool_use_id"]
    assert call["id"].replace("-", "").replace("_", "").isalnum()
    assert call["id"].isascii()
