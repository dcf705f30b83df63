"""Proofs of thinking on their way through a Chat Completions client: the extension `reasoning_details`.

The text of thinking is `reasoning_content`, which proves nothing. A block that its vendor has signed, or encrypted, stands here once
more, with its proof, in the form that OpenRouter has given it. A client that sends the message back sends it along.

Entries have an `index`, by which the official SDK puts the lists of a stream together.
Source: `openai/lib/streaming/_deltas.py` of the `openai` SDK 3.54.0, read 2026-11-24.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pulse_gateway.types.chat import ReasoningPart
from pulse_gateway.wire.members import Members

__all__ = ["decode_details", "encode_details", "encode_proof"]


def encode_details(parts: Iterable[ReasoningPart]) -> list[dict[str, Any]]:
    """Of the blocks that are proven; empty when none is."""
    proven = [part for part in parts if part.signature or part.redacted is not None]
    return [encode_proof(part, index) for index, part in enumerate(proven)]


def encode_proof(part: ReasoningPart, index: int) -> dict[str, Any]:
    if part.redacted is not None:
        return {"type": "reasoning.encrypted", "index": index, "data": part.redacted}
    return {"type": "reasoning.text", "index": index, "text": part.text, "signature": part.signature}


def decode_details(message: Members) -> list[ReasoningPart]:
    """Entries of another kind, and members that only their vendor understands, are left over."""
    parts: list[ReasoningPart] = []
    for place, entry in enumerate(message.children("reasoning_details")):
        entry.skip("index", place)
        match entry.need_text("type"):
            case "reasoning.text" if entry.peek("signature") is not None:
                parts.append(ReasoningPart(entry.text("text") or "", entry.text("signature")))
            case "reasoning.encrypted":
                parts.append(ReasoningPart(redacted=entry.need_text("data")))
            case _:
                entry.leave()
    return parts
