"""The laws of translation where Bedrock's Converse is the vendor's dialect, for every dialect of a client's."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.session import Session
from botocore.validate import ParamValidator
from hypothesis import event, given, settings
from hypothesis import strategies as st
from translation_bodies import BODIES
from translation_converse import CONVERSE_ANSWERS, frame, read_converse
from translation_harness import decoded, has_path
from translation_meaning import conversation, system_texts, tools
from translation_reading import events_of, expected, of_events, of_reply, writing

from pulse_gateway.errors import InvalidRequest, UnsupportedParameter, UpstreamProtocolError
from pulse_gateway.pipeline.exchange import Exchange, Inbound
from pulse_gateway.pipeline.prepare import Prepared, prepare
from pulse_gateway.providers.registry import provider
from pulse_gateway.types.catalog import Capabilities, Deployment, Model
from pulse_gateway.wire.eventstream import EventStreamDecoder
from pulse_gateway.wire.registry import DIALECTS, codec, upstream_codec
from pulse_gateway.wire.translate import Translate

CONVERSE = upstream_codec("bedrock.converse")
MODEL = Model(
    provider="bedrock",
    name="us.anthropic.claude-x-v1:0",
    capabilities=Capabilities(system_mid_conversation=True),
)
PAGE = (Path(__file__).parents[2] / "docs" / "translation.md").read_text(encoding="utf-8")
NAMES = {"OpenAI": "openai.chat", "Anthropic": "anthropic.messages", "Gemini": "gemini"}
LEAST: dict[str, dict[str, Any]] = {
    "OpenAI": {"model": "alias", "messages": [{"role": "user", "content": "hi"}]},
    "Anthropic": {"model": "alias", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]},
    "Gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
}
SCALARS = ("max_output_tokens", "temperature", "top_p", "top_k", "stop")
SHAPE = Session().get_service_model("bedrock-runtime").operation_model("Converse").input_shape


def sent(client: str, body: dict[str, Any], *, stream: bool) -> Prepared:
    raw = msgspec.json.encode(body)
    in_path = client == "gemini"
    named = {"model": "alias", "stream": stream} if in_path else {}
    exchange = Exchange(Inbound(dialect=client, body=raw, **named), codec(client), 0.0)  # type: ignore[arg-type]
    exchange.envelope = codec(client).read_envelope(raw, **named)  # type: ignore[arg-type]
    to = Deployment(
        provider="bedrock", kind="bedrock", model=MODEL, base_url="https://bedrock-runtime.eu-west-1.amazonaws.com"
    )
    return prepare(exchange, to, provider("bedrock"), CONVERSE)


def complaints(body: dict[str, Any]) -> str:
    """What Amazon's own SDK would find wrong with a request."""

    def as_python(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: as_python(each, key) for key, each in value.items()}
        if isinstance(value, list):
            return [as_python(each) for each in value]
        return base64.b64decode(value, validate=True) if name in ("bytes", "redactedContent") else value

    report = ParamValidator().validate({"modelId": MODEL.name, **as_python(body)}, SHAPE)
    return str(report.generate_report())


@pytest.mark.parametrize("client", DIALECTS)
@given(data=st.data())
@settings(max_examples=30)
def test_a_request_is_said_again_as_amazons_sdk_would_or_refused_by_name(client: str, data: st.DataObject) -> None:
    body = data.draw(BODIES[client](anything=data.draw(st.booleans())))
    stream = data.draw(st.booleans()) if client == "gemini" else bool(body.get("stream"))
    try:
        prepared = sent(client, body, stream=stream)
    except InvalidRequest as error:
        event("refused")
        assert error.param is not None, error.message
        assert has_path(body, error.param), (error.param, error.message)
        return
    event("sent")
    assert prepared.request.url.endswith("/converse-stream" if stream else "/converse")
    said = msgspec.json.decode(prepared.request.body)
    assert complaints(said) == ""
    before, after = decoded(client, msgspec.json.encode(body), stream=stream), read_converse(said)
    for name in prepared.dropped:
        assert has_path(body, name), name
    assert system_texts(after) == system_texts(before)
    assert conversation(after) == conversation(before)
    assert tools(after) == tools(before) or tools(before)[0] == "none"
    for field in SCALARS:
        assert (getattr(after, field) or None) == (getattr(before, field) or None), field


