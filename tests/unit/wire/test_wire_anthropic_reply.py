"""Whole answers, in and out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import UpstreamError, UpstreamOverloaded, UpstreamProtocolError
from pulse_gateway.types.chat import (
    ChatReply,
    Choice,
    FinishReason,
    ImagePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.anthropic_messages import AnthropicMessagesCodec
from pulse_gateway.wire.reading import Reading

CODEC = AnthropicMessagesCodec()


def message(*content: dict[str, Any], **fields: Any) -> bytes:
    whole = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5",
        "content": list(content),
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 12, "output_tokens": 30},
    }
    return msgspec.json.encode(whole | fields)


def written(
    *parts: Part, reason: FinishReason | None = FinishReason.STOP, usage: Usage | None = None
) -> dict[str, Any]:
    choice = Choice(parts=parts, finish_reason=reason)
    reply = ChatReply(id="r-1", model="gpt-x", choices=(choice,), usage=usage)
    decoded: dict[str, Any] = msgspec.json.decode(CODEC.encode_reply(reply))
    return decoded


# ── in ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_plain_answer() -> None:
    assert CODEC.decode_reply(message({"type": "text", "text": "Hi"})) == ChatReply(
        id="msg_1",
        model="claude-opus-5",
        choices=(Choice(parts=(TextPart("Hi"),), finish_reason=FinishReason.STOP),),
        usage=Usage(input_tokens=12, output_tokens=30),
    )


def test_every_block_with_a_neutral_form() -> None:
    reply = CODEC.decode_reply(
        message(
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "thinking", "thinking": "", "signature": "sig2"},
            {"type": "redacted_thinking", "data": "XX"},
            {"type": "text", "text": "a", "citations": [{"cited_text": "x"}]},
            {"type": "text", "text": ""},
            {"type": "text", "text": "b"},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"price": 1, "q": "ب"}},
            {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
            stop_reason="tool_use",
        )
    )
    assert reply.choices[0].parts == (
        ReasoningPart("hm", signature="sig"),
        ReasoningPart("", signature="sig2"),
        ReasoningPart(redacted="XX"),
        TextPart("ab"),
        ToolCallPart("toolu_1", "f", '{"price":1,"q":"ب"}'),
        ToolCallPart("toolu_2", "g", "{}"),
    )
    assert reply.finish_reason is FinishReason.TOOL_CALLS


def test_arguments_lose_white_space_and_nothing_else() -> None:
    raw = message({"type": "tool_use", "id": "a", "name": "f", "input": "HERE"}).replace(
        b'"HERE"', b'{ "price" : 1.10, "big": 12345678901234567890123, "t": "a b" }'
    )
    assert CODEC.decode_reply(raw).tool_calls[0].arguments == '{"price":1.10,"big":12345678901234567890123,"t":"a b"}'


def test_blocks_of_server_tools_and_unknown_blocks_are_passed_over() -> None:
    reply = CODEC.decode_reply(
        message(
            {"type": "text", "text": "a"},
            {"type": "server_tool_use", "id": 7, "name": "web_search", "input": {}},
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
            {"type": "hologram", "text": ["x"], "data": 1},
            {"type": "text", "text": "b"},
            novelty=1,
        )
    )
    assert reply.choices[0].parts == (TextPart("ab"),)


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("end_turn", FinishReason.STOP),
        ("stop_sequence", FinishReason.STOP_SEQUENCE),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("tool_use", FinishReason.TOOL_CALLS),
        ("refusal", FinishReason.CONTENT_FILTER),
        ("pause_turn", FinishReason.PAUSE),
        ("invented_tomorrow", FinishReason.STOP),
        (None, None),
    ],
)
def test_stop_reasons(told: str | None, meant: FinishReason | None) -> None:
    assert CODEC.decode_reply(message(stop_reason=told)).finish_reason is meant


def test_the_stop_sequence_is_kept() -> None:
    assert (
        CODEC.decode_reply(message(stop_reason="stop_sequence", stop_sequence="END")).choices[0].stop_sequence == "END"
    )


@pytest.mark.parametrize(
    ("wire", "usage"),
    [
        (
            {
                "input_tokens": 12,
                "cache_read_input_tokens": 3,
                "cache_creation_input_tokens": 10,
                "cache_creation": {"ephemeral_5m_input_tokens": 6, "ephemeral_1h_input_tokens": 4},
                "output_tokens": 30,
                "output_tokens_details": {"thinking_tokens": 18},
                "server_tool_use": {"web_search_requests": 1},
                "service_tier": "standard",
            },
            Usage(
                input_tokens=12,
                cached_input_tokens=3,
                cache_write_tokens=6,
                cache_write_long_tokens=4,
                output_tokens=12,
                reasoning_tokens=18,
                searches=1,
            ),
        ),
        (
            {"input_tokens": 1, "output_tokens": 2, "cache_creation_input_tokens": 5, "cache_creation": None},
            Usage(input_tokens=1, output_tokens=2, cache_write_tokens=5),
        ),
        (
            {"input_tokens": 0, "output_tokens": 0, "cache_read_input_tokens": 0},
            Usage(input_tokens=0, output_tokens=0, cached_input_tokens=0),
        ),
        (
            {"input_tokens": 0, "output_tokens": 5, "output_tokens_details": {"thinking_tokens": 9}},
            Usage(input_tokens=0, output_tokens=0, reasoning_tokens=9),
        ),
        (
            {"cache_creation": {"ephemeral_5m_input_tokens": 6, "ephemeral_1h_input_tokens": None}},
            Usage(cache_write_tokens=6),
        ),
        ({}, Usage()),
        (None, None),
    ],
)
def test_usage(wire: dict[str, Any] | None, usage: Usage | None) -> None:
    assert CODEC.decode_reply(message(usage=wire)).usage == usage


def test_an_error_sent_with_200_is_raised_as_what_it_is() -> None:
    with pytest.raises(UpstreamOverloaded):
        CODEC.decode_reply(b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}')


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"type":"message","content":{}}',
        b'{"type":"message","content":[7]}',
        message({"type": "text", "text": 5}),
        message({"type": "tool_use", "name": "f", "input": {}}),
        message({"type": "tool_use", "id": "a", "name": "f", "input": "{}"}),
        message({"type": "tool_use", "id": "a", "name": "f", "input": "HERE"}).replace(b'"HERE"', b'{"a":"\xff"}'),
        b'{"a":' * 5000,
    ],
)
def test_what_is_no_message_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        CODEC.decode_reply(body)


def test_reading_an_answer_that_passes_through() -> None:
    reading = Reading()
    text = CODEC.read_reply(
        message(
            {"type": "text", "text": "Hi "},
            {"type": "tool_use", "name": "without an id", "input": {}},
            {"type": "text", "text": "there"},
        ),
        reading,
    )
    assert text == "Hi there"
    assert (reading.id, reading.ended, reading.finish_reason) == ("msg_1", True, FinishReason.STOP)
    assert reading.usage == Usage(input_tokens=12, output_tokens=30)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"type":"error","error":{"type":"api_error","message":"x"}}'])
def test_reading_what_is_no_message_raises(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        CODEC.read_reply(body, Reading())


# ── out ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_answer_of_another_vendor() -> None:
    usage = Usage(input_tokens=5, audio_input_tokens=2, cached_input_tokens=3, output_tokens=7, reasoning_tokens=4)
    assert written(ReasoningPart("hm"), TextPart("Hi"), ToolCallPart("call_1", "f", ""), usage=usage) == {
        "id": "r-1",
        "type": "message",
        "role": "assistant",
        "model": "gpt-x",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "text", "text": "Hi"},
            {"type": "tool_use", "id": "call_1", "name": "f", "input": {}},
        ],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 7,
            "output_tokens": 11,
            "cache_read_input_tokens": 3,
            "output_tokens_details": {"thinking_tokens": 4},
        },
    }


def test_cache_writes_are_split_by_their_life() -> None:
    counts = written(usage=Usage(input_tokens=1, cache_write_tokens=2, cache_write_long_tokens=3))["usage"]
    assert counts["cache_creation_input_tokens"] == 5
    assert counts["cache_creation"] == {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3}


def test_unknown_usage_is_written_as_zero_since_the_dialect_demands_numbers() -> None:
    assert written()["usage"] == {"input_tokens": 0, "output_tokens": 0}


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (FinishReason.STOP, "end_turn"),
        (FinishReason.STOP_SEQUENCE, "stop_sequence"),
        (FinishReason.LENGTH, "max_tokens"),
        (FinishReason.TOOL_CALLS, "tool_use"),
        (FinishReason.CONTENT_FILTER, "refusal"),
        (FinishReason.PAUSE, "pause_turn"),
        (None, "end_turn"),
    ],
)
def test_finish_reasons(reason: FinishReason | None, told: str) -> None:
    assert written(TextPart("x"), reason=reason)["stop_reason"] == told


def test_a_refusal_in_words_is_text_with_the_reason_refusal() -> None:
    answer = written(RefusalPart("I will not"), reason=FinishReason.STOP)
    assert answer["content"] == [{"type": "text", "text": "I will not"}]
    assert answer["stop_reason"] == "refusal"
    assert written(RefusalPart("I wi"), reason=FinishReason.LENGTH)["stop_reason"] == "max_tokens"


def test_a_call_cut_short_by_the_limit_is_left_out() -> None:
    cut = ToolCallPart("a", "f", '{"x": "unfin')
    assert written(TextPart("x"), cut, reason=FinishReason.LENGTH)["content"] == [{"type": "text", "text": "x"}]
    with pytest.raises(UpstreamProtocolError):
        written(cut, reason=FinishReason.TOOL_CALLS)


def test_media_in_an_answer_has_no_place() -> None:
    with pytest.raises(UpstreamProtocolError):
        written(ImagePart("image/png", "AAAA"))


def test_an_answer_without_choices_is_empty() -> None:
    assert msgspec.json.decode(CODEC.encode_reply(ChatReply(id="r", model="m", choices=())))["content"] == []


def test_redacted_thinking_and_signatures_survive() -> None:
    assert written(ReasoningPart("hm", signature="sig"), ReasoningPart(redacted="XX"))["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "XX"},
    ]
