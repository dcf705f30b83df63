"""What OpenAI's operations beside chat refuse, and what they owe."""

from __future__ import annotations

from typing import Any

import pytest
from simulator_calls import Caller

from pulse_gateway.testing.simulator.openai.sounds import AUDIO_TYPES, audio_kind, duration_ms, silence
from pulse_gateway.testing.simulator.samples import picture

PNG = picture("image/png", 64, 64, (1, 2, 3))
WAV = silence("wav", 2_000)
IMAGE = {"model": "gpt-image-2", "prompt": "a cat"}
SPEECH = {"model": "gpt-4o-mini-tts", "input": "Hello", "voice": "alloy"}


@pytest.mark.parametrize(
    ("path", "body", "refusal"),
    [
        ("embeddings", {"input": "x"}, (400, None, None)),
        ("embeddings", {"model": "text-embedding-3-small", "input": ""}, (400, "invalid_value", "input")),
        ("embeddings", {"model": "text-embedding-3-small", "input": ["a", 1]}, (400, "invalid_type", "input[1]")),
        ("embeddings", {"model": "text-embedding-3-small", "input": [[-1]]}, (400, "invalid_value", "input")),
        ("embeddings", {"model": "text-embedding-3-small", "input": ["x"] * 2049}, (400, "array_above_max_length", "input")),
        ("embeddings", {"model": "text-embedding-3-small", "input": "x" * 32_769}, (400, None, "input")),
        ("embeddings", {"model": "text-embedding-3-small", "input": ["x" * 32_000] * 38}, (400, "max_tokens_per_request", "input")),
        ("embeddings", {"model": "text-embedding-3-small", "input": "x", "dimensions": 1537}, (400, "invalid_value", "dimensions")),
        ("embeddings", {"model": "text-embedding-ada-002", "input": "x", "dimensions": 8}, (400, None, "dimensions")),
        ("embeddings", {"model": "gpt-4.1", "input": "x"}, (403, None, None)),
        ("images/generations", {"prompt": "x"}, (400, None, None)),
        ("images/generations", {**IMAGE, "model": "dall-e-3"}, (404, "model_not_found", None)),
        ("images/generations", {**IMAGE, "model": "gpt-4.1"}, (400, "invalid_value", "model")),
        ("images/generations", {**IMAGE, "prompt": ""}, (400, "string_below_min_length", "prompt")),
        ("images/generations", {**IMAGE, "n": 11}, (400, "invalid_value", "n")),
        ("images/generations", {**IMAGE, "size": "1000x1000"}, (400, "invalid_value", "size")),
        ("images/generations", {**IMAGE, "size": "3840x1024"}, (400, "invalid_value", "size")),
        ("images/generations", {**IMAGE, "size": "3840x3840"}, (400, "invalid_value", "size")),
        ("images/generations", {**IMAGE, "model": "gpt-image-1.5", "size": "2048x2048"}, (400, "invalid_value", "size")),
        ("images/generations", {**IMAGE, "quality": "max"}, (400, "invalid_value", "quality")),
        ("images/generations", {**IMAGE, "style": "vivid"}, (400, "unknown_parameter", "style")),
        ("images/generations", {**IMAGE, "response_format": "url"}, (400, "unknown_parameter", "response_format")),
        ("images/generations", {**IMAGE, "output_format": "svg"}, (400, "unsupported_value", "output_format")),
        ("images/generations", {**IMAGE, "output_compression": 50}, (400, "invalid_png_output_compression", "output_compression")),
        ("images/generations", {**IMAGE, "partial_images": 1}, (400, None, "partial_images")),
        ("images/generations", {**IMAGE, "frame_count": 3}, (400, None, "frame_count")),
        (
            "images/generations",
            {**IMAGE, "background": "transparent", "output_format": "jpeg"},
            (400, "invalid_value", "background"),
        ),
        ("images/generations", {**IMAGE, "model": "gpt-image-2+code=moderation_blocked"}, (400, "moderation_blocked", None)),
        ("audio/speech", {**SPEECH, "voice": "bob"}, (400, "invalid_value", "voice")),
        ("audio/speech", {**SPEECH, "voice": {"id": "bob"}}, (400, "invalid_value", "voice.id")),
        ("audio/speech", {**SPEECH, "input": ""}, (400, "string_below_min_length", "input")),
        ("audio/speech", {**SPEECH, "input": "x" * 4097}, (400, "string_above_max_length", "input")),
        ("audio/speech", {**SPEECH, "speed": 5}, (400, "invalid_value", "speed")),
        ("audio/speech", {**SPEECH, "model": "gpt-4.1"}, (400, "invalid_value", "model")),
        ("audio/speech", {**SPEECH, "model": "tts-1", "stream_format": "sse"}, (400, "unsupported_value", "stream_format")),
        ("moderations", {"input": []}, (400, "empty_array", "input")),
        ("moderations", {"input": "x", "model": "gpt-4.1"}, (400, "invalid_value", "model")),
        ("moderations", {"input": [{"type": "video"}]}, (400, "invalid_value", "input[0].type")),
        (
            "moderations",
            {"input": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
            (400, "invalid_image", "input[0].image_url.url"),
        ),
    ],
)  # fmt: skip
def test_what_an_operation_would_not_take_is_refused(path: str, body: Any, refusal: Any) -> None:
    assert Caller().post(f"/v1/{path}", body).error == refusal


@pytest.mark.parametrize(
    ("fields", "data", "refusal"),
    [
        ({}, WAV[:60], (400, "audio_too_short", "file")),
        ({}, b"no sound", (400, None, "file")),
        ({"foo": "1"}, WAV, (400, "unknown_parameter", "foo")),
        ({"keywords": "a"}, WAV, (400, "unsupported_parameter", "keywords")),
        ({"response_format": "srt"}, WAV, (400, "unsupported_value", "response_format")),
        ({"temperature": "2"}, WAV, (400, "invalid_value", "temperature")),
        ({"timestamp_granularities[]": "word"}, WAV, (400, None, "timestamp_granularities")),
        ({"include[]": "logprobs", "response_format": "text"}, WAV, (400, None, "include")),
        ({"known_speaker_names[]": "Sara"}, WAV, (400, "unsupported_parameter", "known_speaker_names")),
        ({"model": "gpt-4o-transcribe-diarize", "prompt": "x"}, WAV, (400, "unsupported_parameter", "prompt")),
        ({"model": "gpt-4o-transcribe-diarize"}, silence("wav", 31_000), (400, None, "chunking_strategy")),
        ({"model": "gpt-4.1"}, WAV, (400, "invalid_value", "model")),
    ],
)
def test_what_cannot_be_transcribed_is_refused(fields: dict[str, str], data: bytes, refusal: Any) -> None:
    asked = {"model": "gpt-4o-transcribe", **fields}
    answered = Caller().form("/v1/audio/transcriptions", list(asked.items()), [("file", "a.wav", data)])
    assert answered.error == refusal


@pytest.mark.parametrize(
    ("fields", "files", "refusal"),
    [
        ({}, [], (400, "missing_required_parameter", "image")),
        ({}, [("image", "a.png", b"no image")], (400, "unsupported_file_mimetype", "image")),
        ({}, [("image[]", "a.png", PNG)] * 17, (400, "array_above_max_length", "image")),
        ({}, [("image", "a.png", PNG), ("video", "a.mp4", PNG)], (400, "unknown_parameter", "video")),
        (
            {},
            [("image", "a.png", PNG), ("mask", "m.png", picture("image/png", 8, 8, (0, 0, 0)))],
            (400, "invalid_mask_image_format", "mask"),
        ),
        ({"input_fidelity": "high"}, [("image", "a.png", PNG)], (400, "unsupported_parameter", "input_fidelity")),
        ({"n": "many"}, [("image", "a.png", PNG)], (400, "invalid_type", "n")),
    ],
)
def test_what_cannot_be_edited_is_refused(fields: dict[str, str], files: list[Any], refusal: Any) -> None:
    asked = {**IMAGE, **fields}
    assert Caller().form("/v1/images/edits", list(asked.items()), files).error == refusal


def test_a_form_that_is_none_is_refused() -> None:
    answered = Caller().post("/v1/images/edits", IMAGE, content_type="application/json")
    assert answered.status == 400
    twice = Caller().form("/v1/images/edits", [("prompt", "a"), ("prompt", "b")], [])
    assert twice.error == (400, "duplicate_parameter", "prompt")


def test_the_books_have_tokens_or_units() -> None:
    caller = Caller()
    caller.post("/v1/embeddings", {"model": "text-embedding-3-small", "input": ["four", "fives"]})
    assert (caller.record.billed.input, caller.record.units) == (3, {})
    caller.post("/v1/images/generations", {**IMAGE, "n": 2, "quality": "low", "size": "1536x1024"})
    assert (caller.record.billed.output, caller.record.units) == (2 * 408, {"images": 2})
    caller.post("/v1/audio/speech", {**SPEECH, "model": "tts-1"})
    assert (caller.record.billed.total, caller.record.units) == (0, {"characters": 5})
    caller.post("/v1/audio/speech", {**SPEECH, "model": "gpt-4o-mini-tts+tokens=40", "response_format": "wav"})
    assert (caller.record.billed.input, caller.record.billed.output) == (2, 40)
    for model, units in (("whisper-1", {"audio_ms": 2_000}), ("gpt-4o-transcribe", {})):
        reply = caller.form("/v1/audio/transcriptions", [("model", model)], [("file", "a.wav", WAV)]).json
        assert caller.record.units == units
        assert caller.record.billed.total == reply["usage"].get("total_tokens", 0)
    caller.post("/v1/moderations", {"input": "x"})
    assert (caller.record.billed.total, caller.record.operation) == (0, "moderation")


def test_a_shorter_vector_points_the_same_way() -> None:
    caller = Caller()
    asked: dict[str, Any] = {"model": "sim-embed", "input": "x", "encoding_format": "float"}
    longer = caller.post("/v1/embeddings", {**asked, "dimensions": 16}).json["data"][0]["embedding"]
    shorter = caller.post("/v1/embeddings", {**asked, "dimensions": 4}).json["data"][0]["embedding"]
    assert [one / shorter[0] for one in shorter] == pytest.approx([one / longer[0] for one in longer[:4]], rel=1e-5)


@pytest.mark.parametrize("kind", AUDIO_TYPES)
def test_silence_is_what_it_says(kind: str) -> None:
    clip = silence(kind, 500)
    assert clip
    assert audio_kind(clip) == {"mp3": "mp3", "opus": "ogg", "aac": "mp3", "flac": "flac", "wav": "wav"}.get(kind)
    if kind == "wav":
        assert duration_ms(clip) == 500


def test_an_error_in_a_stream_of_images_is_an_event_and_in_one_of_sound_nothing() -> None:
    caller = Caller()
    images = caller.post(
        "/v1/images/generations", {**IMAGE, "model": "gpt-image-2+error=1", "stream": True, "partial_images": 2}
    )
    assert [event["type"] for event in images.events] == ["image_generation.partial_image", "error"]
    sound = caller.post("/v1/audio/speech", {**SPEECH, "model": "gpt-4o-mini-tts+error=0"})
    assert (sound.status, sound.body, caller.record.outcome) == (200, b"", "faulted")


@pytest.mark.parametrize("path", ["embeddings", "images/edits", "audio/speech", "responses"])
def test_the_wrong_method_and_the_wrong_key_are_refused(path: str) -> None:
    caller = Caller()
    assert caller.send("GET", f"/v1/{path}").status == 405
    assert caller.post(f"/v1/{path}", {}, authorization="Bearer wrong").status == 401
