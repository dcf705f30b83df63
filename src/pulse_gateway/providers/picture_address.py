"""A picture for vendors that fetch addresses themselves: where it already is, or a data URL of what was sent. Pure."""

from __future__ import annotations

import base64

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.images import ImageFile
from pulse_gateway.wire.picture import image_type

__all__ = ["address_of", "typed_base64"]

_TYPES = frozenset({"image/png", "image/jpeg", "image/webp"})


def address_of(image: ImageFile) -> str:
    """Raises: InvalidRequest for what was sent and is no PNG, JPEG or WebP."""
    if image.url is not None:
        return image.url
    kind, data = typed_base64(image)
    return f"data:{kind};base64,{data}"


def typed_base64(image: ImageFile) -> tuple[str, str]:
    """The media type and the base64 of what was sent. Raises: InvalidRequest for what is no PNG, JPEG or WebP."""
    data = image.data or b""
    kind = image_type(data)
    if kind not in _TYPES:
        raise InvalidRequest(f"{image.path}: is no PNG, JPEG or WebP picture", param=image.path)
    return str(kind), base64.b64encode(data).decode()
