"""A call's arguments: the JSON text a model wrote ⇄ the object this dialect wants in its place."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["object_of", "text_of"]


def object_of(text: str) -> msgspec.Raw | None:
    """`text` without white space, every value spelled as it was; an empty one is `{}`. None when it is no JSON object."""
    if not text.strip():
        return msgspec.Raw(b"{}")
    try:
        compact = msgspec.json.format(text.encode(), indent=-1)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    return msgspec.Raw(compact) if compact.startswith(b"{") else None


def text_of(arguments: dict[str, Any] | None) -> str:
    """Compact, beyond ASCII as it is."""
    return msgspec.json.encode(arguments or {}).decode()
