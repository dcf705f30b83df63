"""Frames that are known by their bytes say, and show, what they would if each of them were parsed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pulse_gateway.wire.passthrough import Passthrough
from pulse_gateway.wire.registry import codec
from pulse_gateway.wire.sse import parse_event
from pulse_gateway.wire.text_run import NO_STRING, learn

OPENAI = codec("openai.chat")
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(['"', "\\", "\n", '","', '\\"', "stop", "a text of our own 1f0c", "مرحبا", '"},"finish_reason":']),
)
STYLES: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{"separators": (",", ":"), "ensure_ascii": False}, {"ensure_ascii": True}, {"ensure_ascii": False}]
)


class Parsed(Passthrough):
    """The reference: every frame is decoded."""

    def __init__(self, *, hide_usage: bool) -> None:
        super().__init__(OPENAI, "alias", hide_usage=hide_usage)
        self._plain_text = None


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    style: dict[str, Any] = draw(STYLES)
    usage, padded, created = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    blank = draw(st.sampled_from(["\n\n", "\n\n", "\r\n\r\n"]))
    frames: list[str] = []

    def add(choices: list[dict[str, Any]], said: Any = None) -> None:
        chunk: dict[str, Any] = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "content"}
        if created:
            chunk["created"] = len(frames) // 3
        chunk["choices"] = choices
        if usage or said:
            chunk["usage"] = said
        if padded:
            chunk["obfuscation"] = draw(st.text("abcXYZ019", max_size=6))
        frames.append("data: " + json.dumps(chunk, **style) + blank)

    add([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
    for text in draw(st.lists(TEXTS, max_size=12)):
        kind = draw(st.sampled_from(["content"] * 8 + ["refusal", "other", "comment", "twice", "call"]))
        delta: dict[str, Any] = {"content": text}
        index = 0
        if kind == "refusal":
            delta = {"refusal": text}
        elif kind == "other":
            index = 1
        elif kind == "comment":
            frames.append(": waiting" + blank)
        elif kind == "twice":
            delta = {"content": text, "annotations": [{"content": text}]}
        elif kind == "call":
            delta = {"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": text}}]}
        add([{"index": index, "delta": delta, "finish_reason": None}])
    add([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    add([], {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3})
    return "".join([*frames, "data: [DONE]" + blank]).encode("utf-8", "surrogatepass")


def _read(relay: Passthrough, slices: list[bytes]) -> tuple[bytes, object]:
    out = [item for each in slices for item in relay.feed(each)]
    out += [piece.item for piece in relay.finish()]
    reading = relay.reading
    seen = (reading.output_chars, reading.take_written(), reading.usage, reading.usage_is_final, reading.finish_reason)
    return b"".join(out), (seen, reading.ended, None if relay.broken is None else str(relay.broken))


@given(stream=streams(), data=st.data())
@settings(max_examples=150, deadline=None)
def test_frames_known_by_their_bytes_are_read_as_if_they_were_parsed(stream: bytes, data: st.DataObject) -> None:
    at_frames = [at + 2 for at in range(len(stream)) if stream.startswith(b"\n\n", at)]
    anywhere = st.lists(st.integers(0, len(stream)), max_size=8)
    cuts = sorted(data.draw(st.one_of(st.just(at_frames), st.just([]), anywhere)))
    slices = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    for hide_usage in (False, True):
        quick = _read(Passthrough(OPENAI, "alias", hide_usage=hide_usage), slices)
        slow = _read(Parsed(hide_usage=hide_usage), [stream])
        assert quick == slow
        assert hide_usage or quick[0] == stream


def _frame(token: bytes, *, more: bytes = b"") -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{"content":%b},"finish_reason":null}]%b}\n\n' % (token, more)


def _understand(raw: bytes) -> tuple[str | None, bytes]:
    decoder = OPENAI.decoder()
    decoder.decode(parse_event(_frame(b'""')))
    return decoder.plain_text(parse_event(raw)), raw  # type: ignore[attr-defined]


RUN = learn(_frame(b'"x"'), "x", _frame(b'"x"'), _understand)


@given(token=st.binary(max_size=40))
@example(b'"a"},"finish_reason":"stop"},{"index":1,"delta":{"content":"b"')
@example(b'"a","tool_calls":[{"index":0}]')
@example(b'"a"},"finish_reason":null}]}\n\ndata: [DONE]\n\ndata: {"choices":[{"index":0,"delta":{"content":"b"')
@example(b'"a')
@example(b"")
@example(b"null")
@settings(max_examples=300)
def test_what_is_no_single_string_is_no_frame_of_a_run(token: bytes) -> None:
    assert RUN is not None
    frame = _frame(token)
    within = frame.removeprefix(RUN.start).removesuffix(RUN.end)
    try:
        text = RUN.text_in(within)
    except NO_STRING:
        text = None
    try:
        said = json.loads(token)
    except ValueError:
        said = None
    assert text == (said if isinstance(said, str) else None)
    several = _frame(b'"one"') + frame
    assert (RUN.read(several) is None) == (text is None)


@pytest.mark.parametrize("cut", [b'"a"\n\n', b'"a" \n\n', b' "a"', b'"a"'])
def test_a_frame_that_lacks_what_is_around_the_others_is_none_of_a_run(cut: bytes) -> None:
    assert RUN is not None
    whole = _frame(b'"x"')
    for damaged in (RUN.start + cut, cut + RUN.end, cut):
        assert RUN.read(whole + damaged + whole) is None
        relay = Passthrough(OPENAI, "m")
        relay.feed(_frame(b'""'))
        relay.feed(whole)
        heard = relay.reading.output_chars
        relay.feed(damaged)
        assert relay.reading.output_chars == heard


def test_a_padding_beside_the_text_is_as_new_each_time() -> None:
    padded = [
        _frame(b'"%b"' % text, more=b',"obfuscation":"%b"' % pad) for text, pad in ((b"one", b"aB3"), (b"two", b""))
    ]
    run = learn(padded[0], "one", padded[0], _understand)
    assert run is not None
    assert run.read(b"".join(padded)) == ("onetwo", b"".join(padded))
    assert run.text_in(padded[1].removeprefix(run.start).removesuffix(run.end)) == "two"


def test_a_text_that_stands_in_two_places_is_told_apart_by_trying() -> None:
    frame = b'data: {"model":"hello","choices":[{"index":0,"delta":{"content":"hello"}}],"note":"hello"}\n\n'
    run = learn(frame, "hello", frame, _understand)
    assert run is not None
    assert run.start.endswith(b'"content":')
    assert learn(_frame(b'"x"'), "y", _frame(b'"x"'), _understand) is None
