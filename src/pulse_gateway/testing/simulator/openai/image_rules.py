"""What may be asked of an image model.

Source: type definitions of the official SDK, openai 3.54.0 (read 2026-11-24)
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pulse_gateway.testing.simulator.openai.body import Strict
from pulse_gateway.testing.simulator.openai.errors import refuse

__all__ = ["EditRequest", "Generation", "ImageRequest", "checked"]

_IMAGE_MODELS = ("gpt-image-", "chatgpt-image-")
_OLDER = ("gpt-image-1", "chatgpt-image-")
_FIXED_SIZES = ("1024x1024", "1536x1024", "1024x1536")
_SIZE = re.compile(r"([1-9]\d{1,3})x([1-9]\d{1,3})")
_LONGEST_EDGE = 3840
_MOST_PIXELS = 3840 * 2160
_MOST_CHARACTERS = 32_000


class ImageRequest(Strict):
    prompt: str
    model: str
    background: Literal["transparent", "opaque", "auto"] | None = None
    complexity: Literal["low", "medium", "high"] | None = None
    frame_count: int | None = None
    frame_duration_ms: int | None = None
    moderation: Literal["low", "auto"] | None = None
    n: Annotated[int, Meta(ge=1, le=10)] | None = None
    output_compression: Annotated[int, Meta(ge=0, le=100)] | None = None
    output_format: Literal["png", "webp", "jpeg", "gif", "svg"] | None = None
    partial_images: Annotated[int, Meta(ge=0, le=3)] | None = None
    quality: Literal["low", "medium", "high", "xhigh", "max", "auto"] | None = None
    safety_identifier: str | None = None
    size: str | None = None
    stream: bool | None = None
    svg: dict[str, Any] | None = None
    user: str | None = None


class EditRequest(ImageRequest, kw_only=True):
    input_fidelity: Literal["high", "low"] | None = None


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """What is made, with nothing left to choose."""

    width: int
    height: int
    quality: str
    background: str
    output_format: str
    count: int
    partial_images: int


def checked(request: ImageRequest, model: str) -> Generation:
    """Raises: Refusal."""
    if model.startswith(("gpt-", "chatgpt-", "o3")) and not model.startswith(_IMAGE_MODELS):
        raise refuse(f"Invalid value: '{model}'. Value must be an image model.", code="invalid_value", param="model")
    if not request.prompt:
        raise refuse("Invalid 'prompt': string too short.", code="string_below_min_length", param="prompt")
    if len(request.prompt) > _MOST_CHARACTERS:
        raise refuse(
            f"Invalid 'prompt': string too long. Expected a string with maximum length {_MOST_CHARACTERS}, but got a "
            f"string with length {len(request.prompt)} instead.",
            code="string_above_max_length",
            param="prompt",
        )
    width, height = _size(request.size, model)
    _check_format(request)
    quality = "medium" if request.quality in {None, "auto"} else str(request.quality)
    if quality in {"xhigh", "max"} and model.startswith((*_OLDER, "gpt-image-2")) and not _since_2_5(model):
        raise _invalid(quality, "quality", ("low", "medium", "high", "auto"))
    if request.partial_images and not request.stream:
        raise refuse("'partial_images' is only allowed when 'stream' is enabled.", param="partial_images")
    if isinstance(request, EditRequest):
        _check_fidelity(request.input_fidelity, model)
    return Generation(
        width=width,
        height=height,
        quality=quality,
        background="transparent" if request.background == "transparent" else "opaque",
        output_format=request.output_format or "png",
        count=request.n or 1,
        partial_images=request.partial_images or 0,
    )


def _size(size: str | None, model: str) -> tuple[int, int]:
    if size is None or size == "auto":
        return 1024, 1024
    if model.startswith(_OLDER) and size not in _FIXED_SIZES:
        raise _invalid(size, "size", (*_FIXED_SIZES, "auto"))
    found = _SIZE.fullmatch(size)
    if found is None:
        raise _invalid(size, "size", (*_FIXED_SIZES, "auto"))
    width, height = int(found.group(1)), int(found.group(2))
    problem = None
    if width % 16 or height % 16:
        problem = "width and height must be divisible by 16"
    elif max(width, height) > 3 * min(width, height):
        problem = "the aspect ratio must be between 1:3 and 3:1"
    elif max(width, height) > _LONGEST_EDGE or width * height > _MOST_PIXELS:
        problem = "the maximum supported resolution is 3840x2160"
    if problem:
        raise refuse(f"Invalid size '{size}': {problem}.", code="invalid_value", param="size")
    return width, height


def _check_format(request: ImageRequest) -> None:
    if request.output_format in {"gif", "svg"}:
        raise refuse(
            f"output_format '{request.output_format}' is in preview and not enabled for your project.",
            code="unsupported_value",
            param="output_format",
        )
    for name in ("frame_count", "frame_duration_ms", "svg"):
        if getattr(request, name) is not None:
            raise refuse(f"'{name}' is not supported with this output format.", param=name)
    if request.background == "transparent" and request.output_format == "jpeg":
        raise refuse(
            "Transparent background is not supported for JPEG output format.", code="invalid_value", param="background"
        )
    if request.output_compression is not None and request.output_format not in {"jpeg", "webp"}:
        raise refuse(
            "Compression less than 100 is not supported for PNG output format.",
            code="invalid_png_output_compression",
            param="output_compression",
        )


def _check_fidelity(fidelity: str | None, model: str) -> None:
    if fidelity is None:
        return
    if model.startswith("gpt-image-2"):
        raise refuse(
            f"'input_fidelity' is not supported with {model}.", code="unsupported_parameter", param="input_fidelity"
        )
    if fidelity == "high" and model.startswith("gpt-image-1-mini"):
        raise _invalid(fidelity, "input_fidelity", ("low",))


def _since_2_5(model: str) -> bool:
    return model.startswith(("gpt-image-2.5", "gpt-image-2.6"))


def _invalid(value: str, name: str, supported: tuple[str, ...]) -> Exception:
    shown = ", ".join(f"'{each}'" for each in supported)
    return refuse(f"Invalid value: '{value}'. Supported values are: {shown}.", code="invalid_value", param=name)
