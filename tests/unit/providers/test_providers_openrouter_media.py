"""OpenRouter's speech, transcripts and videos: what is asked, what is refused, and what is made of odd answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from media_steps import PNG, deployment, run, sent

from pulse_gateway.errors import InvalidRequest, UnsupportedParameter, UpstreamError
from pulse_gateway.providers import openrouter_speech, openrouter_transcription, openrouter_videos
from pulse_gateway.providers.offer import OfferCall
from pulse_gateway.types.audio import AudioFile, SpeechRequest, TranscriptionRequest
from pulse_gateway.types.http import HttpAnswer, HttpRequest, Payload
from pulse_gateway.types.images import ImageFile
from pulse_gateway.types.usage import Usage
from pulse_gateway.types.videos import VideoRequest, VideoState
from pulse_gateway.wire.audio.formats import wav

SPEAKS, LISTENS, FILMS = openrouter_speech.SPEECH, openrouter_transcription.TRANSCRIPTION, openrouter_videos.VIDEOS
FILE = AudioFile(data=wav(b"\0\0" * 24, rate=24_000), name="a.wav")
CALL = OfferCall(deployment=deployment("google/veo-3.1", "openrouter"))


def recording(**fields: Any) -> TranscriptionRequest:
    return TranscriptionRequest(model="alias", **{"file": FILE, **fields})


def film(**fields: Any) -> VideoRequest:
    return VideoRequest(model="alias", prompt="a fox", seconds=8, size="1280x720", **fields)


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ({}, "mp3"),
        ({"response_format": "pcm", "stream_format": "audio"}, "pcm"),
        ({"response_format": "mp3", "provider": {"zdr": True}}, "mp3"),
    ],
)
def test_speech_is_mp3_unless_raw_samples_are_asked_for(written: dict[str, Any], asked: str) -> None:
    body = {"model": "openai/tts-1", "input": "Hi", "voice": "alloy", **written}
    request = SPEAKS.forward(Payload(json.dumps(body).encode()), CALL)
    body.pop("stream_format", None)
    assert json.loads(request.body) == {**body, "response_format": asked}


def test_speech_that_is_told_as_events_is_made_of_the_whole() -> None:
    request = SpeechRequest(model="alias", input="Hello", voice="alloy", stream=True)
    answer = HttpAnswer(200, (("content-type", "audio/mpeg"),), b"ID3")
    reply, steps = run(SPEAKS, request, "openai/tts-1", answer, kind="openrouter")
    assert "stream" not in sent(steps)[0]
    assert (reply.audio, reply.media_type, reply.usage) == (b"ID3", "audio/mpeg", Usage(characters=5))


@pytest.mark.parametrize(
    ("offer", "request_", "param"),
    [
        (SPEAKS, SpeechRequest(model="m", input="Hi", voice="v", response_format="wav"), "response_format"),
        (LISTENS, recording(prompt="names"), "prompt"),
        (LISTENS, recording(response_format="srt"), "response_format"),
        (LISTENS, recording(response_format="diarized_json"), "response_format"),
        (LISTENS, recording(chunking_strategy={"type": "server_vad"}), "chunking_strategy"),
        (LISTENS, recording(extra={"vad": 1}), "vad"),
        (FILMS, film(extra={"seed": 1}), "seed"),
    ],
)
def test_what_openrouter_has_no_word_for_is_refused_by_name(offer: Any, request_: Any, param: str) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        offer.check(request_, deployment("org/model", "openrouter"))
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        (FILE, "wav"),
        (AudioFile(data=b"ID3abc", media_type="audio/mp3"), "mp3"),
        (AudioFile(data=b"....ftypM4A ", name="a.m4a"), "m4a"),
        (AudioFile(data=b"OggS", name=None), "ogg"),
    ],
)
def test_a_recording_goes_with_its_kind(file: AudioFile, kind: str) -> None:
    answer = {"text": "hi", "usage": {"seconds": 2.5, "cost": 0.00025, "input_tokens": 7, "output_tokens": 2}}
    reply, steps = run(
        LISTENS, recording(file=file, keywords=("Petra",)), "openai/whisper-1", answer, kind="openrouter"
    )
    assert (sent(steps)[0]["input_audio"]["format"], sent(steps)[0]["keyterms"]) == (kind, ["Petra"])
    assert reply.usage == Usage(input_tokens=7, output_tokens=2, audio_ms=2500)
    assert reply.cost_nano_usd == 250_000


@pytest.mark.parametrize(
    ("told", "usage", "cost"),
    [
        ({"usage": {"cost": 0.00025}}, Usage(), 250_000),  # what it costs, and no more
        ({"usage": {"cost": "dear"}}, None, None),
        ({}, None, None),
        ({"duration": 1e308, "usage": {"cost": 0.01}}, Usage(), 10_000_000),
        ({"duration": -1, "usage": {"input_tokens": 3}}, Usage(input_tokens=3), None),
    ],
)
def test_of_what_a_recording_took_only_what_can_be_counts(told: dict[str, Any], usage: Any, cost: int | None) -> None:
    reply, _ = run(LISTENS, recording(), "openai/whisper-1", {"text": "hi", **told}, kind="openrouter")
    assert (reply.usage, reply.cost_nano_usd) == (usage, cost)


def test_a_recording_of_no_kind_is_the_clients_fault_and_an_answer_without_words_the_vendors() -> None:
    with pytest.raises(InvalidRequest) as caught:
        run(LISTENS, recording(file=AudioFile(data=b"??")), "openai/whisper-1", kind="openrouter")
    assert caught.value.param == "file"
    with pytest.raises(UpstreamError):
        run(LISTENS, recording(), "openai/whisper-1", {"error": {"code": 502, "message": "m"}}, kind="openrouter")


def test_a_video_begins_with_the_picture_where_it_is() -> None:
    pictures = ImageFile(url="https://a.example/b.png"), ImageFile(data=PNG)
    for picture in pictures:
        state, steps = run(FILMS, film(image=picture, user="u"), "google/veo-3.1", {"id": "j"}, kind="openrouter")
        [frame] = sent(steps)[0]["frame_images"]
        assert frame["image_url"]["url"].startswith(picture.url or "data:image/png;base64,")
        assert state == VideoState(id="j", status="queued", usage=Usage(video_ms=8000, variant="720p"))


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"status": "pending"}, "queued"),
        ({"status": "in_progress"}, "in_progress"),
        ({"status": "a word of tomorrow"}, "in_progress"),
        ({"status": "completed"}, "completed"),
        ({"status": "cancelled"}, "failed"),
        ({"status": "expired", "error": "too late"}, "failed"),
        ({"status": "failed", "error": {"message": "m"}, "id": "another"}, "failed"),
    ],
)
def test_how_far_a_video_is(told: dict[str, Any], status: str) -> None:
    steps = FILMS.look("a/b", CALL)
    request = next(steps)
    assert isinstance(request, HttpRequest)
    assert request.url == "https://openrouter.ai/api/v1/videos/a%2Fb"
    with pytest.raises(StopIteration) as end:
        steps.send(HttpAnswer(200, (), json.dumps({"id": "a/b", **told}).encode()))
    assert (end.value.value.id, end.value.value.status) == ("a/b", status)
    assert (end.value.value.error_message is not None) == (status == "failed")


def test_a_video_is_fetched_with_the_key_it_was_begun_with() -> None:
    with pytest.raises(StopIteration) as end:
        next(FILMS.fetch(VideoState(id="j", status="completed"), CALL))
    request = end.value.value
    assert (request.method, request.url) == ("GET", "https://openrouter.ai/api/v1/videos/j/content")
    assert dict(request.headers)["authorization"] == "Bearer k"
