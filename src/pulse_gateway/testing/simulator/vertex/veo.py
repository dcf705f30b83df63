"""Veo: `:predictLongRunning` starts a video, `:fetchPredictOperation` looks whether it is done.

Source: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/veo-video-generation (read 2026-11-24) and
google-genai 3.4.0
"""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from pulse_gateway.testing.simulator.dice import Dice, identifier
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.gemini.errors import malformed, refuse
from pulse_gateway.testing.simulator.gemini.vendor import JSON
from pulse_gateway.testing.simulator.jobs import POLLS, START, spec_at, steering
from pulse_gateway.testing.simulator.samples import clip, colour
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.tokens import Tally
from pulse_gateway.testing.simulator.vendor import Frame, Request, Target
from pulse_gateway.testing.simulator.vertex.predict import (
    Exact,
    MediaSource,
    Prediction,
    check_gcs,
    check_image,
    check_source,
    read_prediction,
)

__all__ = ["Videos"]

_ENCODE = msgspec.json.encode
_VIDEOS = frozenset({"video/mp4", "video/mov", "video/quicktime"})
_PEOPLE = frozenset({"dont_allow", "allow_adult", "allow_all"})
_RESPONSE = "type.googleapis.com/cloud.ai.large_models.vision.GenerateVideoResponse"
_CODES = {
    "CANCELLED": 1, "INVALID_ARGUMENT": 3, "DEADLINE_EXCEEDED": 4, "NOT_FOUND": 5, "PERMISSION_DENIED": 7,
    "RESOURCE_EXHAUSTED": 8, "FAILED_PRECONDITION": 9, "ABORTED": 10, "INTERNAL": 13, "UNAVAILABLE": 14,
}  # fmt: skip
_MESSAGES = {
    8: "Resource exhausted. Please try again later.",
    13: "Video generation failed due to an internal server issue. Please try again in a few minutes.",
    14: "The service is currently experiencing high load and cannot process your request. Please try again later.",
}
_HELD_BACK = "Veo could not generate videos because the input or output violates Vertex AI's usage guidelines. Support codes: 58061214"  # fmt: skip


class _Reference(Exact):
    image: MediaSource
    reference_type: str


class _Mask(MediaSource):
    mask_mode: str | None = None


class _Instance(Exact):
    prompt: str | None = None
    image: MediaSource | None = None
    last_frame: MediaSource | None = None
    video: MediaSource | None = None
    reference_images: Annotated[list[_Reference], Meta(max_length=3)] = msgspec.field(default_factory=list)
    mask: _Mask | None = None


class _Parameters(Exact):
    sample_count: Annotated[int, Meta(ge=1, le=4)] = 1
    duration_seconds: int = 8
    aspect_ratio: Literal["16:9", "9:16"] = "16:9"
    resolution: Literal["720p", "1080p", "4k"] = "720p"
    generate_audio: bool | None = None
    negative_prompt: str | None = None
    person_generation: str = "allow_adult"
    seed: Annotated[int, Meta(ge=0, le=4_294_967_295)] | None = None
    storage_uri: str | None = None
    enhance_prompt: bool | None = None
    compression_quality: Literal["optimized", "lossless", "OPTIMIZED", "LOSSLESS"] | None = None
    resize_mode: Literal["crop", "pad", "CROP", "PAD"] | None = None
    fps: int | None = None
    pubsub_topic: str | None = None


class _Fetch(Exact):
    operation_name: str


class _Job(Struct):
    name: str
    model: str
    response: dict[str, Any]  # what is said once it is done
    sold: dict[str, int]
    units: dict[str, int]  # of the request that started it
    polls_left: int


