"""Chat Completions requests in neutral words: every field is neutral, a hint, or left over to be refused by its path."""

from __future__ import annotations

from typing import Any

import pytest
from openai_request_reading import CODEC, TIME, USER, WEATHER, decode

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.chat import (
    ChatRequest,
    Message,
    ReasoningControl,
    ResponseFormat,
    TextPart,
    Tool,
    ToolChoice,
)


def test_every_neutral_parameter() -> None:
    request = decode(
        stream=True,
        stream_options={"include_usage": True},
        max_completion_tokens=100,
        temperature=1,
        top_p=0.5,
        stop=["a", "b"],
        n=2,
        seed=7,
        presence_penalty=0.1,
        frequency_penalty=-0.2,
        logprobs=True,
        top_logprobs=3,
        parallel_tool_calls=False,
        reasoning_effort="high",
        user="u1",
    )
    assert request == ChatRequest(
        model="m",
        messages=(Message("user", (TextPart("hi"),), path="messages[0]"),),
        stream=True,
        include_usage=True,
        max_output_tokens=100,
        temperature=1.0,
        top_p=0.5,
        stop=("a", "b"),
        n=2,
        seed=7,
        presence_penalty=0.1,
        frequency_penalty=-0.2,
        logprobs=True,
        top_logprobs=3,
        parallel_tool_calls=False,
        reasoning=ReasoningControl(effort="high"),
        user="u1",
    )


def test_values_that_ask_for_nothing_special_leave_no_trace() -> None:
    plain = decode()
    assert plain == decode(
        n=1,
        presence_penalty=0,
        frequency_penalty=0.0,
        logprobs=False,
        top_logprobs=0,
        logit_bias={},
        tools=[],
        tool_choice="auto",
        parallel_tool_calls=True,
        response_format={"type": "text"},
        modalities=["text"],
        store=False,
        service_tier="auto",
        metadata={},
        stop=None,
        audio=None,
        function_call=None,
        stream=False,
        stream_options=None,
        verbosity=None,
    )
    assert decode(service_tier="default") == plain


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"logit_bias": {"1": 5}}, "logit_bias"),
        ({"audio": {"format": "wav", "voice": "alloy"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"function_call": "auto"}, "function_call"),
        ({"store": True}, "store"),
        ({"moderation": {"model": "omni"}}, "moderation"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"prompt_cache_options": {"mode": "explicit"}}, "prompt_cache_options"),
        ({"prompt_cache_retention": "24h"}, "prompt_cache_retention"),
        ({"verbosity": "low"}, "verbosity"),
        ({"top_k": 5}, "top_k"),
        ({"stream_options": {"continuous_usage_stats": True}}, "stream_options.continuous_usage_stats"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0]"),
        ({"tools": [{**WEATHER, "cache": True}]}, "tools[0].cache"),
        ({"tools": [{"type": "function", "function": {"name": "f", "x": 1}}]}, "tools[0].function.x"),
        ({"tool_choice": {"type": "custom", "custom": {"name": "c"}}}, "tool_choice"),
        ({"response_format": {"type": "grammar", "grammar": "x"}}, "response_format"),
        ({"tools": [WEATHER], "tool_choice": "sometimes"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {"type": "mystery"}}, "tool_choice"),
        (
            {
                "tools": [WEATHER],
                "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "x", "tools": [WEATHER]}},
            },
            "tool_choice.allowed_tools.mode",
        ),
        ({"reasoning_effort": "ultra"}, "reasoning_effort"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "flac"}}],
                    }
                ]
            },
            "messages[0].content[0].input_audio.format",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": {"url": "https://e.x", "detail": "max"}}],
                    }
                ]
            },
            "messages[0].content[0].image_url.detail",
        ),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages[0]"),
        ({"messages": [{**USER, "cache": True}]}, "messages[0].cache"),
        ({"messages": [{"role": "assistant", "content": "x", "audio": {"id": "a"}}]}, "messages[0].audio"),
        (
            {"messages": [{"role": "assistant", "function_call": {"name": "f", "arguments": ""}}]},
            "messages[0].function_call",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {"filename": "a", "file_id": "f"}}]}]},
            "messages[0].content[0].file.file_id",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {}}]}]},
            "messages[0].content[0]",
        ),
    ],
)
def test_what_has_no_neutral_form_is_left_over_under_its_path(members: dict[str, Any], path: str) -> None:
    request = decode(**members)
    assert next(iter(request.extra)) == path


def test_a_custom_tools_call_and_its_result_are_left_over_not_called_malformed() -> None:
    call = {"id": "c", "type": "custom", "custom": {"name": "x", "input": "y"}}
    request = decode(
        messages=[
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "z"},
        ]
    )
    assert request.extra == {"messages[0].tool_calls[0]": call}


