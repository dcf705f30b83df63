"""Neutral requests as Responses takes them."""

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
from pulse_gateway.wire.codec import Encoded
from pulse_gateway.wire.openai_responses import OpenAIResponsesCodec

CODEC = OpenAIResponsesCodec()
HELLO = Message("user", (TextPart("hi"),), path="messages[0]")
TOOL = Tool("f", "d", {"properties": {}})


def model(**capabilities: Any) -> Model:
    return Model(provider="openai", name="gpt-x", max_output_tokens=100, capabilities=Capabilities(**capabilities))


def encoded(*messages: Message, capabilities: dict[str, Any] | None = None, **fields: Any) -> Encoded:
    return CODEC.encode_request(
        ChatRequest(model="alias", messages=messages or (HELLO,), **fields), model(**(capabilities or {}))
    )


def body(*messages: Message, **fields: Any) -> dict[str, Any]:
    return dict(json.loads(encoded(*messages, **fields).body))


def test_nothing_is_left_behind_at_the_vendor() -> None:
    assert body() == {"model": "gpt-x", "input": [{"role": "user", "content": "hi"}], "store": False}


def test_a_conversation() -> None:
    request = encoded(
        Message("system", (TextPart("a"), TextPart("b")), name="s"),
        Message("user", (TextPart("q"), ImagePart("image/png", "AAAA", detail="low"), ImagePart(url="https://a.example/b"))),
        Message(
            "assistant",
            (
                ReasoningPart("hm", "openai:rs%3A1:gAAAA"),
                ReasoningPart("theirs", "sig"),
                TextPart("said"),
                RefusalPart("No."),
                ToolCallPart("c1", "f", '{"a": 1}', "c2ln"),
                ToolCallPart("c2", "g", ""),
            ),
        ),
        Message("tool", (ToolResultPart("c1", (TextPart("sunny"),)), ToolResultPart("c2", (), is_error=True))),
        Message(
            "user",
            (
                DocumentPart("application/pdf", "JVBERg==", title="a.pdf"),
                DocumentPart("text/plain", text="plain", title="n.txt"),
                DocumentPart(url="https://a.example/c.pdf"),
                AudioPart("audio/mpeg", "AAAA"),
            ),
        ),
    )  # fmt: skip
    assert json.loads(request.body)["input"] == [
        {"role": "system", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
        {"role": "user", "content": [
            {"type": "input_text", "text": "q"},
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"},
            {"type": "input_image", "image_url": "https://a.example/b", "detail": "auto"},
        ]},
        {"type": "reasoning", "id": "rs:1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "gAAAA"},
        {"role": "assistant", "content": "said"},
        {"type": "message", "id": "msg_refusal_1", "role": "assistant", "status": "completed",
         "content": [{"type": "refusal", "refusal": "No."}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'},
        {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
        {"type": "function_call_output", "call_id": "c2", "output": ""},
        {"role": "user", "content": [
            {"type": "input_file", "file_data": "data:application/pdf;base64,JVBERg==", "filename": "a.pdf"},
            {"type": "input_text", "text": "plain"},
            {"type": "input_file", "file_url": "https://a.example/c.pdf"},
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        ]},
    ]  # fmt: skip
    assert set(request.dropped) == {
        "messages.name", "messages.reasoning", "messages.thought_signature", "messages.result_is_error", "messages.document_title",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"max_output_tokens": 9}, {"max_output_tokens": 9}),
        ({"temperature": 0.5, "top_p": 1.0}, {"temperature": 0.5, "top_p": 1.0}),
        ({"logprobs": True, "top_logprobs": 2}, {"include": ["message.output_text.logprobs"], "top_logprobs": 2}),
        ({"stream": True, "include_usage": False}, {"stream": True}),
        ({"user": "u"}, {"user": "u"}),
        ({"n": 1, "presence_penalty": 0.0}, {}),
        ({"tools": (TOOL, Tool("g", strict=True))}, {"tools": [
            {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}, "strict": False},
            {"type": "function", "name": "g", "parameters": {"type": "object", "properties": {}}, "strict": True}]}),
        ({"response_format": ResponseFormat("json_object")}, {"text": {"format": {"type": "json_object"}}}),
        ({"response_format": ResponseFormat("json_schema", {"type": "object"}, strict=True)},
         {"text": {"format": {"type": "json_schema", "name": "response", "schema": {"type": "object"}, "strict": True}}}),
        ({"response_format": ResponseFormat("json_schema", {}, "n", "d"), "extra": {"verbosity": "low"}},
         {"text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": {}, "description": "d"}}}),
        ({"extra": {"service_tier": "flex", "prompt_cache_retention": "24h"}},
         {"service_tier": "flex", "prompt_cache_retention": "24h"}),
        ({"hints": {"metadata": {"k": "v"}, "prompt_cache_key": "k"}}, {"metadata": {"k": "v"}, "prompt_cache_key": "k"}),
    ],
)  # fmt: skip
def test_settings(fields: dict[str, Any], told: dict[str, Any]) -> None:
    least = body()
    assert {name: value for name, value in body(**fields).items() if least.get(name) != value} == told
    assert encoded(**fields).dropped == ()


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        (ToolChoice("auto"), "auto"),
        (ToolChoice("none", ("f",)), "none"),
        (ToolChoice("required"), "required"),
        (ToolChoice("required", ("f",)), {"type": "function", "name": "f"}),
        (ToolChoice("auto", ("f",)), {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}),
    ],
)  # fmt: skip
def test_the_choice_among_tools(choice: ToolChoice, told: Any) -> None:
    told_all = body(tools=(TOOL,), tool_choice=choice, parallel_tool_calls=False)
    assert (told_all["tool_choice"], told_all["parallel_tool_calls"]) == (told, False)
    assert "tool_choice" not in body(tool_choice=ToolChoice("auto"), parallel_tool_calls=False)


