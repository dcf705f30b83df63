"""Events become a stream as OpenAI sends it."""

from __future__ import annotations

import json
from typing import Any

from openai_stream_chunks import CODEC

from pulse_gateway.errors import (
    UpstreamOverloaded,
)
from pulse_gateway.types.chat import FinishReason, Logprob
from pulse_gateway.types.events import (
    Ended,
    Event,
    Failed,
    Finished,
    LogprobsDelta,
    ReasoningDelta,
    ReasoningSigned,
    RefusalDelta,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.sse import SSEDecoder

# ── encoding ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def encode(*events: Event, include_usage: bool = False) -> list[Any]:
    encoder = CODEC.encoder("asked", include_usage=include_usage)
    frames = SSEDecoder().feed(b"".join(encoder.encode(event) for event in events))
    return [frame.data.decode() if frame.data.startswith(b"[") else json.loads(frame.data) for frame in frames]


def choices(told: list[Any]) -> list[Any]:
    return [choice for frame in told if isinstance(frame, dict) for choice in frame["choices"]]


def test_a_text_stream_as_openai_sends_it() -> None:
    events = (
        Started("x", "m", 1),
        TextDelta("Hi"),
        Finished(FinishReason.STOP),
        UsageReported(Usage(input_tokens=1, output_tokens=2)),
        Ended(),
    )
    head = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}

    def said(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}

    bare = [
        {**head, "choices": [said({"role": "assistant", "content": ""})]},
        {**head, "choices": [said({"content": "Hi"})]},
        {**head, "choices": [said({}, "stop")]},
    ]
    assert encode(*events) == [*bare, "[DONE]"]
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    assert encode(*events, include_usage=True) == [
        *({**told, "usage": None} for told in bare),
        {**head, "choices": [], "usage": usage},
        "[DONE]",
    ]


def test_tool_calls_reasoning_refusals_and_logprobs_as_deltas() -> None:
    told = choices(
        encode(
            Started("x", "m", 1),
            ReasoningDelta("hm"),
            ReasoningSigned(signature="s"),
            ToolCallStarted(0, "c", "f", "c2ln"),
            ToolArgumentsDelta(0, "{}"),
            RefusalDelta("No."),
            LogprobsDelta((Logprob("a", -1.0),)),
            Finished(FinishReason.PAUSE),
        )
    )
    assert [choice["delta"] for choice in told] == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "hm"},
        {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "hm", "signature": "s"}]},
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "c",
                    "type": "function",
                    "function": {"name": "f", "arguments": ""},
                    "extra_content": {"google": {"thought_signature": "c2ln"}},
                }
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]},
        {"refusal": "No."},
        {},
        {},
    ]
    assert told[-2]["logprobs"] == {
        "content": [{"token": "a", "bytes": [97], "logprob": -1.0, "top_logprobs": []}],
        "refusal": None,
    }
    assert (told[-1]["finish_reason"], told[-1]["native_finish_reason"]) == ("length", "pause_turn")


def test_every_choice_begins_with_its_role() -> None:
    told = choices(
        encode(Started("x", "m", 1), TextDelta("b", 1), TextDelta("a", 0), Finished(FinishReason.STOP, choice=2))
    )
    roles = [choice["index"] for choice in told if choice["delta"].get("role") == "assistant"]
    assert roles == [0, 1, 2]


def test_what_the_vendor_left_out_is_made_up() -> None:
    (told,) = encode(Started("", ""))
    assert told["id"].startswith("chatcmpl-")
    assert (told["model"], told["created"]) == ("asked", 1_700_000_000)


def test_a_failure_is_told_by_the_error_event() -> None:
    encoder = CODEC.encoder("asked", include_usage=False)
    failure = UpstreamOverloaded("busy", upstream_code="slow_down")
    assert encoder.encode(Failed(failure)) == b""
    (frame,) = SSEDecoder().feed(encoder.error(failure, "req-1"))
    assert json.loads(frame.data)["error"] == {
        "message": "busy",
        "type": "service_unavailable_error",
        "code": "upstream_overloaded",
        "param": None,
        "request_id": "req-1",
        "upstream_code": "slow_down",
    }


def test_usage_is_told_once_and_only_if_there_is_any() -> None:
    events = (
        Started("x", "m", 1),
        UsageReported(Usage(input_tokens=1)),
        UsageReported(Usage(input_tokens=2)),
        Ended(),
    )
    told = [frame["usage"] for frame in encode(*events, include_usage=True)[:-1]]
    assert told == [None, {"prompt_tokens": 2, "completion_tokens": 0, "total_tokens": 2}]
    assert encode(Started("x", "m", 1), Ended(), include_usage=True)[1:] == ["[DONE]"]
