"""OpenRouter's speech, transcripts and videos. Speech is MP3 or raw samples, the latter unless asked otherwise.

A recording is transcribed as OpenAI's `whisper-1` would, with what it costs. The books have videos once they are done.
Source: https://openrouter.ai/docs/guides/overview/multimodal/tts, /docs/api_reference/videos and the types of `openrouter` 1.3 (read
2026-11-24)
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pulse_gateway.testing.simulator.compatible.clips import ClipJobs, Job, Paths
from pulse_gateway.testing.simulator.compatible.pictures import read_picture
from pulse_gateway.testing.simulator.config import Models
from pulse_gateway.testing.simulator.dice import decode_base64
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.openai.body import Strict, converted, json_body
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.openai.sounds import audio_kind, duration_ms
from pulse_gateway.testing.simulator.openai.speech import speech
from pulse_gateway.testing.simulator.samples import clip, colour
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.tokens import Tally
from pulse_gateway.testing.simulator.vendor import Frame, Request

__all__ = ["VIDEO_PATHS", "OpenRouterVideos", "openrouter_speech", "openrouter_transcript"]

VIDEO_PATHS: Paths = (
    ("POST", re.compile(r"(?:api/)?videos"), "videos"),
    ("GET", re.compile(r"(?:api/)?videos/([\w-]+)"), "videos.get"),
    ("GET", re.compile(r"(?:api/)?videos/([\w-]+)/content"), "videos.content"),
)
_NANO_USD_PER_S = 100_000_000
_NANO_USD_PER_AUDIO_MS = 100
_SIZE = re.compile(r"[1-9]\d{2,3}x[1-9]\d{2,3}")


class SpeechRequest(Strict):
    input: Annotated[str, Meta(min_length=1)]
    model: str
    voice: str = "alloy"
    input_references: list[Any] | None = None
    instructions: str | None = None
    provider: dict[str, Any] | None = None
    response_format: Literal["mp3", "pcm"] = "pcm"
    speed: Annotated[float, Meta(ge=0.25, le=4)] | None = None
    user: str | None = None


class InputAudio(Strict):
    data: str
    format: Annotated[str, Meta(pattern=r"^[a-z0-9]+$")]


class TranscriptRequest(Strict):
    input_audio: InputAudio
    model: str
    diarize: bool | None = None
    keyterms: list[str] | None = None
    language: str | None = None
    provider: dict[str, Any] | None = None
    response_format: Literal["json", "verbose_json"] = "json"
    temperature: float | None = None
    timestamp_granularities: list[Literal["segment", "word"]] | None = None
    user: str | None = None


class ImageAddress(Strict):
    url: str


class FrameImage(Strict):
    type: Literal["image_url"]
    image_url: ImageAddress
    frame_type: Literal["first_frame", "last_frame"]


class VideoRequest(Strict):
    model: str
    prompt: Annotated[str, Meta(min_length=1)]
    aspect_ratio: str | None = None
    callback_url: str | None = None
    duration: Annotated[int, Meta(ge=1, le=60)] = 4
    frame_images: list[FrameImage] | None = None
    generate_audio: bool | None = None
    provider: dict[str, Any] | None = None
    resolution: str | None = None
    seed: int | None = None
    size: str = "1280x720"
    user: str | None = None


def openrouter_speech(request: Request, models: Models) -> Work:
    """Raises: Refusal."""
    wanted = converted(json_body(request, ""), SpeechRequest)
    _slug(wanted.model)
    body: dict[str, Any] = {
        "model": wanted.model.partition("/")[2] if wanted.model.startswith("openai/") else wanted.model,
        "input": wanted.input,
        "voice": wanted.voice,
        "response_format": wanted.response_format,
    }
    body |= {name: value for name in ("instructions", "speed") if (value := getattr(wanted, name)) is not None}
    work = speech(body, models)
    kind = "audio/pcm;rate=24000;channels=1" if wanted.response_format == "pcm" else "audio/mpeg"
    return msgspec.structs.replace(work, model=wanted.model, content_type=kind)


def openrouter_transcript(request: Request, seed: int) -> Work:
    """Raises: Refusal."""
    wanted = converted(json_body(request, ""), TranscriptRequest)
    model, spec = split_model(wanted.model)
    _slug(model)
    data = decode_base64(wanted.input_audio.data)
    if not data or audio_kind(data) is None:
        raise refuse("input_audio.data is not a base64-encoded recording", param="input_audio")
    tally, length_ms = Tally(seed, "openrouter transcripts", model), duration_ms(data)
    tally.media(data)
    text = f"Simulated transcript {tally.digest.hex()[:8]}."

    def render(faults: Faults) -> list[Frame]:
        body: dict[str, Any] = {"text": text}
        if wanted.response_format == "verbose_json":
            segment = {"id": 0, "start": 0.0, "end": length_ms / 1000, "text": text}
            body |= {
                "task": "transcribe",
                "language": wanted.language or "en",
                "duration": length_ms / 1000,
                "segments": [segment],
            }
        if not faults.no_usage:
            body["usage"] = {"seconds": length_ms / 1000, "cost": length_ms * _NANO_USD_PER_AUDIO_MS / 1_000_000_000}
        return [Frame(msgspec.json.encode(body))]

    units = {"audio_ms": length_ms}
    return Work(model=wanted.model, fault_spec=spec, content_type="application/json", render=render, units=units)


class OpenRouterVideos(ClipJobs):
    """Jobs that are fetched with the key they were begun with."""

    def __init__(self, seed: int) -> None:
        super().__init__("openrouter", _shown)
        self._seed = seed

    def order(self, request: Request) -> Work:
        """Raises: Refusal."""
        wanted = converted(json_body(request, ""), VideoRequest)
        model = split_model(wanted.model)[0]
        _slug(model)
        if not _SIZE.fullmatch(wanted.size):
            raise refuse(f"Invalid size: {wanted.size}", param="size")
        tally = Tally(self._seed, "openrouter videos", model)
        tally.text(wanted.prompt)
        for frame in wanted.frame_images or ():
            tally.media(read_picture(frame.image_url.url, "frame_images"))
        work = self.begin(
            request, wanted.model, wanted.duration, wanted.size, tally.digest, lambda job: _document(job, "pending")
        )
        return msgspec.structs.replace(work, status=202)

    def content(self, job_id: str) -> Work:
        """Raises: Refusal."""
        job = self._jobs.get(job_id)
        if job is None or not job.is_over:
            raise refuse(f"There is no content of {job_id} yet.", status=404)
        data = clip(job.seconds * 1000, colour(job.id.encode()))
        return Work(model="", content_type="video/mp4", render=lambda faults: [Frame(data)])


def _slug(model: str) -> None:
    if "/" not in model:
        raise refuse(f"{model} is not a valid model ID", param="model")


def _shown(job: Job) -> tuple[int, Any]:
    if not job.is_over:
        return 200, _document(job, "in_progress")
    if job.fails is not None or job.is_held_back:
        return 200, {**_document(job, "failed"), "error": job.fails or "The maker's filter held the video back."}
    usage = {"cost": job.seconds * _NANO_USD_PER_S / 1_000_000_000, "is_byok": False}
    return 200, {**_document(job, "completed"), "unsigned_urls": [f"/api/v1/videos/{job.id}/content"], "usage": usage}


def _document(job: Job, status: str) -> dict[str, Any]:
    return {"id": job.id, "polling_url": f"/api/v1/videos/{job.id}", "status": status}
