"""Frames that are known by their bytes are said to a client of another dialect as if each of them were parsed; and Anthropic's to its own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_property_text_run import STYLES, TEXTS, streams

from pulse_gateway.wire.codec import Codec
from pulse_gateway.wire.openai_chat.codec import OpenAIChatCodec
from pulse_gateway.wire.passthrough import Passthrough
from pulse_gateway.wire.registry import codec
from pulse_gateway.wire.relay import BytesRelay
from pulse_gateway.wire.translate import Translate

CLIENTS: dict[str, Codec] = {
    "openai.chat": OpenAIChatCodec(now=lambda: 1.0),
    "anthropic.messages": codec("anthropic.messages"),
    "gemini": codec("gemini"),
}
DELTAS = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
    "invented": ("text_delta", "text"),
}
STARTS: dict[str, dict[str, Any]] = {
    "text": {"text": ""},
    "thinking": {"thinking": "", "signature": ""},
    "tool_use": {"id": "t", "name": "f", "input": {}},
    "invented": {"x": 1},
}


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """A stream of Anthropic's, with blocks that interleave and frames that say other things."""
    style: dict[str, Any] = draw(STYLES)
    named = draw(st.sampled_from([True, True, True, False]))
    frames: list[str] = []

    def add(kind: str, **members: Any) -> None:
        event = f"event: {kind}\n" if named else ""
        frames.append(f"{event}data: {json.dumps({'type': kind, **members}, **style)}\n\n")

    add("message_start", message={"id": "m1", "model": "claude", "content": [], "usage": {"input_tokens": 3}})
    open_blocks: list[str] = []
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["text", "text", "text", *DELTAS]))
        index = len(open_blocks)
        open_blocks.append(kind)
        add("content_block_start", index=index, content_block={"type": kind, **STARTS[kind]})
        for text in draw(st.lists(TEXTS, max_size=8)):
            other = draw(st.sampled_from(["", "", "", "", "", "ping", "comment", "before", "more", "unknown"]))
            at = draw(st.integers(0, index)) if other == "before" else index
            delta, member = DELTAS[open_blocks[at]]
            if other == "ping":
                add("ping")
            elif other == "comment":
                frames.append(": waiting\n\n")
            more = {"note": text} if other == "more" else {}
            add(
                "content_block_delta",
                index=at,
                delta={"type": delta if other != "unknown" else "new", member: text, **more},
            )
        add("content_block_stop", index=index)
    add("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 5})
    add("message_stop")
    return "".join(frames).encode("utf-8", "surrogatepass")


def _cuts(data: st.DataObject, stream: bytes) -> list[bytes]:
    at_frames = [at + 2 for at in range(len(stream)) if stream.startswith(b"\n\n", at)]
    anywhere = st.lists(st.integers(0, len(stream)), max_size=8)
    several = st.integers(2, 5).map(lambda step: at_frames[::step])
    cuts = sorted(data.draw(st.one_of(st.just(at_frames), several, st.just([]), anywhere)))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def _read(relay: BytesRelay, slices: list[bytes]) -> tuple[bytes, object]:
    out = [item for each in slices for item in relay.feed(each)]
    out += [piece.item for piece in relay.finish()]
    reading = relay.reading
    seen = (reading.output_chars, reading.take_written(), reading.usage, reading.usage_is_final, reading.finish_reason)
    return b"".join(out), (
        seen,
        reading.ended,
        reading.says_something,
        reading.id,
        None if relay.broken is None else str(relay.broken),
    )


def _translated(upstream: str, client: str, slices: list[bytes], *, parsed: bool, usage: bool) -> tuple[bytes, object]:
    relay = Translate(codec(upstream), CLIENTS[client], "alias", "req_1", include_usage=usage)
    if parsed:
        relay._plain_text = None
    return _read(relay, slices)


@pytest.mark.parametrize("client", ["anthropic.messages", "gemini"])
@given(stream=streams(), data=st.data())
@settings(max_examples=80, deadline=None)
def test_chunks_are_said_in_another_dialect_as_if_each_were_parsed(
    client: str, stream: bytes, data: st.DataObject
) -> None:
    quick = _translated("openai.chat", client, _cuts(data, stream), parsed=False, usage=True)
    assert quick == _translated("openai.chat", client, [stream], parsed=True, usage=True)


@pytest.mark.parametrize("client", ["openai.chat", "gemini"])
@given(stream=messages(), usage=st.booleans(), data=st.data())
@settings(max_examples=80, deadline=None)
def test_events_are_said_in_another_dialect_as_if_each_were_parsed(
    client: str, stream: bytes, usage: bool, data: st.DataObject
) -> None:
    quick = _translated("anthropic.messages", client, _cuts(data, stream), parsed=False, usage=usage)
    assert quick == _translated("anthropic.messages", client, [stream], parsed=True, usage=usage)


@given(stream=messages(), data=st.data())
@settings(max_examples=80, deadline=None)
def test_events_go_through_and_are_read_as_if_each_were_parsed(stream: bytes, data: st.DataObject) -> None:
    quick = _read(Passthrough(codec("anthropic.messages"), "alias"), _cuts(data, stream))
    reference = Passthrough(codec("anthropic.messages"), "alias")
    reference._plain_text = None
    assert quick == _read(reference, [stream])
    assert quick[0] == stream


def test_a_run_is_left_where_the_moderated_way_is_taken() -> None:
    frame = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}\n\n'
    call = b'data: {"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t","function":{"name":"f"}}]}}]}\n\n'
    slices = [frame % b"one", frame % b"two", call, frame % b"three"]
    quick, plain = (
        Translate(codec("openai.chat"), CLIENTS["anthropic.messages"], "alias", "req_1", include_usage=True)
        for _ in range(2)
    )
    plain._plain_text = None
    for place, each in enumerate(slices):
        relay_items = [piece.item for piece in quick.feed_pieces(each)] if place == 2 else quick.feed(each)
        assert b"".join(relay_items) == b"".join(plain.feed(each))
