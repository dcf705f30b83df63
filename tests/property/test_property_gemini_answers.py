"""What holds for every Gemini answer and stream."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
from gemini_values import CODEC, counts, dumps, encoded, json_objects, json_values, names, quick, some_text
from hypothesis import given
from hypothesis import strategies as st

from pulse_gateway.errors import PulseError, UpstreamError
from pulse_gateway.types.chat import (
    ChatReply,
    Choice,
    FinishReason,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from pulse_gateway.types.events import (
    Ended,
    Event,
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
from pulse_gateway.wire.gemini.errors import upstream_error
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.sse import ServerSentEvent, SSEDecoder

finishes = st.sampled_from([FinishReason.STOP, FinishReason.LENGTH, FinishReason.CONTENT_FILTER])
replies_parts: st.SearchStrategy[list[Part]] = st.lists(
    st.builds(TextPart, some_text)
    | st.builds(ReasoningPart, some_text, encoded.map("gemini:".__add__))
    | st.builds(
        ToolCallPart,
        names.map("id-".__add__),
        names,
        json_objects.map(lambda value: dumps(value).decode()),
        st.none() | encoded,
    ),
    max_size=4,
).filter(lambda parts: not any(map(lambda a, b: isinstance(a, TextPart) and isinstance(b, TextPart), parts, parts[1:])))
usages = st.builds(
    Usage,
    input_tokens=st.integers(0, 10_000),
    cached_input_tokens=counts,
    output_tokens=st.integers(0, 10_000),
    reasoning_tokens=counts,
    audio_input_tokens=counts,
    image_output_tokens=counts,
)


@st.composite
def replies(draw: st.DrawFn) -> ChatReply:
    choices = []
    for index in range(draw(st.integers(1, 3))):
        parts = tuple(draw(replies_parts))
        called = any(isinstance(part, ToolCallPart) for part in parts)
        finish = draw(finishes)
        finish = FinishReason.TOOL_CALLS if called and finish is FinishReason.STOP else finish
        choices.append(Choice(index=index, parts=parts, finish_reason=finish))
    return ChatReply(id=draw(names), model=draw(names), choices=tuple(choices), usage=draw(st.none() | usages))


@quick
@given(replies())
def test_an_answer_says_the_same_after_it_went_there_and_back(reply: ChatReply) -> None:
    assert CODEC.decode_reply(CODEC.encode_reply(reply)) == reply


# ── streams ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def events_of(reply: ChatReply, cut: Any) -> list[Event]:
    """`reply` as a stream; `cut(text)` says in which pieces a text comes."""
    events: list[Event] = [Started(reply.id, reply.model)]
    for choice in reply.choices:
        calls = 0
        for part in choice.parts:
            if isinstance(part, TextPart):
                events += [TextDelta(piece, choice.index) for piece in cut(part.text)]
            elif isinstance(part, ReasoningPart):
                events += [ReasoningDelta(piece, choice.index) for piece in cut(part.text)]
                events.append(ReasoningSigned(part.signature, choice=choice.index))
            elif isinstance(part, ToolCallPart):
                events.append(ToolCallStarted(calls, part.id, part.name, part.signature, choice.index))
                events += [ToolArgumentsDelta(calls, piece, choice.index) for piece in cut(part.arguments)]
                calls += 1
        assert choice.finish_reason is not None
        events.append(Finished(choice.finish_reason, choice=choice.index))
    return [*events, *([UsageReported(reply.usage)] if reply.usage is not None else []), Ended()]


def fold(events: list[Event]) -> ChatReply:
    """The answer that a stream tells."""
    started = Started("", "")
    parts: dict[int, list[Part]] = {}
    finishes: dict[int, FinishReason] = {}
    usage: Usage | None = None
    for event in events:
        held = parts.setdefault(getattr(event, "choice", 0), [])
        last = held[-1] if held else None
        if isinstance(event, Started):
            started = event
        elif isinstance(event, TextDelta):
            if isinstance(last, TextPart):
                held[-1] = TextPart(last.text + event.text)
            else:
                held.append(TextPart(event.text))
        elif isinstance(event, ReasoningDelta):
            if isinstance(last, ReasoningPart) and last.signature is None:
                held[-1] = ReasoningPart(last.text + event.reasoning)
            else:
                held.append(ReasoningPart(event.reasoning))
        elif isinstance(event, ReasoningSigned):
            assert isinstance(last, ReasoningPart)
            held[-1] = ReasoningPart(last.text, event.signature)
        elif isinstance(event, ToolCallStarted):
            held.append(ToolCallPart(event.id, event.name, "", event.signature))
        elif isinstance(event, ToolArgumentsDelta):
            calls = [place for place, part in enumerate(held) if isinstance(part, ToolCallPart)]
            call = held[calls[event.index]]
            assert isinstance(call, ToolCallPart)
            held[calls[event.index]] = msgspec.structs.replace(call, arguments=call.arguments + event.fragment)
        elif isinstance(event, Finished):
            finishes[event.choice] = event.reason
        elif isinstance(event, UsageReported):
            usage = event.usage
    choices = tuple(
        Choice(index=index, parts=tuple(parts[index]), finish_reason=finishes.get(index)) for index in sorted(parts)
    )
    return ChatReply(id=started.id, model=started.model, choices=choices, usage=usage)


def decode_stream(slices: list[bytes]) -> list[Event]:
    frames, decoder = SSEDecoder(), CODEC.decoder()
    events: list[Event] = []
    for data in slices:
        for frame in frames.feed(data):
            events += decoder.decode(frame)
    for frame in frames.finish():
        events += decoder.decode(frame)
    return events + decoder.finish()


def cuts(data: st.DataObject) -> Any:
    def cut(written: str) -> list[str]:
        at = sorted(data.draw(st.lists(st.integers(0, len(written)), max_size=3)))
        return [written[start:end] for start, end in zip([0, *at], [*at, len(written)], strict=True)]

    return cut


def encode_stream(events: list[Event]) -> bytes:
    encoder = CODEC.encoder("m", include_usage=True)
    return b"".join(encoder.encode(event) for event in events)


@quick
@given(replies(), st.data())
def test_a_stream_tells_the_same_answer_after_it_went_there_and_back(reply: ChatReply, data: st.DataObject) -> None:
    events = events_of(reply, cuts(data))
    back = decode_stream([encode_stream(events)])

    assert fold(back) == fold(events) == reply
    assert isinstance(back[-1], Ended)


@quick
@given(replies(), st.lists(st.integers(0, 4000), max_size=12), st.data())
def test_any_split_of_the_bytes_gives_the_same_events(reply: ChatReply, at: list[int], data: st.DataObject) -> None:
    output = encode_stream(events_of(reply, cuts(data)))
    places = sorted({0, len(output), *(place for place in at if place < len(output))})
    slices = [output[start:end] for start, end in pairwise(places)]

    assert decode_stream(slices) == decode_stream([output])
    assert decode_stream([output[n : n + 1] for n in range(len(output))]) == decode_stream([output])


@quick
@given(replies(), st.data())
def test_a_stream_of_the_vendor_s_tells_what_the_whole_answer_says(reply: ChatReply, data: st.DataObject) -> None:
    """The parts of a whole answer, dealt out over frames as the vendor does."""
    whole = msgspec.json.decode(CODEC.encode_reply(reply))
    frames: list[dict[str, Any]] = []
    for candidate in whole["candidates"]:
        for part in candidate["content"]["parts"]:
            pieces = [part]
            if "text" in part:
                *before, last = cuts(data)(part["text"])
                flags = {"thought": True} if part.get("thought") else {}
                pieces = [{"text": piece, **flags} for piece in before] + [{**part, "text": last}]
            frames += [
                {"candidates": [{"index": candidate["index"], "content": {"parts": [piece]}}]} for piece in pieces
            ]
    last_frame = {name: member for name, member in whole.items() if name != "candidates"}
    last_frame["candidates"] = [
        {"index": candidate["index"], "finishReason": candidate["finishReason"]} for candidate in whole["candidates"]
    ]
    told = [{**frame, "responseId": reply.id, "modelVersion": reply.model} for frame in (*frames, last_frame)]
    stream = b"".join(b"data: " + dumps(frame) + b"\r\n\r\n" for frame in told)

    assert fold(decode_stream([stream])) == CODEC.decode_reply(CODEC.encode_reply(reply)) == reply


@quick
@given(st.binary(max_size=60) | json_values.map(dumps) | json_objects.map(lambda error: dumps({"error": error})))
def test_whatever_an_upstream_sends_is_at_worst_its_own_fault(data: bytes) -> None:
    assert isinstance(upstream_error(500, (), data), UpstreamError)
    for read in (
        lambda: CODEC.decode_reply(data),
        lambda: CODEC.read_reply(data, Reading()),
        lambda: CODEC.decoder().decode(ServerSentEvent(data, "", data)),
    ):
        try:
            read()
        except PulseError as error:
            assert isinstance(error, UpstreamError)
