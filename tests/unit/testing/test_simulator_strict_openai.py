"""What OpenAI would refuse, the simulator refuses; what it takes, it takes."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from simulator_wire import Wire

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(8)).decode()
CALL: dict[str, Any] = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASSISTANT: dict[str, Any] = {"role": "assistant", "tool_calls": [CALL]}
RESULT: dict[str, Any] = {"role": "tool", "tool_call_id": "call_1", "content": "ok"}
USER: dict[str, Any] = {"role": "user", "content": "hi"}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def parts(*items: Any) -> list[Any]:
    return [{"role": "user", "content": list(items)}]


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def schema_format(schema: Any, **options: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, **options}}


REFUSED: list[tuple[str, dict[str, Any], str | None, str | None]] = [
    ("unknown field", {"frobnicate": 1}, "unknown_parameter", "frobnicate"),
    ("unknown message field", {"messages": [{**USER, "x": 1}]}, "unknown_parameter", "messages[0].x"),
    ("reasoning_content", {"messages": [{"role": "assistant", "content": "a", "reasoning_content": "b"}, USER]},
     "unknown_parameter", "messages[0].reasoning_content"),
    ("cache_control", {"messages": parts({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}})},
     "unknown_parameter", "messages[0].content[0].cache_control"),
    ("no messages", {"messages": []}, "empty_array", "messages"),
    ("unknown role", {"messages": [{"role": "model", "content": "hi"}]}, "invalid_value", "messages[0].role"),
    ("wrong type", {"temperature": "hot"}, "invalid_type", "temperature"),
    ("out of range", {"temperature": 2.1}, "invalid_value", "temperature"),
    ("n of zero", {"n": 0}, "invalid_value", "n"),
    ("five stops", {"stop": ["a", "b", "c", "d", "e"]}, "invalid_value", "stop"),
    ("null tools", {"tools": None}, "invalid_type", "tools"),
    ("empty tools", {"tools": []}, "empty_array", "tools"),
    ("tool choice without tools", {"tool_choice": "auto"}, None, "tool_choice"),
    ("parallel without tools", {"parallel_tool_calls": False}, None, "parallel_tool_calls"),
    ("tool choice of another tool", {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}},
     "invalid_value", "tool_choice"),
    ("tool name", {"tools": [{"type": "function", "function": {"name": "a b"}}]},
     "invalid_value", "tools[0].function.name"),
    ("tool parameters", {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "string"}}}]},
     "invalid_function_parameters", "tools[0].function.parameters"),
    ("strict tool", {"tools": [{"type": "function", "function": {
        "name": "f", "strict": True, "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}}]},
     "invalid_function_parameters", "tools[0].function.parameters"),
    ("result without a call", {"messages": [USER, RESULT]}, None, "messages.[1].role"),
    ("result of another call", {"messages": [USER, ASSISTANT, {**RESULT, "tool_call_id": "call_2"}]},
     None, "messages.[2].role"),
    ("call without a result", {"messages": [USER, ASSISTANT, USER]}, None, "messages.[2].role"),
    ("call at the end", {"messages": [USER, ASSISTANT]}, None, "messages.[2].role"),
    ("assistant without content", {"messages": [USER, {"role": "assistant"}, USER]}, None, "messages.[1].content"),
    ("image in a tool message", {"messages": [USER, ASSISTANT, {**RESULT, "content": [image("https://a/b")]}]},
     "invalid_value", "messages[2].content[0].type"),
    ("system with an image", {"messages": [{"role": "system", "content": [image("https://a/b")]}, USER]},
     "invalid_value", "messages[0].content[0].type"),
    ("image that is not base64", {"messages": parts(image("data:image/png;base64,@@@"))},
     "invalid_base64", "messages[0].content[0].image_url.url"),
    ("image in the URL-safe alphabet", {"messages": parts(image("data:image/png;base64," + PNG + "__79"))},
     "invalid_base64", "messages[0].content[0].image_url.url"),
    ("image that is none", {"messages": parts(image("data:image/png;base64," + base64.b64encode(b"hello").decode()))},
     "invalid_image_format", "messages[0].content[0].image_url.url"),
    ("image at a strange address", {"messages": parts(image("ftp://a/b"))},
     "invalid_value", "messages[0].content[0].image_url.url"),
    ("stream_options alone", {"stream_options": {"include_usage": True}}, None, "stream_options"),
    ("top_logprobs alone", {"top_logprobs": 2}, None, "top_logprobs"),
    ("both token limits", {"max_tokens": 1, "max_completion_tokens": 1}, "invalid_parameter_combination", "max_tokens"),
    ("token limit of zero", {"max_tokens": 0}, "invalid_value", "max_tokens"),
    ("max_tokens, o3", {"model": "o3", "max_tokens": 5}, "unsupported_parameter", "max_tokens"),
    ("max_tokens, gpt-5", {"model": "gpt-5.2", "max_tokens": 5}, "unsupported_parameter", "max_tokens"),
    ("max_tokens, gpt-6", {"model": "gpt-6-luna", "max_tokens": 5}, "unsupported_parameter", "max_tokens"),
    ("stop, o3", {"model": "o3", "stop": "a"}, "unsupported_parameter", "stop"),
    ("temperature while reasoning", {"model": "gpt-5", "temperature": 0.5}, "unsupported_value", "temperature"),
    ("logprobs while reasoning", {"model": "gpt-5.2", "reasoning_effort": "low", "logprobs": True},
     "unsupported_parameter", "logprobs"),
    ("effort without reasoning", {"reasoning_effort": "low"}, "unsupported_parameter", "reasoning_effort"),
    ("unknown effort", {"model": "gpt-5", "reasoning_effort": "xhigh"}, "unsupported_value", "reasoning_effort"),
    ("tools while reasoning", {"model": "gpt-5.5", "reasoning_effort": "low", "tools": [TOOL]},
     "unsupported_parameter", "reasoning_effort"),
    ("tools on a Responses model", {"model": "gpt-6.1-sol", "tools": [TOOL]}, "unsupported_parameter", "tools"),
    ("json mode without the word", {"response_format": {"type": "json_object"}}, None, "messages"),
    ("flat schema", {"response_format": {"type": "json_schema", "name": "n", "schema": {}}},
     "unknown_parameter", "response_format.name"),
    ("strict schema", {"response_format": schema_format({"type": "object", "properties": {}}, strict=True)},
     None, "response_format"),
    ("schema format without a schema", {"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}},
     "missing_required_parameter", "response_format.json_schema.schema"),
    ("no tool calls", {"messages": [USER, {"role": "assistant", "tool_calls": []}, USER]},
     "empty_array", "messages[1].tool_calls"),
    ("two calls of one id", {"messages": [USER, {"role": "assistant", "tool_calls": [CALL, CALL]}, RESULT, RESULT]},
     "invalid_value", "messages[1].tool_calls"),
    ("file of nothing", {"messages": parts({"type": "file", "file": {"filename": "a"}})},
     "invalid_value", "messages[0].content[0].file"),
    ("open object deep in a strict schema", {"response_format": schema_format(
        {"type": "object", "additionalProperties": False, "required": ["a"], "properties": {"a": {"anyOf": [
            {"type": "array", "items": {"type": "object"}}]}}}, strict=True)}, None, "response_format"),
    ("long metadata key", {"metadata": {"k" * 65: "v"}}, "string_above_max_length", "metadata"),
    ("too much metadata", {"metadata": {str(number): "" for number in range(17)}},
     "object_above_max_properties", "metadata"),
    ("audio", {"modalities": ["text", "audio"]}, "unsupported_value", "modalities"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code", "param"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
async def test_a_bad_request_is_refused_with_its_field(
    wire: Wire, change: dict[str, Any], code: str | None, param: str | None
) -> None:
    response = await wire.openai({"model": "gpt-4.1", "messages": [USER], **change})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, code, param)
    assert error["type"] == "invalid_request_error"
    assert error["message"]


async def test_required_fields_are_missed(wire: Wire) -> None:
    response = await wire.openai({"messages": [USER]})
    assert response.json()["error"]["message"] == "you must provide a model parameter"
    response = await wire.openai({"model": "gpt-4.1"})
    assert response.json()["error"]["code"] == "missing_required_parameter"


async def test_a_body_that_is_not_json_is_refused(wire: Wire) -> None:
    response = await wire.post("/v1/chat/completions", b'{"model":', authorization="Bearer k")
    assert response.status_code == 400
    assert "could not parse the JSON body" in response.json()["error"]["message"]


async def test_models_of_other_vendors_are_not_found(wire: Wire) -> None:
    response = await wire.openai({"model": "claude-opus-5-5", "messages": [USER]})
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")


TAKEN: list[tuple[str, dict[str, Any]]] = [
    ("every hint", {"user": "u", "safety_identifier": "s", "metadata": {"a": "b"}, "store": True, "seed": 5,
                    "prompt_cache_key": "k", "verbosity": "low", "logit_bias": {"50256": -100}}),
    ("nulls", {"temperature": None, "stop": None, "n": None, "stream": None, "stream_options": None, "top_p": None}),
    ("roles", {"messages": [{"role": "developer", "content": "d"}, {"role": "system", "content": "s"}, USER,
                            {"role": "assistant", "content": [{"type": "text", "text": "a"}]}, USER,
                            {"role": "system", "content": "again"}, USER]}),
    ("trailing assistant", {"messages": [USER, {"role": "assistant", "content": "a"}]}),
    ("calls in parallel", {"messages": [USER, {"role": "assistant", "tool_calls": [CALL, {**CALL, "id": "call_2"}]},
                                        {**RESULT, "tool_call_id": "call_2"}, RESULT]}),
    ("function messages", {"messages": [USER, {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
                                        {"role": "function", "name": "f", "content": "ok"}]}),
    ("image", {"messages": parts(image("data:image/png;base64," + PNG))}),
    ("audio in", {"messages": parts({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}})}),
    ("file", {"messages": parts({"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA",
                                                           "filename": "a.pdf"}})}),
    ("cache breakpoint", {"messages": parts({"type": "text", "text": "a",
                                             "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}})}),
    ("no effort, no restrictions", {"model": "gpt-5.5", "temperature": 0.2, "tools": [TOOL]}),
    ("strict tool", {"tools": [{"type": "function", "function": {"name": "f", "strict": True, "parameters": {
        "type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"],
        "additionalProperties": False}}}]}),
    ("a model nobody knows", {"model": "sim-fast", "max_tokens": 5, "reasoning_effort": "max", "temperature": 2}),
    ("custom calls and refusals", {"messages": [
        USER,
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}], "refusal": "no"},
        USER,
        {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "custom", "custom": {"name": "g", "input": "x"}}]},
        RESULT]}),
    ("functions", {"functions": [{"name": "f"}], "function_call": {"name": "f"}}),
    ("no function", {"functions": [{"name": "f"}], "function_call": "none"}),
    ("file by id", {"messages": parts({"type": "file", "file": {"file_id": "file-1"}})}),
    ("search and prediction", {"web_search_options": {}, "prediction": {"type": "content", "content": "x"}}),
]  # fmt: skip


@pytest.mark.parametrize("change", [case[1] for case in TAKEN], ids=[case[0] for case in TAKEN])
async def test_a_good_request_is_taken(wire: Wire, change: dict[str, Any]) -> None:
    response = await wire.openai({"model": "gpt-4.1", "messages": [USER], **change})
    assert response.status_code == 200, response.text


async def test_unknown_paths_and_methods_say_so(wire: Wire) -> None:
    response = await wire.post("/v1/nothing", b"{}", authorization="Bearer k")
    assert (response.status_code, response.json()["error"]["message"]) == (404, "Invalid URL (POST /v1/nothing)")
    response = await wire.get("/v1/chat/completions", authorization="Bearer k")
    assert response.status_code == 405


@pytest.mark.parametrize(
    "model", ["gpt-4", "gpt-3.5-turbo-0125", "o4-mini", "gpt-5.1-codex-max", "gpt-5.2-chat-latest"]
)
async def test_models_that_were_shut_down_are_gone(wire: Wire, model: str) -> None:
    reply = await wire.openai({"model": model, "messages": [{"role": "user", "content": "hi"}]})
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "model_not_found")
