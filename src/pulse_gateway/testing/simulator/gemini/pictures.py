"""Pictures out: what the image models accept, how large a picture is, and how many tokens.

Source: https://ai.google.dev/gemini-api/docs/image-generation (read 2026-11-24)
"""

from __future__ import annotations

import msgspec

__all__ = ["PictureTraits", "picture_traits", "pixels"]

_SHAPES: dict[str, tuple[int, int]] = {  # at 1K
    "1:1": (1024, 1024), "2:3": (832, 1248), "3:2": (1248, 832), "3:4": (864, 1184), "4:3": (1184, 864),
    "4:5": (896, 1152), "5:4": (1152, 896), "9:16": (768, 1344), "16:9": (1344, 768), "21:9": (1536, 672),
    "1:4": (512, 2048), "4:1": (2048, 512), "1:8": (352, 2816), "8:1": (2816, 352),
}  # fmt: skip
_OLD = tuple(list(_SHAPES)[:10])
_SCALE = {"512": 0.5, "1K": 1.0, "2K": 2.0, "4K": 4.0}


class PictureTraits(msgspec.Struct, frozen=True, kw_only=True):
    ratios: tuple[str, ...] = tuple(_SHAPES)
    tokens: dict[str, int]  # by size; no other size is taken
    media_type: str = "image/png"


_FLASH = PictureTraits(tokens={"512": 747, "1K": 1120, "2K": 1680, "4K": 2520})
_PRO = PictureTraits(ratios=_OLD, tokens={"1K": 1120, "2K": 1120, "4K": 2000}, media_type="image/jpeg")
_MODELS = {
    "gemini-2.5-flash-image": PictureTraits(ratios=_OLD, tokens={"1K": 1290}),
    "gemini-3-pro-image": _PRO,
    "nano-banana-pro": _PRO,
    "gemini-3.1-flash-lite-image": PictureTraits(tokens={"512": 747, "1K": 1120}),
}


def picture_traits(model: str) -> PictureTraits:
    return next((traits for prefix, traits in _MODELS.items() if model.startswith(prefix)), _FLASH)


def pixels(ratio: str, size: str) -> tuple[int, int]:
    width, height = _SHAPES[ratio]
    return int(width * _SCALE[size]), int(height * _SCALE[size])
