"""Images and sound in OpenAI's dialects: what clients write, what vendors answer, streams that pass by."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from pulse_gateway.errors import InvalidRequest, UpstreamError, UpstreamProtocolError, UpstreamRefusedContent
from pulse_gateway.testing.simulator.samples import picture
from pulse_gateway.types.audio import (
    AudioFile,
    Segment,
    SpeechReply,
    SpeechRequest,
    TranscriptionReply,
    TranscriptionRequest,
)
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.events import Ended, Failed, Started, UsageReported
from pulse_gateway.types.http import Payload
from pulse_gateway.types.images import ImageFile, ImageReply, ImageRequest, MadeImage, image_variant
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire import registry as wire
from pulse_gateway.wire.audio.formats import audio_type, duration_ms, wav
from pulse_gateway.wire.multipart import FormPart, build_form, is_form
from pulse_gateway.wire.picture import image_size, image_type
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.sse import ServerSentEvent, SSEDecoder

IMAGES, EDITS = wire.operation_codec("openai.images.generations"), wire.operation_codec("openai.images.edits")
SPEECH, LISTEN = wire.operation_codec("openai.speech"), wire.operation_codec("openai.transcriptions")
MODEL = Model(provider="p", name="m")
PNG = b"\x89PNG\r\n\x1a\nrest"
IN_URL = "data:image/png;base64," + base64.b64encode(PNG).decode()
FILE = ImageFile(data=PNG, media_type="image/png", path="image")


def json_of(**members: Any) -> Payload:
    return Payload(json.dumps(members).encode())


def frame(**event: Any) -> ServerSentEvent:
    return ServerSentEvent(json.dumps(event).encode(), "", b"")


# ── what clients write ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("members", "files"),
    [
        ({"image": IN_URL}, [(PNG, None, "image")]),
        ({"image": [IN_URL, "https://a.example/b.png"]}, [(PNG, None, "image[0]"), (None, "https://a.example/b.png", "image[1]")]),
        ({"images": [{"image_url": IN_URL}]}, [(PNG, None, "images[0]")]),
        ({"image": {"url": "https://a.example/b.png", "type": "image_url"}}, [(None, "https://a.example/b.png", "image")]),
    ],
)  # fmt: skip
def test_images_to_edit_come_in_json_too(members: dict[str, Any], files: list[Any]) -> None:
    request = EDITS.decode_request(json_of(model="m", prompt="p", **members))
    assert [(file.data, file.url, file.path) for file in request.images] == files
    assert not request.extra


def test_a_file_that_only_its_vendor_knows_keeps_its_place() -> None:
    body = json_of(model="m", prompt="p", images=[{"file_id": "f"}])
    assert EDITS.decode_request(body).extra == {"images": [{"file_id": "f"}]}
    assert EDITS.read_envelope(body).model == "m"
    assert json.loads(EDITS.rewrite_request(body, model="theirs").data)["images"] == [{"file_id": "f"}]


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "p"}, "model"),
        ({"prompt": "p", "model": "m", "n": 11}, "n"),
        ({"prompt": "p", "model": "m", "n": 0}, "n"),
        ({"prompt": "p", "model": "m", "n": "2"}, "n"),
        ({"prompt": "p", "model": "m", "size": 5}, "size"),
        ({"prompt": "p", "model": "m", "stream": "yes"}, "stream"),
    ],
)
def test_a_request_that_is_none_is_refused_by_path(members: dict[str, Any], param: str) -> None:
    for codec, more in ((IMAGES, {}), (EDITS, {"image": IN_URL})):
        with pytest.raises(InvalidRequest) as caught:
            codec.read_envelope(json_of(**members, **more))
        assert caught.value.param == param


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({}, "image"),
        ({"image": "ftp://a"}, "image"),
        ({"image": ["data:image/png;base64,!!"]}, "image[0]"),
        ({"image": "data:image/png;base64,"}, "image"),
        ({"image": [IN_URL] * 17}, "image"),
        ({"image": IN_URL, "mask": [IN_URL, IN_URL]}, "mask"),
    ],
)
def test_images_that_are_none_are_refused_by_path(members: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        EDITS.decode_request(json_of(model="m", prompt="p", **members))
    assert caught.value.param == param


def test_files_known_by_address_go_to_a_vendor_in_json_and_others_in_a_form() -> None:
    request = ImageRequest(model="m", prompt="p", images=(FILE,), mask=FILE)
    assert is_form(EDITS.encode_request(request, MODEL).payload.content_type)
    elsewhere = ImageRequest(model="m", prompt="p", images=(FILE, ImageFile(url="https://a.example/b")), mask=FILE)
    encoded = EDITS.encode_request(elsewhere, MODEL)
    assert json.loads(encoded.payload.data) == {
        "model": "m",
        "prompt": "p",
        "images": [{"image_url": IN_URL}, {"image_url": "https://a.example/b"}],
        "mask": {"image_url": IN_URL},
    }


def test_partial_images_are_left_out_where_nothing_is_streamed() -> None:
    assert IMAGES.encode_request(ImageRequest(model="m", prompt="p", partial_images=2), MODEL).dropped == (
        "partial_images",
    )


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "file"),
        ({"file": b""}, "file"),
        ({"file": b"x", "temperature": "hot"}, "temperature"),
        ({"file": b"x", "chunking_strategy": "{"}, "chunking_strategy"),
        ({"file": b"x", "stream": "perhaps"}, "stream"),
    ],
)
def test_a_recording_that_is_none_is_refused_by_path(fields: dict[str, Any], param: str) -> None:
    parts = [FormPart(name="model", data=b"m")]
    for name, value in fields.items():
        is_file = isinstance(value, bytes)
        parts.append(FormPart(name=name, data=value if is_file else value.encode(), filename="a" if is_file else None))
    with pytest.raises(InvalidRequest) as caught:
        LISTEN.read_envelope(build_form(parts))
    assert caught.value.param == param


@pytest.mark.parametrize(
    "members", [{}, {"input": ""}, {"input": "i", "model": "m"}, {"input": "i", "model": "", "voice": "v"}]
)
def test_speech_needs_a_text_a_model_and_a_voice(members: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        SPEECH.read_envelope(json_of(**members))


# ── what vendors answer ───────────────────────────────────────────────────────────────────────────────────────────────

COUNTED = {
    "input_tokens": 50, "output_tokens": 1062, "total_tokens": 1112,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
}  # fmt: skip


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"usage": COUNTED, "size": "1024x1024", "quality": "low"},
         Usage(input_tokens=10, image_input_tokens=40, output_tokens=0, image_output_tokens=1062, images=1, variant="1024x1024/low")),
        ({"usage": {"input_tokens": 9, "output_tokens": 100, "output_tokens_details": {"text_tokens": 30, "image_tokens": 70}}},
         Usage(input_tokens=9, output_tokens=30, image_output_tokens=70, images=1)),
        ({"usage": {"tokens": "many"}}, Usage(images=1)),
        ({"usage": ["?"]}, Usage(images=1)),
        ({}, Usage(images=1)),
    ],
)  # fmt: skip
def test_images_are_counted_whatever_else_is(told: dict[str, Any], usage: Usage) -> None:
    answer = json_of(created=1, data=[{"b64_json": "aGk="}], **told)
    reading = Reading()
    IMAGES.read_reply(answer, reading)
    assert (reading.usage, reading.usage_is_final, reading.ended) == (usage, True, True)


def test_an_images_object_survives_decoding_and_encoding() -> None:
    written = {
        "created": 5, "data": [{"b64_json": "aGk=", "revised_prompt": "r"}, {"url": "https://a.example/b"}],
        "size": "1024x1024", "quality": "low", "background": "opaque", "output_format": "webp",
        "usage": {**COUNTED, "output_tokens_details": {"text_tokens": 0, "image_tokens": 1062}},
    }  # fmt: skip
    request = ImageRequest(model="m", prompt="p")
    assert json.loads(IMAGES.encode_reply(IMAGES.decode_reply(json_of(**written), request), request).data) == written


@pytest.mark.parametrize("codec", [IMAGES, LISTEN])
def test_an_error_sent_as_an_answer_is_one(codec: Any) -> None:
    answer = json_of(error={"message": "no", "code": "moderation_blocked"})
    with pytest.raises(UpstreamRefusedContent):
        codec.read_reply(answer, Reading())
    with pytest.raises(UpstreamRefusedContent):
        codec.decode_reply(answer, TranscriptionRequest(model="m", file=AudioFile(data=b"x")))
    with pytest.raises(UpstreamProtocolError):
        codec.read_reply(json_of(odd=1), Reading())


def test_a_stream_of_images_is_whole_once_it_ends_after_an_image() -> None:
    decoder = IMAGES.decoder()
    assert decoder.finish() == []
    assert decoder.decode(frame(type="image_generation.partial_image", b64_json="aGk=")) == [Started(id="", model="")]
    completed = decoder.decode(frame(type="image_generation.completed", b64_json="aGk=", usage=COUNTED))
    assert next(event.usage.images for event in completed if isinstance(event, UsageReported)) == 1
    assert decoder.finish() == [Ended()]
    assert isinstance(decoder.decode(frame(type="error", error={"message": "m"}))[0], Failed)


def test_what_is_only_an_address_cannot_be_streamed() -> None:
    reply = ImageReply(images=(MadeImage(url="https://a.example/b"),))
    with pytest.raises(UpstreamProtocolError):
        EDITS.encode_stream(reply, ImageRequest(model="m", prompt="p"))


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"usage": {"type": "duration", "seconds": 12.5}}, Usage(audio_ms=12_500)),
        ({"duration": 3.25}, Usage(audio_ms=3_250)),
        ({"duration": "3.25"}, Usage(audio_ms=3_250)),
        ({"usage": {"prompt_audio_seconds": 4, "prompt_tokens": 20, "completion_tokens": 7}},
         Usage(input_tokens=0, audio_input_tokens=20, output_tokens=7, audio_ms=4_000)),
        ({"usage": {"type": "tokens", "input_tokens": 20, "output_tokens": 7, "input_token_details": {"audio_tokens": 16, "text_tokens": 4}}},
         Usage(input_tokens=4, audio_input_tokens=16, output_tokens=7)),
        ({"usage": {"input_tokens": "?"}, "duration": []}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_what_a_vendor_says_of_a_recording(told: dict[str, Any], usage: Usage | None) -> None:
    reading = Reading()
    LISTEN.read_reply(json_of(text="hi", **told), reading)
    assert (reading.usage, reading.usage_is_final) == (usage, usage is not None)


def test_a_transcript_survives_decoding_and_encoding() -> None:
    written = {
        "text": "hi", "language": "en", "duration": 2.0, "languages": [{"code": "en"}],
        "segments": [{"id": 0, "start": 0.0, "end": 1.5, "text": "hi", "speaker": "A", "tokens": [1]}],
        "words": [{"word": "hi", "start": 0, "end": 1}], "logprobs": [{"token": "hi", "logprob": -0.5}],
        "usage": {"type": "duration", "seconds": 2.0},
    }  # fmt: skip
    request = TranscriptionRequest(model="m", file=AudioFile(data=b"x"))
    reply = LISTEN.decode_reply(json_of(**written), request)
    assert reply.segments[0] == Segment(text="hi", start_s=0.0, end_s=1.5, speaker="A", more={"id": 0, "tokens": [1]})
    assert json.loads(LISTEN.encode_reply(reply, request).data) == written
    subtitles = LISTEN.decode_reply(Payload(b"1\n00:00", "text/plain"), request)
    assert subtitles == TranscriptionReply(text="1\n00:00")
    with pytest.raises(UpstreamProtocolError, match="srt"):
        LISTEN.encode_reply(
            subtitles, TranscriptionRequest(model="m", file=AudioFile(data=b"x"), response_format="srt")
        )


def test_a_transcript_that_is_told_as_events_loses_nothing_of_what_was_asked_for() -> None:
    reply = TranscriptionReply(
        text="hi",
        language="english",
        duration_s=2.0,
        segments=(Segment(text="hi", start_s=0, end_s=1, speaker="A", more={"type": {}, "id": 7}),),
        words=({"word": "hi", "start": 0, "end": 1},),
    )

    def told(form: str | None) -> list[dict[str, Any]]:
        request = TranscriptionRequest(model="m", file=AudioFile(data=b"x"), response_format=form, stream=True)
        return [json.loads(event.data) for event in SSEDecoder().feed(LISTEN.encode_stream(reply, request).data)]

    assert told(None) == [
        {"type": "transcript.text.delta", "delta": "hi"},
        {"type": "transcript.text.done", "text": "hi"},
    ]
    [_, said, done] = told("diarized_json")
    assert said == {"type": "transcript.text.segment", "id": 7, "start": 0.0, "end": 1.0, "text": "hi", "speaker": "A"}
    assert done == told(None)[1]
    [_, done] = told("verbose_json")
    assert (done["language"], done["duration"], done["words"][0]["word"]) == ("english", 2.0, "hi")
    assert done["segments"][0]["end"] == 1.0


def test_a_transcripts_stream_ends_when_it_is_done() -> None:
    decoder = LISTEN.decoder()
    assert decoder.decode(frame(type="transcript.text.delta", delta="hi"))[1].text == "hi"
    done = decoder.decode(frame(type="transcript.text.done", text="hi", usage={"input_tokens": 3, "output_tokens": 1}))
    assert isinstance(done[-1], Ended)
    assert isinstance(decoder.decode(frame(error={"message": "m"}))[0], Failed)


def test_words_are_no_sound_and_whoever_writes_them_is_not_asked_again() -> None:
    page, request = Payload(b"<html>", "text/html; charset=utf-8"), SpeechRequest(model="m", input="i", voice="v")
    with pytest.raises(UpstreamProtocolError, match="text/html"):
        SPEECH.read_reply(page, Reading())
    with pytest.raises(UpstreamProtocolError, match="text/html"):
        SPEECH.decode_reply(page, request)
    told = Payload(b'{"error": {"message": "m", "code": "insufficient_quota"}}')
    with pytest.raises(UpstreamError) as error:
        SPEECH.read_reply(told, Reading())
    assert error.value.code == "upstream_quota_exhausted"


def test_sound_of_no_type_is_what_was_asked_for_and_words_are_none() -> None:
    request = SpeechRequest(model="m", input="i", voice="v", response_format="flac")
    assert SPEECH.decode_reply(Payload(b"x", "application/octet-stream"), request) == SpeechReply(
        audio=b"x", media_type="audio/flac"
    )
    for answer in (Payload(b"{}"), Payload(b"", "audio/mpeg")):
        with pytest.raises(UpstreamError):
            SPEECH.decode_reply(answer, request)
    with pytest.raises(UpstreamError):
        SPEECH.read_reply(Payload(b"sorry", "text/plain"), Reading())


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "image/webp"])
def test_a_pictures_bytes_say_what_and_how_large_it_is(kind: str) -> None:
    data = picture(kind, 320, 200, (1, 2, 3))
    assert (image_type(data), image_size(data)) == (kind, "320x200")
    assert image_size(data[:20]) is None


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + b"\x3f\1\0\xc7\0\0", "320x200"),
        (b"RIFF\0\0\0\0WEBPVP8 " + bytes(10) + b"\x40\1\xc8\0", "320x200"),
        (b"RIFF\0\0\0\0WEBPABCD" + bytes(20), None),
        (b"GIF89a" + bytes(30), None),
        (b"\xff\xd8\xff" + bytes(40), None),
        (b"", None),
    ],
)
def test_sizes_of_rarer_files(data: bytes, size: str | None) -> None:
    assert image_size(data) == size


def test_samples_in_a_file_are_as_long_as_its_header_says() -> None:
    file = wav(b"\0\0" * 24_000, rate=24_000)
    assert (audio_type(file, None), duration_ms(file, "audio/wav")) == ("audio/wav", 1000)
    streamed = file[:40] + struct.pack("<I", 0xFFFFFFFF) + file[44:]
    assert duration_ms(streamed, "audio/wav") == 1000
    assert duration_ms(b"RIFF", "audio/wav") == 1
    assert duration_ms(bytes(160_000), "audio/mp3") == 10_000


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (b"ID3\4", None, "audio/mp3"),
        (b"\xff\xfb\x90", None, "audio/mp3"),
        (b"fLaC", "a.wav", "audio/flac"),
        (b"OggS", None, "audio/ogg"),
        (b"\x1aE\xdf\xa3", None, "audio/webm"),
        (b"\0\0\0 ftypM4A ", None, "audio/mp4"),
        (b"??", "a.M4A", "audio/mp4"),
        (b"??", None, None),
    ],
)
def test_a_recording_is_known_by_its_bytes_or_its_name(data: bytes, name: str | None, kind: str | None) -> None:
    assert audio_type(data, name) == kind


@pytest.mark.parametrize(
    ("size", "quality", "variant"), [("a", "b", "a/b"), ("auto", "b", "b"), ("a", None, "a"), (None, "auto", None)]
)
def test_the_variant_of_an_image(size: str | None, quality: str | None, variant: str | None) -> None:
    assert image_variant(size, quality) == variant
