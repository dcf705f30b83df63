"""Counting a prompt: asked in each dialect of chat, answered by vendors or by an estimate."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import InvalidRequest, UnsupportedParameter, UpstreamProtocolError
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ChatRequest, ImagePart, Message, TextPart, Tool, ToolCallPart, ToolResultPart
from pulse_gateway.types.http import Payload
from pulse_gateway.types.token_counts import NOTHING_USED, TokenCount
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.token_counts.anthropic import AnthropicCountTokens
from pulse_gateway.wire.token_counts.counted import counted
from pulse_gateway.wire.token_counts.estimate import estimate_count
from pulse_gateway.wire.token_counts.gemini import GeminiCountTokens
from pulse_gateway.wire.token_counts.responses import ResponsesInputTokens

ANTHROPIC, GEMINI, RESPONSES = AnthropicCountTokens(), GeminiCountTokens(), ResponsesInputTokens()
CODECS: dict[str, Any] = {codec.dialect: codec for codec in (ANTHROPIC, GEMINI, RESPONSES)}
MODEL = Model(provider="p", name="m")
HI = (Message("user", (TextPart("hi"),), path="messages[0]"),)
BODIES: dict[str, dict[str, Any]] = {
    "anthropic.count_tokens": {"model": "m", "system": "s", "messages": [{"role": "user", "content": "hi"}]},
    "gemini.count_tokens": {"contents": [{"parts": [{"text": "hi"}]}], "systemInstruction": {"parts": [{"text": "s"}]}},
    "openai.responses.input_tokens": {"model": "m", "instructions": "s", "input": "hi"},
}


def payload(body: Any) -> Payload:
    return Payload(body if isinstance(body, bytes) else msgspec.json.encode(body))


def decoded(dialect: str, body: Any) -> ChatRequest:
    codec = CODECS[dialect]
    model = "m" if dialect.startswith("gemini") else None
    codec.read_envelope(payload(body), model=model)
    request: ChatRequest = codec.decode_request(payload(body), model=model)
    return request


@pytest.mark.parametrize("dialect", CODECS)
def test_a_prompt_is_read_reviewed_and_held_at_nothing(dialect: str) -> None:
    body = BODIES[dialect]
    request = decoded(dialect, body)
    assert [(each.role, each.parts) for each in request.messages] == [
        ("system", (TextPart("s"),)),
        ("user", (TextPart("hi"),)),
    ]
    assert request.max_output_tokens is None
    envelope = CODECS[dialect].read_envelope(payload(body), model="m")
    assert (envelope.text, envelope.max_output_tokens, envelope.expected) == ("s\nhi", 0, NOTHING_USED)


@pytest.mark.parametrize("source", CODECS)
@pytest.mark.parametrize("target", CODECS)
def test_what_is_counted_is_the_same_prompt_in_the_vendors_words(source: str, target: str) -> None:
    request = decoded(source, BODIES[source])
    sent = msgspec.json.decode(CODECS[target].encode_request(request, MODEL).payload.data)
    again = decoded(target, sent)
    assert [(each.role, each.parts) for each in again.messages] == [
        (each.role, each.parts) for each in request.messages
    ]
    unsaid = {"max_tokens", "stream", "max_output_tokens", "temperature", "store", "include"}
    assert not unsaid & sent.keys()


@pytest.mark.parametrize("dialect", CODECS)
def test_what_changes_no_count_is_left_out_and_named(dialect: str) -> None:
    request = ChatRequest(
        model="m", messages=HI, temperature=0.5, max_output_tokens=7, stop=("x",), user="u", stream=True
    )
    encoded = CODECS[dialect].encode_request(request, MODEL)
    assert set(encoded.dropped) == {"temperature", "max_output_tokens", "stop", "user"}
    assert b"0.5" not in encoded.payload.data
    assert counted(request)[0] == ChatRequest(model="m", messages=HI)


@pytest.mark.parametrize("dialect", CODECS)
def test_a_count_is_read_said_and_free(dialect: str) -> None:
    codec, request = CODECS[dialect], ChatRequest(model="m", messages=HI)
    said = codec.encode_reply(TokenCount(input_tokens=12), request)
    assert codec.decode_reply(said, request) == TokenCount(input_tokens=12)
    assert TokenCount(input_tokens=12).usage == NOTHING_USED
    reading = Reading()
    codec.read_reply(said, reading)
    assert (reading.usage, reading.usage_is_final, reading.ended) == (NOTHING_USED, True, True)
    for broken in (b"[]", b"<html>", b'{"input_tokens":"x","totalTokens":"x"}'):
        with pytest.raises(UpstreamProtocolError):
            codec.decode_reply(Payload(broken), request)


# ── Anthropic ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_anthropic_needs_no_limit_and_names_its_own_members() -> None:
    with pytest.raises(InvalidRequest) as caught:
        ANTHROPIC.read_envelope(payload({"model": "m", "messages": [{"role": "x", "content": "a"}]}))
    assert caught.value.param == "messages[0].role"
    with pytest.raises(InvalidRequest) as caught:
        ANTHROPIC.read_envelope(payload({"messages": [{"role": "user", "content": "a"}]}))
    assert caught.value.param == "model"
    limited = decoded("anthropic.count_tokens", {**BODIES["anthropic.count_tokens"], "max_tokens": 9})
    assert limited.max_output_tokens == 9
    body = b'{"messages": [ ],"model" :"alias" , "tools":[]}'
    assert ANTHROPIC.rewrite_request(Payload(body), model="m").data == body.replace(b"alias", b"m")


# ── Gemini ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("whole", ["generateContentRequest", "generate_content_request"])
def test_a_whole_request_is_counted_and_its_paths_begin_with_it(whole: str) -> None:
    inner = {"model": "models/m", **BODIES["gemini.count_tokens"], "safetySettings": [{}], "labels": {"a": "b"}}
    request = decoded("gemini.count_tokens", {whole: inner, "x": 1})
    assert [message.path for message in request.messages] == [
        "generateContentRequest.systemInstruction",
        "generateContentRequest.contents[0]",
    ]
    assert list(request.extra) == ["x", "generateContentRequest.safetySettings"]
    assert list(request.hints) == ["generateContentRequest.labels"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "contents"),
        ({"generateContentRequest": {}}, "generateContentRequest.contents"),
        ({"generateContentRequest": {"model": "models/x", "contents": [{}]}}, "generateContentRequest.model"),
        ({"generateContentRequest": {}, "generate_content_request": {}}, "generateContentRequest"),
        ({"generateContentRequest": 1}, "generateContentRequest"),
        ({"generateContentRequest": {"contents": [{"role": "x"}]}}, "generateContentRequest.contents[0].role"),
    ],
)
def test_gemini_names_the_member_at_fault(body: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        GEMINI.read_envelope(payload(body), model="m")
    assert caught.value.param == param


def test_the_model_that_a_whole_request_repeats_is_rewritten_too() -> None:
    body = b'{ "generateContentRequest" : {"contents" :[ ], "model": "models/alias"} }'
    assert GEMINI.rewrite_request(Payload(body), model="m").data == body.replace(b"alias", b"m")
    plain = b'{"contents" :[ ]}'
    assert GEMINI.rewrite_request(Payload(plain), model="m").data == plain


def test_gemini_leaves_out_a_count_of_zero_and_tells_what_is_cached() -> None:
    request = ChatRequest(model="m", messages=HI)
    assert GEMINI.decode_reply(Payload(b"{}"), request) == TokenCount(input_tokens=0)
    cached = TokenCount(input_tokens=9, cached_tokens=4)
    assert GEMINI.decode_reply(GEMINI.encode_reply(cached, request), request) == cached


# ── the estimate ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_estimate_counts_everything_that_a_model_reads() -> None:
    def tokens(*parts: Any, **fields: Any) -> int:
        return estimate_count(ChatRequest(model="m", messages=(Message("user", parts),), **fields))

    least = tokens(TextPart("hello"))
    assert least < 10
    assert tokens(TextPart("hello " * 100)) - least == pytest.approx(99, abs=2)
    assert tokens(TextPart("hello"), ImagePart(url="https://a.example/b.png")) - least > 1000
    call = ToolCallPart("c", "weather", '{"city":"Amman"}')
    assert tokens(TextPart("hello"), call) > least
    assert tokens(TextPart("hello"), ToolResultPart("c", (TextPart("a long and sunny day"),))) > least + 3
    tool = Tool("weather", "Weather of a city", {"type": "object", "properties": {"city": {"type": "string"}}})
    assert tokens(TextPart("hello"), tools=(tool,)) > least + 10


def test_what_has_no_neutral_form_is_refused_and_not_left_uncounted() -> None:
    request = decoded("gemini.count_tokens", {**BODIES["gemini.count_tokens"], "cachedContent": "cachedContents/x"})
    for codec in (ANTHROPIC, RESPONSES):
        with pytest.raises(UnsupportedParameter) as caught:
            codec.encode_request(request, MODEL)
        assert caught.value.param == "cachedContent"
