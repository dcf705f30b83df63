"""What is sent to xAI and Together for images, sound and videos, and what is made of odd answers."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from media_steps import PNG, asked, billed, deployment, run, sent
from msgspec.structs import replace

from pulse_gateway.errors import (
    InvalidRequest,
    UnsupportedParameter,
    UpstreamFailed,
    UpstreamProtocolError,
    UpstreamRefusedContent,
)
from pulse_gateway.providers.compatible import TOGETHER, XAI
from pulse_gateway.providers.offer import Download, OfferCall
from pulse_gateway.types.audio import AudioFile, SpeechRequest, TranscriptionRequest
from pulse_gateway.types.http import HttpAnswer, HttpRequest, Payload, header
from pulse_gateway.types.images import ImageFile
from pulse_gateway.types.usage import Usage
from pulse_gateway.types.videos import VideoRequest, VideoState
from pulse_gateway.wire.multipart import parse_form

GROK, KONTEXT, FLUX_2 = "grok-imagine-image", "black-forest-labs/FLUX.1-kontext-pro", "black-forest-labs/FLUX.2-pro"
FOX = ImageFile(data=PNG)
B64 = base64.b64encode(PNG).decode()
MP3 = HttpAnswer(200, (("content-type", "audio/mpeg"),), b"ID3sound")


def offered(vendor: Any, operation: str) -> Any:
    return vendor.offer(operation, deployment("any", vendor.kind))


def refusal(vendor: Any, operation: str, request: Any, model: str) -> str | None:
    with pytest.raises(UnsupportedParameter) as caught:
        offered(vendor, operation).check(request, deployment(model, vendor.kind))
    return caught.value.param


def spoken(**fields: Any) -> SpeechRequest:
    return SpeechRequest(**{"model": "alias", "input": "Good morning", "voice": "eve", **fields})


def heard(**fields: Any) -> TranscriptionRequest:
    return TranscriptionRequest(model="alias", file=AudioFile(data=b"RIFF", name="a.wav"), **fields)


def video(**fields: Any) -> VideoRequest:
    return VideoRequest(**{"model": "alias", "prompt": "a fox", "seconds": 8, "size": "1280x720", **fields})


# ── images ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("vendor", "model", "fields", "param"),
    [
        (XAI, GROK, {"mask": FOX}, "mask"),
        (XAI, GROK, {"quality": "low"}, "quality"),
        (XAI, "grok-imagine-image-2.0", {"quality": "xhigh"}, "quality"),
        (XAI, GROK, {"output_format": "png"}, "output_format"),
        (XAI, GROK, {"seed": 3}, "seed"),
        (XAI, GROK, {"size": "1000x900"}, "size"),
        (XAI, GROK, {"aspect_ratio": "7:1"}, "aspect_ratio"),
        (XAI, GROK, {"background": "transparent"}, "background"),
        (XAI, GROK, {"images": (FOX,) * 4}, "images"),
        (XAI, GROK, {"extra": {"steps": 3}}, "steps"),
        (TOGETHER, "black-forest-labs/FLUX.1-schnell", {}, "model"),
        (TOGETHER, KONTEXT, {"images": (FOX, FOX)}, "images"),
        (TOGETHER, KONTEXT, {"size": "1000x900"}, "size"),
        (TOGETHER, FLUX_2, {"aspect_ratio": "16:9"}, "aspect_ratio"),
        (TOGETHER, FLUX_2, {"size": "auto-ish"}, "size"),
        (TOGETHER, FLUX_2, {"output_format": "webp"}, "output_format"),
        (TOGETHER, FLUX_2, {"mask": FOX}, "mask"),
        (TOGETHER, FLUX_2, {"extra": {"frames": 3}}, "frames"),
    ],
)
def test_an_edit_that_cannot_be_made_is_refused_by_name(vendor: Any, model: str, fields: Any, param: str) -> None:
    assert refusal(vendor, "image_edits", asked(**{"images": (FOX,), **fields}), model) == param


def test_large_images_are_asked_for_as_large_and_the_answer_may_say_what_its_base64_is() -> None:
    answer = {"data": [{"b64_json": f"data:image/png;base64,{B64}"}], "usage": {"cost_in_usd_ticks": 220_000_001}}
    reply, steps = run(
        offered(XAI, "image_edits"), asked(images=(FOX,), size="2048x1152", n=1), GROK, answer, kind="xai"
    )
    [body] = sent(steps)
    assert (body["resolution"], body["aspect_ratio"], body["image"]["url"]) == (
        "2k",
        "16:9",
        f"data:image/png;base64,{B64}",
    )
    assert (reply.images[0].content, reply.usage) == (PNG, Usage(images=1, variant="1024x768"))
    assert reply.cost_nano_usd == 22_000_001  # as the vendor has it, rounded up


def test_of_several_images_those_that_the_filter_let_through_are_given_since_they_are_billed() -> None:
    answer = {"data": [{"b64_json": B64}, {"respect_moderation": False}], "usage": {"cost_in_usd_ticks": "much"}}
    reply, steps = run(offered(XAI, "image_edits"), asked(images=(FOX,), n=2), GROK, answer, kind="xai")
    assert billed(steps) == [Usage(images=1, variant="1024x768")] == [reply.usage]
    assert ([image.content for image in reply.images], reply.cost_nano_usd) == ([PNG], None)
    with pytest.raises(UpstreamRefusedContent):
        run(
            offered(XAI, "image_edits"),
            asked(images=(FOX,)),
            GROK,
            {"data": [{"respect_moderation": False}]},
            kind="xai",
        )


@pytest.mark.parametrize(
    "answer", [{"data": []}, {"data": [{}]}, {"images": 3}, {"data": [{"b64_json": "é"}]}, b"<html>"]
)
@pytest.mark.parametrize(("vendor", "model"), [(XAI, GROK), (TOGETHER, FLUX_2)])
def test_an_answer_without_a_picture_is_none(vendor: Any, model: str, answer: Any) -> None:
    with pytest.raises(UpstreamProtocolError):
        run(offered(vendor, "image_edits"), asked(images=(FOX,)), model, answer, kind=vendor.kind)


@pytest.mark.parametrize(("vendor", "model"), [(XAI, GROK), (TOGETHER, FLUX_2)])
def test_what_is_sent_as_a_picture_has_to_be_one(vendor: Any, model: str) -> None:
    file = ImageFile(data=b"GIF89a....", path="image[0]")
    with pytest.raises(InvalidRequest) as caught:
        run(offered(vendor, "image_edits"), asked(images=(file,)), model, kind=vendor.kind)
    assert caught.value.param == "image[0]"


def test_a_stream_is_made_of_bytes_even_if_addresses_were_wanted() -> None:
    wanted = asked(images=(FOX,), response_format="url", stream=True)
    _, steps = run(offered(XAI, "image_edits"), wanted, GROK, {"data": [{"b64_json": B64}]}, kind="xai")
    assert sent(steps)[0]["response_format"] == "b64_json"
    _, steps = run(offered(TOGETHER, "image_edits"), wanted, FLUX_2, {"data": [{"b64_json": B64}]}, kind="together")
    assert sent(steps)[0]["response_format"] == "base64"


# ── voices ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("vendor", "model", "fields", "param"),
    [
        (XAI, "grok-4.7", {}, "model"),
        (XAI, "grok-voice-transcribe-2.0", {}, "model"),
        (XAI, "grok-tts", {"response_format": "opus"}, "response_format"),
        (XAI, "grok-tts", {"speed": 0.5}, "speed"),
        (XAI, "grok-tts", {"instructions": "Softly"}, "instructions"),
        (XAI, "grok-tts", {"extra": {"with_timestamps": True}}, "with_timestamps"),
        (XAI, "grok-tts", {"extra": {"language": 5}}, "language"),
        (XAI, "grok-tts", {"voice": ""}, "voice"),
        (TOGETHER, "cartesia/sonic-2", {"response_format": "flac"}, "response_format"),
        (TOGETHER, "cartesia/sonic-2", {"speed": 2}, "speed"),
        (TOGETHER, "cartesia/sonic-2", {"instructions": "Softly"}, "instructions"),
        (TOGETHER, "cartesia/sonic-2", {"extra": {"stream": True}}, "stream"),
    ],
)
def test_a_voice_that_cannot_be_had_is_refused_by_name(vendor: Any, model: str, fields: Any, param: str) -> None:
    assert refusal(vendor, "speech", spoken(**fields), model) == param


def test_xai_is_asked_in_its_own_words_and_bills_by_the_character() -> None:
    request = spoken(response_format="pcm", extra={"language": "ar"}, stream=True)
    reply, steps = run(offered(XAI, "speech"), request, "grok-tts", MP3, kind="xai")
    assert sent(steps) == [
        {
            "text": "Good morning",
            "voice_id": "eve",
            "language": "ar",
            "output_format": {"codec": "pcm", "sample_rate": 24_000},
        }
    ]
    assert (reply.audio, reply.media_type, reply.usage) == (b"ID3sound", "audio/mpeg", Usage(characters=12))


def test_what_passes_through_is_refused_under_its_own_names_before_it_is_sent() -> None:
    body = Payload(b'{"model":"grok-tts","input":"a","voice":"eve","instructions":"Softly"}')
    with pytest.raises(UnsupportedParameter) as caught:
        offered(XAI, "speech").forward(body, OfferCall(deployment=deployment("grok-tts", "xai")))
    assert caught.value.param == "instructions"


@pytest.mark.parametrize(("vendor", "model"), [(XAI, "grok-tts"), (TOGETHER, "cartesia/sonic-2")])
def test_an_error_in_the_place_of_sound_is_one(vendor: Any, model: str) -> None:
    told = HttpAnswer(200, (("content-type", "application/json"),), b'{"error": {"message": "no"}}')
    with pytest.raises(UpstreamFailed):
        run(offered(vendor, "speech"), spoken(), model, told, kind=vendor.kind)
    with pytest.raises(UpstreamProtocolError):
        run(offered(vendor, "speech"), spoken(), model, HttpAnswer(200, MP3.headers, b""), kind=vendor.kind)


def test_together_is_told_the_format_that_clients_expect_and_keeps_its_own_members() -> None:
    request = spoken(extra={"language": "en"}, stream=True)
    reply, steps = run(offered(TOGETHER, "speech"), request, "cartesia/sonic-2", MP3, kind="together")
    assert sent(steps) == [
        {
            "model": "cartesia/sonic-2",
            "input": "Good morning",
            "voice": "eve",
            "language": "en",
            "response_format": "mp3",
        }
    ]
    assert reply.media_type == "audio/mpeg"


# ── transcripts ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "srt"}, "response_format"),
        ({"response_format": "verbose_json"}, "timestamp_granularities"),
        ({"timestamp_granularities": ("word",)}, "timestamp_granularities"),
        ({"prompt": "names"}, "prompt"),
        ({"temperature": 0.0}, "temperature"),
        ({"languages": ("ar", "en")}, "languages"),
        ({"include": ("logprobs",)}, "include"),
        ({"known_speaker_names": ("A",)}, "known_speaker_names"),
        ({"chunking_strategy": {"type": "server_vad"}}, "chunking_strategy"),
        ({"extra": {"channels": "2"}}, "channels"),
    ],
)
def test_a_transcript_that_cannot_be_had_is_refused_by_name(fields: Any, param: str) -> None:
    assert refusal(XAI, "transcription", heard(**fields), "grok-voice-transcribe-2.0") == param
    assert refusal(XAI, "transcription", heard(), "grok-4.7") == "model"


def test_the_recording_comes_last_and_words_have_their_times() -> None:
    wanted = heard(keywords=("Petra", "Aqaba"), response_format="verbose_json", timestamp_granularities=("word",))
    answer = {"text": "a b", "duration": 1.2, "words": [{"text": "a", "start": 0, "end": 0.5, "confidence": 1}]}
    reply, [request] = run(offered(XAI, "transcription"), wanted, "grok-voice-transcribe-2.0", answer, kind="xai")
    form = parse_form(Payload(request.body, header(request.headers, "content-type") or ""))
    assert [part.name for part in form] == ["model", "keyterm", "keyterm", "file"]
    assert reply.words == ({"word": "a", "start": 0.0, "end": 0.5},)
    assert reply.usage == Usage(audio_ms=1200)
    reply, _ = run(offered(XAI, "transcription"), heard(), "grok-stt", {"text": ""}, kind="xai")
    assert (reply.text, reply.usage, reply.words, reply.segments) == ("", None, None, None)
    reply, _ = run(offered(XAI, "transcription"), heard(), "grok-stt", {"text": "", "duration": 1e308}, kind="xai")
    assert reply.usage is None


# ── videos ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("size", "asked_for"),
    [
        ("1280x720", ("16:9", "720p")),
        ("854x480", ("16:9", "480p")),
        ("480x854", ("9:16", "480p")),
        ("1920x1080", ("16:9", "1080p")),
        ("720x720", ("1:1", "720p")),
        ("1080x720", ("3:2", "720p")),
    ],
)
def test_sizes_are_said_as_ratio_and_resolution(size: str, asked_for: tuple[str, str]) -> None:
    state, steps = run(
        offered(XAI, "videos"), video(size=size, user="u"), "grok-imagine-video-1.5", {"request_id": "r"}, kind="xai"
    )
    [body] = sent(steps)
    assert (body["aspect_ratio"], body["resolution"], body["user"]) == (*asked_for, "u")
    assert state == VideoState(id="r", status="queued", usage=Usage(video_ms=8000, variant=asked_for[1]))


@pytest.mark.parametrize(
    ("model", "fields", "param"),
    [
        ("grok-imagine-video-1.5", {"size": "1792x1024"}, "size"),
        ("grok-imagine-video-1.5", {"size": "2560x720"}, "size"),
        ("grok-imagine-video", {"size": "1920x1080"}, "size"),
        ("grok-imagine-video", {"seconds": 16}, "seconds"),
        ("grok-imagine-video", {"extra": {"fps": "3"}}, "fps"),
    ],
)
def test_a_video_that_cannot_be_made_is_refused_by_name(model: str, fields: Any, param: str) -> None:
    assert refusal(XAI, "videos", video(**fields), model) == param


def test_members_that_nobody_knows_are_refused_of_together_and_what_it_takes_no_hint_of_is_told() -> None:
    assert refusal(TOGETHER, "videos", video(extra={"fps": "3"}), "google/veo-3.0") == "fps"
    assert offered(TOGETHER, "videos").check(video(user="u"), deployment("google/veo-3.0", "together")) == ("user",)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ({"status": "pending", "progress": 41.5}, VideoState(id="j", status="in_progress", progress=41)),
        ({"status": "pending", "progress": 100}, VideoState(id="j", status="in_progress", progress=99)),
        ({"status": "thinking"}, VideoState(id="j", status="in_progress")),
        ({"video": {"url": "https://a.x.ai/v"}}, VideoState(id="j", status="completed", file="https://a.x.ai/v")),
        ({"status": "done", "video": None}, VideoState(id="j", status="failed", error_code="no_video", error_message="the job ended without a video")),
        ({"status": "expired"}, VideoState(id="j", status="failed", error_code="expired", error_message="the provider's job is expired")),
        ({"status": "failed", "error": "no GPU"}, VideoState(id="j", status="failed", error_code="failed", error_message="no GPU")),
    ],
)  # fmt: skip
def test_what_xai_says_of_a_job(answer: Any, state: VideoState) -> None:
    steps = offered(XAI, "videos").look("j", OfferCall(deployment=deployment("grok-imagine-video", "xai")))
    assert next(steps).url == "https://api.x.ai/v1/videos/j"
    assert finished(steps, answer) == state


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ({"id": "j"}, VideoState(id="j", status="queued")),
        ({"id": "j", "status": "rendering", "created_at": "2026"}, VideoState(id="j", status="in_progress")),
        ({"status": "cancelled"}, VideoState(id="j", status="failed", error_code="cancelled", error_message="the provider's job is cancelled")),
        ({"status": "failed", "error": "no GPU"}, VideoState(id="j", status="failed", error_code="failed", error_message="no GPU")),
        ({"id": "j", "status": "completed", "outputs": {}}, VideoState(id="j", status="failed", error_code="no_video", error_message="the job ended without a video")),
    ],
)  # fmt: skip
def test_what_together_says_of_a_job(answer: Any, state: VideoState) -> None:
    call = OfferCall(deployment=deployment("google/veo-3.0", "together"))
    steps = offered(TOGETHER, "videos").look("j/../k", call)
    assert next(steps).url == "https://api.together.ai/v2/videos/j%2F..%2Fk"
    assert finished(steps, answer) == replace(state, id="j/../k")  # whatever the answer calls itself


@pytest.mark.parametrize("vendor", [XAI, TOGETHER])
def test_an_answer_about_no_job_is_none_and_nothing_is_sent_to_stop_one(vendor: Any) -> None:
    call, offer = OfferCall(deployment=deployment("m/m", vendor.kind)), offered(vendor, "videos")
    for body in (b'{"status": "pending"}', b'{"id": "", "request_id": ""}'):
        begun = offer.steps(video(), call)
        next(begun)
        with pytest.raises(UpstreamProtocolError):
            begun.send(HttpAnswer(200, (), body))
    assert list(offer.cancel("j", call)) == []
    with pytest.raises(UpstreamProtocolError):
        next(offer.fetch(VideoState(id="j", status="completed"), call))


@pytest.mark.parametrize(
    ("vendor", "base_url", "file", "way"),
    [
        (XAI, "", "https://vidgen.x.ai/v.mp4", HttpRequest),
        (XAI, "", "http://vidgen.x.ai/v.mp4", Download),
        (XAI, "", "https://x.ai.example/v.mp4", Download),
        (XAI, "https://proxy.example/v1", "https://proxy.example/v.mp4", HttpRequest),
        (TOGETHER, "", "https://api.together.ai/shrt/a", Download),  # leads on
        (TOGETHER, "", "https://cdn.example/v.mp4", Download),
        (TOGETHER, "https://proxy.example/v1", "https://proxy.example/v.mp4", HttpRequest),
    ],
)
def test_files_are_fetched_without_the_key(vendor: Any, base_url: str, file: str, way: type) -> None:
    there = replace(deployment("m/m", vendor.kind), base_url=base_url)
    steps = offered(vendor, "videos").fetch(
        VideoState(id="j", status="completed", file=file), OfferCall(deployment=there)
    )
    step: Any
    try:
        step = next(steps)
    except StopIteration as end:
        step = end.value
    assert (type(step), step.url) == (way, file)
    assert getattr(step, "headers", ()) == ()


def finished(steps: Any, answer: Any) -> Any:
    try:
        steps.send(HttpAnswer(200, (), json.dumps(answer).encode()))
    except StopIteration as end:
        return end.value
    raise AssertionError("it goes on")
