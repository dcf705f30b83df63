"""Proofs of thinking on their way through a Responses client: `encrypted_content` of a reasoning item.

OpenAI's own is what it is. Those of other vendors are marked, so that the history such a client sends back still proves the
thinking to whoever did it.
"""

from __future__ import annotations

from pulse_gateway.types.chat import ReasoningPart
from pulse_gateway.wire.signatures import mark_as_openai, openai_reasoning

__all__ = ["PULSE", "closed", "opened"]

PULSE = "pulse:"
"""How every proof of another vendor's begins."""

_SIGNATURE = f"{PULSE}signature:"
_REDACTED = f"{PULSE}redacted:"


def closed(signature: str | None, redacted: str | None) -> tuple[str | None, str | None]:
    """The item's own id, where it has one, and its `encrypted_content`; None where there is no proof."""
    if redacted is not None:
        return None, _REDACTED + redacted
    if not signature:
        return None, None
    return openai_reasoning(signature) or (None, _SIGNATURE + signature)


def opened(item_id: str | None, encrypted_content: str | None, text: str) -> ReasoningPart:
    """The neutral form of a reasoning item that says `text`."""
    if not encrypted_content:
        return ReasoningPart(text)
    if encrypted_content.startswith(_REDACTED):
        return ReasoningPart(redacted=encrypted_content[len(_REDACTED) :])
    if encrypted_content.startswith(_SIGNATURE):
        return ReasoningPart(text, encrypted_content[len(_SIGNATURE) :])
    return ReasoningPart(text, mark_as_openai(item_id or "", encrypted_content))
