"""Streamed Responses answers as OpenAI's clients expect them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pydantic
import pytest
from openai.types.responses import ResponseStreamEvent

from pulse_gateway.errors import StreamInterrupted, UpstreamProtocolError
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
from pulse_gateway.wire.openai_responses import OpenAIResponsesCodec, stream_encoder
from pulse_gateway.wire.sse import SSEDecoder

CODEC = OpenAIResponsesCodec(lambda: 7.0)
EVENT: pydantic.TypeAdapter[ResponseStreamEvent] = pydantic.TypeAdapter(ResponseStreamEvent)
END = (UsageReported(Usage(input_tokens=1, output_tokens=2)), Ended())


def told(*events: Event) -> list[dict[str, Any]]:
    """What a client gets, each event as the SDK's types have it, numbered from 0."""
    encoder = CODEC.encoder("alias", include_usage=True)
    frames = SSEDecoder().feed(b"".join(encoder.encode(event) for event in events))
    read = [json.loads(frame.data) for frame in frames]
    for number, (frame, event) in enumerate(zip(frames, read, strict=True)):
        assert frame.event == event["type"]
        assert event["sequence_number"] == number
        EVENT.validate_python(event)
    return read


def steps(events: Sequence[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def test_a_text_turn_in_the_order_of_the_vendors_own() -> None:
    events = told(Started("msg_1", "m", 5), TextDelta("Hel"), TextDelta("lo"), Finished(FinishReason.STOP), *END)
    assert steps(events) == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    item = {
        "id": "msg_msg1_0", "type": "message", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}],
    }  # fmt: skip
    assert events[2]["item"] == {**item, "status": "in_progress", "content": []}
    assert [event["delta"] for event in events[4:6]] == ["Hel", "lo"]
    assert events[6]["text"] == "Hello"
    assert events[8]["item"] == item
    assert {event["item_id"] for event in events[3:8]} == {"msg_msg1_0"}
    last = events[-1]["response"]
    assert (last["id"], last["status"], last["output"], last["created_at"], last["completed_at"]) == (
        "msg_1", "completed", [item], 5, 7,
    )  # fmt: skip
    assert last["usage"]["total_tokens"] == 3


def test_thinking_with_its_proofs_and_a_refusal_after_words() -> None:
    events = told(
        Started("r", "m", 5), ReasoningDelta("h"), ReasoningDelta("m"), ReasoningSigned("sig="), ReasoningSigned(redacted="xx=="),
        ReasoningDelta("idle"), TextDelta("a"), LogprobsDelta((Logprob("a", -1.0),)), RefusalDelta("No."),
        Finished(FinishReason.STOP), *END,
    )  # fmt: skip
    assert steps(events)[2:-1] == [
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta", "reasoning_summary_text.delta",
        "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done",
        "output_item.added", "output_item.done",
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta", "reasoning_summary_text.done",
        "reasoning_summary_part.done", "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta", "output_text.delta", "output_text.done", "content_part.done",
        "content_part.added", "refusal.delta", "refusal.done", "content_part.done", "output_item.done",
    ]  # fmt: skip
    output = events[-1]["response"]["output"]
    proofs = [item["encrypted_content"] for item in output[:3]]
    assert proofs == ["pulse:signature:sig=", "pulse:redacted:xx==", None]
    text, refusal = output[3]["content"]
    assert text["logprobs"] == [{"token": "a", "bytes": [97], "logprob": -1.0, "top_logprobs": []}]
    assert refusal == {"type": "refusal", "refusal": "No."}


