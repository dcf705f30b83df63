"""What Gemini's models differ in, as far as a request can go wrong by it.

Source: https://ai.google.dev/gemini-api/docs/thinking and /thought-signatures (read 2026-11-24)
"""

from __future__ import annotations

import msgspec

__all__ = ["GEMINI_FAMILY", "Traits", "traits_of"]

GEMINI_FAMILY = ("gemini",)


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """Names that are not Google's, like `sim-…`, get these defaults, the most permissive."""

    thinks: bool = False  # even if not asked to
    takes_level: bool = True
    takes_budget: bool = True
    can_stop_thinking: bool = True  # budget 0
    takes_minimal: bool = True
    needs_signatures: bool = False  # on function calls of the current turn
    json_with_tools: bool = True


_THREE = Traits(thinks=True, needs_signatures=True)
_TWO = Traits(thinks=True, takes_level=False, json_with_tools=False)

# The longest prefix counts.
_MODELS: dict[str, Traits] = {
    "gemini-": _THREE,
    "gemini-4-argon": msgspec.structs.replace(_THREE, takes_minimal=False),
    "gemini-3.8-flash": msgspec.structs.replace(_THREE, takes_minimal=False),
    "gemini-2": _TWO,
    "gemini-2.5-pro": msgspec.structs.replace(_TWO, can_stop_thinking=False),
    "gemini-2.5-flash-lite": msgspec.structs.replace(_TWO, thinks=False),
}
_PREFIXES = sorted(_MODELS, key=len, reverse=True)
_ANY = Traits()


def traits_of(model: str) -> Traits:
    for prefix in _PREFIXES:
        if model.startswith(prefix):
            return _MODELS[prefix]
    return _ANY
