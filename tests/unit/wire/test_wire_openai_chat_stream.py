"""Streamed Chat Completions answers: OpenAI's own, every vendor's deviation, and what our own clients are sent."""

from __future__ import annotations

from typing import Any

import pytest
from openai_stream_chunks import CODEC, DONE, START, call, chunk, decode, delta

from pulse_gateway.errors import (
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamProtocolError,
    UpstreamQuotaExhausted,
    UpstreamRateLimited,
    UpstreamRejected,
)
from pulse_gateway.types.chat import FinishReason, Logprob
from pulse_gateway.types.events import (
    Ended,
    Failed,
    Finished,
    LogprobsDelta,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.sse import SSEDecoder


def test_openais_own_text_stream() -> None:
    events = decode(
        chunk({**delta("", role="assistant"), "logprobs": None}, usage=None, obfuscation="x"),
        chunk(delta("Hi"), usage=None, service_tier="default"),
        chunk(delta(" you"), usage=None),
        chunk(delta(finish_reason="stop"), usage=None),
        chunk(usage={"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}),
        DONE,
    )
    assert events == [
        START,
        TextDelta("Hi"),
        TextDelta(" you"),
        Finished(FinishReason.STOP),
        UsageReported(Usage(input_tokens=9, output_tokens=5)),
        Ended(),
    ]


def test_fragments_of_a_tool_call() -> None:
    events = decode(
        chunk(delta(role="assistant")),
        chunk(call(0, "c1", "f", "")),
        chunk(call(0, None, None, '{"a":')),
        chunk(call(0, None, None, "1}")),
        chunk(call(1, "c2", "g", "")),
        chunk(call(1, None, None, "{}")),
        chunk(delta(finish_reason="tool_calls")),
        DONE,
    )
    assert events[1:-2] == [
        ToolCallStarted(0, "c1", "f"),
        ToolArgumentsDelta(0, '{"a":'),
        ToolArgumentsDelta(0, "1}"),
        ToolCallStarted(1, "c2", "g"),
        ToolArgumentsDelta(1, "{}"),
    ]
    assert events[-2:] == [Finished(FinishReason.TOOL_CALLS), Ended()]


def test_choices_that_interleave() -> None:
    events = decode(
        chunk(delta("a", 0)),
        chunk(delta("b", 1)),
        chunk(delta("c", 0), delta("d", 1)),
        chunk(delta(index=1, finish_reason="length")),
        chunk(delta("e", 0, "stop")),
        DONE,
    )
    assert events == [
        START,
        TextDelta("a", 0),
        TextDelta("b", 1),
        TextDelta("c", 0),
        TextDelta("d", 1),
        TextDelta("e", 0),
        Finished(FinishReason.STOP, choice=0),
        Finished(FinishReason.LENGTH, choice=1),
        Ended(),
    ]


def test_refusals_reasoning_and_logprobs() -> None:
    entry = {"token": "a", "logprob": -1.0, "bytes": None, "top_logprobs": [{"token": "b", "logprob": -2.0}]}
    events = decode(
        chunk(delta(reasoning_content="r1")),
        chunk(delta(reasoning="r2")),
        chunk(delta([{"type": "thinking", "thinking": [{"type": "text", "text": "r3"}]}])),
        chunk({**delta("a"), "logprobs": {"content": [entry], "refusal": None}}),
        chunk({**delta("b"), "logprobs": {"tokens": ["b"], "token_logprobs": [-1]}}),
        chunk(delta(refusal="No.")),
        chunk(delta(finish_reason="stop")),
        DONE,
    )
    assert events[1:-2] == [
        ReasoningDelta("r1"),
        ReasoningDelta("r2"),
        ReasoningDelta("r3"),
        TextDelta("a"),
        LogprobsDelta((Logprob("a", -1.0, (("b", -2.0),)),)),
        TextDelta("b"),
        LogprobsDelta((Logprob("b", -1.0),)),
        RefusalDelta("No."),
    ]


def test_azures_first_chunk_has_neither_choices_nor_a_name() -> None:
    events = decode(
        chunk(id="", model="", created=0, prompt_filter_results=[]),
        chunk(delta("Hi", content_filter_results={})),
        chunk(delta(finish_reason="stop")),
        DONE,
    )
    assert events == [START, TextDelta("Hi"), Finished(FinishReason.STOP), Ended()]


def test_usage_in_the_finish_chunk_is_told_after_the_finish() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    reported = UsageReported(Usage(input_tokens=1, output_tokens=2))
    expected = [START, TextDelta("x"), Finished(FinishReason.STOP), reported, Ended()]
    assert decode(chunk(delta("x", finish_reason="stop"), usage=usage), DONE) == expected
    assert decode(chunk(delta("x", finish_reason="stop"), x_groq={"id": "1", "usage": usage}), DONE) == expected


def test_the_last_of_several_usages_counts() -> None:
    def counted(tokens: int) -> dict[str, int]:
        return {"prompt_tokens": 1, "completion_tokens": tokens}

    events = decode(
        chunk(delta("a"), usage=counted(1)),
        chunk(delta("b", finish_reason="stop"), usage=counted(2)),
        chunk(usage=counted(3)),
        DONE,
    )
    assert [event for event in events if isinstance(event, UsageReported)] == [
        UsageReported(Usage(input_tokens=1, output_tokens=3))
    ]


def test_deltas_after_the_finish_reason_still_come_before_finished() -> None:
    events = decode(chunk(delta("a", finish_reason="stop")), chunk(delta("b")), DONE)
    assert events == [START, TextDelta("a"), TextDelta("b"), Finished(FinishReason.STOP), Ended()]


def test_finished_does_not_wait_for_the_end_once_usage_is_there() -> None:
    events = decode(
        chunk(delta("a", finish_reason="stop")), chunk(usage={"prompt_tokens": 1, "completion_tokens": 1}), finish=False
    )
    assert events[-2:] == [Finished(FinishReason.STOP), UsageReported(Usage(input_tokens=1, output_tokens=1))]


@pytest.mark.parametrize(
    ("fragments", "calls"),
    [
        # whole calls, every one with index 0
        ([call(0, "a", "f", "{}"), call(0, "b", "g", '{"x":1}')], [("a", "f", "{}"), ("b", "g", '{"x":1}')]),
        # whole calls without an index
        ([call(None, "a", "f", "{}"), call(None, "b", "f", "{}")], [("a", "f", "{}"), ("b", "f", "{}")]),
        # no index and no id
        (
            [call(None, None, "f", "{}"), call(None, None, "f", "{}")],
            [("call_chatcmpl1_0_0", "f", "{}"), ("call_chatcmpl1_0_1", "f", "{}")],
        ),
        # fragments without an index
        ([call(None, "a", "f", ""), call(None, None, None, "{"), call(None, None, None, "}")], [("a", "f", "{}")]),
        # the id on every fragment
        ([call(0, "a", "f", "{"), call(0, "a", None, "}")], [("a", "f", "{}")]),
        # a fresh id on every fragment
        ([call(0, "a", "f", "{"), call(0, "b", None, "}")], [("a", "f", "{}")]),
        # the name on every fragment
        ([call(0, "a", "f", "{"), call(0, None, "f", "}")], [("a", "f", "{}")]),
        # an empty id on later fragments
        ([call(0, "a", "f", "{"), call(0, "", "", "}")], [("a", "f", "{}")]),
        # the name after the arguments began
        ([call(0, "a", None, "{"), call(0, None, "f", "}")], [("a", "f", "{}")]),
        # the id after the name: what has been told cannot be taken back
        ([call(0, None, "f", "{"), call(0, "a", None, "}")], [("call_chatcmpl1_0_0", "f", "{}")]),
        # never a name
        ([call(0, "a", None, "{}")], [("a", "", "{}")]),
        # an object instead of text
        ([call(0, "a", "f", {"x": 1})], [("a", "f", '{"x":1}')]),
        # no arguments at all
        ([call(0, "a", "f")], [("a", "f", "")]),
        # indexes that do not start at 0
        ([call(1, "a", "f", "{}"), call(5, "b", "g", "{}")], [("a", "f", "{}"), ("b", "g", "{}")]),
        # fragments of two calls that interleave
        (
            [call(0, "a", "f", "{"), call(1, "b", "g", "["), call(0, None, None, "}"), call(1, None, None, "]")],
            [("a", "f", "{}"), ("b", "g", "[]")],
        ),
        # the legacy form
        (
            [delta(function_call={"name": "f", "arguments": "{"}), delta(function_call={"arguments": "}"})],
            [("call_chatcmpl1_0_0", "f", "{}")],
        ),
        # a custom tool's call
        ([delta(tool_calls=[{"index": 0, "id": "a", "type": "custom", "custom": {"name": "x"}}])], []),
    ],
)
def test_however_vendors_cut_tool_calls(fragments: list[dict[str, Any]], calls: list[tuple[str, str, str]]) -> None:
    events = decode(*(chunk(fragment) for fragment in fragments), DONE)
    started = [event for event in events if isinstance(event, ToolCallStarted)]
    assert [event.index for event in started] == list(range(len(calls)))
    pieces = [event for event in events if isinstance(event, ToolArgumentsDelta)]
    told = [
        (event.id, event.name, "".join(piece.fragment for piece in pieces if piece.index == event.index))
        for event in started
    ]
    assert told == calls


def test_a_thought_signature_comes_with_the_call() -> None:
    fragment = {
        "index": 0,
        "id": "a",
        "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "c2ln"}},
    }
    assert ToolCallStarted(0, "a", "f", "c2ln") in decode(chunk(delta(tool_calls=[fragment])), DONE)


@pytest.mark.parametrize("word", ["", "stop", "eos", "function_call", "tool_calls"])
def test_an_answer_that_calls_tools_ends_for_them(word: str) -> None:
    events = decode(chunk(call(0, "a", "f", "{}")), chunk(delta(finish_reason=word)), DONE)
    assert Finished(FinishReason.TOOL_CALLS) in events


@pytest.mark.parametrize(
    ("word", "reason"),
    [("eos", FinishReason.STOP), ("length", FinishReason.LENGTH), ("content_filter", FinishReason.CONTENT_FILTER)],
)
def test_other_finish_reasons(word: str, reason: FinishReason) -> None:
    assert Finished(reason) in decode(chunk(delta("x", finish_reason=word)), DONE)


# ── how streams end ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stream_without_its_terminal_frame_is_whole_when_every_choice_is() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1}
    events = decode(chunk(delta("a", 0, "stop")), chunk(delta("b", 1, "stop"), usage=usage))
    assert events[-4:] == [
        Finished(FinishReason.STOP, choice=0),
        Finished(FinishReason.STOP, choice=1),
        UsageReported(Usage(input_tokens=1, output_tokens=1)),
        Ended(),
    ]
    empty_reason = decode(chunk(call(0, "a", "f", "{}")), chunk(delta(finish_reason="")))
    assert empty_reason[-2:] == [Finished(FinishReason.TOOL_CALLS), Ended()]


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [chunk(delta("a"))],
        [chunk(delta("a", 0, "stop")), chunk(delta("b", 1))],
        [chunk(call(0, "a", "f", '{"x')), chunk(delta(finish_reason=""))],
        [chunk(delta("a", finish_reason=""))],
    ],
)
def test_a_stream_that_breaks_off_does_not_end(frames: list[bytes]) -> None:
    decoder = CODEC.decoder()
    for frame in SSEDecoder().feed(b"".join(frames)):
        decoder.decode(frame)
    assert decoder.finish() == []
    assert decoder.finish() == []


def test_a_stream_that_breaks_off_tells_the_usage_it_was_told() -> None:
    events = decode(chunk(delta("a"), usage={"prompt_tokens": 1, "completion_tokens": 1}))
    assert events[-1] == UsageReported(Usage(input_tokens=1, output_tokens=1))


def test_nothing_follows_the_terminal_frame() -> None:
    events = decode(chunk(delta("a", finish_reason="stop")), DONE, chunk(delta("b")), DONE)
    assert events == [START, TextDelta("a"), Finished(FinishReason.STOP), Ended()]


def test_a_stream_of_only_its_end() -> None:
    assert decode(DONE) == [Started("", ""), Ended()]


def test_comments_blank_data_and_events_without_choices_say_nothing() -> None:
    frames = b": OPENROUTER PROCESSING\n\n", b"\n\n", b"data: \n\n", b"data:\n\n", b'data: {"object":"x"}\n\n'
    assert decode(*frames) == []


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'{"error":{"message":"m","type":"server_error","code":null}}', UpstreamFailed),
        (b'{"error":{"message":"m","code":402,"metadata":{}}}', UpstreamQuotaExhausted),
        (b'{"error":{"message":"m","type":"rate_limit_error"}}', UpstreamRateLimited),
        (b'{"error":{"message":"m","status_code":503}}', UpstreamOverloaded),
        (b'{"error":{"message":"m","code":400}}', UpstreamRejected),
        (b'{"object":"error","message":"m","type":"BadRequestError","code":400}', UpstreamRejected),
        (b'[{"error":{"message":"m","code":503}}]', UpstreamOverloaded),
        (b'{"id":"1","choices":[{"delta":{},"finish_reason":"error"}],"error":{"code":502}}', UpstreamFailed),
        (b'{"id":"1","choices":[{"delta":{},"finish_reason":"insufficient_system_resource"}]}', UpstreamOverloaded),
    ],
)
def test_an_error_inside_the_stream(data: bytes, kind: type) -> None:
    events = decode(chunk(delta("a")), b"data: " + data + b"\n\n", chunk(delta("b")), DONE)
    assert events[:2] == [START, TextDelta("a")]
    (failed,) = events[2:]
    assert isinstance(failed, Failed)
    assert type(failed.error) is kind


def test_an_event_called_error() -> None:
    (failed,) = decode(b'event: error\ndata: {"message":"m","code":503}\n\n')
    assert isinstance(failed, Failed)
    assert type(failed.error) is UpstreamOverloaded


@pytest.mark.parametrize("data", [b"{", b"hello", b'{"choices":3}', b'"x"', b'{"id":"\xff"}'])
def test_a_frame_that_is_no_chunk_is_the_providers_fault(data: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        decode(b"data: " + data + b"\n\n")
