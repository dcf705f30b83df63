"""A Responses request in neutral words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pulse_gateway.errors import InvalidRequest
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
from pulse_gateway.wire.openai_responses import OpenAIResponsesCodec
from pulse_gateway.wire.openai_responses.decode import needs_memory

CODEC = OpenAIResponsesCodec()
PNG = "iVBORw0KGgo="
USER = {"role": "user", "content": "q"}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'}
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": None}


def decode(**members: Any) -> ChatRequest:
    return CODEC.decode_request(json.dumps({"model": "m", "input": "hi", **members}).encode())


def test_a_text_alone() -> None:
    assert decode() == ChatRequest(
        model="m", messages=(Message("user", (TextPart("hi"),), path="input"),), include_usage=True
    )


def test_a_conversation_as_the_vendors_own_answers_have_it() -> None:
    request = decode(
        instructions="Be brief.",
        input=[
            {"role": "developer", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
            {"type": "message", "role": "user", "content": "q", "id": "msg_0", "status": "completed"},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "one"},
             {"type": "summary_text", "text": "two"}], "content": [{"type": "reasoning_text", "text": "zero"}],
             "encrypted_content": "gAAAA", "status": "completed"},
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "phase": None,
             "content": [{"type": "output_text", "text": "said", "annotations": [], "logprobs": []},
                         {"type": "refusal", "refusal": "No."}]},
            {**CALL, "id": "fc_1", "status": "completed", "caller": {"type": "direct"},
             "extra_content": {"google": {"thought_signature": "c2ln"}}},
            {"type": "function_call", "call_id": "c2", "name": "g", "arguments": ""},
            {"type": "function_call_output", "call_id": "c1", "output": "sunny", "name": "f", "id": "fo_1"},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "noon"},
             {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"}]},
            {"role": "assistant", "content": "done"},
        ],
    )  # fmt: skip
    assert request.extra == {}
    assert request.hints == {}
    assert request.messages == (
        Message("system", (TextPart("Be brief."),), path="instructions"),
        Message("system", (TextPart("a"), TextPart("b")), path="input[0]"),
        Message("user", (TextPart("q"),), path="input[1]"),
        Message(
            "assistant",
            (
                ReasoningPart("zero\n\none\n\ntwo", "openai:rs_1:gAAAA"),
                TextPart("said"),
                RefusalPart("No."),
                ToolCallPart("c1", "f", '{"a": 1}', "c2ln"),
                ToolCallPart("c2", "g", ""),
            ),
            path="input[2]",
        ),
        Message("tool", (ToolResultPart("c1", (TextPart("sunny"),), name="f"),), path="input[6]"),
        Message(
            "tool", (ToolResultPart("c2", (TextPart("noon"), ImagePart("image/png", PNG))),), path="input[7]"
        ),
        Message("assistant", (TextPart("done"),), path="input[8]"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("item", "part"),
    [
        ({"encrypted_content": "pulse:signature:sig="}, ReasoningPart("hm", "sig=")),
        ({"encrypted_content": "pulse:signature:gemini:c2ln"}, ReasoningPart("hm", "gemini:c2ln")),
        ({"encrypted_content": "pulse:redacted:xx=="}, ReasoningPart(redacted="xx==")),
        ({"encrypted_content": None}, ReasoningPart("hm")),
        ({"id": "rs:/1", "encrypted_content": "a:b"}, ReasoningPart("hm", "openai:rs%3A%2F1:a:b")),
    ],
)
def test_a_proof_of_thinking_goes_back_to_whoever_gave_it(item: dict[str, Any], part: ReasoningPart) -> None:
    summary = [{"type": "summary_text", "text": "hm"}]
    request = decode(input=[USER, {"type": "reasoning", "id": "rs_1", "summary": summary, **item}, USER])
    assert request.messages[1].parts == (part,)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "input_image", "image_url": "https://a.example/b.png", "detail": "low"},
         ImagePart(url="https://a.example/b.png", detail="low")),
        ({"type": "input_image", "image_url": f"data:image/PNG;base64,{PNG}", "detail": "auto"}, ImagePart("image/png", PNG)),
        ({"type": "input_file", "file_data": "data:application/pdf;base64,JVBERg==", "filename": "a.pdf"},
         DocumentPart("application/pdf", "JVBERg==", title="a.pdf")),
        ({"type": "input_file", "file_data": "data:text/plain;base64,aGk=", "filename": "n.txt"},
         DocumentPart("text/plain", text="hi", title="n.txt")),
        ({"type": "input_file", "file_url": "https://a.example/b.pdf", "detail": "auto"}, DocumentPart(url="https://a.example/b.pdf")),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}, AudioPart("audio/mp3", "AAAA")),
    ],
)  # fmt: skip
def test_media(part: dict[str, Any], expected: Any) -> None:
    request = decode(input=[{"role": "user", "content": [part]}])
    assert request.messages[0].parts == (expected,)
    assert (request.extra, request.hints) == ({}, {})


@pytest.mark.parametrize(
    ("members", "fields"),
    [
        ({"max_output_tokens": 9}, {"max_output_tokens": 9}),
        ({"temperature": 0.5, "top_p": 1}, {"temperature": 0.5, "top_p": 1.0}),
        ({"stream": True}, {"stream": True}),
        ({"tools": [FUNCTION]}, {"tools": (Tool("f", parameters={"type": "object"}),)}),
        ({"tools": [{**FUNCTION, "strict": True, "description": "d", "defer_loading": False}]},
         {"tools": (Tool("f", "d", {"type": "object"}, strict=True),)}),
        ({"tools": [FUNCTION], "tool_choice": "required"}, {"tool_choice": ToolChoice("required")}),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "f"}}, {"tool_choice": ToolChoice("required", ("f",))}),
        ({"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}},
         {"tool_choice": ToolChoice("auto", ("f",))}),
        ({"tool_choice": "auto"}, {"tool_choice": None}),
        ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
        ({"parallel_tool_calls": True}, {"parallel_tool_calls": None}),
        ({"text": {"format": {"type": "text"}, "verbosity": "medium"}}, {"response_format": None}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": ResponseFormat("json_object")}),
        ({"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True, "description": "d"}}},
         {"response_format": ResponseFormat("json_schema", {"type": "object"}, "n", "d", strict=True)}),
        ({"reasoning": {"effort": "high", "summary": "auto"}}, {"reasoning": ReasoningControl(effort="high", summary=True)}),
        ({"reasoning": {"effort": None}}, {"reasoning": None}),
        ({"include": ["reasoning.encrypted_content"]}, {"logprobs": None}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
        ({"top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        ({"safety_identifier": "u"}, {"user": "u"}),
        ({"user": "u", "safety_identifier": "u"}, {"user": "u"}),
        ({"store": False, "background": False, "truncation": "disabled", "service_tier": "default"}, {}),
    ],
)  # fmt: skip
def test_settings(members: dict[str, Any], fields: dict[str, Any]) -> None:
    request = decode(**members)
    assert {name: getattr(request, name) for name in fields} == fields
    assert (request.extra, request.hints) == ({}, {})


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"store": True}, "store"),
        ({"background": True}, "background"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"input": [USER, {"type": "item_reference", "id": "rs_1"}]}, "input[1]"),
    ],
)
def test_what_another_vendor_would_have_to_remember_is_left_over(members: dict[str, Any], path: str) -> None:
    request = decode(**members)
    assert list(request.extra) == [path]
    assert needs_memory(request)


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"tools": [{"type": "custom", "name": "c"}]}, "tools[0]"),
        ({"tools": [{**FUNCTION, "output_schema": {}}]}, "tools[0].output_schema"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "mcp", "server_label": "s"}}, "tool_choice"),
        ({"input": [USER, {"type": "web_search_call", "id": "w"}]}, "input[1]"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f", "detail": "auto"}]}]},
         "input[0].content[0].file_id"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}, "input[0].content[0].file_id"),
        ({"input": [USER, CALL, {"type": "function_call_output", "call_id": "c1",
          "output": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]}]}, "input[2].output[0]"),
        ({"include": ["reasoning.encrypted_content", "web_search_call.results"]}, "include[1]"),
        ({"text": {"verbosity": "low"}}, "text.verbosity"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        ({"reasoning": {"effort": "invented"}}, "reasoning.effort"),
        ({"max_tool_calls": 3}, "max_tool_calls"),
        ({"truncation": "auto"}, "truncation"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"invented_tomorrow": 1}, "invented_tomorrow"),
    ],
)  # fmt: skip
def test_what_has_no_neutral_form_is_left_over_by_its_path(members: dict[str, Any], path: str) -> None:
    request = decode(**members)
    assert list(request.extra) == [path]
    assert not needs_memory(request)


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"metadata": {"k": "v"}}, "metadata"),
        ({"prompt_cache_key": "k"}, "prompt_cache_key"),
        ({"user": "u", "safety_identifier": "v"}, "safety_identifier"),
        ({"stream": True, "stream_options": {"include_obfuscation": False}}, "stream_options.include_obfuscation"),
        ({"reasoning": {"summary": "detailed"}}, "reasoning.summary"),
        ({"input": [USER, {"role": "assistant", "content": "a", "phase": "commentary"}, USER]}, "input[1].phase"),
        ({"input": [USER, {"role": "assistant", "content": [
            {"type": "output_text", "text": "a", "annotations": [{"type": "url_citation"}]}]}, USER]},
         "input[1].content[0].annotations"),
        ({"input": [{"role": "user", "content": [
            {"type": "input_file", "file_url": "https://a.example/b.pdf", "detail": "low"}]}]}, "input[0].content[0].detail"),
    ],
)  # fmt: skip
def test_pure_hints(members: dict[str, Any], path: str) -> None:
    request = decode(**members)
    assert list(request.hints) == [path]
    assert request.extra == {}


def test_a_result_may_answer_a_call_that_the_vendor_remembers() -> None:
    result = {"type": "function_call_output", "call_id": "c9", "output": "x"}
    request = decode(previous_response_id="resp_1", input=[result])
    assert list(request.extra) == ["previous_response_id"]
    assert list(decode(input=[{"type": "item_reference", "id": "fc_1"}, result]).extra) == ["input[0]"]
    with pytest.raises(InvalidRequest) as caught:
        decode(input=[result])
    assert caught.value.param == "input[0].call_id"


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"input": []}, "input"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
        ({"input": [USER, {"role": "assistant", "content": [{"type": "input_image"}]}]}, "input[1].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "ftp://x"}]}]}, "input[0].content[0].file_url"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "g"}}, "tool_choice.name"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}, "tool_choice.tools"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"top_logprobs": -1}, "top_logprobs"),
    ],
)  # fmt: skip
def test_a_bad_member_is_named_by_its_path(members: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(**members)
    assert caught.value.param == param
