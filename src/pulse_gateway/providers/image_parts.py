"""What the vendors' image offers share: what none of them has, and how a size is said as a ratio."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable
from typing import Any

from pulse_gateway.errors import UnsupportedParameter
from pulse_gateway.types.catalog import Deployment, Model
from pulse_gateway.types.images import ImageReply, ImageRequest, MadeImage
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.foreign_json import not_of_protocol
from pulse_gateway.wire.picture import image_size
from pulse_gateway.wire.refusals import not_taken, refuse_extra, unsupported

__all__ = ["check_images", "made_of", "only_bytes", "pixels_of", "ratio_of"]

_SIZE = re.compile(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})", re.ASCII)
_RATIO = re.compile(r"([1-9][0-9]?):([1-9][0-9]?)", re.ASCII)
_HINTS = ("user", "partial_images", "moderation")
"""An image without them is the image that was asked for: of partial images, fewer may come than were asked for; and no filter here can
be told to be laxer."""
_HEAD_CHARS = 64 * 1024 * 4 // 3 // 4 * 4  # of base64: enough to find the size in


def check_images(request: ImageRequest, deployment: Deployment, *, lacks: Iterable[str]) -> tuple[str, ...]:
    """The hints that are dropped.

    Raises: UnsupportedParameter for the first of `lacks` that the request names, for a transparent background, and for what has no
    neutral form.
    """
    model = deployment.model
    refuse_extra(request.extra, model)
    for name in lacks:
        if getattr(request, name) not in (None, ()):
            raise not_taken(model, name)
    if request.background not in (None, "opaque"):
        raise unsupported(model, "background", f"makes no {request.background} background")
    hints = tuple(name for name in _HINTS if getattr(request, name) is not None)
    return (*hints, *request.hints)


def pixels_of(request: ImageRequest, model: Model) -> tuple[int, int] | None:
    """Raises: UnsupportedParameter for a size that is none."""
    if request.size is None:
        return None
    found = _SIZE.fullmatch(request.size)
    if found is None:
        raise unsupported(model, "size", "makes images of WIDTHxHEIGHT pixels")
    return int(found[1]), int(found[2])


def ratio_of(request: ImageRequest, deployment: Deployment, known: Iterable[str]) -> str | None:
    """`16:9`, from the ratio or the size that was asked for; None: the vendor's choice.

    Raises: UnsupportedParameter for a ratio that is none of those `known`, or when size and ratio contradict each other.
    """
    model = deployment.model
    pixels, asked = pixels_of(request, model), request.aspect_ratio
    if asked is not None and not _RATIO.fullmatch(asked):
        raise unsupported(model, "aspect_ratio", "takes an aspect ratio such as 16:9")
    of_size = None if pixels is None else _reduced(*pixels)
    if asked is not None and of_size is not None and of_size != _reduced(*map(int, asked.split(":"))):
        raise unsupported(model, "aspect_ratio", "cannot make an image of two aspect ratios")
    ratio, name = (of_size, "size") if asked is None else (asked, "aspect_ratio")
    if ratio is None or ratio in known:
        return ratio
    raise unsupported(model, name, f"makes images of {', '.join(known)}, not {ratio}")


def _reduced(width: int, height: int) -> str:
    """As vendors write it: the cinema's 21:9 is not reduced to 7:3."""
    common = math.gcd(width, height)
    written = f"{width // common}:{height // common}"
    return {"7:3": "21:9", "3:7": "9:21"}.get(written, written)


def first_size(images: Iterable[MadeImage]) -> str | None:
    """`WIDTHxHEIGHT` of the first image, as its own bytes say. Raises: UpstreamProtocolError for what is no base64."""
    data = next((image.data for image in images if image.data), None)
    try:
        return None if data is None else image_size(base64.b64decode(data[:_HEAD_CHARS]))
    except ValueError as error:
        raise not_of_protocol("an image that is no base64") from error


def made_of(images: tuple[MadeImage, ...], usage: Usage, **more: Any) -> ImageReply:
    return ImageReply(images=images, usage=usage, size=first_size(images), **more)


def only_bytes(request: ImageRequest, deployment: Deployment) -> None:
    """Raises: UnsupportedParameter when an address is wanted of a vendor that has none to give."""
    if request.response_format == "url":
        raise UnsupportedParameter(
            f"{deployment.name} gives images as bytes, not as addresses", param="response_format"
        )
