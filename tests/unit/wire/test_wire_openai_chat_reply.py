"""Whole Chat Completions answers: OpenAI's own, every vendor's deviation, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pulse_gateway.errors import (
    PulseError,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamProtocolError,
    UpstreamQuotaExhausted,
    UpstreamRateLimited,
)
from pulse_gateway.types.chat import (
    ChatReply,
    Choice,
    FinishReason,
    Logprob,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.openai_chat import OpenAIChatCodec
from pulse_gateway.wire.reading import Reading

CODEC = OpenAIChatCodec(now=lambda: 1_700_000_000.9)


def body(message: dict[str, Any], finish_reason: str | None = "stop", **members: Any) -> bytes:
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return json.dumps({"id": "chatcmpl-1", "created": 5, "model": "m", "choices": [choice], **members}).encode()


def choice_of(message: dict[str, Any], finish_reason: str | None = "stop") -> Choice:
    (choice,) = CODEC.decode_reply(body(message, finish_reason)).choices
    return choice


def usage_of(**usage: Any) -> Usage | None:
    return CODEC.decode_reply(body({"content": "x"}, usage=usage)).usage


def test_openais_own_answer() -> None:
    entry = {
        "token": "a",
        "bytes": [97],
        "logprob": -0.5,
        "top_logprobs": [{"token": "b", "bytes": None, "logprob": -1}],
    }
    reply = CODEC.decode_reply(
        json.dumps(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 5,
                "model": "gpt-x",
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": "stop",
                        "logprobs": {"content": [entry], "refusal": None},
                        "message": {
                            "role": "assistant",
                            "content": "a",
                            "refusal": None,
                            "annotations": [{"type": "url_citation", "url_citation": {}}],
                        },
                    },
                    {
                        "index": 1,
                        "finish_reason": "tool_calls",
                        "logprobs": None,
                        "message": {
                            "role": "assistant",
                            "content": None,
                            "tool_calls": [
                                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                                {"id": "d", "type": "custom", "custom": {"name": "x", "input": "y"}},
                            ],
                        },
                    },
                    {"index": 2, "finish_reason": "content_filter", "message": {"content": None, "refusal": "No."}},
                ],
                "usage": None,
                "service_tier": "default",
                "system_fingerprint": None,
            }
        ).encode()
    )
    assert reply == ChatReply(
        id="chatcmpl-1",
        model="gpt-x",
        created=5,
        choices=(
            Choice(
                index=0,
                parts=(TextPart("a"),),
                finish_reason=FinishReason.STOP,
                logprobs=(Logprob("a", -0.5, (("b", -1.0),)),),
            ),
            Choice(index=1, parts=(ToolCallPart("c", "f", "{}"),), finish_reason=FinishReason.TOOL_CALLS),
            Choice(index=2, parts=(RefusalPart("No."),), finish_reason=FinishReason.CONTENT_FILTER),
        ),
    )


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("eos", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("a_reason_of_next_year", FinishReason.STOP),
        ("", FinishReason.STOP),
        (None, FinishReason.STOP),
    ],
)
def test_finish_reasons(word: str | None, reason: FinishReason) -> None:
    assert choice_of({"content": "x"}, word).finish_reason is reason


@pytest.mark.parametrize("word", ["tool_calls", "function_call", "stop", "", None])
def test_an_answer_that_calls_tools_ends_for_them(word: str | None) -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": "{}"}}
    assert choice_of({"tool_calls": [call]}, word).finish_reason is FinishReason.TOOL_CALLS


def test_a_cut_answer_with_tool_calls_stays_cut() -> None:
    call = {"id": "c", "function": {"name": "f", "arguments": '{"a'}}
    assert choice_of({"tool_calls": [call]}, "length").finish_reason is FinishReason.LENGTH


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ({"reasoning_content": "t", "content": "x"}, (ReasoningPart("t"), TextPart("x"))),
        ({"reasoning": "t", "content": "x"}, (ReasoningPart("t"), TextPart("x"))),
        ({"reasoning": {"effort": "low"}, "content": "x"}, (TextPart("x"),)),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "t1"}, {"type": "text", "text": "t2"}]},
                    {"type": "text", "text": "x"},
                    {"type": "reference", "reference_ids": [1]},
                ]
            },
            (ReasoningPart("t1t2"), TextPart("x")),
        ),
        ({"content": [{"type": "thinking", "thinking": "t"}]}, (ReasoningPart("t"),)),
        ({"content": ""}, ()),
        ({"content": None}, ()),
        ({"function_call": {"name": "f", "arguments": "{}"}}, (ToolCallPart("call_chatcmpl1_0_0", "f", "{}"),)),
        ({"tool_calls": [{"function": {"name": "f", "arguments": {"ü": 1}}}]}, (ToolCallPart("call_chatcmpl1_0_0", "f", '{"ü":1}'),)),
        (
            {
                "tool_calls": [
                    {
                        "id": "c",
                        "function": {"name": "f", "arguments": None},
                        "extra_content": {"google": {"thought_signature": "c2ln"}},
                    }
                ]
            },
            (ToolCallPart("c", "f", "", "c2ln"),),
        ),
    ],
)  # fmt: skip
def test_how_vendors_spell_it(message: dict[str, Any], parts: tuple[Any, ...]) -> None:
    assert choice_of(message).parts == parts


def test_missing_indexes_ids_and_dates() -> None:
    reply = CODEC.decode_reply(b'{"choices":[{"message":{"content":"a"}},{"message":{"content":"b"}}],"created":1.9}')
    assert (reply.id, reply.model, reply.created) == ("", "", 1)
    assert [choice.index for choice in reply.choices] == [0, 1]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}, Usage(input_tokens=9, output_tokens=5)),
        (
            {
                "prompt_tokens": 120,
                "completion_tokens": 45,
                "total_tokens": 165,
                "prompt_tokens_details": {
                    "cached_tokens": 64,
                    "cache_write_tokens": 10,
                    "audio_tokens": 6,
                    "image_tokens": 3,
                    "text_tokens": 114,
                },
                "completion_tokens_details": {
                    "reasoning_tokens": 20,
                    "audio_tokens": 4,
                    "accepted_prediction_tokens": 1,
                    "rejected_prediction_tokens": 2,
                    "text_tokens": 25,
                },
            },
            Usage(
                input_tokens=37,
                image_input_tokens=3,
                cached_input_tokens=64,
                cache_write_tokens=10,
                audio_input_tokens=6,
                output_tokens=21,
                reasoning_tokens=20,
                audio_output_tokens=4,
            ),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 0},
                "completion_tokens_details": None,
            },
            Usage(input_tokens=10, cached_input_tokens=0, output_tokens=5),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 2},
            Usage(input_tokens=2, cached_input_tokens=8, output_tokens=5),
        ),
        (  # xAI: reasoning beside the completion
            {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "total_tokens": 135,
                "completion_tokens_details": {"reasoning_tokens": 94},
            },
            Usage(input_tokens=32, output_tokens=9, reasoning_tokens=94),
        ),
        (  # counters that do not add up never go below zero
            {
                "prompt_tokens": 1,
                "completion_tokens": 1,
                "total_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": 5},
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
            Usage(input_tokens=0, cached_input_tokens=5, output_tokens=0, reasoning_tokens=5),
        ),
        ({"prompt_tokens": 3}, Usage(input_tokens=3)),
        ({}, None),
        ({"cost": 0.1}, None),
    ],
)
def test_usage_in_disjoint_classes(usage: dict[str, Any], expected: Usage | None) -> None:
    assert usage_of(**usage) == expected


def test_groqs_usage() -> None:
    reply = CODEC.decode_reply(body({"content": "x"}, x_groq={"usage": {"prompt_tokens": 1, "completion_tokens": 2}}))
    assert reply.usage == Usage(input_tokens=1, output_tokens=2)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b'{"error":{"message":"no credits","code":402}}', UpstreamQuotaExhausted),
        (b'{"error":{"message":"slow","type":"rate_limit_error"}}', UpstreamRateLimited),
        (b'{"object":"error","message":"dead","type":"InternalServerError","code":500}', UpstreamFailed),
        (b'{"error":"out of memory"}', UpstreamFailed),
        (body({"content": "x"}, "insufficient_system_resource"), UpstreamOverloaded),
        (body({"content": "x"}, "error"), UpstreamFailed),
        (b'{"choices":[]}', UpstreamProtocolError),
        (b"{}", UpstreamProtocolError),
        (b"<html>", UpstreamProtocolError),
        (b"[1]", UpstreamProtocolError),
        (b'{"choices":3}', UpstreamProtocolError),
        (b'{"id":"\xff"}', UpstreamProtocolError),
        (b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", UpstreamProtocolError),
    ],
)
def test_what_is_no_answer_raises(answer: bytes, kind: type[PulseError]) -> None:
    with pytest.raises(kind) as caught:
        CODEC.decode_reply(answer)
    assert type(caught.value) is kind
    with pytest.raises(kind):
        CODEC.read_reply(answer, Reading())


def test_an_answer_that_passes_through_is_noted() -> None:
    reading = Reading()
    two = [
        {"index": 0, "message": {"content": "a", "reasoning": "hm"}, "finish_reason": "length"},
        {"index": 1, "message": {"content": "b"}, "finish_reason": "stop"},
    ]
    text = CODEC.read_reply(body({}, choices=two, usage={"prompt_tokens": 1, "completion_tokens": 2}), reading)
    assert text == "a\nb"
    assert reading.usage == Usage(input_tokens=1, output_tokens=2)
    assert reading.usage_is_final
    assert reading.finish_reason is FinishReason.LENGTH


def test_an_answer_written_out() -> None:
    reply = ChatReply(
        id="1",
        model="m",
        created=5,
        choices=(
            Choice(
                parts=(
                    ReasoningPart("hm", signature="s"),
                    TextPart("a"),
                    ToolCallPart("c", "f", "{}", "c2ln"),
                    TextPart("b"),
                ),
                finish_reason=FinishReason.TOOL_CALLS,
                logprobs=(Logprob("é", -1.0, (("e", -2.0),)),),
            ),
        ),
        usage=Usage(
            input_tokens=1, cached_input_tokens=2, cache_write_long_tokens=3, output_tokens=4, reasoning_tokens=0
        ),
    )
    assert json.loads(CODEC.encode_reply(reply)) == {
        "id": "1",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "ab",
                    "refusal": None,
                    "reasoning_content": "hm",
                    "reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "hm", "signature": "s"}],
                    "tool_calls": [
                        {
                            "id": "c",
                            "type": "function",
                            "function": {"name": "f", "arguments": "{}"},
                            "extra_content": {"google": {"thought_signature": "c2ln"}},
                        }
                    ],
                },
                "logprobs": {
                    "content": [
                        {
                            "token": "é",
                            "bytes": [195, 169],
                            "logprob": -1.0,
                            "top_logprobs": [{"token": "e", "bytes": [101], "logprob": -2.0}],
                        }
                    ],
                    "refusal": None,
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            "prompt_tokens": 6,
            "completion_tokens": 4,
            "total_tokens": 10,
            "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 3},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }


def test_an_answer_without_a_date_gets_todays() -> None:
    told = json.loads(CODEC.encode_reply(ChatReply(id="1", model="m", choices=(Choice(),))))
    assert told["created"] == 1_700_000_000
    assert "usage" not in told
    assert told["choices"][0]["message"] == {"role": "assistant", "content": None, "refusal": None}


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (FinishReason.STOP_SEQUENCE, {"finish_reason": "stop"}),
        (FinishReason.PAUSE, {"finish_reason": "length", "native_finish_reason": "pause_turn"}),
        (None, {"finish_reason": None}),
    ],
)
def test_finish_reasons_that_chat_lacks(reason: FinishReason | None, told: dict[str, Any]) -> None:
    reply = ChatReply(id="1", model="m", choices=(Choice(finish_reason=reason),))
    (choice,) = json.loads(CODEC.encode_reply(reply))["choices"]
    assert {key: value for key, value in choice.items() if key.endswith("finish_reason")} == told
