"""Framing: whatever the slices, the same events, and not a byte lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulse_gateway.errors import UpstreamProtocolError
from pulse_gateway.wire.sse import ServerSentEvent, SSEDecoder, encode_event

ENDINGS = st.sampled_from([b"\n", b"\r\n", b"\r"])
TEXT = st.text(st.characters(exclude_characters="\r\n\x00", exclude_categories=["Cs"]), max_size=30)
LINES = st.one_of(
    st.builds(lambda text: b"data: " + text.encode(), TEXT),
    st.builds(lambda text: b"data:" + text.encode(), TEXT),
    st.builds(lambda text: b": " + text.encode(), TEXT),
    st.sampled_from([b"event: message_stop", b"id: 7", b"retry: 10", b"data", b"unknown: field"]),
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    end = draw(ENDINGS)
    frames = draw(st.lists(st.lists(LINES, min_size=1, max_size=4), max_size=6))
    return b"".join(b"".join(line + end for line in lines) + end for lines in frames)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[start:stop] for start, stop in zip([0, *places], [*places, len(data)], strict=True)]


def decode(slices: list[bytes]) -> list[ServerSentEvent]:
    decoder = SSEDecoder()
    return [event for piece in slices for event in decoder.feed(piece)] + decoder.finish()


@given(streams(), st.lists(st.integers(0, 10_000), max_size=20))
def test_any_split_gives_the_same_events(data: bytes, cuts: list[int]) -> None:
    assert decode(split(data, cuts)) == decode([data])


@given(streams())
def test_single_bytes_give_the_same_events(data: bytes) -> None:
    assert decode([data[place : place + 1] for place in range(len(data))]) == decode([data])


@given(streams(), st.lists(st.integers(0, 10_000), max_size=20))
def test_the_frames_joined_are_the_stream(data: bytes, cuts: list[int]) -> None:
    assert b"".join(event.raw for event in decode(split(data, cuts))) == data


@given(TEXT.filter(lambda text: not text.startswith(" ")), st.sampled_from([None, "message_start"]))
def test_what_is_encoded_is_decoded(text: str, event: str | None) -> None:
    (found,) = decode([encode_event(text.encode(), event)])
    assert (found.data, found.event) == (text.encode(), event or "")


def test_several_data_lines_are_joined_by_a_line_feed() -> None:
    (event,) = decode([b"data: a\ndata: b\n\n"])
    assert event.data == b"a\nb"


def test_a_byte_order_mark_before_the_first_event_is_not_part_of_it() -> None:
    assert decode([b"\xef\xbb\xbfdata: a\n\n"])[0].data == b"a"


def test_a_last_event_without_its_blank_line_is_heard() -> None:
    assert [event.data for event in decode([b"data: {}"])] == [b"{}"]


def test_an_event_beyond_the_bound_is_refused_and_one_within_it_is_not() -> None:
    decoder = SSEDecoder(max_event_bytes=1000)
    assert decoder.feed(b"data: " + b"x" * 900 + b"\n\n")
    with pytest.raises(UpstreamProtocolError):
        decoder.feed(b"data: " + b"x" * 1000)
