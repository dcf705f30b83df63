"""A neutral request becomes one that the model takes, or is refused by the name of what it cannot take."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import InvalidRequest, UnsupportedParameter
from pulse_gateway.types.catalog import Capabilities, Model
from pulse_gateway.types.chat import (
    AudioPart,
    ChatRequest,
    DocumentPart,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from pulse_gateway.wire.anthropic_messages import AnthropicMessagesCodec

CODEC = AnthropicMessagesCodec()
HELLO = Message("user", (TextPart("hello"),), path="messages[0]")
F, G, H = Tool("f"), Tool("g"), Tool("h")


def claude(max_output_tokens: int | None = None, **capabilities: Any) -> Model:
    return Model(
        provider="anthropic",
        name="claude-test",
        max_output_tokens=max_output_tokens,
        capabilities=Capabilities(**capabilities),
    )


def encoded(*messages: Message, model: Model | None = None, **fields: Any) -> dict[str, Any]:
    request = ChatRequest(model="alias", messages=messages or (HELLO,), **fields)
    body: dict[str, Any] = msgspec.json.decode(CODEC.encode_request(request, model or claude()).body)
    return body


def dropped(*messages: Message, **fields: Any) -> tuple[str, ...]:
    return CODEC.encode_request(ChatRequest(model="alias", messages=messages or (HELLO,), **fields), claude()).dropped


def refused(*messages: Message, model: Model | None = None, **fields: Any) -> str | None:
    with pytest.raises(UnsupportedParameter) as caught:
        encoded(*messages, model=model, **fields)
    assert "claude-test" in caught.value.message
    return caught.value.param


def content(*parts: Part, role: str = "user") -> Any:
    return encoded(Message(role, parts, path="messages[0]"))["messages"][0]["content"]  # type: ignore[arg-type]


# ── parameters ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_smallest_request() -> None:
    assert encoded() == {
        "model": "claude-test",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
    }


def test_the_limit_is_the_clients_else_the_models() -> None:
    assert encoded(max_output_tokens=7, model=claude(100))["max_tokens"] == 7
    assert encoded(model=claude(100))["max_tokens"] == 100
    assert refused(max_output_tokens=101, model=claude(100)) == "max_output_tokens"


def test_sampling_passes_where_the_model_takes_it() -> None:
    body = encoded(temperature=1.0, top_p=0.5, top_k=3, stop=("END",), user="u", stream=True)
    assert {name: body[name] for name in ("temperature", "top_p", "top_k", "stop_sequences", "metadata", "stream")} == {
        "temperature": 1.0,
        "top_p": 0.5,
        "top_k": 3,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u"},
        "stream": True,
    }


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_sampling_is_refused_by_models_without_it_even_at_its_default(name: str) -> None:
    assert refused(model=claude(sampling=False), **{name: 1}) == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 1.01),
        ("n", 2),
        ("seed", 0),
        ("presence_penalty", 0.5),
        ("frequency_penalty", -0.5),
        ("logprobs", True),
        ("top_logprobs", 3),
        ("response_format", ResponseFormat("json_object")),
        ("stop", ("\n",)),
        ("stop", ("END", "")),
        ("tool_choice", ToolChoice("required")),
    ],
)
def test_what_the_dialect_lacks_is_refused_by_name(name: str, value: Any) -> None:
    assert refused(**{name: value}) == name


def test_what_asks_for_nothing_is_left_out() -> None:
    plain = encoded()
    assert plain == encoded(
        n=1,
        presence_penalty=0.0,
        frequency_penalty=0.0,
        logprobs=False,
        top_logprobs=0,
        include_usage=True,
        response_format=ResponseFormat("text"),
        tool_choice=ToolChoice("none"),
        parallel_tool_calls=False,
    )


def test_extra_fields_are_refused_by_the_path_they_came_from() -> None:
    assert refused(extra={"logit_bias": {"50256": -100}}) == "logit_bias"


def test_hints_without_a_place_are_reported() -> None:
    assert dropped(hints={"verbosity": "low", "prediction": {}}) == ("verbosity", "prediction")
    mark = {"type": "ephemeral"}
    assert encoded(hints={"cache_control": mark})["cache_control"] == mark
    assert dropped(hints={"cache_control": mark}) == ()


def test_of_a_schema_only_the_schema_travels() -> None:
    form = ResponseFormat("json_schema", {"type": "object"}, name="n", description="d", strict=True)
    assert encoded(response_format=form)["output_config"] == {
        "format": {"type": "json_schema", "schema": {"type": "object"}}
    }
    assert dropped(response_format=form) == (
        "response_format.name",
        "response_format.description",
        "response_format.strict",
    )


# ── tools ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_tools_are_written_with_an_object_for_a_schema() -> None:
    tools = (
        F,
        Tool("g", "d", {"properties": {"a": {}}}, True),
        Tool("h", parameters={"type": "object", "required": []}),
    )
    assert encoded(tools=tools)["tools"] == [
        {"name": "f", "input_schema": {"type": "object", "properties": {}}},
        {"name": "g", "description": "d", "input_schema": {"type": "object", "properties": {"a": {}}}, "strict": True},
        {"name": "h", "input_schema": {"type": "object", "required": []}},
    ]
    assert refused(tools=(Tool("f", parameters={"type": "string"}),)) == "tools"
    assert refused(tools=(F,), model=claude(tools=False)) == "tools"


@pytest.mark.parametrize(
    ("choice", "parallel", "wire", "names"),
    [
        (None, None, None, "fgh"),
        (None, True, None, "fgh"),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}, "fgh"),
        (ToolChoice("auto"), None, {"type": "auto"}, "fgh"),
        (ToolChoice("auto", ("g", "h")), None, {"type": "auto"}, "gh"),
        (ToolChoice("none"), False, {"type": "none"}, "fgh"),
        (ToolChoice("required"), None, {"type": "any"}, "fgh"),
        (
            ToolChoice("required", ("f",)),
            False,
            {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
            "fgh",
        ),
        (ToolChoice("required", ("h", "f")), None, {"type": "any"}, "fh"),
    ],
)
def test_tool_choice(choice: ToolChoice | None, parallel: bool | None, wire: dict[str, Any] | None, names: str) -> None:
    body = encoded(tools=(F, G, H), tool_choice=choice, parallel_tool_calls=parallel)
    assert body.get("tool_choice") == wire
    assert [tool["name"] for tool in body["tools"]] == list(names)


def test_a_forced_call_is_refused_where_the_model_cannot_be_forced() -> None:
    model = claude(forced_tool_choice=False)
    assert refused(tools=(F,), tool_choice=ToolChoice("required"), model=model) == "tool_choice"
    assert refused(tools=(F,), tool_choice=ToolChoice("required", ("f",)), model=model) == "tool_choice"
    assert encoded(tools=(F,), tool_choice=ToolChoice("auto"), model=model)["tool_choice"] == {"type": "auto"}


def test_a_choice_of_a_tool_that_is_not_there_is_refused() -> None:
    assert refused(tools=(F,), tool_choice=ToolChoice("required", ("nobody",))) == "tool_choice"


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
