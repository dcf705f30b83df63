"""Proofs of thinking in Chat Completions: the extension `reasoning_details`, in the form that OpenRouter has given it.

The text of thinking is `reasoning_content`, which proves nothing. Towards a client, a block that its vendor has signed, or encrypted,
stands here once more, with its proof. A client that sends the message back sends it along. A router's own entries say what models
behind it have proven, each in a format of its own: they go back to a router as they came, and to nobody else.

Entries have an `index`, by which the official SDK puts the lists of a stream together.
Source: `openai/lib/streaming/_deltas.py` of the `openai` SDK 3.54.0; https://openrouter.ai/docs/use-cases/reasoning-tokens (read
2026-11-24).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pulse_gateway.types.chat import ReasoningPart
from pulse_gateway.wire.members import Members
from pulse_gateway.wire.signatures import mark_as_detail, reasoning_detail

__all__ = ["decode_details", "encode_details", "encode_proof", "replayed_detail", "told_thinking"]

_TEXTS = {"reasoning.text": "text", "reasoning.summary": "summary"}
_PROOFS = ("signature", "data")
_NOTHING = ReasoningPart()
_OWN = frozenset({"type", "index", "text", "signature", "data"})  # what an entry of ours may have


def encode_details(parts: Iterable[ReasoningPart]) -> list[dict[str, Any]]:
    """Of the blocks that are proven; empty when none is."""
    proven = [part for part in parts if part.signature or part.redacted is not None]
    return [encode_proof(part, index) for index, part in enumerate(proven)]


def encode_proof(part: ReasoningPart, index: int) -> dict[str, Any]:
    if part.redacted is not None:
        return {"type": "reasoning.encrypted", "index": index, "data": part.redacted}
    return {"type": "reasoning.text", "index": index, "text": part.text, "signature": part.signature}


def decode_details(message: Members) -> list[ReasoningPart]:
    """Those of a client's history, a router's among them.

    Raises: InvalidRequest for what is no entry.
    """
    parts: list[ReasoningPart] = []
    given = message.peek("reasoning_details")
    for entry, whole in zip(message.children("reasoning_details"), given or (), strict=True):
        kind = entry.need_text("type")
        if not (_OWN.issuperset(whole) and _proves(whole)):
            parts.append(_marked(whole))
            for name in whole:
                entry.take(name)
            continue
        entry.take("index")
        if kind == "reasoning.encrypted":
            parts.append(ReasoningPart(redacted=entry.need_text("data")))
        else:
            parts.append(ReasoningPart(entry.text("text") or "", entry.need_text("signature")))
    return parts


def told_thinking(text: str, details: Any) -> Iterator[ReasoningPart]:
    """The `text` of an answer's thinking, or of a piece of it, and what a router's `details` prove of it."""
    entries = [entry for entry in details if isinstance(entry, dict)] if isinstance(details, list) else []
    if not any(map(_proves, entries)):
        if text:
            yield ReasoningPart(text)
        return
    blocks = [_marked(entry) if _proves(entry) else ReasoningPart(_text(entry)) for entry in entries]
    told_apart = "".join(block.text for block in blocks) != text
    if told_apart and text:
        yield ReasoningPart(text)
    yield from (ReasoningPart("", block.signature) if told_apart else block for block in blocks if block != _NOTHING)


def replayed_detail(part: ReasoningPart) -> dict[str, Any] | None:
    """The entry as its router gave it; None for any other thinking."""
    entry = reasoning_detail(part.signature)
    text = _TEXTS.get(str(entry.get("type"))) if entry is not None else None
    return entry if entry is None or text is None else entry | {text: part.text}


def _proves(entry: dict[str, Any]) -> bool:
    return any(isinstance(entry.get(name), str) and entry[name] for name in _PROOFS)


def _text(entry: dict[str, Any]) -> str:
    text = entry.get(_TEXTS.get(str(entry.get("type")), ""))
    return text if isinstance(text, str) else ""


def _marked(entry: dict[str, Any]) -> ReasoningPart:
    name = _TEXTS.get(str(entry.get("type")))
    return ReasoningPart(_text(entry), mark_as_detail({key: value for key, value in entry.items() if key != name}))
