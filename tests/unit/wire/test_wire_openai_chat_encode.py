"""Neutral requests as Chat Completions: what is sent, what is refused by name, what is dropped and reported."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pulse_gateway.errors import UnsupportedParameter
from pulse_gateway.types.catalog import Capabilities, Model
from pulse_gateway.types.chat import (
    AudioPart,
    ChatRequest,
    DocumentPart,
    ImagePart,
    Message,
    Part,
    ReasoningControl,
    ReasoningPart,
    RefusalPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from pulse_gateway.wire.openai_chat import OpenAIChatCodec

CODEC = OpenAIChatCodec()
OPENAI = Model(provider="openai", name="gpt-x")
GROQ = Model(provider="groq", name="llama")
HELLO = (Message("user", (TextPart("hi"),), path="messages[0]"),)
TOOLS = (Tool("weather", "d", {"type": "object"}, True), Tool("time"))


def openai(**capabilities: Any) -> Model:
    return Model(provider="openai", name="gpt-x", capabilities=Capabilities(**capabilities))


def encode(model: Model = OPENAI, **fields: Any) -> dict[str, Any]:
    request = ChatRequest(**{"model": "asked", "messages": HELLO, **fields})
    told: dict[str, Any] = json.loads(CODEC.encode_request(request, model).body)
    return told


def dropped(model: Model = OPENAI, **fields: Any) -> tuple[str, ...]:
    return CODEC.encode_request(ChatRequest(**{"model": "asked", "messages": HELLO, **fields}), model).dropped


def refusal(model: Model = OPENAI, **fields: Any) -> UnsupportedParameter:
    with pytest.raises(UnsupportedParameter) as caught:
        encode(model, **fields)
    assert model.name in caught.value.message
    return caught.value


def message(role: str, *parts: Part, **fields: Any) -> tuple[Message, ...]:
    return (Message(role, parts, path="messages[0]", **fields),)  # type: ignore[arg-type]


def test_a_plain_request_is_a_plain_body() -> None:
    assert encode() == {"model": "gpt-x", "messages": [{"role": "user", "content": "hi"}]}


def test_every_parameter_in_its_place() -> None:
    told = encode(
        stream=True,
        max_output_tokens=100,
        temperature=0.5,
        top_p=0.9,
        stop=("a", "b"),
        n=2,
        seed=7,
        presence_penalty=0.1,
        frequency_penalty=-0.1,
        logprobs=True,
        top_logprobs=2,
        tools=TOOLS,
        tool_choice=ToolChoice("auto"),
        parallel_tool_calls=False,
        response_format=ResponseFormat("json_schema", {"type": "object"}, "n", "d", True),
        reasoning=ReasoningControl(effort="none"),
        user="u",
    )
    del told["messages"]
    assert told == {
        "model": "gpt-x",
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["a", "b"],
        "n": 2,
        "seed": 7,
        "presence_penalty": 0.1,
        "frequency_penalty": -0.1,
        "logprobs": True,
        "top_logprobs": 2,
        "tools": [
            {
                "type": "function",
                "function": {"name": "weather", "description": "d", "parameters": {"type": "object"}, "strict": True},
            },
            {"type": "function", "function": {"name": "time"}},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": {"type": "object"}, "description": "d", "strict": True},
        },
        "reasoning_effort": "none",
        "user": "u",
    }


def test_compatible_vendors_know_the_older_name_of_the_token_limit() -> None:
    assert encode(GROQ, max_output_tokens=5)["max_tokens"] == 5


def test_a_schema_without_a_name_gets_one() -> None:
    told = encode(response_format=ResponseFormat("json_schema", {"type": "object"}))
    assert told["response_format"]["json_schema"] == {"name": "response", "schema": {"type": "object"}}
    assert encode(response_format=ResponseFormat("json_object"))["response_format"] == {"type": "json_object"}
    assert "response_format" not in encode(response_format=ResponseFormat("text"))


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (ToolChoice("none"), "none"),
        (ToolChoice("required"), "required"),
        (ToolChoice("required", ("time",)), {"type": "function", "function": {"name": "time"}}),
        (
            ToolChoice("auto", ("time",)),
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "time"}}]},
            },
        ),
    ],
)
def test_tool_choices(choice: ToolChoice, told: Any) -> None:
    assert encode(tools=TOOLS, tool_choice=choice)["tool_choice"] == told


def test_vendors_without_allowed_tools_are_shown_only_those() -> None:
    told = encode(GROQ, tools=TOOLS, tool_choice=ToolChoice("auto", ("time",)))
    assert told["tool_choice"] == "auto"
    assert [tool["function"]["name"] for tool in told["tools"]] == ["time"]


def test_what_says_nothing_without_tools_is_left_out() -> None:
    told = encode(tool_choice=ToolChoice("none"), parallel_tool_calls=False)
    assert told.keys() == {"model", "messages"}


@pytest.mark.parametrize(
    ("control", "effort"),
    [
        (ReasoningControl(effort="minimal"), "minimal"),
        (ReasoningControl(effort="max"), "max"),
        (ReasoningControl(budget_tokens=0), "none"),
        (ReasoningControl(budget_tokens=1), "low"),
        (ReasoningControl(budget_tokens=1024), "low"),
        (ReasoningControl(budget_tokens=1025), "medium"),
        (ReasoningControl(budget_tokens=2048), "medium"),
        (ReasoningControl(budget_tokens=4096), "high"),
        (ReasoningControl(budget_tokens=4097), "xhigh"),
        (ReasoningControl(budget_tokens=-1), None),
        (ReasoningControl(adaptive=True), None),
        (ReasoningControl(adaptive=True, effort="high"), "high"),
    ],
)
def test_how_hard_to_think(control: ReasoningControl, effort: str | None) -> None:
    assert encode(reasoning=control).get("reasoning_effort") == effort


def test_a_budget_steps_down_to_an_effort_that_the_model_has() -> None:
    model = openai(efforts=("minimal", "low", "high"))
    assert encode(model, reasoning=ReasoningControl(budget_tokens=9000))["reasoning_effort"] == "high"
    assert encode(model, reasoning=ReasoningControl(budget_tokens=2000))["reasoning_effort"] == "low"
    assert refusal(model, reasoning=ReasoningControl(budget_tokens=0)).param == "reasoning"
    assert refusal(openai(efforts=("high",)), reasoning=ReasoningControl(budget_tokens=5)).param == "reasoning"


def test_a_model_that_never_reasons_need_not_be_told_not_to() -> None:
    for model in (openai(thinking="none"), openai(efforts=())):
        assert "reasoning_effort" not in encode(model, reasoning=ReasoningControl(effort="none"))
        assert refusal(model, reasoning=ReasoningControl(effort="low")).param == "reasoning"


def test_reasoning_is_switched_off_where_tools_need_that() -> None:
    model = openai(chat_tools_with_reasoning=False)
    assert encode(model, tools=TOOLS)["reasoning_effort"] == "none"
    assert encode(model, tools=TOOLS, reasoning=ReasoningControl(adaptive=True))["reasoning_effort"] == "none"
    assert "reasoning_effort" not in encode(model)
    never_off = openai(chat_tools_with_reasoning=False, efforts=("low", "high"))
    assert "reasoning_effort" not in encode(never_off, tools=TOOLS)


@pytest.mark.parametrize(
    ("capabilities", "fields", "param"),
    [
        ({}, {"top_k": 5}, "top_k"),
        ({}, {"stop": ("a", "b", "c", "d", "e")}, "stop"),
        ({}, {"tool_choice": ToolChoice("required")}, "tool_choice"),
        ({}, {"tools": TOOLS, "tool_choice": ToolChoice("auto", ("other",))}, "tool_choice"),
        ({"sampling": False}, {"temperature": 1.0}, "temperature"),
        ({"sampling": False}, {"top_p": 1.0}, "top_p"),
        ({"sampling": False}, {"logprobs": True}, "logprobs"),
        ({"tools": False}, {"tools": TOOLS}, "tools"),
        ({"forced_tool_choice": False}, {"tools": TOOLS, "tool_choice": ToolChoice("required")}, "tool_choice"),
        (
            {"schema_with_tools": False},
            {"tools": TOOLS, "response_format": ResponseFormat("json_schema", {})},
            "response_format",
        ),
        ({"efforts": ("low", "high")}, {"reasoning": ReasoningControl(effort="xhigh")}, "reasoning"),
    ],
)
def test_what_the_model_cannot_do_is_refused_by_its_neutral_name(
    capabilities: dict[str, Any], fields: dict[str, Any], param: str
) -> None:
    assert refusal(openai(**capabilities), **fields).param == param


def test_more_output_than_the_model_has_is_refused() -> None:
    model = Model(provider="openai", name="gpt-x", max_output_tokens=100)
    assert encode(model, max_output_tokens=100)["max_completion_tokens"] == 100
    assert refusal(model, max_output_tokens=101).param == "max_output_tokens"


def test_what_the_client_sent_and_nobody_can_express_is_refused_by_its_path() -> None:
    assert refusal(extra={"thinking.display": "x", "b": 1}).param == "thinking.display"


def test_hints_without_a_place_are_reported() -> None:
    assert dropped(hints={"cache_control": {}, "metadata": {}}) == ("cache_control", "metadata")
    assert dropped(reasoning=ReasoningControl(summary=True)) == ("reasoning.summary",)
    assert dropped(GROQ, reasoning=ReasoningControl(summary=True)) == ()
    assert dropped(user="u") == ()


# ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_conversation_with_tools() -> None:
    told = encode(
        messages=(
            Message("system", (TextPart("a"), TextPart("b")), path="system"),
            Message("user", (TextPart("weather?"),), name="ann", path="messages[0]"),
            Message(
                "assistant",
                (TextPart("Wait."), ToolCallPart("c1", "weather", '{"a": 1}'), ToolCallPart("c2", "time", "")),
                path="messages[1]",
            ),
            Message(
                "tool",
                (
                    ToolResultPart("c1", (TextPart("sunny"),), is_error=True),
                    ToolResultPart("c2", (TextPart("1"), TextPart("2"))),
                    ToolResultPart("c3", ()),
                ),
                path="messages[2]",
            ),
            Message("assistant", (ToolCallPart("c4", "time", "{}"),), path="messages[3]"),
            Message("assistant", (), path="messages[4]"),
            Message("system", (TextPart("Now in French."),), path="messages[5]"),
        )
    )
    assert told["messages"] == [
        {"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "user", "content": "weather?", "name": "ann"},
        {
            "role": "assistant",
            "content": "Wait.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"a": 1}'}},
                {"id": "c2", "type": "function", "function": {"name": "time", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {
            "role": "tool",
            "tool_call_id": "c2",
            "content": [{"type": "text", "text": "1"}, {"type": "text", "text": "2"}],
        },
        {"role": "tool", "tool_call_id": "c3", "content": ""},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c4", "type": "function", "function": {"name": "time", "arguments": "{}"}}],
        },
        {"role": "assistant", "content": ""},
        {"role": "system", "content": "Now in French."},
    ]


def test_media_of_a_user() -> None:
    parts = (
        TextPart("Look"),
        ImagePart(url="https://example.com/a.png", detail="high"),
        ImagePart(media_type="image/png", data="AAAA"),
        AudioPart("audio/mpeg", "AAAA"),
        AudioPart("audio/wav", "BBBB"),
        DocumentPart(media_type="application/pdf", data="CCCC", title="a.pdf"),
        DocumentPart(data="DDDD"),
        DocumentPart(text="plain"),
    )
    assert encode(messages=message("user", *parts))["messages"][0]["content"] == [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "high"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        {"type": "input_audio", "input_audio": {"data": "BBBB", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,CCCC", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,DDDD", "filename": "document.pdf"}},
        {"type": "text", "text": "plain"},
    ]
    assert encode(messages=message("user"))["messages"][0]["content"] == ""


def test_the_title_of_a_text_has_no_place() -> None:
    titled = message("user", DocumentPart(text="plain", title="T"))
    assert dropped(messages=titled) == ("messages.document_title",)


@pytest.mark.parametrize(
    ("capabilities", "role", "part"),
    [
        ({}, "system", ImagePart(url="https://example.com/a.png")),
        ({}, "user", AudioPart("audio/flac", "AAAA")),
        ({}, "user", DocumentPart(url="https://example.com/a.pdf")),
        ({}, "user", ImagePart(data="AAAA")),
        ({}, "user", ToolCallPart("c", "f", "{}")),
        ({"image_urls": False}, "user", ImagePart(url="https://example.com/a.png")),
        ({}, "assistant", ImagePart(media_type="image/png", data="AAAA")),
        ({}, "tool", TextPart("x")),
        ({}, "tool", ToolResultPart("c", (ImagePart(media_type="image/png", data="AAAA"),))),
        ({}, "tool", ToolResultPart("c", (DocumentPart(media_type="application/pdf", data="AAAA"),))),
        ({"prefill": False}, "assistant", TextPart("It is")),
    ],
)
def test_what_a_message_cannot_hold_is_refused_by_the_messages_path(
    capabilities: dict[str, Any], role: str, part: Part
) -> None:
    error = refusal(openai(**capabilities), messages=message(role, part))
    assert error.param == "messages[0]"


def test_text_documents_stand_in_a_tool_result_as_text() -> None:
    result = ToolResultPart("c", (DocumentPart(text="a"),))
    assert encode(messages=message("tool", result))["messages"][0]["content"] == "a"


def test_foreign_reasoning_is_dropped_and_reported_once() -> None:
    history = message(
        "assistant",
        ReasoningPart("thought", signature="s"),
        ReasoningPart(redacted="r"),
        ToolCallPart("c", "f", "{}", signature="c2ln"),
        TextPart("said"),
    )
    assert dropped(messages=history) == ("messages.reasoning", "messages.thought_signature")
    told = encode(messages=history)["messages"][0]
    assert told.keys() == {"role", "content", "tool_calls"}
    assert told["tool_calls"][0].keys() == {"id", "type", "function"}


def test_deepseek_gets_its_reasoning_back() -> None:
    deepseek = Model(provider="deepseek", name="deepseek-reasoner")
    history = message("assistant", ReasoningPart("thought"), TextPart("said"))
    assert encode(deepseek, messages=history)["messages"][0] == {
        "role": "assistant",
        "content": "said",
        "reasoning_content": "thought",
    }
    assert dropped(deepseek, messages=history) == ()


def test_a_refusal_in_the_history() -> None:
    history = message("assistant", RefusalPart("No."))
    assert encode(messages=history)["messages"][0] == {"role": "assistant", "content": None, "refusal": "No."}
    assert encode(GROQ, messages=history)["messages"][0] == {"role": "assistant", "content": "No."}
