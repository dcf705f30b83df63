"""Proofs of thinking that cross vendors.

A signature means something only to the vendor that gave it; sent to another it is an error ("corrupted thought signature").
In neutral reasoning one of Gemini's is therefore marked `gemini:`, and one of anybody else's travels to a Gemini client inside
an envelope of bytes, so that the history such a client sends back still proves the thinking to whoever did it. On the wire
both are base64, since the official SDK reads and writes `thoughtSignature` as bytes.

The signature of a tool call needs no mark: `ToolCallPart.signature` is Gemini's by definition.

Source: https://ai.google.dev/gemini-api/docs/thought-signatures (read 2026-11-24)
"""

from __future__ import annotations

import base64
import binascii

from pulse_gateway.types.chat import ReasoningPart

__all__ = ["gemini_signature", "mark", "opened", "sealed", "sealed_call"]

_MARK = "gemini:"
_SIGNATURE = b"pulse:signature:"
_REDACTED = b"pulse:redacted:"


def mark(signature: str) -> str:
    """A signature of Gemini's as neutral reasoning carries it."""
    return _MARK + signature


def gemini_signature(signature: str | None) -> str | None:
    """What `mark` marked, or None: no signature, or another vendor's."""
    return signature[len(_MARK) :] if signature and signature.startswith(_MARK) else None


def sealed(signature: str | None, redacted: str | None) -> str:
    """A signature, or a redacted block, as `thoughtSignature`."""
    if redacted is not None:
        return _seal(_REDACTED, redacted)
    return gemini_signature(signature) or _seal(_SIGNATURE, signature or "")


def sealed_call(signature: str) -> str:
    """A tool call's signature as `thoughtSignature`: itself, unless the SDK could not read it as base64."""
    try:
        binascii.a2b_base64(signature, strict_mode=True)
    except (binascii.Error, ValueError):
        return _seal(_SIGNATURE, signature)
    return signature


def opened(data: str) -> ReasoningPart | None:
    """What `sealed` put into `data` (standard base64); None when it is a signature of Gemini's own."""
    raw = base64.b64decode(data)
    if raw.startswith(_SIGNATURE):
        return ReasoningPart(signature=raw[len(_SIGNATURE) :].decode("utf-8", "replace") or None)
    if raw.startswith(_REDACTED):
        return ReasoningPart(redacted=raw[len(_REDACTED) :].decode("utf-8", "replace"))
    return None


def _seal(kind: bytes, text: str) -> str:
    return base64.b64encode(kind + text.encode("utf-8", "replace")).decode()