def test_calls_that_interleave_stay_open_side_by_side() -> None:
    events = told(
        Started("r", "m", 5), ToolCallStarted(0, "c1", "f", "c2ln"), ToolCallStarted(1, "c2", "g"),
        ToolArgumentsDelta(0, '{"a"'), ToolArgumentsDelta(1, "{}"), ToolArgumentsDelta(0, ":1}"), TextDelta("after"),
        Finished(FinishReason.TOOL_CALLS), *END,
    )  # fmt: skip
    assert [(event["output_index"], event["delta"]) for event in events if event["type"].endswith("arguments.delta")] == [
        (0, '{"a"'), (1, "{}"), (0, ":1}"),
    ]  # fmt: skip
    output = events[-1]["response"]["output"]
    assert [(item["type"], item.get("call_id"), item.get("arguments")) for item in output] == [
        ("function_call", "c1", '{"a":1}'), ("function_call", "c2", "{}"), ("message", None, None),
    ]  # fmt: skip
    assert output[0]["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    done = [event["output_index"] for event in events if event["type"] == "response.output_item.done"]
    assert done == [0, 1, 2]


def test_calls_one_after_the_other_end_when_the_next_begins() -> None:
    events = told(
        Started("r", "m", 5), ToolCallStarted(0, "c1", "f"), ToolArgumentsDelta(0, "{}"), ToolCallStarted(1, "c2", "g"),
        ToolArgumentsDelta(1, "{}"), Finished(FinishReason.TOOL_CALLS), *END,
    )  # fmt: skip
    assert steps(events)[2:-1] == [
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
    ] * 2  # fmt: skip


def test_a_call_that_goes_on_after_its_end_is_an_error() -> None:
    encoder = CODEC.encoder("alias", include_usage=True)
    for event in (Started("r", "m"), ToolCallStarted(0, "c1", "f"), ToolArgumentsDelta(0, "{}"), TextDelta("x")):
        encoder.encode(event)
    assert encoder.encode(ToolArgumentsDelta(0, " \n")) == b""
    with pytest.raises(UpstreamProtocolError):
        encoder.encode(ToolArgumentsDelta(0, "}"))


def test_what_a_limit_has_cut_off_is_incomplete() -> None:
    events = told(
        Started("r", "m", 5), TextDelta("a"), ToolCallStarted(0, "c1", "f"), ToolArgumentsDelta(0, '{"a'),
        Finished(FinishReason.LENGTH), *END,
    )  # fmt: skip
    last = events[-1]
    assert (last["type"], last["response"]["incomplete_details"]) == (
        "response.incomplete",
        {"reason": "max_output_tokens"},
    )
    assert [item["status"] for item in last["response"]["output"]] == ["completed", "incomplete"]


def test_an_empty_answer_and_one_without_a_name() -> None:
    assert steps(told(Ended())) == ["created", "in_progress", "completed"]
    first = told(Started("", ""), Ended())[0]["response"]
    assert first["id"].startswith("resp_")
    assert (first["model"], first["created_at"]) == ("alias", 7)


def test_other_choices_and_what_says_nothing_write_nothing() -> None:
    encoder = CODEC.encoder("alias", include_usage=True)
    encoder.encode(Started("r", "m"))
    silent = (
        TextDelta("x", choice=1), TextDelta(""), ReasoningDelta(""), ReasoningSigned(), RefusalDelta(""),
        LogprobsDelta((Logprob("a", -1.0),)), Failed(StreamInterrupted("x")),
    )  # fmt: skip
    assert [encoder.encode(event) for event in silent] == [b""] * len(silent)


def test_an_error_is_one_event_that_goes_on_counting() -> None:
    encoder = CODEC.encoder("alias", include_usage=True)
    encoder.encode(Started("r", "m"))
    (frame,) = SSEDecoder().feed(encoder.error(StreamInterrupted("broke off"), "req_1"))
    event = json.loads(frame.data)
    EVENT.validate_python(event)
    assert event == {
        "type": "error", "code": "upstream_interrupted", "message": "broke off", "param": None, "sequence_number": 2,
        "request_id": "req_1",
    }  # fmt: skip


def test_what_is_kept_of_an_answer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_encoder, "_MAX_ANSWER_CHARS", 10)
    encoder = CODEC.encoder("alias", include_usage=True)
    for event in (Started("r", "m"), TextDelta("x" * 6)):
        encoder.encode(event)
    with pytest.raises(UpstreamProtocolError):
        encoder.encode(ReasoningDelta("x" * 5))
