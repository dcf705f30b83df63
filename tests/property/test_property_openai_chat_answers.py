"""Laws of Chat Completions answers, whatever the content and the slices."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from openai_chat_values import CODEC, EXAMPLES, arguments, names, texts, usages

from pulse_gateway.errors import UpstreamProtocolError
from pulse_gateway.types.chat import (
    ChatReply,
    Choice,
    FinishReason,
    Logprob,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from pulse_gateway.types.events import (
    Ended,
    Event,
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
from pulse_gateway.wire.sse import SSEDecoder

# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@st.composite
def choices(draw: st.DrawFn, index: int) -> Choice:
    """What one choice may hold, in the order in which chat can say it."""
    parts: list[Part] = [
        kind(text)
        for kind, text in zip(
            (ReasoningPart, TextPart, RefusalPart), draw(st.tuples(*[st.none() | texts] * 3)), strict=True
        )
        if text is not None
    ]
    calls = draw(st.lists(st.builds(ToolCallPart, st.none(), names, arguments(), st.none() | names), max_size=3))  # type: ignore[arg-type]
    parts += [
        ToolCallPart(f"call_{index}_{position}", call.name, call.arguments, call.signature)
        for position, call in enumerate(calls)
    ]
    reasons = [
        FinishReason.LENGTH,
        FinishReason.CONTENT_FILTER,
        FinishReason.TOOL_CALLS if calls else FinishReason.STOP,
    ]
    probability = st.floats(-20, 0)
    top = st.lists(st.tuples(texts, probability), max_size=2).map(tuple)
    logprobs = draw(
        st.none() | st.lists(st.builds(Logprob, texts, probability, top), min_size=1, max_size=3).map(tuple)
    )
    return Choice(index=index, parts=tuple(parts), finish_reason=draw(st.sampled_from(reasons)), logprobs=logprobs)


@st.composite
def replies(draw: st.DrawFn) -> ChatReply:
    count = draw(st.integers(1, 3))
    return ChatReply(
        id=draw(names),
        model=draw(names),
        created=draw(st.integers(1, 2**33)),
        choices=tuple(draw(choices(index)) for index in range(count)),
        usage=draw(usages),
    )


def pieces(draw: st.DrawFn, text: str) -> list[str]:
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(text) - 1)), max_size=3)))
    return [piece for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True) if (piece := text[start:end])]


def events_of(draw: st.DrawFn, choice: Choice) -> list[Event]:
    """A stream of one choice, its texts cut anywhere."""
    events: list[Event] = []
    position = 0
    for part in choice.parts:
        match part:
            case TextPart():
                events += [TextDelta(piece, choice.index) for piece in pieces(draw, part.text)]
            case ReasoningPart():
                events += [ReasoningDelta(piece, choice.index) for piece in pieces(draw, part.text)]
            case RefusalPart():
                events += [RefusalDelta(piece, choice.index) for piece in pieces(draw, part.text)]
            case ToolCallPart():
                events.append(ToolCallStarted(position, part.id, part.name, part.signature, choice.index))
                events += [ToolArgumentsDelta(position, piece, choice.index) for piece in pieces(draw, part.arguments)]
                position += 1
    events += [LogprobsDelta((entry,), choice.index) for entry in choice.logprobs or ()]
    assert choice.finish_reason is not None
    return [*events, Finished(choice.finish_reason, choice=choice.index)]


@st.composite
def streams(draw: st.DrawFn) -> tuple[ChatReply, list[Event]]:
    """A reply and a stream of it, with its choices interleaved."""
    reply = draw(replies())
    queues = [events_of(draw, choice) for choice in reply.choices]
    events: list[Event] = [Started(reply.id, reply.model, reply.created)]
    while queues:
        queue = draw(st.sampled_from(queues))
        events.append(queue.pop(0))
        queues = [rest for rest in queues if rest]
    assert reply.usage is not None
    return reply, [*events, UsageReported(reply.usage), Ended()]


def fold(events: list[Event]) -> ChatReply:
    """The reply that a whole stream amounts to."""
    started = events[0]
    assert isinstance(started, Started)
    assert isinstance(events[-1], Ended)
    assert sum(isinstance(event, Ended) for event in events) == 1
    usage = None
    said: dict[int, dict[str, Any]] = {}
    for event in events[1:-1]:
        if isinstance(event, UsageReported):
            usage = event.usage
            continue
        heard = said.setdefault(event.choice, {"texts": {}, "calls": [], "logprobs": (), "finish": None})  # type: ignore[attr-defined]
        match event:
            case TextDelta():
                heard["texts"][TextPart] = heard["texts"].get(TextPart, "") + event.text
            case ReasoningDelta():
                heard["texts"][ReasoningPart] = heard["texts"].get(ReasoningPart, "") + event.reasoning
            case RefusalDelta():
                heard["texts"][RefusalPart] = heard["texts"].get(RefusalPart, "") + event.refusal
            case ToolCallStarted():
                assert event.index == len(heard["calls"])
                heard["calls"].append([event.id, event.name, "", event.signature])
            case ToolArgumentsDelta():
                heard["calls"][event.index][2] += event.fragment
            case LogprobsDelta():
                heard["logprobs"] += event.logprobs
            case Finished():
                assert heard["finish"] is None
                heard["finish"] = event.reason
    kinds = (ReasoningPart, TextPart, RefusalPart)
    return ChatReply(
        id=started.id,
        model=started.model,
        created=started.created,
        usage=usage,
        choices=tuple(
            Choice(
                index=index,
                parts=(
                    *(kind(heard["texts"][kind]) for kind in kinds if kind in heard["texts"]),
                    *(ToolCallPart(*call) for call in heard["calls"]),
                ),
                finish_reason=heard["finish"],
                logprobs=heard["logprobs"] or None,
            )
            for index, heard in sorted(said.items())
        ),
    )


def encode(events: list[Event], *, include_usage: bool) -> bytes:
    encoder = CODEC.encoder("asked", include_usage=include_usage)
    return b"".join(encoder.encode(event) for event in events)


def decode(slices: list[bytes]) -> list[Event]:
    decoder, sse = CODEC.decoder(), SSEDecoder()
    events = [event for data in slices for frame in sse.feed(data) for event in decoder.decode(frame)]
    events += [event for frame in sse.finish() for event in decoder.decode(frame)]
    return events + decoder.finish()


@EXAMPLES
@given(replies())
def test_a_reply_written_and_read_is_the_same_reply(reply: ChatReply) -> None:
    assert CODEC.decode_reply(CODEC.encode_reply(reply)) == reply


@EXAMPLES
@given(streams())
def test_a_stream_written_and_read_amounts_to_the_whole_reply(stream: tuple[ChatReply, list[Event]]) -> None:
    reply, events = stream
    assert fold(events) == reply
    told = decode([encode(events, include_usage=True)])
    assert fold(told) == reply
    assert fold(told) == CODEC.decode_reply(CODEC.encode_reply(reply))


@EXAMPLES
@given(streams())
def test_a_stream_whose_usage_is_hidden_is_the_stream_without(stream: tuple[ChatReply, list[Event]]) -> None:
    _, events = stream
    frames = SSEDecoder().feed(encode(events, include_usage=True))
    assert b"".join(CODEC.hide_usage(frame) for frame in frames) == encode(events, include_usage=False)


@EXAMPLES
@given(streams(), st.data())
def test_however_a_stream_is_sliced_it_tells_the_same(
    stream: tuple[ChatReply, list[Event]], data: st.DataObject
) -> None:
    _, events = stream
    sent = encode(events, include_usage=True)
    if data.draw(st.booleans()):
        sent = sent.replace(b"\n", b"\r\n")
    cuts = sorted(data.draw(st.sets(st.integers(0, len(sent)), max_size=20)))
    slices = [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    assert decode(slices) == decode([sent])


@EXAMPLES
@given(streams(), st.data())
def test_a_stream_cut_anywhere_ends_only_if_every_choice_has(
    stream: tuple[ChatReply, list[Event]], data: st.DataObject
) -> None:
    reply, events = stream
    sent = encode(events, include_usage=True)
    try:
        told = decode([sent[: data.draw(st.integers(0, len(sent)))]])
    except UpstreamProtocolError:
        return  # cut inside a frame, after what might have been its end
    finished = {event.choice for event in told if isinstance(event, Finished)}
    begun = {choice for event in told if (choice := getattr(event, "choice", None)) is not None}
    if any(isinstance(event, Ended) for event in told):
        assert finished >= begun
        assert finished <= {choice.index for choice in reply.choices}
    else:
        assert not finished
