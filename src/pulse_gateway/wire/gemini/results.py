"""What a tool answered: the object that this dialect has for it, as the text that a model reads."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["ToolOutcome", "outcome"]

_NAMES_OF_A_RESULT = ("output", "result")


class ToolOutcome(msgspec.Struct, frozen=True):
    """`structured`: the text is the object itself."""

    text: str
    is_error: bool
    structured: bool


def outcome(response: dict[str, Any]) -> ToolOutcome:
    """The vendor asks for an object and names three of its members: `output`, `result` (its SDK's) and `error`."""
    if len(response) == 1:
        name, value = next(iter(response.items()))
        if name in _NAMES_OF_A_RESULT or name == "error":
            return ToolOutcome(_as_text(value), is_error=name == "error", structured=False)
    return ToolOutcome(_as_text(response), is_error=False, structured=True)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
