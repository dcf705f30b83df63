"""Proofs of thinking of other vendors, on their way through a Gemini client.

They travel to it inside an envelope of bytes, so that the history such a client sends back still proves the thinking to whoever
did it. On the wire they are base64, since the official SDK reads and writes `thoughtSignature` as bytes.

Source: https://ai.google.dev/gemini-api/docs/thought-signatures (read 2026-11-24)
"""

from __future__ import annotations

import base64
import binascii

from pulse_gateway.types.chat import ReasoningPart
from pulse_gateway.wire.signatures import gemini_signature

__all__ = ["opened", "sealed", "sealed_call"]

_SIGNATURE = b"pulse:signature:"
_REDACTED = b"pulse:redacted:"


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
