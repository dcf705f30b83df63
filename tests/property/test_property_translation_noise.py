"""Whatever clients and providers write, translation answers with a value or with an error of its own."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from translation_answers import ANSWERS
from translation_bodies import BODIES
from translation_harness import PAIRS, deployment, sent

from pulse_gateway.errors import InvalidRequest, UpstreamError
from pulse_gateway.wire.registry import codec
from pulse_gateway.wire.translate import Translate

numbers = (
    st.integers()
    | st.sampled_from((10**400, -(10**30), 2**63, 1e300))
    | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    st.none()
    | st.booleans()
    | numbers
    | st.text(max_size=8)
    | st.sampled_from(("text", "image", "function", "{", "a/b")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def damaged(data: st.DataObject, value: Any) -> Any:
    """`value` with one member or item, anywhere in it, replaced by anything, or with one more."""
    if not isinstance(value, dict | list) or not value or data.draw(st.integers(0, 5)) == 0:
        return data.draw(values)
    place: Any = data.draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
    copy = dict(value) if isinstance(value, dict) else list(value)
    if isinstance(copy, dict) and data.draw(st.integers(0, 7)) == 0:
        copy[data.draw(st.text(max_size=5) | st.just("type"))] = data.draw(values)
    else:
        copy[place] = damaged(data, value[place])
    return copy


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@given(data=st.data())
@settings(max_examples=60)
def test_a_damaged_request_is_sent_or_refused(client: str, upstream: str, data: st.DataObject) -> None:
    body = damaged(data, data.draw(BODIES[client]()))
    if not isinstance(body, dict):
        body = {"messages": body}
    try:
        prepared = sent(client, body, deployment(upstream), stream=data.draw(st.booleans()))
    except InvalidRequest as error:
        assert error.message
    else:
        assert isinstance(msgspec.json.decode(prepared.request.body), dict)


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@given(data=st.data())
@settings(max_examples=40)
def test_a_damaged_answer_is_translated_or_an_error_of_the_provider(
    client: str, upstream: str, data: st.DataObject
) -> None:
    whole = damaged(data, msgspec.json.decode(data.draw(ANSWERS[upstream]()).whole))
    try:
        reply = codec(client).encode_reply(codec(upstream).decode_reply(msgspec.json.encode(whole)))
    except UpstreamError as error:
        assert error.message
    else:
        assert isinstance(msgspec.json.decode(reply), dict)


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@given(data=st.data())
@settings(max_examples=40)
def test_a_damaged_stream_is_translated_or_an_error_of_the_provider(
    client: str, upstream: str, data: st.DataObject
) -> None:
    frames = data.draw(ANSWERS[upstream]()).frames
    place = data.draw(st.integers(0, len(frames) - 1))
    before, mark, rest = frames[place].partition(b"data: ")
    text = rest.strip()
    damage = data.draw(st.sampled_from(("value", "cut", "lost")))
    if damage == "value" and text != b"[DONE]":
        text = msgspec.json.encode(damaged(data, msgspec.json.decode(text)))
    elif damage == "cut":
        text = text[: data.draw(st.integers(0, len(text)))]
    frames[place] = b"" if damage == "lost" else before + mark + text + b"\n\n"
    relay = Translate(codec(upstream), codec(client), "alias", "req_1", include_usage=True)
    output = b"".join([*relay.feed(b"".join(frames)), *(piece.item for piece in relay.finish())])
    if relay.broken is not None:
        output += relay.render_error(relay.broken, "req_1")
    assert output.count(b'"request_id":"req_1"') == int(relay.broken is not None or relay.reading.failed is not None)
