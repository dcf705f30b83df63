"""How the parts of one turn of the model grow together."""

from __future__ import annotations

from pulse_gateway.types.chat import Part, ReasoningPart, TextPart

__all__ = ["append"]


def append(parts: list[Part], part: Part) -> None:
    """Add `part`; text continues text, thinking continues thinking until it is signed, and empty text is nothing.

    The dialect streams a text in as many parts as it likes, and clients send them back that way.
    """
    last = parts[-1] if parts else None
    if isinstance(part, TextPart):
        if isinstance(last, TextPart):
            parts[-1] = TextPart(last.text + part.text)
        elif part.text:
            parts.append(part)
    elif isinstance(part, ReasoningPart) and isinstance(last, ReasoningPart) and _goes_on(last, part):
        parts[-1] = ReasoningPart(last.text + part.text, part.signature)
    else:
        parts.append(part)


def _goes_on(last: ReasoningPart, part: ReasoningPart) -> bool:
    return last.signature is None and last.redacted is None and part.redacted is None
