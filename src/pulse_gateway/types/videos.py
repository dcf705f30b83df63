"""A video to be made, and how far a vendor is with it; in no vendor's dialect."""

from __future__ import annotations

import math
from typing import Any, Literal, Protocol

import msgspec

from pulse_gateway.types.images import ImageFile
from pulse_gateway.types.usage import Usage

__all__ = ["VideoFile", "VideoJobView", "VideoRequest", "VideoState", "aspect_of", "resolution_of"]

_RESOLUTIONS = ((480, "480p"), (720, "720p"), (1080, "1080p"), (2160, "4k"))


class VideoRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`size` is `WIDTHxHEIGHT` in pixels; `image` is what the video begins with."""

    model: str
    prompt: str
    seconds: int
    size: str
    image: ImageFile | None = None
    user: str | None = None
    extra: dict[str, Any] = {}  # wire path → value: no neutral form, refused by this name


class VideoState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a vendor says of a job.

    `id` is the vendor's own. `progress` is percent, None where the vendor does not say. `file` is where the video can be had again,
    as the vendor's offer understands it. `usage`: what the vendor bills, once that is known; None: what was expected when it was begun.
    A failed job is billed nothing unless its `usage` says so. `expires_at` is seconds since the epoch.
    """

    id: str
    status: Literal["queued", "in_progress", "completed", "failed"]
    progress: int | None = None
    file: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    usage: Usage | None = None
    expires_at: float | None = None


class VideoJobView(Protocol):
    """What a client is told of a job. Times are seconds since the epoch."""

    @property
    def id(self) -> str: ...

    @property
    def model(self) -> str: ...

    @property
    def prompt(self) -> str: ...

    @property
    def seconds(self) -> int: ...

    @property
    def size(self) -> str: ...

    @property
    def created_at(self) -> float: ...

    @property
    def completed_at(self) -> float | None: ...

    @property
    def state(self) -> VideoState: ...


class VideoFile(msgspec.Struct, frozen=True):
    """A video's bytes, whole."""

    data: bytes
    content_type: str = "video/mp4"


def aspect_of(size: str) -> str:
    """`1280x720` → `16:9`. Pure."""
    width, height = (int(part) for part in size.split("x"))
    common = math.gcd(width, height)
    return f"{width // common}:{height // common}"


def resolution_of(size: str) -> str | None:
    """`1280x720`, `720x1280` → `720p`; None for what has no such name."""
    shorter = min(int(part) for part in size.split("x"))
    return next((name for lines, name in _RESOLUTIONS if lines == shorter), None)