@pytest.mark.parametrize("client", DIALECTS)
@given(data=st.data())
@settings(max_examples=20)
def test_an_answer_reads_the_same_whole_streamed_and_cut_anywhere(client: str, data: st.DataObject) -> None:
    answer = data.draw(CONVERSE_ANSWERS())
    there = CONVERSE.decode_reply(answer.whole)
    wanted = expected(client, of_reply(there))
    frames, decoder = EventStreamDecoder(), CONVERSE.decoder()
    events = [event for each in frames.feed(answer.stream) for event in decoder.decode(each)] + decoder.finish()
    assert of_events(events).summary == of_reply(there).summary
    assert of_reply(codec(client).decode_reply(codec(client).encode_reply(there))).summary == wanted
    cuts = sorted(data.draw(st.lists(st.integers(0, len(answer.stream)), max_size=9)))
    pairs = zip([0, *cuts], [*cuts, len(answer.stream)], strict=True)
    in_slices = translated(client, [answer.stream[start:end] for start, end in pairs])
    assert of_events(events_of(client, in_slices)).summary == wanted
    usage = there.usage
    assert usage is not None
    assert usage.total == msgspec.json.decode(answer.whole)["usage"]["totalTokens"]


@given(data=st.data())
@settings(max_examples=30)
def test_frames_that_were_changed_are_noticed_and_never_anything_but_a_protocol_error(data: st.DataObject) -> None:
    stream = bytearray(b"".join(data.draw(CONVERSE_ANSWERS()).frames))
    place = data.draw(st.integers(0, len(stream) - 1))
    stream[place] ^= data.draw(st.integers(1, 255))
    decoder, whole = EventStreamDecoder(), 0
    try:
        for start in range(0, len(stream), 7):
            whole += len(decoder.feed(bytes(stream[start : start + 7])))
        decoder.finish()
    except UpstreamProtocolError:
        return
    intact = EventStreamDecoder().feed(bytes(stream[:place]))
    assert whole <= len(intact)  # it waits for the rest of a frame that now claims to be longer


@given(st.lists(st.binary(max_size=64), max_size=8))
@settings(max_examples=30)
def test_noise_in_place_of_frames_is_a_protocol_error_at_most(slices: list[bytes]) -> None:
    decoder = EventStreamDecoder(max_frame_bytes=4096)
    try:
        for data in slices:
            decoder.feed(data)
    except UpstreamProtocolError:
        return
    assert decoder.finish() == []


@given(
    payload=st.binary(max_size=200),
    name=st.text("aZ.é", max_size=9),
    kind=st.sampled_from(("event", "exception", "error", "x")),
)
@settings(max_examples=30)
def test_a_whole_frame_of_anything_is_events_or_a_protocol_error(payload: bytes, name: str, kind: str) -> None:
    for each in EventStreamDecoder().feed(frame(name.encode("ascii", "replace").decode(), payload, kind=kind)):
        for known in (each.event, "contentBlockDelta", "contentBlockStart", "messageStop", "metadata"):
            try:
                CONVERSE.decoder().decode(msgspec.structs.replace(each, event=known))
            except UpstreamProtocolError:
                continue


def rows(heading: str) -> list[tuple[str, str, str]]:
    section = PAGE.split(f"\n### {heading}\n")[1].split("\n## ")[0].split("\n### ")[0]
    found = re.findall(r"^\| (\w+) \| `(\{.*\})` \| `([^`]+)` \|$", section, re.MULTILINE)
    assert len(found) == section.count("\n| ") - 2, "a row of the table is not understood"
    return found


@pytest.mark.parametrize(("client", "members", "path"), rows("Refused towards Bedrock"))
def test_what_the_page_calls_refused_is_refused_by_that_name(client: str, members: str, path: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        sent(NAMES[client], LEAST[client] | json.loads(members), stream=False)
    assert caught.value.param == path


@pytest.mark.parametrize(("client", "members", "path"), rows("Dropped and reported towards Bedrock"))
def test_what_the_page_calls_dropped_is_dropped_and_reported(client: str, members: str, path: str) -> None:
    assert path in sent(NAMES[client], LEAST[client] | json.loads(members), stream=False).dropped


def translated(client: str, chunks: list[bytes]) -> bytes:
    relay = Translate(CONVERSE, writing(client), "alias", "req_1", include_usage=True)
    output = [item for chunk in chunks for item in relay.feed(chunk)]
    output += [piece.item for piece in relay.finish()]
    assert relay.broken is None
    assert relay.reading.ended
    return b"".join(output)
