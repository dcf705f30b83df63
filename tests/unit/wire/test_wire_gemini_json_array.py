"""Gemini's streams as one JSON array."""

from __future__ import annotations

import json
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulse_gateway.wire.gemini.json_array import JsonArray

documents = st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=8) | st.integers(), max_size=3), max_size=5)


@settings(deadline=None, max_examples=60)
@given(documents, st.sampled_from(["\n\n", "\r\n\r\n"]), st.lists(st.integers(0, 400), max_size=6))
def test_any_split_of_the_events_is_the_same_array(answers: list[object], end: str, cuts: list[int]) -> None:
    frames = [b"data: " + msgspec.json.encode(answer) + end.encode() for answer in answers]
    stream = b": a comment\n\n" + b"".join(frames)
    places = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    array = JsonArray()
    said = b"".join(array.feed(stream[a:b]) for a, b in pairwise(places)) + array.finish()
    assert json.loads(said) == answers
    for answer in answers:
        assert msgspec.json.encode(answer) in said  # in its own bytes


@pytest.mark.parametrize("stream", [b"", b": ping\n\n"])
def test_nothing_is_an_empty_array(stream: bytes) -> None:
    array = JsonArray()
    assert json.loads(array.feed(stream) + array.finish()) == []
