"""A streamed Messages answer, frame by frame."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import UpstreamFailed, UpstreamOverloaded, UpstreamProtocolError, UpstreamRateLimited
from pulse_gateway.types.chat import FinishReason
from pulse_gateway.types.events import (
    Ended,
    Event,
    Failed,
    Finished,
    ReasoningDelta,
    ReasoningSigned,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.anthropic_messages import AnthropicMessagesCodec
from pulse_gateway.wire.sse import ServerSentEvent

CODEC = AnthropicMessagesCodec()


def frame(kind: str, **members: Any) -> ServerSentEvent:
    return ServerSentEvent(msgspec.json.encode({"type": kind, **members}), kind, b"")


def start(**usage: Any) -> ServerSentEvent:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-5", "content": []}
    return frame("message_start", message=message | {"stop_reason": None, "usage": usage or None})


def opened(index: int, kind: str, **members: Any) -> ServerSentEvent:
    return frame("content_block_start", index=index, content_block={"type": kind, **members})


def delta(index: int, kind: str, **members: Any) -> ServerSentEvent:
    return frame("content_block_delta", index=index, delta={"type": kind, **members})


def closed(index: int) -> ServerSentEvent:
    return frame("content_block_stop", index=index)


def stopped(reason: str | None, sequence: str | None = None, **usage: Any) -> ServerSentEvent:
    return frame("message_delta", delta={"stop_reason": reason, "stop_sequence": sequence}, usage=usage or None)


END = frame("message_stop")


def events(*frames: ServerSentEvent) -> list[Event]:
    decoder = CODEC.decoder()
    return [event for one in frames for event in decoder.decode(one)] + decoder.finish()


def within(*frames: ServerSentEvent) -> list[Event]:
    """The events of the blocks alone."""
    return events(start(), *frames, stopped("end_turn"), END)[1:-2]


def test_a_plain_stream() -> None:
    assert events(
        start(input_tokens=9, output_tokens=1),
        opened(0, "text", text=""),
        frame("ping"),
        delta(0, "text_delta", text="Hel"),
        delta(0, "text_delta", text="lo"),
        closed(0),
        stopped("stop_sequence", "END", output_tokens=15),
        END,
    ) == [
        Started("msg_1", "claude-opus-5"),
        UsageReported(Usage(input_tokens=9, output_tokens=1)),
        TextDelta("Hel"),
        TextDelta("lo"),
        Finished(FinishReason.STOP_SEQUENCE, "END"),
        UsageReported(Usage(input_tokens=9, output_tokens=15)),
        Ended(),
    ]


def test_usage_is_a_running_total_and_null_says_nothing_new() -> None:
    reported = [
        event.usage
        for event in events(
            start(
                input_tokens=9,
                cache_read_input_tokens=4,
                cache_creation_input_tokens=6,
                cache_creation={"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 4},
                output_tokens=1,
            ),
            stopped(
                "end_turn",
                input_tokens=10,
                cache_read_input_tokens=None,
                cache_creation_input_tokens=7,
                output_tokens=20,
                output_tokens_details={"thinking_tokens": 5},
            ),
        )
        if isinstance(event, UsageReported)
    ]
    first = Usage(
        input_tokens=9, cached_input_tokens=4, cache_write_tokens=2, cache_write_long_tokens=4, output_tokens=1
    )
    last = Usage(
        input_tokens=10,
        cached_input_tokens=4,
        cache_write_tokens=3,
        cache_write_long_tokens=4,
        output_tokens=15,
        reasoning_tokens=5,
    )
    assert reported == [first, last]


def test_tool_calls_are_counted_by_themselves_and_their_fragments_kept() -> None:
    assert within(
        opened(0, "text", text=""),
        delta(0, "text_delta", text="x"),
        closed(0),
        opened(1, "tool_use", id="toolu_1", name="f", input={}),
        delta(1, "input_json_delta", partial_json=""),
        delta(1, "input_json_delta", partial_json='{"a":'),
        delta(1, "input_json_delta", partial_json=" 1.0}"),
        closed(1),
        opened(2, "tool_use", id="toolu_2", name="g", input={}),
        delta(2, "input_json_delta", partial_json='{"b":2}'),
        closed(2),
    ) == [
        TextDelta("x"),
        ToolCallStarted(0, "toolu_1", "f"),
        ToolArgumentsDelta(0, '{"a":'),
        ToolArgumentsDelta(0, " 1.0}"),
        ToolCallStarted(1, "toolu_2", "g"),
        ToolArgumentsDelta(1, '{"b":2}'),
    ]


def test_a_call_without_arguments_has_an_empty_object() -> None:
    assert within(opened(0, "tool_use", id="a", name="f", input={}), closed(0)) == [
        ToolCallStarted(0, "a", "f"),
        ToolArgumentsDelta(0, "{}"),
    ]


def test_an_input_given_whole_is_one_fragment_unless_fragments_follow() -> None:
    whole = opened(0, "tool_use", id="a", name="f", input={"a": 1})
    assert within(whole, closed(0))[1:] == [ToolArgumentsDelta(0, '{"a":1}')]
    assert within(whole, delta(0, "input_json_delta", partial_json='{"a":2}'), closed(0))[1:] == [
        ToolArgumentsDelta(0, '{"a":2}')
    ]


def test_thinking_ends_with_its_signature() -> None:
    assert within(
        opened(0, "thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="h"),
        delta(0, "thinking_delta", thinking="m"),
        delta(0, "signature_delta", signature="sig"),
        closed(0),
        opened(1, "thinking", thinking="", signature=""),
        delta(1, "signature_delta", signature="hidden"),
        closed(1),
        opened(2, "redacted_thinking", data="XX"),
        closed(2),
        opened(3, "thinking", thinking="whole", signature="s3"),
        closed(3),
        opened(4, "thinking", thinking="unsigned"),
        closed(4),
    ) == [
        ReasoningDelta("h"),
        ReasoningDelta("m"),
        ReasoningSigned("sig"),
        ReasoningSigned("hidden"),
        ReasoningSigned(redacted="XX"),
        ReasoningDelta("whole"),
        ReasoningSigned("s3"),
        ReasoningDelta("unsigned"),
    ]


def test_unknown_events_blocks_and_deltas_are_passed_over() -> None:
    assert within(
        frame("invented_tomorrow", delta="x", index="y"),
        opened(0, "server_tool_use", id=7, name="web_search", input={}),
        delta(0, "input_json_delta", partial_json='{"q":1}'),
        closed(0),
        opened(1, "hologram", text=[1]),
        delta(1, "text_delta", text="not ours"),
        delta(1, "hologram_delta", text=[1]),
        delta(1, ["nothing", "like", "a", "type"]),
        closed(1),
        opened(2, "text", text="a"),
        delta(2, "citations_delta", citation={"cited_text": "x"}),
        delta(2, "text_delta", text="b"),
        closed(2),
    ) == [TextDelta("a"), TextDelta("b")]


def test_an_unknown_stop_reason_is_the_end_of_a_turn() -> None:
    assert Finished(FinishReason.STOP) in events(start(), stopped("invented_tomorrow"), END)
    called = opened(0, "tool_use", id="a", name="f", input={})
    assert Finished(FinishReason.TOOL_CALLS) in events(start(), called, stopped("invented_tomorrow"), END)


def test_frames_without_an_event_name_are_told_by_their_type() -> None:
    named = [start(), opened(0, "text", text="a"), closed(0), stopped("end_turn"), END]
    assert events(*[ServerSentEvent(one.data, "", b"") for one in named]) == events(*named)


def test_comments_say_nothing() -> None:
    assert CODEC.decoder().decode(ServerSentEvent(b"", "", b": hi\n\n")) == []


def test_a_stream_is_whole_once_it_told_why_it_stopped() -> None:
    assert events(start(), stopped("end_turn"))[-1] == Ended()
    assert events(start(), stopped("end_turn"), END).count(Ended()) == 1


def test_a_stream_that_breaks_off_has_no_end() -> None:
    assert events(start(), opened(0, "text", text="a")) == [Started("msg_1", "claude-opus-5"), TextDelta("a")]
    assert events(start(), stopped(None, output_tokens=1))[-1] == UsageReported(Usage(output_tokens=1))
    assert events() == []


def test_blocks_left_open_are_closed_by_the_end() -> None:
    whole = opened(0, "tool_use", id="a", name="f", input={"a": 1})
    assert within(whole)[1:] == [ToolArgumentsDelta(0, '{"a":1}')]


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("overloaded_error", UpstreamOverloaded),
        ("rate_limit_error", UpstreamRateLimited),
        ("api_error", UpstreamFailed),
        ("invented_tomorrow", UpstreamFailed),
    ],
)
def test_an_error_event_replaces_the_rest(told: str, meant: type[Exception]) -> None:
    error = frame("error", error={"type": told, "message": "x"})
    *_, failed = events(start(), error, stopped("end_turn"), END)
    assert isinstance(failed, Failed)
    assert type(failed.error) is meant
    assert failed.error.upstream_code == told


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("message_start", b"{"),
        ("message_start", b"{}"),
        ("content_block_delta", b"not json"),
        ("content_block_delta", b'{"index":0}'),
        ("content_block_delta", b'{"index":0,"delta":{"type":"text_delta","text":5}}'),
        ("content_block_delta", b'{"index":0,"delta":{"type":"text_delta","text":"\xff"}}'),
        ("content_block_start", b'{"index":0,"content_block":{"type":"tool_use"}}'),
        ("content_block_start", b'{"index":0,"content_block":{"type":"tool_use","id":"a","name":"f","input":7}}'),
        ("content_block_stop", b'{"index":"x"}'),
        ("message_delta", b"[]"),
        ("", b"[DONE"),
    ],
)
def test_malformed_frames_are_protocol_errors(kind: str, data: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        CODEC.decoder().decode(ServerSentEvent(data, kind, b""))


def test_escaped_ids_are_read_back() -> None:
    assert within(opened(0, "tool_use", id="pulse-id_YS9i", name="f", input={}))[0] == ToolCallStarted(0, "a/b", "f")


def test_usage_is_never_hidden_in_this_dialect() -> None:
    shown = ServerSentEvent(b"{}", "message_delta", b"event: message_delta\ndata: {}\n\n")
    assert CODEC.hide_usage(shown) == shown.raw


def test_an_empty_usage_object_tells_nothing() -> None:
    decoder = AnthropicMessagesCodec().decoder()
    start = b'{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"c","content":[],"usage":{}}}'
    events = decoder.decode(ServerSentEvent(start, "message_start", b""))
    assert not [event for event in events if isinstance(event, UsageReported)]
