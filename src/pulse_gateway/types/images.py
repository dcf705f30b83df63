"""Images asked for and made, in no vendor's dialect."""

from __future__ import annotations

import base64
from typing import Any, Literal

import msgspec

from pulse_gateway.types.usage import Usage

__all__ = ["ImageFile", "ImageReply", "ImageRequest", "MadeImage", "image_variant"]

_LONGEST_WORD = 64  # characters


class ImageFile(msgspec.Struct, frozen=True, kw_only=True):
    """An image to work from: its `data`, or a `url` that it can be had from. `path` is where the client wrote it."""

    data: bytes | None = None
    url: str | None = None
    media_type: str | None = None
    name: str | None = None
    path: str = "image"


class ImageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Images from a text, or from other `images` and a text. Field names are the neutral ones.

    `size` is `WIDTHxHEIGHT` in pixels, `aspect_ratio` is `16:9`; None of both, and `auto`: the model's choice.
    """

    model: str
    prompt: str
    n: int = 1
    size: str | None = None
    aspect_ratio: str | None = None
    quality: str | None = None
    style: str | None = None
    background: str | None = None
    output_format: str | None = None  # png, jpeg, webp …
    output_compression: int | None = None  # 0 to 100
    moderation: str | None = None
    images: tuple[ImageFile, ...] = ()
    mask: ImageFile | None = None
    input_fidelity: str | None = None
    partial_images: int | None = None
    seed: int | None = None
    negative_prompt: str | None = None
    response_format: Literal["b64_json", "url"] | None = None
    stream: bool = False
    user: str | None = None
    extra: dict[str, Any] = {}  # wire path → value: no neutral form, another dialect refuses it by this name
    hints: dict[str, Any] = {}  # wire path → value: no neutral form, but another dialect may drop it and say so


class MadeImage(msgspec.Struct, frozen=True, kw_only=True):
    """Either `data` (standard base64, padded) or a `url`, which may soon lead nowhere."""

    data: str | None = None
    url: str | None = None
    media_type: str | None = None
    revised_prompt: str | None = None

    @property
    def content(self) -> bytes:
        """The file itself; empty where there is only an address."""
        return base64.b64decode(self.data or "")


class ImageReply(msgspec.Struct, frozen=True, kw_only=True):
    """`size`, `quality`, `background` and `output_format` are what was made, where that is known. `created` is in seconds since the
    epoch. `cost_nano_usd` is the vendor's own word, if it says so, until the gateway sets it; None: no known price."""

    images: tuple[MadeImage, ...]
    usage: Usage | None = None
    created: int | None = None
    size: str | None = None
    quality: str | None = None
    background: str | None = None
    output_format: str | None = None
    cost_nano_usd: int | None = None

    @property
    def cost(self) -> int | None:
        """Nano-dollars (1 USD = 1_000_000_000); None when the model has no known price."""
        return self.cost_nano_usd


def image_variant(size: str | None, quality: str | None) -> str | None:
    """`Usage.variant` of an image: `1024x1024/high`, or whichever of the two is known; `auto` is not, nor what is too long to be kept
    with every call: prices know no such kind either."""
    words = [word for word in (size, quality) if word and word != "auto"]
    return "/".join(words) or None if all(len(word) <= _LONGEST_WORD for word in words) else None
