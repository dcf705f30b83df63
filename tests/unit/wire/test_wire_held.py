"""What one stream may make the gateway remember is bounded, whatever the provider sends."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import UpstreamProtocolError
from pulse_gateway.types.events import Event, ReasoningDelta, Started, TextDelta, ToolArgumentsDelta, ToolCallStarted
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.held import MOST_PARTS
from pulse_gateway.wire.registry import codec, upstream_codec
from pulse_gateway.wire.sse import ServerSentEvent

MEBIBYTE = "x" * 2**20


def frame(value: Any) -> ServerSentEvent:
    data = msgspec.json.encode(value)
    return ServerSentEvent(data=data, event="", raw=b"data: " + data + b"\n\n")


def named(event: str, value: Any) -> ServerSentEvent:
    return ServerSentEvent(data=msgspec.json.encode(value), event=event, raw=b"")


def chat(delta: Any, index: int = 0) -> ServerSentEvent:
    return frame({"choices": [{"index": index, "delta": delta}]})


def call(index: int, arguments: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, "id": str(index), "function": {"name": "f", "arguments": arguments}}]}


def gemini(index: int, **members: Any) -> ServerSentEvent:
    return frame({"candidates": [{"index": index, **members}]})


ENDLESS = {
    "choices of a chat": ("openai.chat", (chat({"content": "a"}, n) for n in count())),
    "calls of a chat": ("openai.chat", (chat(call(n, "")) for n in count())),
    "arguments of a chat": ("openai.chat", (chat(call(0, MEBIBYTE)) for _ in count())),
    "blocks of a message": ("anthropic.messages", (frame({"type": "content_block_start", "index": n, "content_block": {"type": "thinking"}}) for n in count())),
    "calls of a converse stream": ("bedrock.converse", (named("contentBlockStart", {"contentBlockIndex": n, "start": {"toolUse": {"toolUseId": "a", "name": "f"}}}) for n in count())),
    "signatures of a converse stream": ("bedrock.converse", (named("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": MEBIBYTE}}}) for _ in count())),
    "candidates": ("gemini", (gemini(n) for n in count())),
    "searches": ("gemini", (gemini(0, groundingMetadata={"webSearchQueries": [f"{n}{MEBIBYTE}"]}) for n in count())),
}  # fmt: skip


@pytest.mark.parametrize("what", ENDLESS)
def test_an_answer_without_end_is_given_up(what: str) -> None:
    dialect, frames = ENDLESS[what]
    decoder = upstream_codec(dialect).decoder()
    with pytest.raises(UpstreamProtocolError):
        for each, _ in zip(frames, range(MOST_PARTS + 2), strict=False):
            decoder.decode(each)


def begun(*events: Event) -> Iterator[Event]:
    yield Started("1", "m")
    yield from events


@pytest.mark.parametrize(
    ("dialect", "before", "endless"),
    [
        ("openai.chat", (), ReasoningDelta(MEBIBYTE)),
        ("anthropic.messages", (ToolCallStarted(0, "a", "f"),), ToolArgumentsDelta(0, MEBIBYTE)),
        ("anthropic.messages", (ToolCallStarted(0, "a", "f"), TextDelta("b")), TextDelta(MEBIBYTE)),
        ("gemini", (ToolCallStarted(0, "a", "f"),), ToolArgumentsDelta(0, MEBIBYTE)),
    ],
)
def test_what_has_to_wait_for_more_waits_within_a_bound(
    dialect: str, before: tuple[Event, ...], endless: Event
) -> None:
    encoder = codec(dialect).encoder("m", include_usage=False)
    for event in begun(*before):
        encoder.encode(event)
    with pytest.raises(UpstreamProtocolError):
        for _ in range(20):
            encoder.encode(endless)


@pytest.mark.parametrize("streamed", [False, True])
def test_searches_that_gemini_names_are_counted_each_once(streamed: bool) -> None:
    grounded = {"groundingMetadata": {"webSearchQueries": ["a", "b"]}, "finishReason": "STOP"}
    counts = {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}}
    answer = {"candidates": [{"content": {"parts": [{"text": "t"}]}, **grounded}], **counts}
    if streamed:
        decoder = codec("gemini").decoder()
        events = [event for _ in range(2) for event in decoder.decode(frame(answer))]
        usage = next(event.usage for event in reversed(events) if hasattr(event, "usage"))
    else:
        usage = codec("gemini").decode_reply(msgspec.json.encode([answer, answer])).usage
    assert usage == Usage(input_tokens=3, output_tokens=2, searches=2)
