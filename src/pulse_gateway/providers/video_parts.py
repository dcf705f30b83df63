"""What the vendors' video offers share: the picture that a video begins with, and how a size is said."""

from __future__ import annotations

import base64
from collections.abc import Generator
from typing import Any
from urllib.parse import urlsplit

from pulse_gateway.errors import InvalidRequest, UnsupportedParameter
from pulse_gateway.providers.offer import Download, Step, ask
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import HttpAnswer, header
from pulse_gateway.types.images import ImageFile
from pulse_gateway.types.usage import Usage
from pulse_gateway.types.videos import VideoRequest, aspect_of, resolution_of
from pulse_gateway.wire.refusals import refuse_extra

__all__ = ["check_request", "host_of", "length_of", "picture_of", "same_origin"]

_ASPECTS = ("16:9", "9:16")
_PICTURES = (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"RIFF", "image/webp")


def check_request(request: VideoRequest, deployment: Deployment, resolutions: tuple[str, ...]) -> None:
    """Raises: UnsupportedParameter for a size that is none of `resolutions` in 16:9 or 9:16, and for what has no neutral form."""
    refuse_extra(request.extra, deployment.model)
    if aspect_of(request.size) not in _ASPECTS or resolution_of(request.size) not in resolutions:
        known = ", ".join(resolutions)
        raise UnsupportedParameter(
            f"{deployment.name} makes videos of 16:9 and 9:16 in {known}, not {request.size}", param="size"
        )


def length_of(request: VideoRequest) -> Usage:
    """What a vendor bills that sells videos by the second."""
    return Usage(video_ms=request.seconds * 1000, variant=resolution_of(request.size))


def picture_of(image: ImageFile) -> Generator[Step, Any, tuple[str, str]]:
    """Its media type and its base64: what was sent, or what is at its address.

    Raises: InvalidRequest for what is no PNG, JPEG or WebP.
    """
    data = image.data
    if data is None:
        assert image.url is not None  # it has one of both
        answer: HttpAnswer = yield from ask(Download(image.url, param=image.path))
        data = answer.body
        if (header(answer.headers, "content-type") or "").startswith("text/"):
            raise InvalidRequest(f"{image.path}: there is no picture at that address", param=image.path)
    media_type = next((kind for magic, kind in _PICTURES if data.startswith(magic)), None)
    if media_type is None:
        raise InvalidRequest(f"{image.path}: is no PNG, JPEG or WebP picture", param=image.path)
    return media_type, base64.b64encode(data).decode()


def same_origin(url: str, base_url: str) -> bool:
    """Whether `url`, which a vendor gave, is at the address whose key we have: only there may the key be sent."""
    try:
        theirs, ours = urlsplit(url), urlsplit(base_url)
    except ValueError:  # it is no address
        return False
    return (theirs.scheme, theirs.netloc) == (ours.scheme, ours.netloc)


def host_of(url: str) -> str:
    """Of an address that a vendor gave; empty where it is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
