"""What vendors that copied OpenAI's chat take otherwise: ids, schemas, words, and what they lack for some requests."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulse_gateway.errors import UnsupportedParameter
from pulse_gateway.providers.compatible import (
    DEEPSEEK,
    GROQ,
    MISTRAL,
    OLLAMA,
    OPENAI_COMPATIBLE,
    OPENROUTER,
    VLLM,
    XAI,
    OpenAICompatible,
)
from pulse_gateway.providers.mistral_chat import as_mistral_takes_it
from pulse_gateway.providers.openai import OPENAI
from pulse_gateway.providers.provider import UpstreamCall
from pulse_gateway.types.catalog import Deployment, Model
from pulse_gateway.types.chat import (
    ChatRequest,
    Message,
    ReasoningControl,
    ReasoningPart,
    ResponseFormat,
    TextPart,
    Tool,
)
from pulse_gateway.types.chat import ToolCallPart as Call
from pulse_gateway.wire.openai_chat.encode import encode_request

USER = {"role": "user", "content": "q"}
HELLO = (Message("user", (TextPart("hi"),), path="messages[0]"),)


def at(row: OpenAICompatible, name: str = "m") -> Deployment:
    return Deployment(provider=row.kind, kind=row.kind, model=Model(provider=row.kind, name=name), base_url="", key="k")


def sent(row: OpenAICompatible, **members: Any) -> dict[str, Any]:
    """What reaches the vendor of a request in its own dialect."""
    body = json.dumps({"model": "m", "messages": [USER], **members}).encode()
    body, _ = row.trimmed(body, "openai.chat", at(row))
    call = UpstreamCall(deployment=at(row), body=body, stream=False, dialect="openai.chat")
    told: dict[str, Any] = json.loads(row.build(call).body)
    return told


def said(row: OpenAICompatible, **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What reaches the vendor of a request in another dialect, and what was dropped."""
    encoded = encode_request(ChatRequest(**{"model": "m", "messages": HELLO, **fields}), at(row).model)
    call = UpstreamCall(deployment=at(row), body=encoded.body, stream=False, dialect="openai.chat")
    return json.loads(row.build(call).body), encoded.dropped


# ── Mistral's ids ─────────────────────────────────────────────────────────────────────────────────────────────────────


def conversation(*ids: str) -> bytes:
    calls = [{"id": one, "type": "function", "function": {"name": "f", "arguments": '{"id":  1}'}} for one in ids]
    results = [{"role": "tool", "tool_call_id": one, "content": one} for one in ids]
    return json.dumps({"messages": [USER, {"role": "assistant", "tool_calls": calls}, *results], "x": 1.0}, indent=1).encode()  # fmt: skip


@given(st.lists(st.text(min_size=1, max_size=12) | st.from_regex(r"[A-Za-z0-9]{9}", fullmatch=True), unique=True, max_size=6))  # fmt: skip
@settings(max_examples=50, deadline=None)
def test_ids_become_nine_letters_and_digits_no_two_alike_and_short_ones_stay(ids: list[str]) -> None:
    written = conversation(*ids)
    body = json.loads(as_mistral_takes_it(written))
    made = [call["id"] for call in body["messages"][1]["tool_calls"]]
    assert [message["tool_call_id"] for message in body["messages"][2:]] == made
    assert len(set(made)) == len(ids)
    for before, after in zip(ids, made, strict=True):
        assert len(after) == 9
        assert after.isalnum()
        assert after.isascii()
        if len(before) == 9 and before.isalnum() and before.isascii():
            assert after == before
    assert [message["content"] for message in body["messages"][2:]] == ids
    assert json.loads(as_mistral_takes_it(conversation(*ids[:3])))["messages"][1]["tool_calls"] == body["messages"][1]["tool_calls"][:3]  # fmt: skip
    if made == ids:
        assert as_mistral_takes_it(written) == written


@pytest.mark.parametrize("shape", [{"messages": [{"tool_call_id": 5}]}, {"messages": {"tool_calls": 1}}, {"messages": [{"tool_calls": ["x"]}]}, {"tools": ["$schema"]}])  # fmt: skip
def test_a_shape_that_it_should_not_have_is_left_to_the_vendor(shape: Any) -> None:
    body = json.dumps(shape).encode()
    assert as_mistral_takes_it(body) == body