ENCRYPTED = ["reasoning.encrypted_content"]
THINKS = {"efforts": ("none", "low", "high")}


@pytest.mark.parametrize(
    ("capabilities", "control", "reasoning", "include", "dropped"),
    [
        ({}, None, None, None, ()),
        ({}, ReasoningControl(effort="high"), {"effort": "high"}, ENCRYPTED, ()),
        ({}, ReasoningControl(summary=True), {"summary": "auto"}, ENCRYPTED, ()),
        ({}, ReasoningControl(summary=False), None, None, ()),
        (THINKS, None, None, ENCRYPTED, ()),
        (THINKS, ReasoningControl(effort="none", summary=True), {"effort": "none"}, None, ("reasoning.summary",)),
        (THINKS, ReasoningControl(budget_tokens=2000), {"effort": "low"}, ENCRYPTED, ()),
        ({"efforts": ()}, ReasoningControl(summary=True), None, None, ("reasoning.summary",)),
        ({"thinking": "none"}, ReasoningControl(effort="none"), None, None, ()),
    ],
)
def test_how_hard_to_think_and_that_it_comes_back_encrypted(
    capabilities: dict[str, Any],
    control: ReasoningControl | None,
    reasoning: Any,
    include: Any,
    dropped: tuple[str, ...],
) -> None:
    request = encoded(reasoning=control, capabilities=capabilities)
    told = json.loads(request.body)
    assert (told.get("reasoning"), told.get("include"), request.dropped) == (reasoning, include, dropped)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"seed": 0}, "seed"),
        ({"top_k": 1}, "top_k"),
        ({"stop": ("END",)}, "stop"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"max_output_tokens": 101}, "max_output_tokens"),
        ({"temperature": 0.5, "capabilities": {"sampling": False}}, "temperature"),
        ({"tools": (Tool("2 words"),)}, "tools"),
        ({"tools": (TOOL,), "capabilities": {"tools": False}}, "tools"),
        ({"tool_choice": ToolChoice("required")}, "tool_choice"),
        ({"reasoning": ReasoningControl(effort="max"), "capabilities": THINKS}, "reasoning"),
        ({"extra": {"logit_bias": {}}}, "logit_bias"),
        ({"extra": {"service_tier": "standard_only"}}, "service_tier"),
    ],
)
def test_what_it_has_no_word_for_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        encoded(**fields)
    assert caught.value.param == param
    assert "openai:gpt-x" in caught.value.message


@pytest.mark.parametrize(
    ("message", "capabilities"),
    [
        (Message("user", (AudioPart("audio/ogg", "AAAA"),), path="messages[1]"), {}),
        (Message("user", (ImagePart("image/bmp", "AAAA"),), path="messages[1]"), {}),
        (Message("user", (ImagePart(url="https://a.example/b"),), path="messages[1]"), {"image_urls": False}),
        (Message("user", (ToolResultPart("c", ()),), path="messages[1]"), {}),
        (Message("system", (ImagePart("image/png", "AAAA"),), path="messages[1]"), {}),
        (Message("assistant", (ImagePart("image/png", "AAAA"),), path="messages[1]"), {}),
        (Message("assistant", (ToolCallPart("c", "2 words", "{}"),), path="messages[1]"), {}),
        (Message("assistant", (TextPart("Once"),), path="messages[1]"), {"prefill": False}),
        (Message("tool", (TextPart("x"),), path="messages[1]"), {}),
    ],
)
def test_what_it_cannot_hold_is_refused_by_the_message(message: Message, capabilities: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        encoded(HELLO, message, capabilities=capabilities)
    assert caught.value.param == "messages[1]"
