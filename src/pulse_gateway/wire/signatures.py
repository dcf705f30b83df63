"""Whose proof of thinking a signature is.

A signature means something only to the vendor that gave it; any other answers it with an error. In neutral reasoning those of
Gemini and OpenAI are therefore marked, so that each goes back to its own vendor alone; an unmarked one is Anthropic's. The signature
of a tool call needs no mark: `ToolCallPart.signature` is Gemini's by definition.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

__all__ = ["anthropic_signature", "gemini_signature", "mark_as_gemini", "mark_as_openai", "openai_reasoning"]

_GEMINI = "gemini:"
_OPENAI = "openai:"


def mark_as_gemini(signature: str) -> str:
    """A signature of Gemini's as neutral reasoning carries it."""
    return _GEMINI + signature


def gemini_signature(signature: str | None) -> str | None:
    """What `mark_as_gemini` marked, or None: no signature, or another vendor's."""
    return signature[len(_GEMINI) :] if signature and signature.startswith(_GEMINI) else None


def mark_as_openai(item_id: str, encrypted_content: str) -> str:
    """An encrypted reasoning item of OpenAI's as neutral reasoning carries it. The item goes back under its own id."""
    return f"{_OPENAI}{quote(item_id, safe='')}:{encrypted_content}"


def openai_reasoning(signature: str | None) -> tuple[str, str] | None:
    """The id and the encrypted content that `mark_as_openai` marked, or None."""
    if not signature or not signature.startswith(_OPENAI):
        return None
    item_id, _, encrypted_content = signature[len(_OPENAI) :].partition(":")
    return unquote(item_id), encrypted_content


def anthropic_signature(signature: str | None) -> str | None:
    """`signature` itself unless it is another vendor's."""
    return None if signature is None or signature.startswith((_GEMINI, _OPENAI)) else signature