def test_schemas_do_not_say_of_which_standard_they_are() -> None:
    schema = {"$schema": "s", "$id": "i", "type": "object", "properties": {"$id": {"type": "string", "$id": "j"}, "a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"$schema": "t", "enum": ["$id"]}}}  # fmt: skip
    plain = {"type": "object", "properties": {"$id": {"type": "string"}, "a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"enum": ["$id"]}}}  # fmt: skip
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}, {"type": "function", "function": {"name": "g"}}]  # fmt: skip
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    told = sent(MISTRAL, tools=tools, response_format=form)
    assert told["tools"] == [{"type": "function", "function": {"name": "f", "parameters": plain}}, tools[1]]
    assert told["response_format"] == {"type": "json_schema", "json_schema": {"name": "n", "schema": plain}}


# ── other words ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("row", "members", "told"),
    [
        (MISTRAL, {"tool_choice": "required", "seed": 3}, {"tool_choice": "any", "random_seed": 3}),
        (MISTRAL, {"tool_choice": {"type": "function"}, "user": "u"}, {"tool_choice": {"type": "function"}}),
        (OPENROUTER, {"reasoning_effort": "max"}, {"reasoning_effort": "xhigh"}),
        (OPENROUTER, {"reasoning_effort": "high", "x": "max"}, {"reasoning_effort": "high", "x": "max"}),
        (OPENAI_COMPATIBLE, {"reasoning_effort": "max"}, {"reasoning_effort": "max"}),
    ],
)
def test_words_that_a_vendor_knows_by_another_name(
    row: OpenAICompatible, members: dict[str, Any], told: dict[str, Any]
) -> None:
    assert sent(row, **members) == {"model": "m", "messages": [USER], **told}


@pytest.mark.parametrize(("row", "kept"), [(OPENAI, ()), (GROQ, ()), (DEEPSEEK, ("reasoning_content",)), (OPENROUTER, ("reasoning", "reasoning_details")), (OPENAI_COMPATIBLE, ("reasoning_content", "reasoning", "reasoning_details"))])  # fmt: skip
def test_vendors_are_shown_the_thinking_that_they_take_back(row: OpenAICompatible, kept: tuple[str, ...]) -> None:
    message = {"role": "assistant", "content": "a", "reasoning_content": "r", "reasoning": "r", "reasoning_details": []}
    told = sent(row, messages=[USER, message, USER])["messages"][1]
    assert set(told) == {"role", "content", *kept}


def test_what_is_taken_out_of_a_clients_own_words_is_reported() -> None:
    body = json.dumps({"user": "u", "messages": [{"role": "assistant", "reasoning": "r"}], "stream_options": {}}).encode()  # fmt: skip
    assert MISTRAL.trimmed(body, "openai.chat", at(MISTRAL))[1] == ("messages[].reasoning", "user")
    assert OPENAI_COMPATIBLE.trimmed(body, "openai.chat", at(OPENAI_COMPATIBLE)) == (body, ())
    assert GROQ.trimmed(body, "openai.responses", at(GROQ)) == (body, ())


def test_what_is_said_again_is_said_as_the_vendor_takes_it() -> None:
    told, dropped = said(MISTRAL, user="u", tools=(Tool("f", strict=False),))
    assert "strict" not in told["tools"][0]["function"]
    assert ("user" in told, dropped) == (False, ("user",))
    history = (*HELLO, Message("assistant", (ReasoningPart("hm"),)), *HELLO)
    assert [message["role"] for message in said(MISTRAL, messages=history)[0]["messages"]] == ["user", "user"]
    assert said(VLLM, top_k=4)[0]["top_k"] == 4
    signed = (*HELLO, Message("assistant", (Call("c", "f", "", "c2ln"),)), *HELLO)
    assert said(OPENAI_COMPATIBLE, messages=signed)[0]["messages"][1]["tool_calls"][0]["extra_content"]
    assert said(GROQ, messages=signed)[1] == ("messages.thought_signature",)
    with pytest.raises(UnsupportedParameter):
        said(GROQ, top_k=4)


@pytest.mark.parametrize(
    ("control", "told"),
    [
        (ReasoningControl("none"), {"thinking": {"type": "disabled"}}),
        (ReasoningControl(budget_tokens=0), {"thinking": {"type": "disabled"}}),
        (ReasoningControl("high"), {"thinking": {"type": "enabled"}, "reasoning_effort": "high"}),
        (ReasoningControl(adaptive=True), {"thinking": {"type": "enabled"}}),
        (ReasoningControl(budget_tokens=1024), {"thinking": {"type": "enabled"}, "reasoning_effort": "low"}),
        (ReasoningControl(summary=True), {}),
    ],
)
def test_deepseek_has_a_switch_for_thinking(control: ReasoningControl, told: dict[str, Any]) -> None:
    body, _ = said(DEEPSEEK, reasoning=control)
    assert {name: body[name] for name in ("thinking", "reasoning_effort") if name in body} == told


# ── what is lacking for some requests ─────────────────────────────────────────────────────────────────────────────────

SCHEMA = ResponseFormat("json_schema", {"type": "object"})
TOOLS = (Tool("f"),)


@pytest.mark.parametrize(
    ("row", "model", "fields", "param"),
    [
        (XAI, "grok-4.7", {"stop": ("x",)}, "stop"),
        (XAI, "grok-3-mini", {"presence_penalty": 0.5}, "presence_penalty"),
        (XAI, "grok-4-fast-non-reasoning", {"stop": ("x",), "frequency_penalty": 0.5}, None),
        (XAI, "grok-3", {"stop": ("x",)}, None),
        (XAI, "grok-4.7", {"temperature": 0.5}, None),
        (GROQ, "llama-3.3", {"response_format": SCHEMA, "stream": True}, "response_format"),
        (GROQ, "llama-3.3", {"response_format": SCHEMA, "tools": TOOLS}, "response_format"),
        (GROQ, "llama-3.3", {"response_format": SCHEMA}, None),
        (GROQ, "openai/gpt-oss-20b", {"response_format": SCHEMA, "tools": TOOLS}, None),
        (OLLAMA, "qwen3", {"parallel_tool_calls": False, "tools": TOOLS}, "parallel_tool_calls"),
        (OLLAMA, "qwen3", {"parallel_tool_calls": False}, None),
    ],
)
def test_what_a_vendor_lacks_for_a_request_is_refused_by_name(
    row: OpenAICompatible, model: str, fields: dict[str, Any], param: str | None
) -> None:
    request = ChatRequest(**{"model": "m", "messages": HELLO, **fields})
    if param is None:
        row.check(request, at(row, model))
        return
    with pytest.raises(UnsupportedParameter) as caught:
        row.check(request, at(row, model))
    assert caught.value.param == param
    assert model in caught.value.message


@pytest.mark.parametrize("dialect", ["openai.chat", "openai.responses"])
def test_what_ollama_would_pass_over_is_refused_in_its_own_dialects_too(dialect: str) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]

    def trimmed(**members: Any) -> bytes:
        return OLLAMA.trimmed(json.dumps({"model": "m", **members}).encode(), dialect, at(OLLAMA))[0]

    for name, value in (
        ("n", 2),
        ("tool_choice", "none"),
        ("tool_choice", "required"),
        ("tool_choice", {"type": "function", "function": {"name": "f"}}),
        ("parallel_tool_calls", False),
        ("logit_bias", {"50256": -100}),
        ("functions", [{"name": "f"}]),
    ):
        with pytest.raises(UnsupportedParameter) as caught:
            trimmed(tools=tools, **{name: value})
        assert (caught.value.param, caught.value.message) == (name, f"ollama:m takes no '{name}'")
    for asks_for_nothing in (
        {"tools": tools, "n": 1, "tool_choice": "auto", "parallel_tool_calls": True, "logit_bias": {}},
        {"tools": tools, "n": None, "tool_choice": None, "parallel_tool_calls": None},
        {"tool_choice": "none", "parallel_tool_calls": False},
        {"tools": [], "metadata": {"n": "2", "tool_choice": "required"}},
    ):
        assert json.loads(trimmed(**asks_for_nothing)) == {"model": "m", **asks_for_nothing}


def test_who_asks_is_not_told_to_ollama_and_that_is_named() -> None:
    body = json.dumps({"model": "m", "messages": [USER], "user": "u"}).encode()
    assert OLLAMA.trimmed(body, "openai.chat", at(OLLAMA))[1] == ("user",)
    assert "user" not in sent(OLLAMA, user="u")
