"""Streamed Responses answers, event by event."""

from __future__ import annotations

import json
import typing
from typing import Any, Literal, get_args, get_origin

import pydantic
import pytest
from openai.types.responses import ResponseStreamEvent

from pulse_gateway.errors import UpstreamError, UpstreamFailed, UpstreamProtocolError, UpstreamRateLimited
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
from pulse_gateway.wire.openai_responses import OpenAIResponsesCodec, stream_decoder
from pulse_gateway.wire.passthrough import Passthrough
from pulse_gateway.wire.sse import SSEDecoder, encode_event

CODEC = OpenAIResponsesCodec()
HEAD = {"id": "resp_1", "object": "response", "created_at": 5, "model": "gpt-x"}
STARTED = Started("resp_1", "gpt-x", 5)
USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
REPORTED = UsageReported(Usage(input_tokens=1, output_tokens=2))
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": '{"a":1}'}


def begun(kind: str = "created") -> dict[str, Any]:
    return {"type": f"response.{kind}", "response": {**HEAD, "status": "in_progress", "output": []}}


def ended(kind: str = "completed", **members: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", "response": {**HEAD, "status": kind, "output": [], "usage": USAGE, **members}}


def stream(*events: dict[str, Any], names: bool = True) -> bytes:
    return b"".join(
        encode_event(json.dumps(event | {"sequence_number": n}).encode(), event["type"] if names else None)
        for n, event in enumerate(events)
    )


def events_of(*events: dict[str, Any], names: bool = True) -> list[Event]:
    decoder = CODEC.decoder()
    told = [event for frame in SSEDecoder().feed(stream(*events, names=names)) for event in decoder.decode(frame)]
    return told + decoder.finish()


def item(kind: str, of: dict[str, Any], place: int = 0) -> dict[str, Any]:
    return {"type": f"response.output_item.{kind}", "output_index": place, "item": of}


def delta(kind: str, piece: str, place: int = 0, **at: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}.delta", "output_index": place, "item_id": "i", "delta": piece, **at}


@pytest.mark.parametrize("names", [True, False], ids=["named", "unnamed"])
def test_everything_that_an_answer_may_say(names: bool) -> None:
    logprob = {"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "b", "logprob": -2.0}, {"token": None}]}
    reasoning = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "one"}],
        "encrypted_content": "gAAAA",
    }
    assert events_of(
        begun(), begun("in_progress"),
        item("added", {"type": "reasoning", "id": "rs_1", "summary": []}),
        {"type": "response.reasoning_summary_part.added", "output_index": 0, "summary_index": 0, "part": {}},
        delta("reasoning_summary_text", "on", summary_index=0), delta("reasoning_summary_text", "e", summary_index=0),
        {"type": "response.reasoning_summary_text.done", "output_index": 0, "summary_index": 0, "text": "one"},
        delta("reasoning_summary_text", "two", summary_index=1),
        item("done", reasoning),
        item("added", {"type": "message", "content": []}, 1),
        delta("output_text", "sa", 1, content_index=0), delta("output_text", "id", 1, content_index=0, logprobs=[logprob]),
        {"type": "response.output_text.annotation.added", "output_index": 1, "annotation": {"type": "url_citation"}},
        {"type": "response.output_text.done", "output_index": 1, "content_index": 0, "text": "said"},
        delta("refusal", "No.", 1, content_index=1),
        {"type": "response.refusal.done", "output_index": 1, "content_index": 1, "refusal": "No."},
        item("done", {"type": "message", "content": [{"type": "output_text", "text": "said"}]}, 1),
        item("added", {**CALL, "arguments": ""}, 2), item("added", {**CALL, "call_id": "c2", "name": "g", "arguments": ""}, 3),
        delta("function_call_arguments", '{"a"', 2), delta("function_call_arguments", "{}", 3),
        delta("function_call_arguments", ":1}", 2),
        {"type": "response.function_call_arguments.done", "output_index": 2, "arguments": '{"a":1}'},
        item("done", CALL, 2), item("done", {**CALL, "arguments": "{}"}, 3),
        ended(),
        names=names,
    ) == [
        STARTED,
        ReasoningDelta("on"), ReasoningDelta("e"), ReasoningDelta("\n\ntwo"), ReasoningSigned("openai:rs_1:gAAAA"),
        TextDelta("sa"), TextDelta("id"), LogprobsDelta((Logprob("a", -0.5, (("b", -2.0),)),)), RefusalDelta("No."),
        ToolCallStarted(0, "c1", "f"), ToolCallStarted(1, "c2", "g"),
        ToolArgumentsDelta(0, '{"a"'), ToolArgumentsDelta(1, "{}"), ToolArgumentsDelta(0, ":1}"),
        Finished(FinishReason.TOOL_CALLS), REPORTED, Ended(),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("told", "events"),
    [
        ([{"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "x"}], [TextDelta("x")]),
        ([{"type": "response.refusal.done", "output_index": 0, "content_index": 0, "refusal": "x"}], [RefusalDelta("x")]),
        ([{"type": "response.reasoning_text.done", "output_index": 0, "content_index": 0, "text": "x"}], [ReasoningDelta("x")]),
        ([item("done", {"type": "message", "content": [{"type": "output_text", "text": "x"}]})], [TextDelta("x")]),
        ([item("done", {"type": "reasoning", "summary": [{"text": "x"}]})], [ReasoningDelta("x")]),
        ([item("done", CALL)], [ToolCallStarted(0, "c1", "f"), ToolArgumentsDelta(0, '{"a":1}')]),
        ([item("added", CALL), item("done", CALL), item("done", CALL)],
         [ToolCallStarted(0, "c1", "f"), ToolArgumentsDelta(0, '{"a":1}')]),
        ([item("added", CALL), {"type": "response.function_call_arguments.done", "output_index": 0, "arguments": '{"a":1}'}],
         [ToolCallStarted(0, "c1", "f"), ToolArgumentsDelta(0, '{"a":1}')]),
    ],
)  # fmt: skip
def test_what_is_told_at_its_end_alone_is_told(told: list[dict[str, Any]], events: list[Event]) -> None:
    read = events_of(begun(), *told, ended())
    assert read[1:-3] == events


def test_an_answer_that_is_told_as_a_whole_alone() -> None:
    output = [{"type": "message", "content": [{"type": "output_text", "text": "x"}]}, CALL]
    assert events_of(ended(output=output)) == [
        STARTED,
        TextDelta("x"),
        ToolCallStarted(0, "c1", "f"),
        ToolArgumentsDelta(0, '{"a":1}'),
        Finished(FinishReason.TOOL_CALLS),
        REPORTED,
        Ended(),
    ]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("max_output_tokens", FinishReason.LENGTH), ("content_filter", FinishReason.CONTENT_FILTER)],
)
def test_an_answer_that_was_cut_off(reason: str, finish: FinishReason) -> None:
    read = events_of(begun(), delta("output_text", "x"), ended("incomplete", incomplete_details={"reason": reason}))
    assert read[-3:] == [Finished(finish), REPORTED, Ended()]


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"type": "error", "code": "rate_limit_exceeded", "message": "m", "param": None}, UpstreamRateLimited),
        ({"type": "error", "error": {"code": "rate_limit_exceeded", "message": "m"}}, UpstreamRateLimited),
        ({"type": "error", "code": None, "message": "m"}, UpstreamFailed),
        (ended("failed", error={"code": "server_error", "message": "m"}, usage=None), UpstreamFailed),
        (ended("failed", error=None, usage=None), UpstreamFailed),
    ],
)
def test_a_failure(event: dict[str, Any], kind: type[UpstreamError]) -> None:
    read = events_of(begun(), delta("output_text", "x"), event, delta("output_text", "never"))
    assert read[:2] == [STARTED, TextDelta("x")]
    assert len(read) == 3
    assert isinstance(read[2], Failed)
    assert type(read[2].error) is kind


