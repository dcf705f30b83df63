"""Laws of streamed Messages answers, both ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from anthropic_values import CODEC, json_objects, json_values, texts, tokens
from hypothesis import given, settings
from hypothesis import strategies as st

from pulse_gateway.errors import UpstreamError
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
from pulse_gateway.wire.sse import ServerSentEvent, SSEDecoder, encode_event


def fold(events: Sequence[Event]) -> ChatReply:
    """A stream's events as one reply: what a reader of the stream ends up with."""
    parts: list[Part] = []
    calls: dict[int, int] = {}
    reply = ChatReply(id="", model="", choices=())
    finished = Finished(FinishReason.STOP)
    open_thought = False
    for event in events:
        thinking, open_thought = open_thought, False
        match event:
            case Started(message_id, model):
                reply = msgspec.structs.replace(reply, id=message_id, model=model)
            case TextDelta(text):
                if parts and isinstance(parts[-1], TextPart):
                    text = parts.pop().text + text  # type: ignore[union-attr]
                parts.append(TextPart(text))
            case ReasoningDelta(reasoning):
                before = parts.pop().text if thinking else ""  # type: ignore[union-attr]
                parts.append(ReasoningPart(before + reasoning))
                open_thought = True
            case ReasoningSigned(signature, redacted):
                before = parts.pop().text if thinking and redacted is None else ""  # type: ignore[union-attr]
                parts.append(ReasoningPart(before, signature=signature, redacted=redacted))
            case ToolCallStarted(index, call_id, name):
                calls[index] = len(parts)
                parts.append(ToolCallPart(call_id, name, ""))
            case ToolArgumentsDelta(index, fragment):
                call = parts[calls[index]]
                assert isinstance(call, ToolCallPart)
                parts[calls[index]] = msgspec.structs.replace(call, arguments=call.arguments + fragment)
                open_thought = thinking
            case UsageReported(usage):
                reply = msgspec.structs.replace(reply, usage=usage)
            case Finished():
                finished = event
    choice = Choice(parts=tuple(parts), finish_reason=finished.reason, stop_sequence=finished.stop_sequence)
    return msgspec.structs.replace(reply, choices=(choice,))


# ── streams of the vendor ─────────────────────────────────────────────────────────────────────────────────────────────

wire_blocks = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": st.text(max_size=12)}),
    st.fixed_dictionaries({"type": st.just("thinking"), "thinking": st.text(max_size=12), "signature": texts}),
    st.fixed_dictionaries({"type": st.just("redacted_thinking"), "data": texts}),
    st.fixed_dictionaries({"type": st.just("tool_use"), "id": texts, "name": texts, "input": json_objects}),
    st.fixed_dictionaries({"type": st.just("server_tool_use"), "id": texts, "input": json_objects}),
    st.fixed_dictionaries({"type": st.just("hologram"), "text": json_values}),
)
wire_usages = st.fixed_dictionaries(
    {"input_tokens": tokens, "output_tokens": tokens},
    optional={
        "cache_read_input_tokens": tokens,
        "cache_creation_input_tokens": tokens,
        "output_tokens_details": st.fixed_dictionaries({"thinking_tokens": tokens}),
    },
)
wire_messages = st.fixed_dictionaries(
    {
        "id": texts,
        "type": st.just("message"),
        "role": st.just("assistant"),
        "model": texts,
        "content": st.lists(wire_blocks, max_size=5),
        "stop_reason": st.sampled_from(["end_turn", "tool_use", "max_tokens", "refusal", "invented_tomorrow"]),
        "stop_sequence": st.none() | texts,
        "usage": wire_usages,
    }
)


def pieces_of(text: str, draw: st.DrawFn) -> list[str]:
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def named(kind: str, **members: Any) -> bytes:
    return encode_event(msgspec.json.encode({"type": kind, **members}), kind)


@st.composite
def streams(draw: st.DrawFn) -> tuple[dict[str, Any], bytes]:
    """A message, and a stream of the same content."""
    message = draw(wire_messages)
    start = message | {"content": [], "stop_reason": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
    frames = [named("message_start", message=start)]
    for index, block in enumerate(message["content"]):
        opening, deltas = dict(block), []
        match block["type"]:
            case "text":
                opening["text"] = ""
                deltas = [{"type": "text_delta", "text": piece} for piece in pieces_of(block["text"], draw)]
            case "thinking":
                opening |= {"thinking": "", "signature": ""}
                deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces_of(block["thinking"], draw)]
                deltas.append({"type": "signature_delta", "signature": block["signature"]})
            case "tool_use" | "server_tool_use" if draw(st.booleans()):
                opening["input"] = {}
                arguments = msgspec.json.encode(block["input"]).decode()
                deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces_of(arguments, draw)]
        frames.append(named("content_block_start", index=index, content_block=opening))
        if draw(st.booleans()):
            frames.append(b'event: ping\r\ndata: {"type": "ping"}\r\n\r\n')
        frames += [named("content_block_delta", index=index, delta=delta) for delta in deltas]
        frames.append(named("content_block_stop", index=index))
    stop = {name: message[name] for name in ("stop_reason", "stop_sequence")}
    frames.append(named("message_delta", delta=stop, usage=message["usage"]))
    frames.append(named("message_stop"))
    return message, b"".join(frames)


