"""What Gemini's models differ in, as far as a request can go wrong by it.

Source: https://ai.google.dev/gemini-api/docs/thinking, /thought-signatures, /image-generation, /speech-generation and
/embeddings (read 2026-11-24)
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["GEMINI_FAMILY", "Makes", "Traits", "methods_of", "traits_of"]

GEMINI_FAMILY = ("gemini", "nano-banana")
Makes = Literal["text", "image", "speech", "vector", "video"]


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """Names that are not Google's, like `sim-…`, get these defaults, the most permissive."""

    makes: Makes = "text"
    thinks: bool = False  # even if not asked to
    takes_level: bool = True
    takes_budget: bool = True
    can_stop_thinking: bool = True  # budget 0
    takes_minimal: bool = True
    needs_signatures: bool = False  # on function calls of the current turn, and on pictures the model made
    json_with_tools: bool = True


_THREE = Traits(thinks=True, needs_signatures=True)
_TWO = Traits(thinks=True, takes_level=False, json_with_tools=False)
_PICTURES = msgspec.structs.replace(_THREE, makes="image")
_SPEECH = Traits(makes="speech", takes_level=False)
_VECTORS = Traits(makes="vector")

# The longest prefix counts.
_MODELS: dict[str, Traits] = {
    "gemini-": _THREE,
    "gemini-4-argon": msgspec.structs.replace(_THREE, takes_minimal=False),
    "gemini-3.8-flash": msgspec.structs.replace(_THREE, takes_minimal=False),
    "gemini-2": _TWO,
    "gemini-2.5-pro": msgspec.structs.replace(_TWO, can_stop_thinking=False),
    "gemini-2.5-flash-lite": msgspec.structs.replace(_TWO, thinks=False),
    "gemini-2.5-flash-image": msgspec.structs.replace(_TWO, thinks=False, makes="image"),
    "gemini-3-pro-image": _PICTURES,
    "gemini-3.1-flash-image": _PICTURES,
    "gemini-3.1-flash-lite-image": _PICTURES,
    "gemini-nano-banana": _PICTURES,
    "nano-banana": _PICTURES,
    "gemini-3.1-flash-tts": _SPEECH,
    "gemini-3.8-flash-tts": _SPEECH,
    "gemini-3.8-flash-lite-tts": _SPEECH,
    "gemini-2.5-flash-preview-tts": _SPEECH,
    "gemini-2.5-pro-preview-tts": _SPEECH,
    "gemini-embedding": _VECTORS,
    "text-embedding": _VECTORS,
    "text-multilingual-embedding": _VECTORS,
    "gemini-omni": msgspec.structs.replace(_THREE, makes="video"),
}
_PREFIXES = sorted(_MODELS, key=len, reverse=True)
_ANY = Traits()
_GENERATES = ("generateContent", "streamGenerateContent", "countTokens")
_METHODS: dict[Makes, tuple[str, ...]] = {
    "text": _GENERATES,
    "image": _GENERATES,
    "speech": _GENERATES,
    "vector": ("embedContent", "batchEmbedContents", "countTokens"),
    "video": ("createInteraction",),
}


def traits_of(model: str) -> Traits:
    for prefix in _PREFIXES:
        if model.startswith(prefix):
            return _MODELS[prefix]
    return _ANY


def methods_of(model: str) -> tuple[str, ...]:
    """What may be called on it. Names nobody knows may be called with anything."""
    traits = traits_of(model)
    return _GENERATES + _METHODS["vector"][:2] if traits is _ANY else _METHODS[traits.makes]