def test_a_failure_that_is_billed_says_so_first() -> None:
    read = events_of(begun(), ended("failed", error={"code": "server_error", "message": "m"}))
    assert read[1] == REPORTED
    assert isinstance(read[2], Failed)


def test_a_stream_without_its_terminal_event_is_not_whole() -> None:
    assert events_of(begun(), delta("output_text", "x")) == [STARTED, TextDelta("x")]


def test_an_end_mark_after_the_terminal_event_is_passed_over() -> None:
    decoder = CODEC.decoder()
    frames = SSEDecoder().feed(stream(begun(), ended()) + b"data: [DONE]\n\n: ping\n\n")
    told = [decoder.decode(frame) for frame in frames]
    assert told[-2:] == [[], []]


@pytest.mark.parametrize("frame", [b"data: <html>\n\n", b'event: response.output_text.delta\ndata: {"delta": 1}\n\n'])
def test_what_is_not_of_the_protocol(frame: bytes) -> None:
    decoder = CODEC.decoder()
    with pytest.raises(UpstreamProtocolError):
        decoder.decode(SSEDecoder().feed(frame)[0])


def test_what_is_remembered_of_an_answer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_decoder, "_MOST_PARTS", 5)
    with pytest.raises(UpstreamProtocolError):
        events_of(begun(), *[delta("output_text", "x", content_index=n) for n in range(7)])


# ── every event there is ──────────────────────────────────────────────────────────────────────────────────────────────


def least(annotation: Any) -> Any:
    """The least JSON that a type of the SDK allows."""
    if get_origin(annotation) is typing.Annotated:
        return least(get_args(annotation)[0])
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        fields = annotation.model_fields.items()
        return {field.alias or name: least(field.annotation) for name, field in fields if field.is_required()}
    if get_origin(annotation) is Literal:
        return get_args(annotation)[0]
    if get_origin(annotation) is typing.Union or type(annotation).__name__ == "UnionType":
        return None if type(None) in get_args(annotation) else least(get_args(annotation)[0])
    return {str: "x", int: 0, float: 0.5, bool: True, list: [], dict: {}}.get(get_origin(annotation) or annotation)


ALL_EVENTS = [least(kind) for kind in get_args(get_args(ResponseStreamEvent)[0])]


def test_the_sdk_knows_this_many_kinds_of_event() -> None:
    assert len(ALL_EVENTS) == len({event["type"] for event in ALL_EVENTS}) >= 59


def test_every_kind_of_event_and_those_yet_to_be_invented_pass_through_untouched() -> None:
    last = [event for event in ALL_EVENTS if event["type"] == "response.completed"]
    others = [
        event
        for event in ALL_EVENTS
        if event["type"] not in ("response.completed", "response.incomplete", "response.failed", "error")
    ]
    invented = {"type": "response.invented.tomorrow", "delta": {"anything": [1]}, "item": 7}
    whole = stream(begun(), *others, invented, *last)
    relay = Passthrough(CODEC, "alias")
    assert b"".join(relay.feed(whole)) == whole
    assert relay.reading.ended
    assert relay.broken is None
