"""Events of other vendors become a stream that Anthropic's rules allow."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import UpstreamOverloaded, UpstreamProtocolError
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
from pulse_gateway.wire.anthropic_messages import AnthropicMessagesCodec
from pulse_gateway.wire.sse import SSEDecoder

CODEC = AnthropicMessagesCodec()
STARTED = Started("r-1", "gpt-x")
DONE = (Finished(FinishReason.STOP), Ended())


def frames(*events: Event) -> list[dict[str, Any]]:
    encoder = CODEC.encoder("alias", include_usage=False)
    sent = SSEDecoder().feed(b"".join(encoder.encode(event) for event in events))
    decoded: list[dict[str, Any]] = [msgspec.json.decode(frame.data) for frame in sent]
    assert [frame["type"] for frame in decoded] == [frame.event for frame in sent]
    return decoded


def blocks(*events: Event, reason: FinishReason = FinishReason.STOP) -> list[Any]:
    """What was sent between the head and the tail, shortened."""
    short: list[Any] = []
    for frame in frames(STARTED, *events, Finished(reason), Ended())[1:-2]:
        match frame:
            case {"type": "content_block_start", "index": index, "content_block": block}:
                short.append(("open", index, block["type"]))
            case {"type": "content_block_delta", "index": index, "delta": {"type": kind} as delta}:
                short.append((kind.removesuffix("_delta"), index, next(v for k, v in delta.items() if k != "type")))
            case {"type": "content_block_stop", "index": index}:
                short.append(("close", index))
    return short


def test_a_plain_stream() -> None:
    usage = Usage(input_tokens=5, cached_input_tokens=1, output_tokens=3, reasoning_tokens=2)
    assert frames(
        STARTED,
        TextDelta("Hi"),
        TextDelta(""),
        Finished(FinishReason.STOP_SEQUENCE, "END"),
        UsageReported(usage),
        Ended(),
    ) == [
        {
            "type": "message_start",
            "message": {
                "id": "r-1",
                "type": "message",
                "role": "assistant",
                "model": "gpt-x",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {"input_tokens": 0, "output_tokens": 0},
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "stop_sequence", "stop_sequence": "END"},
            "usage": {
                "input_tokens": 5,
                "output_tokens": 5,
                "cache_read_input_tokens": 1,
                "output_tokens_details": {"thinking_tokens": 2},
            },
        },
        {"type": "message_stop"},
    ]


def test_input_that_is_counted_before_the_start_is_in_the_start() -> None:
    first = frames(UsageReported(Usage(input_tokens=7, output_tokens=4)), STARTED)[0]
    assert first["message"]["usage"] == {"input_tokens": 7, "output_tokens": 0}


def test_every_piece_of_text_is_sent_at_once() -> None:
    encoder = CODEC.encoder("alias", include_usage=False)
    encoder.encode(STARTED)
    assert b'"text":"a"' in encoder.encode(TextDelta("a"))
    assert b'"text":"b"' in encoder.encode(TextDelta("b"))


def test_thinking_text_and_calls_are_blocks_of_their_own() -> None:
    assert blocks(
        ReasoningDelta("h"),
        ReasoningDelta("m"),
        ReasoningSigned("sig"),
        ReasoningSigned(redacted="XX"),
        ReasoningDelta("again"),
        TextDelta("a"),
        RefusalDelta("b"),
        ToolCallStarted(0, "call_1", "f"),
        ToolArgumentsDelta(0, "{}"),
        TextDelta("c"),
    ) == [
        ("open", 0, "thinking"),
        ("thinking", 0, "h"),
        ("thinking", 0, "m"),
        ("signature", 0, "sig"),
        ("close", 0),
        ("open", 1, "redacted_thinking"),
        ("close", 1),
        ("open", 2, "thinking"),
        ("thinking", 2, "again"),
        ("close", 2),
        ("open", 3, "text"),
        ("text", 3, "a"),
        ("text", 3, "b"),
        ("close", 3),
        ("open", 4, "tool_use"),
        ("input_json", 4, "{}"),
        ("close", 4),
        ("open", 5, "text"),
        ("text", 5, "c"),
        ("close", 5),
    ]


def test_a_signature_alone_is_a_thinking_block_without_text() -> None:
    assert blocks(ReasoningSigned("sig"), ReasoningSigned()) == [
        ("open", 0, "thinking"),
        ("signature", 0, "sig"),
        ("close", 0),
    ]


def test_calls_that_come_one_after_the_other_are_never_held_back() -> None:
    encoder = CODEC.encoder("alias", include_usage=False)
    for event in (STARTED, ToolCallStarted(0, "a", "f"), ToolArgumentsDelta(0, '{"x":'), ToolArgumentsDelta(0, "1} ")):
        assert encoder.encode(event)
    second = encoder.encode(ToolCallStarted(1, "b", "g"))
    assert b"content_block_stop" in second
    assert b'"name":"g"' in second
    assert b'"partial_json":"{}"' in encoder.encode(ToolArgumentsDelta(1, "{}"))


def test_fragments_of_interleaved_calls_wait_for_their_turn() -> None:
    assert blocks(
        ToolCallStarted(0, "a", "f"),
        ToolCallStarted(1, "b", "g"),
        ToolArgumentsDelta(0, '{"x"'),
        ToolArgumentsDelta(1, '{"y"'),
        ToolArgumentsDelta(0, ':{"z":1}'),
        ToolArgumentsDelta(1, ":2}"),
        ToolCallStarted(2, "c", "h"),
        ToolArgumentsDelta(0, "}"),
        ToolArgumentsDelta(2, "{}"),
    ) == [
        ("open", 0, "tool_use"),
        ("input_json", 0, '{"x"'),
        ("input_json", 0, ':{"z":1}'),
        ("input_json", 0, "}"),
        ("close", 0),
        ("open", 1, "tool_use"),
        ("input_json", 1, '{"y"'),
        ("input_json", 1, ":2}"),
        ("close", 1),
        ("open", 2, "tool_use"),
        ("input_json", 2, "{}"),
        ("close", 2),
    ]


def test_text_amid_an_unfinished_call_waits_too() -> None:
    assert blocks(
        ToolCallStarted(0, "a", "f"),
        ToolArgumentsDelta(0, '{"x"'),
        TextDelta("hm"),
        ToolArgumentsDelta(0, ":1}"),
        TextDelta("m"),
    ) == [
        ("open", 0, "tool_use"),
        ("input_json", 0, '{"x"'),
        ("input_json", 0, ":1}"),
        ("close", 0),
        ("open", 1, "text"),
        ("text", 1, "hm"),
        ("text", 1, "m"),
        ("close", 1),
    ]


UNFINISHED = (ToolCallStarted(0, "a", "f"), ToolArgumentsDelta(0, '{"x"'))


def test_a_call_that_never_becomes_an_object_is_an_error_of_the_provider() -> None:
    with pytest.raises(UpstreamProtocolError, match="call of 'f'"):
        blocks(*UNFINISHED)


def test_a_call_that_the_length_limit_has_cut_off_ends_where_it_was_cut() -> None:
    assert blocks(*UNFINISHED, reason=FinishReason.LENGTH) == [
        ("open", 0, "tool_use"),
        ("input_json", 0, '{"x"'),
        ("close", 0),
    ]


@pytest.mark.parametrize(
    "before",
    [(), (ToolCallStarted(0, "a", "f"), ToolArgumentsDelta(0, "{}"), TextDelta("t"))],
    ids=["no such call", "a call that is over"],
)
def test_arguments_that_belong_nowhere_are_an_error_of_the_provider(before: tuple[Event, ...]) -> None:
    assert blocks(*before, ToolArgumentsDelta(0, " ")) == blocks(*before)
    with pytest.raises(UpstreamProtocolError):
        blocks(*before, ToolArgumentsDelta(0, "garbage"))


def test_one_choice_is_all_there_is() -> None:
    assert blocks(TextDelta("a", choice=1), ToolCallStarted(0, "a", "f", choice=2), TextDelta("b")) == [
        ("open", 0, "text"),
        ("text", 0, "b"),
        ("close", 0),
    ]


def test_a_refusal_in_words_has_the_reason_refusal() -> None:
    assert frames(STARTED, RefusalDelta("no"), *DONE)[-2]["delta"]["stop_reason"] == "refusal"


def test_a_stream_without_head_or_reason_is_well_formed_all_the_same() -> None:
    assert [frame["type"] for frame in frames(Ended())] == ["message_start", "message_delta", "message_stop"]
    sent = frames(TextDelta("x"), Started("late", "m"), Ended())
    assert [frame["type"] for frame in sent[:2]] == ["message_start", "content_block_start"]
    assert sent[0]["message"]["model"] == "alias"
    assert sent[-2]["delta"]["stop_reason"] == "end_turn"


def test_logprobs_and_failures_say_nothing_by_themselves() -> None:
    encoder = CODEC.encoder("alias", include_usage=True)
    assert encoder.encode(LogprobsDelta((Logprob("a", -0.1),))) == b""
    assert encoder.encode(Failed(UpstreamOverloaded("x"))) == b""


def test_an_error_is_one_event() -> None:
    encoder = CODEC.encoder("alias", include_usage=True)
    (frame,) = SSEDecoder().feed(encoder.error(UpstreamOverloaded("the provider is overloaded"), "req-1"))
    assert frame.event == "error"
    assert msgspec.json.decode(frame.data) == {
        "type": "error",
        "error": {
            "type": "overloaded_error",
            "message": "the provider is overloaded",
            "details": {"error_code": "upstream_overloaded"},
        },
        "request_id": "req-1",
    }


def test_the_keep_alive_is_a_ping() -> None:
    assert CODEC.keep_alive is not None
    (frame,) = SSEDecoder().feed(CODEC.keep_alive)
    assert (frame.event, frame.data) == ("ping", b'{"type": "ping"}')


def test_ids_of_calls_are_written_in_the_vendors_characters() -> None:
    assert frames(STARTED, ToolCallStarted(0, "a/b", "f"), *DONE)[1]["content_block"]["id"] == "pulse-id_YS9i"
