"""How a model is sold: by the token, or by the piece: a minute, a character, an image, a second. Pure.

What is sold by the piece is made of no tokens as far as its vendor tells, so none are estimated for it: else what a recording uses of a
quota of tokens would go by the form in which its text was asked for.
"""

from __future__ import annotations

from msgspec.structs import astuple

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.usage import Usage

__all__ = ["is_sold_by_the_piece", "without_tokens"]

# What is counted otherwise by nearly everybody who makes it, and so where no price says how.
_MADE = frozenset({"speech", "transcription", "translation", "images", "image_edits", "videos"})
_CHAT = "chat"


def is_sold_by_the_piece(model: Model, operation: str, /) -> bool:
    """Whether no token of `operation` costs anything at `model`, but what it makes, or listens to, does. Never so of a chat."""
    if operation == _CHAT:
        return False
    price = model.price
    if price is None:
        return operation in _MADE
    return not any(astuple(price.rates)) and (operation in _MADE or price.units is not None)


def without_tokens(usage: Usage, /) -> Usage:
    """The units alone."""
    return Usage(
        images=usage.images,
        video_ms=usage.video_ms,
        audio_ms=usage.audio_ms,
        characters=usage.characters,
        searches=usage.searches,
        variant=usage.variant,
    )
