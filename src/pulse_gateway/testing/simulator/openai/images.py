"""Images, made and edited: pictures of one colour, of the size and type asked for.

An image costs as many tokens as its quality says for 1024x1024, in proportion to its area, and 100 for each partial image
before it. An input image is 258 tokens, like everywhere in the simulator; text is four bytes a token.
Source: https://developers.openai.com/api/docs/api-reference/images (read 2026-11-24) and openai 3.54.0
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from typing import Any

import msgspec

from pulse_gateway.testing.simulator.answer import Usage
from pulse_gateway.testing.simulator.config import Models
from pulse_gateway.testing.simulator.dice import Dice
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.forms import Part
from pulse_gateway.testing.simulator.media import image_type
from pulse_gateway.testing.simulator.openai.body import converted, form_body, json_body
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.openai.image_rules import EditRequest, Generation, ImageRequest, checked
from pulse_gateway.testing.simulator.openai.vendor import check_family
from pulse_gateway.testing.simulator.samples import colour, picture
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.tokens import MEDIA_TOKENS, Tally, count_text
from pulse_gateway.testing.simulator.vendor import Frame, Request

__all__ = ["edit", "generate"]

_ENCODE = msgspec.json.encode
_QUALITY_TOKENS = {"low": 272, "medium": 1056, "high": 4160, "xhigh": 6240, "max": 8320}
_PARTIAL_TOKENS = 100
_MOST_IMAGES = 16
_MOST_IMAGE_BYTES = 50 * 1024 * 1024
_MOST_MASK_BYTES = 4 * 1024 * 1024
_EDITABLE = ("image/png", "image/jpeg", "image/webp")
_FILES = frozenset({"image", "mask", "markup"})


class _Job(msgspec.Struct, frozen=True, kw_only=True):
    """Valid, and everything that its pictures depend on."""

    kind: str  # image_generation, image_edit
    request: ImageRequest
    generation: Generation
    digest: bytes
    text_tokens: int
    image_tokens: int  # of what was sent


def generate(request: Request, path_model: str, seed: int, models: Models) -> Work:
    """Raises: Refusal."""
    wanted = converted(json_body(request, path_model), ImageRequest)
    return _work("image_generation", wanted, [], seed, models)


def edit(request: Request, path_model: str, seed: int, models: Models) -> Work:
    """Raises: Refusal."""
    form = form_body(request, path_model, frozenset({"image"}))
    for name in form.files:
        if name not in _FILES:
            raise refuse(f"Unknown parameter: '{name}'.", code="unknown_parameter", param=name)
    wanted = converted(form.values, EditRequest, strict=False)
    images = form.files.get("image", [])
    if not images:
        raise refuse("Missing required parameter: 'image'.", code="missing_required_parameter", param="image")
    if len(images) > _MOST_IMAGES:
        raise refuse(
            f"Invalid 'image': array too long. Expected at most {_MOST_IMAGES} images.",
            code="array_above_max_length",
            param="image",
        )
    for image in images:
        _check_image(image, "image", _EDITABLE, _MOST_IMAGE_BYTES)
    overlays = [part for name in ("mask", "markup") for part in form.files.get(name, [])]
    if len(overlays) > 1:
        raise refuse("'mask' and 'markup' cannot be combined.", param="markup")
    for overlay in overlays:
        _check_overlay(overlay, images[0], wanted.model)
    return _work("image_edit", wanted, [part.data for part in (*images, *overlays)], seed, models)


def _work(kind: str, request: ImageRequest, sent: list[bytes], seed: int, models: Models) -> Work:
    model, spec = split_model(request.model)
    check_family(model, models)
    generation = checked(request, model)
    tally = Tally(seed, "openai images", model)
    tally.text(request.prompt)
    for data in sent:
        tally.media(data)
    job = _Job(
        kind=kind,
        request=request,
        generation=generation,
        digest=tally.digest,
        text_tokens=count_text(request.prompt),
        image_tokens=len(sent) * MEDIA_TOKENS,
    )
    stream = bool(request.stream)
    render: Callable[[Faults], list[Frame]] = (
        (lambda faults: _events(job, faults)) if stream else (lambda faults: _reply(job, faults))
    )
    return Work(
        model=request.model,
        fault_spec=spec,
        content_type="text/event-stream; charset=utf-8" if stream else "application/json",
        render=render,
        stream=stream,
        usage=Usage(input=job.text_tokens + job.image_tokens),
        units={"images": generation.count},
    )


def _reply(job: _Job, faults: Faults) -> list[Frame]:
    generation = job.generation
    output = generation.count * _tokens_each(generation)
    body: dict[str, Any] = {
        "created": _created(job),
        "data": [{"b64_json": _picture(job, str(at))} for at in range(generation.count)],
        **_description(generation),
    }
    if not faults.no_usage:
        details = {"output_tokens_details": {"text_tokens": 0, "image_tokens": output}}
        body["usage"] = {**_usage(job, output), **details}
    return [Frame(_ENCODE(body), output)]


def _events(job: _Job, faults: Faults) -> list[Frame]:
    """Partial images, then the whole one; several images one after another."""
    generation = job.generation
    frames: list[Frame] = []
    output = 0
    common = {"created_at": _created(job), **_description(generation)}

    def frame(kind: str, members: dict[str, Any]) -> None:
        name = f"{job.kind}.{kind}"
        data = _ENCODE({"type": name, **members, **common})
        frames.append(Frame(b"event: %b\ndata: %b\n\n" % (name.encode(), data), output))

    for at in range(generation.count):
        for index in range(generation.partial_images):
            output += _PARTIAL_TOKENS
            image = _picture(job, f"{at} partial {index}")
            frame("partial_image", {"b64_json": image, "partial_image_index": index})
        output += _tokens_each(generation)
        if not faults.no_done:
            usage = {} if faults.no_usage else {"usage": _usage(job, output)}
            frame("completed", {"b64_json": _picture(job, str(at)), **usage})
    return frames


def _tokens_each(generation: Generation) -> int:
    area = generation.width * generation.height
    return -(-_QUALITY_TOKENS[generation.quality] * area // (1024 * 1024))


def _usage(job: _Job, output: int) -> dict[str, Any]:
    sent = job.text_tokens + job.image_tokens
    return {
        "input_tokens": sent,
        "input_tokens_details": {"text_tokens": job.text_tokens, "image_tokens": job.image_tokens},
        "output_tokens": output,
        "total_tokens": sent + output,
    }


def _description(generation: Generation) -> dict[str, Any]:
    return {
        "background": generation.background,
        "output_format": generation.output_format,
        "quality": generation.quality,
        "size": f"{generation.width}x{generation.height}",
    }


def _picture(job: _Job, label: str) -> str:
    generation = job.generation
    paint = colour(job.digest, label)
    data = picture(f"image/{generation.output_format}", generation.width, generation.height, paint)
    return base64.b64encode(data).decode()


def _created(job: _Job) -> int:
    return 1_793_500_000 + Dice(job.digest, "created").below(2_000_000)


def _check_image(part: Part, name: str, kinds: tuple[str, ...], most_bytes: int) -> None:
    if len(part.data) > most_bytes:
        raise refuse(f"Invalid '{name}': file too large.", code="image_file_too_large", param=name)
    if image_type(part.data) not in kinds:
        supported = ", ".join(f"'{kind}'" for kind in kinds)
        raise refuse(
            f"Invalid file '{name}': unsupported mimetype ('{part.content_type or 'application/octet-stream'}'). "
            f"Supported file formats are {supported}.",
            code="unsupported_file_mimetype",
            param=name,
        )


def _check_overlay(overlay: Part, image: Part, model: str) -> None:
    _check_image(overlay, overlay.name, ("image/png",), _MOST_MASK_BYTES)
    if overlay.name == "markup" and not model.startswith("gpt-image-2.5"):
        raise refuse(f"'markup' is not supported with {model}.", code="unsupported_parameter", param="markup")
    wanted = _png_size(image.data)
    if wanted is not None and _png_size(overlay.data) != wanted:
        raise refuse(
            f"Invalid {overlay.name} image format - {overlay.name} size does not match image size.",
            code=f"invalid_{overlay.name}_image_format",
            param=overlay.name,
        )


def _png_size(data: bytes) -> tuple[int, int] | None:
    if image_type(data) != "image/png" or len(data) < 24:
        return None
    width, height = struct.unpack(">II", data[16:24])
    return width, height