def test_hints_are_kept_apart() -> None:
    marked = {"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}}
    request = decode(
        messages=[
            {"role": "system", "content": [marked]},
            {"role": "assistant", "content": "x", "annotations": [{"type": "url_citation"}]},
            USER,
        ],
        prediction={"type": "content", "content": "x"},
        prompt_cache_key="k",
        metadata={"a": "b"},
        stream=True,
        stream_options={"include_obfuscation": False},
    )
    assert request.extra == {}
    assert request.hints == {
        "messages[0].content[0].prompt_cache_breakpoint": {"mode": "explicit"},
        "messages[1].annotations": [{"type": "url_citation"}],
        "prediction": {"type": "content", "content": "x"},
        "prompt_cache_key": "k",
        "metadata": {"a": "b"},
        "stream_options.include_obfuscation": False,
    }


def test_the_safety_identifier_is_the_user_unless_both_are_given() -> None:
    assert decode(safety_identifier="s").user == "s"
    both = decode(safety_identifier="s", user="u")
    assert both.user == "u"
    assert both.hints == {"safety_identifier": "s"}
    assert decode(safety_identifier="u", user="u").hints == {}


def test_either_name_of_the_token_limit() -> None:
    assert decode(max_tokens=5).max_output_tokens == 5
    assert decode(max_tokens=5, max_completion_tokens=5).max_output_tokens == 5


def test_one_stop_sequence() -> None:
    assert decode(stop="END").stop == ("END",)


# ── tools and formats ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_tools() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "string", "x-own": [1]}}}
    function = {"name": "f", "description": "d", "parameters": schema, "strict": True}
    request = decode(
        tools=[{"type": "function", "function": function}, {**WEATHER, "function": {"name": "w", "strict": False}}]
    )
    assert request.tools == (Tool("f", "d", schema, True), Tool("w"))
    assert request.extra == {}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ({"type": "function", "function": {"name": "time"}}, ToolChoice("required", ("time",))),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [WEATHER, TIME]}},
            ToolChoice("auto", ("weather", "time")),
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [TIME]}},
            ToolChoice("required", ("time",)),
        ),
    ],
)
def test_tool_choices(choice: Any, expected: ToolChoice) -> None:
    request = decode(tools=[WEATHER, TIME], tool_choice=choice)
    assert request.tool_choice == expected
    assert request.extra == {}


def test_response_formats() -> None:
    assert decode(response_format={"type": "json_object"}).response_format == ResponseFormat("json_object")
    schema = {"type": "object"}
    given = {"name": "n", "description": "d", "schema": schema, "strict": True}
    request = decode(response_format={"type": "json_schema", "json_schema": given})
    assert request.response_format == ResponseFormat("json_schema", schema, "n", "d", True)
    bare = decode(response_format={"type": "json_schema", "json_schema": {"name": "n", "strict": False}})
    assert bare.response_format == ResponseFormat("json_schema", {}, "n")


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"model": 3}, "model"),
        ({"model": None}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "wizard"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": 3}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "system", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "assistant", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"type": "function"}]}]}, "messages[0].tool_calls[0].id"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "c"}]}]},
            "messages[0].tool_calls[0].function",
        ),
        (
            {
                "messages": [
                    {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {}}}]}
                ]
            },
            "messages[0].tool_calls[0].function.arguments",
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        (
            {"messages": [{"role": "tool", "tool_call_id": "c", "content": "x"}]},
            "messages[0].tool_call_id",
        ),
        ({"messages": [{**USER, "name": 3}]}, "messages[0].name"),
        ({"stream": "yes"}, "stream"),
        ({"n": 0}, "n"),
        ({"n": 1.5}, "n"),
        ({"seed": True}, "seed"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens"),
        ({"stop": [1]}, "stop[0]"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": 1}, "logprobs"),
        ({"tools": {}}, "tools"),
        ({"tools": [{}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": 3}}]}, "tools[0].function.parameters"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": 3}, "tool_choice"),
        ({"tools": [WEATHER], "tool_choice": {}}, "tool_choice.type"),
        (
            {"tools": [WEATHER], "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}},
            "tool_choice.allowed_tools.mode",
        ),
        ({"reasoning_effort": 3}, "reasoning_effort"),
        ({"tools": [WEATHER], "tool_choice": TIME}, "tool_choice.function.name"),
        (
            {
                "tools": [WEATHER],
                "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
            },
            "tool_choice.allowed_tools.tools",
        ),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format.json_schema.name"),
        ({"stream_options": 3}, "stream_options"),
        ({"user": 3}, "user"),
    ],
)
def test_a_malformed_member_is_named_by_its_path(members: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(**members)
    assert caught.value.param == param


def test_field_paths_spell_every_neutral_field_the_dialect_has() -> None:
    neutral = set(ChatRequest.__struct_fields__)
    assert {name for name in CODEC.field_paths if "." not in name} == neutral - {"top_k", "extra", "hints"}
    assert CODEC.field_paths["max_output_tokens"] == ("max_completion_tokens", "max_tokens")
    assert CODEC.field_paths["reasoning"] == ("reasoning_effort",)
