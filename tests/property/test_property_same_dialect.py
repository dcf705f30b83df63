"""Within one dialect nothing is said again: what the vendor gets, and what the client gets, is what the other one wrote."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from translation_answers import ANSWERS
from translation_bodies import BODIES

from pulse_gateway.pipeline.exchange import Exchange, Inbound
from pulse_gateway.pipeline.prepare import prepare
from pulse_gateway.providers.registry import provider
from pulse_gateway.types.catalog import Deployment, Model
from pulse_gateway.wire.passthrough import Passthrough
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.registry import DIALECTS, codec

# A vendor of each dialect that has no deviations to declare.
VENDORS = {
    "openai.chat": ("openai_compatible", Model(provider="openai_compatible", name="their-model")),
    "openai.responses": ("openai", Model(provider="openai", name="gpt-r")),
    "anthropic.messages": ("anthropic", Model(provider="anthropic", name="claude-x")),
    "gemini": ("google", Model(provider="google", name="gemini-2.5-pro")),
}
ANOTHERS = (b'"extra_content"', b'"pulse:')  # another vendor's proofs, which OpenAI is not shown
STYLES: tuple[dict[str, Any], ...] = ({"ensure_ascii": False}, {"indent": 2}, {"separators": (",", ":")})
UNHEARD_OF: tuple[dict[str, Any], ...] = ({}, {"invented_tomorrow": {"a": [1.0, 1e100, None]}, "é": "\u2028"})


@pytest.mark.parametrize("dialect", DIALECTS)
@given(data=st.data())
@settings(max_examples=25)
def test_only_the_model_is_another_one(dialect: str, data: st.DataObject) -> None:
    body: dict[str, Any] = data.draw(BODIES[dialect](anything=True)) | data.draw(st.sampled_from(UNHEARD_OF))
    in_path = dialect == "gemini"
    stream = data.draw(st.booleans()) if in_path else bool(body.get("stream"))
    if dialect == "openai.chat" and stream:
        body["stream_options"] = {"include_usage": True}  # else it is asked for on the client's behalf
    plain = msgspec.json.encode(body)
    assume(not any(sign in plain for sign in ANOTHERS))
    kind, model = VENDORS[dialect]
    style = data.draw(st.sampled_from(STYLES))
    written = json.dumps(body, **style).encode("utf-8", "surrogatepass")
    where = {"model": "alias", "stream": stream} if in_path else {}
    exchange = Exchange(Inbound(dialect=dialect, body=written, **where), codec(dialect), 0.0)  # type: ignore[arg-type]
    exchange.envelope = codec(dialect).read_envelope(written, **where)  # type: ignore[arg-type]
    to = Deployment(provider=kind, kind=kind, model=model, base_url="http://vendor.test", key="k")
    prepared = prepare(exchange, to, provider(kind), codec(dialect))
    if in_path:
        assert prepared.request.body == written
    else:
        colon = b'"model"' + (b":" if style == STYLES[2] else b": ")
        assert prepared.request.body == written.replace(colon + b'"alias"', colon + msgspec.json.encode(model.name), 1)
    assert prepared.verbatim
    assert prepared.dropped == ()


@pytest.mark.parametrize("dialect", DIALECTS)
@given(data=st.data())
@settings(max_examples=25)
def test_any_cut_of_a_stream_goes_through_as_it_is_and_is_read_as_the_whole_answer(
    dialect: str, data: st.DataObject
) -> None:
    answer = data.draw(ANSWERS[dialect]())
    stream = answer.stream
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    relay = Passthrough(codec(dialect), "alias")
    out = [item for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True) for item in relay.feed(stream[a:b])]
    out += [piece.item for piece in relay.finish()]
    assert b"".join(out) == stream
    assert relay.reading.ended
    whole = Reading()
    codec(dialect).read_reply(answer.whole, whole)
    assert (relay.reading.usage, relay.reading.usage_is_final) == (whole.usage, whole.usage_is_final)
    assert (relay.reading.finish_reason, relay.reading.id, relay.reading.model) == (
        whole.finish_reason,
        whole.id,
        whole.model,
    )