class Videos:
    """The jobs there are."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._jobs: dict[str, _Job] = {}
        self._started = 0

    def reset(self) -> None:
        self._jobs.clear()

    def start(self, request: Request, target: Target) -> Work:
        """Raises: Refusal."""
        model, spec = split_model(target.model)
        asked = read_prediction(request, Prediction[_Instance, _Parameters])
        if len(asked.instances) != 1:
            raise refuse("Only one instance is supported.")
        tally = Tally(self._seed, "vertex", model)
        _check(asked.instances[0], asked.parameters, model, tally)
        steer = steering(request, spec)
        units: dict[str, int] = {}

        def render(_: Faults) -> list[Frame]:
            self._started += 1
            job_id = identifier("", tally.digest, f"job {self._started}", 32)
            parent = request.path.strip("/").partition("/")[2].rpartition(":")[0]
            name = f"{parent}/operations/{job_id}"
            response, sold = _outcome(asked.parameters, tally.digest, steer)
            polls = POLLS if steer.polls is None else steer.polls
            self._jobs[name] = _Job(name, target.model, response, sold, units, polls)
            return [Frame(_ENCODE({"name": name}))]

        return Work(model=target.model, fault_spec=spec_at(START, spec), content_type=JSON, render=render, units=units)

    def look(self, request: Request, target: Target) -> Work:
        """Raises: Refusal."""
        try:
            asked = msgspec.json.decode(request.body, type=_Fetch)
        except msgspec.ValidationError as error:
            raise malformed(error, "FetchPredictOperationRequest") from error
        except msgspec.DecodeError as error:
            raise refuse(f"Invalid JSON payload received. {error}") from error
        job = self._jobs.get(asked.operation_name)
        if job is None:
            raise refuse(f"The operation {asked.operation_name} is not found.", http=404)
        parent = request.path.strip("/").partition("/")[2].rpartition(":")[0]
        if job.name.rpartition("/operations/")[0] != parent:
            raise refuse("The operation name does not belong to the model of the path.")

        def render(_: Faults) -> list[Frame]:
            if job.polls_left > 0:
                job.polls_left -= 1
                return [Frame(_ENCODE({"name": job.name}))]
            job.units.update(job.sold)
            return [Frame(_ENCODE({"name": job.name, "done": True, **job.response}))]

        _, spec = split_model(target.model)
        return Work(model=target.model, fault_spec=spec_at("poll", spec), content_type=JSON, render=render)


def _outcome(wanted: _Parameters, digest: bytes, steer: Faults) -> tuple[dict[str, Any], dict[str, int]]:
    """How the job ends, and what is to be paid for it."""
    if steer.fail is not None:
        code = _CODES.get(steer.fail.upper()) or (int(steer.fail) if steer.fail.isdigit() else 13)
        return {"error": {"code": code, "message": _MESSAGES.get(code, "Video generation failed.")}}, {}
    held_back = wanted.sample_count if steer.refusal else min(steer.filtered or 0, wanted.sample_count)
    response: dict[str, Any] = {"@type": _RESPONSE, "raiMediaFilteredCount": held_back}
    if held_back:
        response["raiMediaFilteredReasons"] = [_HELD_BACK]
    made = wanted.sample_count - held_back
    if made:
        response["videos"] = [_video(wanted, digest, at) for at in range(made)]
    sold = {"videos": made, "video_ms": made * wanted.duration_seconds * 1000} if made else {}
    return {"response": response}, sold


def _video(wanted: _Parameters, digest: bytes, at: int) -> dict[str, Any]:
    if wanted.storage_uri is not None:
        folder = f"{Dice(digest).below(10**19):019d}"
        return {"gcsUri": f"{wanted.storage_uri.rstrip('/')}/{folder}/sample_{at}.mp4", "mimeType": "video/mp4"}
    data = clip(wanted.duration_seconds * 1000, colour(digest, f"video {at}"))
    return {"bytesBase64Encoded": b64encode(data).decode(), "mimeType": "video/mp4"}


def _check(instance: _Instance, wanted: _Parameters, model: str, tally: Tally) -> None:
    tally.json(msgspec.to_builtins(wanted))
    tally.text(instance.prompt or "")
    _check_parameters(wanted, model)
    sources = [
        ("image", instance.image),
        ("lastFrame", instance.last_frame),
        *((f"referenceImages[{at}].image", each.image) for at, each in enumerate(instance.reference_images)),
    ]
    for name, source in sources:
        if source is not None:
            tally.media(check_image(source, f"instances[0].{name}"))
    if instance.video is not None:
        tally.media(check_source(instance.video, "instances[0].video", _VIDEOS))
    if instance.mask is not None and instance.video is None:
        raise refuse("instances[0].mask: a mask needs a video.")
    if not instance.prompt and instance.image is None and instance.video is None:
        raise refuse("instances[0]: a prompt, an image or a video is required.")
    if instance.last_frame is not None and instance.image is None:
        raise refuse("instances[0].lastFrame: a last frame needs an image, which is the first one.")
    if instance.image is not None and instance.video is not None:
        raise refuse("instances[0]: image and video cannot both be set.")
    if instance.reference_images:
        if instance.image is not None or instance.video is not None:
            raise refuse("instances[0].referenceImages: cannot be combined with image or video.")
        if any(each.reference_type.upper() not in {"ASSET", "STYLE"} for each in instance.reference_images):
            raise refuse("instances[0].referenceImages: referenceType must be asset or style.")
        if wanted.duration_seconds != 8:
            raise refuse("durationSeconds must be 8 with reference images.")


def _check_parameters(wanted: _Parameters, model: str) -> None:
    is_old = model.startswith("veo-2")
    durations = (5, 6, 7, 8) if is_old else (4, 6, 8)
    if wanted.duration_seconds not in durations:
        raise refuse(
            f"Unsupported output video duration {wanted.duration_seconds} seconds, supported durations are "
            f"[{','.join(map(str, durations))}] for feature text_to_video."
        )
    if wanted.resolution != "720p" and is_old:
        raise refuse(f"resolution {wanted.resolution} is not supported by this model.")
    if wanted.resolution == "4k" and ("lite" in model or not model.startswith("veo-3.1")):
        raise refuse("resolution 4k is not supported by this model.")
    if wanted.generate_audio is not None and is_old:
        raise refuse("generateAudio is not supported by this model.")
    if wanted.person_generation.lower() not in _PEOPLE:
        raise refuse(f"Invalid personGeneration: {wanted.person_generation}.")
    if wanted.storage_uri is not None:
        check_gcs(wanted.storage_uri, "parameters.storageUri")
