"""Whose proof of thinking a signature is.

A signature means something only to the vendor that gave it; any other answers it with an error. In neutral reasoning one of
Gemini's is therefore marked, so that it goes back to Gemini alone. The signature of a tool call needs no mark:
`ToolCallPart.signature` is Gemini's by definition.
"""

from __future__ import annotations

__all__ = ["gemini_signature", "mark_as_gemini"]

_MARK = "gemini:"


def mark_as_gemini(signature: str) -> str:
    """A signature of Gemini's as neutral reasoning carries it."""
    return _MARK + signature


def gemini_signature(signature: str | None) -> str | None:
    """What `mark_as_gemini` marked, or None: no signature, or another vendor's."""
    return signature[len(_MARK) :] if signature and signature.startswith(_MARK) else None
