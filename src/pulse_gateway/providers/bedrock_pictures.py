"""What the image offers on Bedrock share: pictures and masks that go along as base64, and pictures that come back so."""

from __future__ import annotations

import base64
import re
from collections.abc import Generator
from typing import Any

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.providers.offer import Step
from pulse_gateway.providers.video_parts import picture_of
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.images import ImageFile, ImageRequest, MadeImage
from pulse_gateway.wire.foreign_json import not_of_protocol
from pulse_gateway.wire.mask import black_and_white
from pulse_gateway.wire.picture import image_type
from pulse_gateway.wire.refusals import unsupported

__all__ = ["checked_picture", "mask_of", "share", "sketch_of"]

_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}", re.ASCII)
_HEAD_CHARS = 64


def sketch_of(file: ImageFile, deployment: Deployment) -> Generator[Step, Any, str]:
    """The base64 of a picture to work from, fetched where only its address is known.

    Raises: UnsupportedParameter for one that is neither PNG nor JPEG; InvalidRequest.
    """
    kind, data = yield from picture_of(file)
    if kind not in ("image/png", "image/jpeg"):
        raise unsupported(deployment.model, file.path, "works from PNG and JPEG pictures")
    return data


def mask_of(file: ImageFile, *, changed: bytes) -> Generator[Step, Any, bytes]:
    """The mask in black and white, `changed` being the byte of what is to be changed.

    Raises: InvalidRequest.
    """
    _, data = yield from picture_of(file)
    try:
        return black_and_white(base64.b64decode(data), changed=changed)
    except ValueError as error:
        raise InvalidRequest(f"{file.path}: the mask {error}", param=file.path) from error


def checked_picture(data: str) -> MadeImage:
    """Raises: UpstreamProtocolError for what is no base64 of a picture."""
    kind = None
    if len(data) % 4 == 0 and _BASE64.fullmatch(data):
        kind = image_type(base64.b64decode(data[:_HEAD_CHARS]))
    if kind is None:
        raise not_of_protocol("an image that is none")
    return MadeImage(data=data, media_type=kind)


def share(request: ImageRequest, name: str, *, least: float = 0.0) -> float | None:
    """The further member `name`, a number up to 1; None where it is not there. Raises: InvalidRequest."""
    if name not in request.extra:
        return None
    written = request.extra[name]
    try:
        told = float(written)
    except (TypeError, ValueError):
        told = -1.0
    if isinstance(written, bool) or not least <= told <= 1:
        raise InvalidRequest(f"{name}: expected a number from {least:g} to 1", param=name)
    return told
