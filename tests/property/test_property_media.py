"""Images and sound: a form changes in one field alone, whatever else it holds; decoders raise what they say they raise, and nothing else;
a request keeps its meaning through decoding and encoding."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pulse_gateway.errors import InvalidRequest, UpstreamError
from pulse_gateway.types.audio import AudioFile, SpeechRequest, TranscriptionRequest
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.http import Payload
from pulse_gateway.types.images import ImageFile, ImageRequest
from pulse_gateway.wire import registry as wire
from pulse_gateway.wire.multipart import parse_form
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.sse import ServerSentEvent

DIALECTS = (
    "openai.images.generations",
    "openai.images.edits",
    "openai.speech",
    "openai.transcriptions",
    "openai.translations",
)
FORMS = ("openai.images.edits", "openai.transcriptions", "openai.translations")
MODEL = Model(provider="p", name="their-name")
FEW = settings(deadline=None, max_examples=60)

names = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters='"\\;%'), min_size=1, max_size=8
)
boundaries = st.text("abcXYZ019'()+_,-./:=?", min_size=1, max_size=30)
parts = st.tuples(names, st.binary(max_size=40), st.booleans(), st.booleans())


def written(boundary: str, fields: list[tuple[str, bytes, bool, bool]]) -> bytes:
    """A form as some client might write it: with or without file names, types, and lengths."""
    pieces: list[bytes] = []
    for name, data, is_file, has_length in fields:
        head = f'content-disposition: form-data; name="{name}"'
        if is_file:
            head += '; filename="a b.bin"\r\nContent-Type: application/x-any'
        if has_length:
            head += f"\r\nContent-Length: {len(data)}"
        pieces.append(f"--{boundary}\r\n{head}\r\n\r\n".encode() + data + b"\r\n")
    return b"".join(pieces) + f"--{boundary}--\r\n".encode()


@FEW
@given(boundaries, st.lists(parts, max_size=4), st.lists(parts, max_size=4), st.booleans(), st.sampled_from(FORMS))
def test_a_form_reaches_its_vendor_with_no_byte_changed_but_the_model(
    boundary: str, before: list[Any], after: list[Any], has_length: bool, dialect: str
) -> None:
    assume(all(name != "model" for name, *_ in (*before, *after)))
    assume(not any(b"--" + boundary.encode() in data for _, data, *_ in (*before, *after)))
    kind = f'multipart/form-data; boundary="{boundary}"'
    sent = written(boundary, [*before, ("model", b"ours", False, False), *after])
    codec = wire.operation_codec(dialect)
    forwarded = codec.rewrite_request(Payload(sent, kind), model="their-name")
    assert forwarded == Payload(written(boundary, [*before, ("model", b"their-name", False, False), *after]), kind)
    assert codec.rewrite_request(Payload(sent, kind), model="ours").data == sent
    found = [(part.name, bytes(part.data)) for part in parse_form(Payload(sent, kind))]
    assert found == [(name, data) for name, data, *_ in (*before, ("model", b"ours", False, False), *after)]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
members = st.dictionaries(
    st.sampled_from(
        ["model", "prompt", "n", "size", "image", "images", "mask", "stream", "input", "voice", "speed", "usage", "data", "text",
         "segments", "duration", "error", "type", "response_format", "stream_format", "created", "languages", "words"]
    ),
    json_values | st.sampled_from(["x", "1", 1, True, ["data:image/png;base64,iVBO"], {"image_url": "data:,"}, [{"b64_json": "a"}]]),
    max_size=6,
)  # fmt: skip
bodies = st.binary(max_size=60) | members.map(lambda value: msgspec.json.encode(_without_nan(value)))
kinds = st.sampled_from(
    ["application/json", "multipart/form-data; boundary=b", "multipart/form-data", "audio/mpeg", "text/plain", ""]
)
forms = st.lists(parts, max_size=4).map(lambda fields: written("b", fields))


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return float(value)
    return [_without_nan(each) for each in value] if isinstance(value, list) else value


@FEW
@given(st.sampled_from(DIALECTS), bodies | forms, kinds)
def test_a_request_of_any_bytes_is_read_or_refused(dialect: str, body: bytes, kind: str) -> None:
    codec, payload = wire.operation_codec(dialect), Payload(body, kind)
    for read in (codec.read_envelope, codec.decode_request):
        try:
            read(payload)
        except InvalidRequest as error:
            assert error.status == 400


@FEW
@given(st.sampled_from(DIALECTS), bodies, kinds)
def test_an_answer_of_any_bytes_is_read_or_is_the_providers_fault(dialect: str, body: bytes, kind: str) -> None:
    codec, payload = wire.operation_codec(dialect), Payload(body, kind)
    decoder = codec.decoder()
    request = SpeechRequest(model="m", input="i", voice="v")
    for read in (
        lambda: codec.read_reply(payload, Reading()),
        lambda: codec.decode_reply(payload, request),
        lambda: decoder.decode(ServerSentEvent(body, "", body)),
        decoder.finish,
    ):
        try:
            read()
        except UpstreamError as error:
            assert error.status >= 400


words = st.text(st.characters(min_codepoint=32, max_codepoint=0x6FF), min_size=1, max_size=12)
images = st.builds(
    ImageRequest,
    model=st.just("their-name"),
    prompt=words,
    n=st.integers(1, 10),
    size=st.none() | st.just("1024x1024"),
    quality=st.none() | st.just("high"),
    seed=st.none() | st.integers(-1, 2**31),
    output_compression=st.none() | st.integers(0, 100),
    response_format=st.sampled_from([None, "b64_json", "url"]),
    user=st.none() | words,
    extra=st.dictionaries(st.sampled_from(["complexity", "frames"]), words),
)
recordings = st.builds(
    TranscriptionRequest,
    model=st.just("their-name"),
    file=st.binary(min_size=1, max_size=30).map(
        lambda data: AudioFile(data=data, media_type="audio/mp3", name="a.mp3")
    ),
    language=st.none() | st.just("ar"),
    prompt=st.none() | words,
    temperature=st.none() | st.sampled_from([0.0, 0.5, 1.0]),
    timestamp_granularities=st.sampled_from([(), ("word",), ("word", "segment")]),
    keywords=st.lists(words, max_size=2).map(tuple),
    chunking_strategy=st.sampled_from([None, "auto", {"type": "server_vad", "threshold": 0.5}]),
)
speeches = st.builds(
    SpeechRequest,
    model=st.just("their-name"),
    input=words,
    voice=st.just("alloy"),
    instructions=st.none() | words,
    response_format=st.none() | st.just("wav"),
    speed=st.none() | st.just(1.5),
)


@FEW
@given(
    st.one_of(
        st.tuples(st.just("openai.images.generations"), images),
        st.tuples(st.just("openai.images.edits"), images.map(lambda each: msgspec.structs.replace(each, images=FILES))),
        st.tuples(st.just("openai.transcriptions"), recordings),
        st.tuples(st.just("openai.speech"), speeches),
    )
)
def test_a_request_keeps_its_meaning_through_encoding_and_decoding(case: tuple[str, Any]) -> None:
    dialect, request = case
    codec = wire.operation_codec(dialect)
    assert codec.decode_request(codec.encode_request(request, MODEL).payload) == request


PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
FILES = (
    ImageFile(data=PNG, media_type="image/png", name="a.png"),
    ImageFile(data=PNG, media_type="image/png", name="b.png"),
)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_a_request_will_use_is_known_before_it_is_sent(dialect: str) -> None:
    codec = wire.operation_codec(dialect)
    request: Any = {
        "images": ImageRequest(model="m", prompt="p", n=3, size="1024x1024", quality="high"),
        "image_edits": ImageRequest(model="m", prompt="p", n=3, size="1024x1024", quality="high", images=FILES),
        "speech": SpeechRequest(model="m", input="five!", voice="v"),
    }.get(codec.operation, TranscriptionRequest(model="m", file=AudioFile(data=b"\0" * 24_000)))
    expected = codec.read_envelope(codec.encode_request(request, MODEL).payload).expected
    if "image" in codec.operation:
        assert (expected.images, expected.variant, expected.image_output_tokens) == (3, "1024x1024/high", 3 * 4156)
    elif codec.operation == "speech":
        assert expected.characters == 5
    else:
        assert expected.audio_ms == 2000
