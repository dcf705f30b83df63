"""Imagen: `:predict` with a prompt.

Source: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/imagen-api (read 2026-11-24)
"""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pulse_gateway.testing.simulator.dice import Dice
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.gemini.errors import refuse
from pulse_gateway.testing.simulator.gemini.vendor import JSON
from pulse_gateway.testing.simulator.jobs import steering
from pulse_gateway.testing.simulator.samples import colour, picture
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.tokens import Tally
from pulse_gateway.testing.simulator.vendor import Frame, Request, Target
from pulse_gateway.testing.simulator.vertex.predict import Exact, Prediction, check_gcs, read_prediction

__all__ = ["imagine"]

_SHAPES = {"1:1": (1024, 1024), "3:4": (896, 1280), "4:3": (1280, 896), "9:16": (768, 1408), "16:9": (1408, 768)}
_LEVELS = frozenset({"block_low_and_above", "block_medium_and_above", "block_only_high", "block_none"})
_PEOPLE = frozenset({"dont_allow", "allow_adult", "allow_all"})
_REASON = (
    "Unable to show generated images. All images were filtered out because they violated Vertex AI's usage guidelines. You "
    "will not be charged for blocked images. Support codes: 58061214"
)


class _Instance(Exact):
    prompt: Annotated[str, Meta(min_length=1)]


class _OutputOptions(Exact):
    mime_type: Literal["image/png", "image/jpeg"] = "image/png"
    compression_quality: Annotated[int, Meta(ge=0, le=100)] | None = None


class _Parameters(Exact):
    sample_count: Annotated[int, Meta(ge=1, le=4)] = 4
    aspect_ratio: Literal["1:1", "3:4", "4:3", "9:16", "16:9"] = "1:1"
    sample_image_size: Literal["1K", "2K"] = "1K"
    negative_prompt: str | None = None
    seed: Annotated[int, Meta(ge=0, le=2_147_483_647)] | None = None
    guidance_scale: float | None = None
    person_generation: str = "allow_adult"
    safety_setting: str = "block_medium_and_above"
    add_watermark: bool = True
    enhance_prompt: bool = False
    language: str | None = None
    include_rai_reason: bool = False
    include_safety_attributes: bool = False
    storage_uri: str | None = None
    output_options: _OutputOptions = msgspec.field(default_factory=_OutputOptions)


def imagine(seed: int, request: Request, target: Target) -> Work:
    """Raises: Refusal."""
    model, spec = split_model(target.model)
    asked = read_prediction(request, Prediction[_Instance, _Parameters])
    if len(asked.instances) != 1:
        raise refuse("Only one instance is supported.")
    instance: _Instance = asked.instances[0]
    wanted: _Parameters = asked.parameters
    _check(wanted, model)
    tally = Tally(seed, "vertex", model)
    tally.text(instance.prompt)
    tally.json(msgspec.to_builtins(wanted))
    steer = steering(request, spec)
    held_back = wanted.sample_count if steer.refusal else min(steer.filtered or 0, wanted.sample_count)

    def render(_: Faults) -> list[Frame]:
        predictions = [
            prediction
            for at in range(wanted.sample_count)
            if (prediction := _prediction(wanted, instance.prompt, tally.digest, at, held_back=at < held_back))
        ]
        return [Frame(msgspec.json.encode({"predictions": predictions} if predictions else {}))]

    made = wanted.sample_count - held_back
    return Work(
        model=target.model,
        fault_spec=spec,
        content_type=JSON,
        render=render,
        units={"images": made} if made else {},
    )


def _check(wanted: _Parameters, model: str) -> None:
    if wanted.seed is not None and wanted.add_watermark:
        raise refuse("Seed is not supported when watermark is enabled.")
    if wanted.sample_image_size == "2K" and "fast" in model:
        raise refuse("sampleImageSize 2K is not supported by this model.")
    if wanted.safety_setting.lower() not in _LEVELS:
        raise refuse(f"Invalid safetySetting: {wanted.safety_setting}.")
    if wanted.person_generation.lower() not in _PEOPLE:
        raise refuse(f"Invalid personGeneration: {wanted.person_generation}.")
    options = wanted.output_options
    if options.compression_quality is not None and options.mime_type != "image/jpeg":
        raise refuse("compressionQuality is only supported for image/jpeg.")
    if wanted.storage_uri is not None:
        check_gcs(wanted.storage_uri, "parameters.storageUri")


def _prediction(wanted: _Parameters, prompt: str, digest: bytes, at: int, *, held_back: bool) -> dict[str, Any] | None:
    """None: it was held back, and nobody asked why."""
    if held_back:
        return {"raiFilteredReason": _REASON} if wanted.include_rai_reason else None
    media_type = wanted.output_options.mime_type
    width, height = _SHAPES[wanted.aspect_ratio]
    if wanted.sample_image_size == "2K":
        width, height = 2 * width, 2 * height
    made: dict[str, Any] = {"mimeType": media_type}
    if wanted.storage_uri is not None:
        name = f"{Dice(digest).below(10**13):013d}/sample_{at}.{media_type[6:]}"
        made["gcsUri"] = f"{wanted.storage_uri.rstrip('/')}/{name}"
    else:
        data = picture(media_type, width, height, colour(digest, f"picture {at}"))
        made["bytesBase64Encoded"] = b64encode(data).decode()
    if wanted.enhance_prompt:
        made["prompt"] = f"A detailed picture: {prompt}"
    if wanted.include_safety_attributes:
        made["safetyAttributes"] = {"categories": ["Violence"], "scores": [0.1]}
    return made
