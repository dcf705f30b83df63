"""Together.

Source: https://docs.together.ai, above all /reference/post-images-generations, /reference/create-videos and
/docs/inference/text-to-speech/overview, and the types of `together` 3.1 (read 2026-11-24)
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from pulse_gateway.testing.simulator.compatible.base import Chunk, Compatible, Told
from pulse_gateway.testing.simulator.compatible.clips import CLIP_PATH, ClipJobs, Job, Paths, clip_work, own_target
from pulse_gateway.testing.simulator.compatible.pictures import read_picture, together_images
from pulse_gateway.testing.simulator.config import Config
from pulse_gateway.testing.simulator.dice import decode_base64
from pulse_gateway.testing.simulator.faults import split_model
from pulse_gateway.testing.simulator.media import image_type
from pulse_gateway.testing.simulator.openai.body import Strict, converted, json_body
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.openai.speech import speech
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.tokens import Tally
from pulse_gateway.testing.simulator.vendor import Chat, Request, Target

__all__ = ["Together"]

_PATHS: Paths = (
    ("POST", re.compile("videos"), "videos"),
    ("GET", re.compile("videos/([0-9a-f]{32})"), "videos.get"),
    ("GET", CLIP_PATH, "clip"),
)
_Edge = Annotated[int, Meta(ge=128, le=4096)]
_CREATED = 1_795_000_000
_COST = 0.28
_SPEECH = {"mp3": "mp3", "wav": "wav", "raw": "pcm"}  # in OpenAI's words


class _Frame(Strict):
    input_image: str
    frame: float | Literal["first", "last"] = "first"


class _Media(Strict):
    frame_images: Annotated[list[_Frame], Meta(min_length=1, max_length=2)] = msgspec.field(default_factory=list)
    reference_images: list[str] = msgspec.field(default_factory=list)


class _VideoRequest(Strict):
    model: str
    prompt: Annotated[str, Meta(min_length=1, max_length=32_000)]
    width: _Edge = 1366
    height: _Edge = 768
    seconds: Annotated[str, Meta(pattern=r"^[1-9]\d?$")] = "6"
    fps: int | None = None
    seed: int | None = None
    negative_prompt: str | None = None
    output_format: Literal["MP4", "WEBM"] = "MP4"
    media: _Media | None = None


class _SpeechRequest(Strict):
    model: str
    input: str
    voice: str
    response_format: Literal["mp3", "wav", "raw"] = "wav"
    response_encoding: Literal["pcm_s16le", "pcm_f32le", "pcm_mulaw", "pcm_alaw"] | None = None
    sample_rate: int | None = None
    bit_rate: Literal[32000, 64000, 96000, 128000, 192000] | None = None
    language: str | None = None
    stream: Literal[False] = False


class Together(Compatible):
    """Namespaced names, `eos`, log probabilities as two lists, and videos in a second API."""

    name = "together"
    offers = frozenset({"embeddings", "images", "rerank", "speech", "transcription", "translation"})
    extras = frozenset(
        {"context_length_exceeded_behavior", "echo", "min_p", "repetition_penalty", "safety_model", "top_k"}
    )
    reasoners = r"DeepSeek-R1|Qwen3|gpt-oss"
    finishes: ClassVar[dict[str, str]] = {"stop": "eos"}
    usage_in = "finish"
    listed: ClassVar[tuple[str, ...]] = ("deepseek-ai/DeepSeek-V4.1-Flash-1017", "openai/gpt-oss-120b")

    def __init__(self, seed: int, config: Config) -> None:
        super().__init__(seed, config)
        self._models = config.models
        self._videos = ClipJobs(self.name, _shown)

    def reset(self) -> None:
        super().reset()
        self._videos.reset()

    def route(self, request: Request) -> Target | None:
        return own_target(request, self._prefix, _PATHS) or super().route(request)

    def admit(self, request: Request, target: Target) -> None:
        if target.operation != "clip":
            super().admit(request, target)

    def check(self, body: dict[str, Any], messages: list[dict[str, Any]]) -> None:
        _namespaced(str(body.get("model")))

    def take(self, request: Request, target: Target) -> Work | Chat:
        match target.operation:
            case "images":
                return together_images(request, self._seed)
            case "speech":
                return self._speech(request)
            case "videos":
                return self._begin(request)
            case "videos.get":
                return self._videos.look(target.model)
            case "clip":
                return clip_work(request)
        return super().take(request, target)

    def plain(self, body: dict[str, Any]) -> dict[str, Any]:
        """`logprobs` is a number here."""
        if isinstance(body.get("logprobs"), int):
            body["logprobs"] = bool(body["logprobs"])
        return body

    def reply(self, reply: dict[str, Any], told: Told) -> None:
        for choice in reply["choices"]:
            choice["logprobs"] = _two_lists(choice["logprobs"])

    def chunks(self, chunks: list[Chunk], told: Told) -> None:
        for chunk in chunks:
            for choice in chunk.data["choices"]:
                choice["logprobs"] = _two_lists(choice["logprobs"])

    def _speech(self, request: Request) -> Work:
        """WAV unless something else is asked for."""
        wanted = converted(json_body(request, ""), _SpeechRequest)
        if wanted.response_encoding not in {None, "pcm_s16le"} or wanted.sample_rate not in {None, 24_000}:
            raise refuse("This simulation has samples of 16 bits at 24 kHz alone.", param="response_encoding")
        body = {"model": wanted.model, "input": wanted.input, "voice": wanted.voice}
        return speech({**body, "response_format": _SPEECH[wanted.response_format]}, self._models)

    def _begin(self, request: Request) -> Work:
        wanted = converted(json_body(request, ""), _VideoRequest)
        model = split_model(wanted.model)[0]
        _namespaced(model)
        tally = Tally(self._seed, "together videos", model)
        tally.text(wanted.prompt)
        for frame in (wanted.media or _Media()).frame_images:
            tally.media(_frame(frame.input_image))
        size = f"{wanted.width}x{wanted.height}"
        return self._videos.begin(
            request, wanted.model, int(wanted.seconds), size, tally.digest, lambda job: _document(job, "in_progress")
        )


def _namespaced(model: str) -> None:
    if "/" not in model.partition("+")[0]:
        raise refuse(
            f"Unable to access model {model}. Please visit https://api.together.ai/models to view the list of "
            "supported models.",
            code="model_not_available",
            param="model",
            status=404,
        )


def _frame(picture: str) -> bytes:
    """An address, or base64 as it is. Raises: Refusal."""
    data = decode_base64(picture)
    if data is not None and image_type(data) is not None:
        return data
    return read_picture(picture, "frame_images")


def _shown(job: Job) -> tuple[int, Any]:
    if not job.is_over:
        return 200, _document(job, "in_progress")
    if job.fails is not None:
        error = {"code": job.fails.lower(), "message": "Video generation failed."}
        return 200, {**_document(job, "failed"), "error": error}
    if job.is_held_back:
        error = {"code": "content_moderation", "message": "The request was flagged by the model's provider."}
        return 200, {**_document(job, "failed"), "error": error}
    done = {"completed_at": _CREATED + 60, "outputs": {"cost": _COST, "video_url": job.url}}
    return 200, {**_document(job, "completed"), **done}


def _document(job: Job, status: str) -> dict[str, Any]:
    return {
        "id": job.id,
        "object": "video",
        "model": split_model(job.model)[0],
        "status": status,
        "size": job.size,
        "seconds": str(job.seconds),
        "created_at": _CREATED,
    }


def _two_lists(scores: dict[str, Any] | None) -> dict[str, Any] | None:
    if scores is None:
        return None
    entries = scores["content"]
    return {"tokens": [each["token"] for each in entries], "token_logprobs": [each["logprob"] for each in entries]}
