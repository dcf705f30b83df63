"""What each of Stability's operations takes.

Source: https://platform.stability.ai/docs/api-reference (read 2026-11-24). Bounds that the reference gives for some operations
only are applied to those alone.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["OPERATIONS", "RATIOS", "Choice", "Field", "File", "Flag", "Number", "Operation", "Text"]


class Text(msgspec.Struct, frozen=True):
    least: int = 0
    most: int = 10_000  # characters


class Number(msgspec.Struct, frozen=True):
    least: float
    most: float
    whole: bool = False


class Choice(msgspec.Struct, frozen=True):
    values: tuple[str, ...]


class Flag(msgspec.Struct, frozen=True):
    """`true` or `false`."""


class File(msgspec.Struct, frozen=True):
    """A JPEG, PNG or WebP."""

    least_side: int = 64
    most_side: int = 16_384
    least_pixels: int = 4_096
    most_pixels: int = 9_437_184


Field = Text | Number | Choice | Flag | File


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    fields: dict[str, Field]
    required: tuple[str, ...] = ()
    size: Literal["ratio", "ratio and a half", "same", "outpaint", "four times", "four megapixels"]
    source: str = "image"  # whose size `size` starts from
    waits: bool = False  # answers with an id, to be asked for the result


RATIOS = {
    "21:9": (1536, 640), "16:9": (1344, 768), "3:2": (1216, 832), "5:4": (1152, 896), "1:1": (1024, 1024),
    "4:5": (896, 1152), "2:3": (832, 1216), "9:16": (768, 1344), "9:21": (640, 1536),
}  # fmt: skip
"""Width and height of one megapixel."""

_STYLES = (
    "enhance", "anime", "photographic", "digital-art", "comic-book", "fantasy-art", "line-art", "analog-film", "neon-punk",
    "isometric", "low-poly", "origami", "modeling-compound", "cinematic", "3d-model", "pixel-art", "tile-texture",
)  # fmt: skip
_PROMPT = Text(least=1)
_SHARE = Number(0, 1)
_ANY_SIZE = File(least_side=1, least_pixels=1)
_SEED: dict[str, Field] = {"seed": Number(0, 4_294_967_294, whole=True)}
_FORMAT: dict[str, Field] = {"output_format": Choice(("png", "jpeg", "webp"))}
_STYLE: dict[str, Field] = {"style_preset": Choice(_STYLES)}
_WORDS: dict[str, Field] = {"prompt": _PROMPT, "negative_prompt": Text()}
_USUAL: dict[str, Field] = {**_WORDS, **_SEED, **_FORMAT, **_STYLE}
_RATIO: dict[str, Field] = {"aspect_ratio": Choice(tuple(RATIOS))}
_IMAGE: dict[str, Field] = {"image": File()}
_SIDE = Number(0, 2000, whole=True)
_SKETCH = Operation(fields={**_USUAL, **_IMAGE, "control_strength": _SHARE}, required=("prompt", "image"), size="same")

OPERATIONS: dict[str, Operation] = {
    "generate/core": Operation(fields={**_USUAL, **_RATIO}, required=("prompt",), size="ratio and a half"),
    "generate/ultra": Operation(
        fields={**_USUAL, **_RATIO, **_IMAGE, "strength": _SHARE}, required=("prompt",), size="ratio"
    ),
    "generate/sd3": Operation(
        fields={
            **_USUAL, **_RATIO, **_IMAGE,
            "strength": _SHARE,
            "mode": Choice(("text-to-image", "image-to-image")),
            "model": Choice(("sd3.5-large", "sd3.5-large-turbo", "sd3.5-medium", "sd3.5-flash")),
            "cfg_scale": Number(1, 10),
            "output_format": Choice(("png", "jpeg")),
        },
        required=("prompt",),
        size="ratio",
    ),
    "edit/erase": Operation(
        fields={**_IMAGE, **_SEED, **_FORMAT, "mask": _ANY_SIZE, "grow_mask": Number(0, 20, whole=True)},
        required=("image",),
        size="same",
    ),
    "edit/inpaint": Operation(
        fields={**_USUAL, **_IMAGE, "mask": _ANY_SIZE, "grow_mask": Number(0, 100, whole=True)},
        required=("image", "prompt"),
        size="same",
    ),
    "edit/outpaint": Operation(
        fields={
            **_IMAGE, **_SEED, **_FORMAT, **_STYLE,
            "left": _SIDE, "right": _SIDE, "up": _SIDE, "down": _SIDE,
            "creativity": _SHARE,
            "prompt": Text(),
        },
        required=("image",),
        size="outpaint",
    ),
    "edit/search-and-replace": Operation(
        fields={**_USUAL, **_IMAGE, "search_prompt": _PROMPT, "grow_mask": Number(0, 20, whole=True)},
        required=("image", "prompt", "search_prompt"),
        size="same",
    ),
    "edit/search-and-recolor": Operation(
        fields={**_USUAL, **_IMAGE, "select_prompt": _PROMPT, "grow_mask": Number(0, 20, whole=True)},
        required=("image", "prompt", "select_prompt"),
        size="same",
    ),
    "edit/remove-background": Operation(
        fields={**_IMAGE, "output_format": Choice(("png", "webp"))}, required=("image",), size="same"
    ),
    "edit/replace-background-and-relight": Operation(
        fields={
            **_SEED, **_FORMAT,
            "subject_image": File(), "background_reference": File(), "light_reference": File(),
            "background_prompt": Text(), "foreground_prompt": Text(), "negative_prompt": Text(),
            "preserve_original_subject": _SHARE, "original_background_depth": _SHARE, "light_source_strength": _SHARE,
            "keep_original_background": Flag(),
            "light_source_direction": Choice(("left", "right", "above", "below")),
        },
        required=("subject_image",),
        size="same",
        source="subject_image",
        waits=True,
    ),
    "upscale/fast": Operation(
        fields={"image": File(least_side=32, most_side=1536, least_pixels=1024, most_pixels=1_048_576), **_FORMAT},
        required=("image",),
        size="four times",
    ),
    "upscale/conservative": Operation(
        fields={**_WORDS, **_IMAGE, **_SEED, **_FORMAT, "creativity": Number(0.2, 0.5)},
        required=("image", "prompt"),
        size="four megapixels",
    ),
    "upscale/creative": Operation(
        fields={**_USUAL, **_IMAGE, "creativity": Number(0.1, 0.5)},
        required=("image", "prompt"),
        size="four megapixels",
        waits=True,
    ),
    "control/sketch": _SKETCH,
    "control/structure": _SKETCH,
    "control/style": Operation(
        fields={**_USUAL, **_RATIO, **_IMAGE, "fidelity": _SHARE}, required=("prompt", "image"), size="ratio"
    ),
    "control/style-transfer": Operation(
        fields={
            **_WORDS, **_SEED, **_FORMAT,
            "init_image": File(), "style_image": File(),
            "prompt": Text(),
            "style_strength": _SHARE, "composition_fidelity": _SHARE, "change_strength": Number(0.1, 1),
        },
        required=("init_image", "style_image"),
        size="same",
        source="init_image",
    ),
}  # fmt: skip