def decoded(chunks: Sequence[bytes]) -> list[Event]:
    frames, decoder = SSEDecoder(), CODEC.decoder()
    events = [event for chunk in chunks for frame in frames.feed(chunk) for event in decoder.decode(frame)]
    events += [event for frame in frames.finish() for event in decoder.decode(frame)]
    return events + decoder.finish()


@given(streams(), st.data())
@settings(max_examples=60)
def test_any_slicing_of_a_stream_gives_the_same_events(stream: tuple[Any, bytes], data: st.DataObject) -> None:
    _, body = stream
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=20)))
    chunks = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert decoded(chunks) == decoded([body])


@given(streams())
@settings(max_examples=120)
def test_a_stream_folds_to_the_answer_in_one_piece(stream: tuple[dict[str, Any], bytes]) -> None:
    message, body = stream
    events = decoded([body])
    assert isinstance(events[0], Started)
    assert events[-1] == Ended()
    assert fold(events) == CODEC.decode_reply(msgspec.json.encode(message))


# ── streams of other vendors ──────────────────────────────────────────────────────────────────────────────────────────


@st.composite
def foreign_events(draw: st.DrawFn) -> list[Event]:
    """Texts, thoughts and up to four calls whose fragments interleave in any way."""
    pending: dict[int, list[Event]] = {}
    events: list[Event] = [Started("r", "m")]
    calls = 0
    for _ in range(draw(st.integers(0, 14))):
        step = draw(st.sampled_from(["text", "think", "sign", "redact", "call", "more", "more"]))
        if step == "text":
            events.append(TextDelta(draw(texts)))
        elif step == "think":
            events.append(ReasoningDelta(draw(texts)))
        elif step == "sign":
            events.append(ReasoningSigned(draw(texts)))
        elif step == "redact":
            events.append(ReasoningSigned(redacted=draw(texts)))
        elif step == "call" and calls < 4:
            events.append(ToolCallStarted(calls, draw(texts), draw(texts)))
            arguments = msgspec.json.encode(draw(json_objects)).decode()
            pending[calls] = [ToolArgumentsDelta(calls, piece) for piece in pieces_of(arguments, draw)]
            calls += 1
        elif step == "more" and (open_calls := [call for call, rest in pending.items() if rest]):
            events.append(pending[draw(st.sampled_from(open_calls))].pop(0))
    for rest in pending.values():
        events += rest
    usage = Usage(input_tokens=draw(tokens), output_tokens=draw(tokens), reasoning_tokens=draw(st.none() | tokens))
    return [*events, Finished(draw(st.sampled_from(FinishReason))), UsageReported(usage), Ended()]


def written(events: Sequence[Event]) -> bytes:
    encoder = CODEC.encoder("alias", include_usage=True)
    return b"".join(encoder.encode(event) for event in events)


@given(foreign_events())
@settings(max_examples=150)
def test_whatever_interleaves_nothing_is_lost_or_reordered(events: list[Event]) -> None:
    assert fold(decoded([written(events)])) == fold(events)


@given(foreign_events())
@settings(max_examples=80)
def test_one_block_is_open_at_a_time_and_none_is_reopened(events: list[Event]) -> None:
    current, seen = None, -1
    kinds = []
    for frame in SSEDecoder().feed(written(events)):
        body = msgspec.json.decode(frame.data)
        kinds.append(body["type"])
        match body["type"]:
            case "content_block_start":
                assert current is None
                current = seen = seen + 1
                assert body["index"] == current
            case "content_block_delta":
                assert body["index"] == current
            case "content_block_stop":
                assert body["index"] == current
                current = None
    assert current is None
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]


# ── noise ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(
    st.sampled_from(["message_start", "content_block_start", "content_block_delta", "message_delta", "error", "x", ""]),
    json_values.map(msgspec.json.encode) | json_objects.map(msgspec.json.encode) | st.binary(max_size=30),
)
@settings(max_examples=150)
def test_noise_in_a_stream_is_passed_over_or_a_protocol_error(kind: str, data: bytes) -> None:
    try:
        CODEC.decoder().decode(ServerSentEvent(data, kind, b""))
    except UpstreamError as error:
        assert error.code == "upstream_bad_response"
