"""Whose proof of thinking a signature is.

A signature means something only to the vendor that gave it; any other answers it with an error. In neutral reasoning those of
Gemini and OpenAI are therefore marked, so that each goes back to its own vendor alone; an unmarked one is Anthropic's. The signature
of a tool call needs no mark where it has a place of its own: `ToolCallPart.signature` is Gemini's by definition.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any
from urllib.parse import quote, unquote

import msgspec

__all__ = [
    "anthropic_signature", "call_signature", "gemini_signature", "mark_as_call", "mark_as_detail", "mark_as_gemini",
    "mark_as_openai", "openai_reasoning", "reasoning_detail",
]  # fmt: skip

_GEMINI = "gemini:"
_OPENAI = "openai:"
_GEMINI_CALL = "gemini-call:"
_DETAIL = "detail:"
_OF_OTHERS = (_GEMINI, _GEMINI_CALL, _OPENAI, _DETAIL)


def mark_as_gemini(signature: str) -> str:
    """A signature of Gemini's as neutral reasoning carries it."""
    return _GEMINI + signature


def gemini_signature(signature: str | None) -> str | None:
    """What `mark_as_gemini` marked, or None: no signature, or another vendor's."""
    return signature[len(_GEMINI) :] if signature and signature.startswith(_GEMINI) else None


def mark_as_call(signature: str) -> str:
    """The signature of a tool call, for a dialect whose calls have no place for one: it signs the thinking before the call."""
    return _GEMINI_CALL + signature


def call_signature(signature: str | None) -> str | None:
    """What `mark_as_call` marked, or None."""
    return signature[len(_GEMINI_CALL) :] if signature and signature.startswith(_GEMINI_CALL) else None


def mark_as_openai(item_id: str, encrypted_content: str) -> str:
    """An encrypted reasoning item of OpenAI's as neutral reasoning carries it. The item goes back under its own id."""
    return f"{_OPENAI}{quote(item_id, safe='')}:{encrypted_content}"


def openai_reasoning(signature: str | None) -> tuple[str, str] | None:
    """The id and the encrypted content that `mark_as_openai` marked, or None."""
    if not signature or not signature.startswith(_OPENAI):
        return None
    item_id, _, encrypted_content = signature[len(_OPENAI) :].partition(":")
    return unquote(item_id), encrypted_content


def mark_as_detail(entry: dict[str, Any]) -> str:
    """An entry of a router's `reasoning_details`, all of it but the text, as neutral reasoning carries it."""
    return _DETAIL + urlsafe_b64encode(msgspec.json.encode(entry)).decode()


def reasoning_detail(signature: str | None) -> dict[str, Any] | None:
    """The entry that `mark_as_detail` marked, or None."""
    if not signature or not signature.startswith(_DETAIL):
        return None
    try:
        return msgspec.json.decode(urlsafe_b64decode(signature[len(_DETAIL) :]), type=dict[str, Any])
    except ValueError:  # no base64, or not what was marked
        return None


def anthropic_signature(signature: str | None) -> str | None:
    """`signature` itself unless it is another vendor's."""
    return None if signature is None or signature.startswith(_OF_OTHERS) else signature
