"""Whether texts and images are harmful, as a vendor judges them, in no vendor's dialect."""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.types.chat import ImagePart, TextPart
from pulse_gateway.types.usage import Usage

__all__ = ["ModerationReply", "ModerationRequest", "ModerationResult"]


class ModerationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Each item of `input` is judged as a whole. An image's `url` may be a data URL."""

    model: str
    input: tuple[tuple[TextPart | ImagePart, ...], ...]
    extra: dict[str, Any] = {}  # wire path → value: no neutral form, another dialect refuses it by this name


class ModerationResult(msgspec.Struct, frozen=True, kw_only=True):
    """`categories` are the vendor's own; `scores` from 0 to 1. `input_types`: which kinds of input each was judged by."""

    flagged: bool
    categories: dict[str, bool]
    scores: dict[str, float]
    input_types: dict[str, tuple[str, ...]] | None = None


class ModerationReply(msgspec.Struct, frozen=True, kw_only=True):
    """A result for each item, in their order."""

    id: str
    model: str
    results: tuple[ModerationResult, ...]
    usage: Usage | None = None
