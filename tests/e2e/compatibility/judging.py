"""What a cell came to, by what the SDK showed and by what the simulator has in its books."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any

from .grid import Cell
from .running import RESULTS, Observed, Refusal

__all__ = ["judge"]

Record = dict[str, Any]

_STOPPED = {"chat": {"stop"}, "responses": {"completed"}, "messages": {"end_turn"}, "gemini": {"STOP"}}
_CUT = {
    "chat": {"length"},
    "responses": {"max_output_tokens"},
    "messages": {"max_tokens"},
    "gemini": {"MAX_TOKENS"},
}
_CALLED = {"chat": {"tool_calls"}, "responses": {"completed"}, "messages": {"tool_use"}, "gemini": {"STOP"}}
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF")


def judge(cell: Cell, observed: Observed, books: list[Record], entries: list[Record]) -> str:
    """`works`, `refused` or `not offered`; else what is wrong, in words. `entries` are the ledger's, `books` the simulator's."""
    if observed.broke is not None:
        return f"broke: {observed.broke}"
    if observed.refusal is not None:
        return _refused(cell, observed.refusal, books)
    assert observed.seen is not None
    try:
        CHECKS[cell.operation.name](cell, observed.seen)
    except (AssertionError, KeyError, ValueError, TypeError) as error:
        return f"wrong: {type(error).__name__} {error} in {_short(observed.seen)}"
    return _wrongly_asked(cell, books) or _wrongly_charged(cell, books, entries) or "works"


def _refused(cell: Cell, refusal: Refusal, books: list[Record]) -> str:
    """By the vendor itself where the client's bytes go through to it, else by Pulse before anything is sent."""
    untold = f"error: {refusal}, {len(books)} requests sent"
    if refusal.code == "model_not_found" and refusal.status == 404:
        return "not offered" if cell.operation.name == "models" else untold
    if refusal.status != 400:
        return untold
    if refusal.code == "unsupported_parameter" and refusal.param and not books:
        return "not offered" if refusal.param == "model" else "refused"
    by_vendor = [each["outcome"] for each in books] == ["refused"] or not cell.provider.books
    return "refused" if refusal.code == "upstream_rejected" and cell.goes_through and by_vendor else untold


def _wrongly_asked(cell: Cell, books: list[Record]) -> str | None:
    """Unless the vendor that should have been asked was, and no other."""
    if cell.answered_here:
        return f"asked: {books}" if books else None
    asked = {(each["provider"], each["outcome"]) for each in books}
    if asked != {(cell.provider.books, "completed")}:
        return f"asked: {asked}"
    if cell.is_chat and not _as_it_was_wanted(cell, [each["stream"] for each in books]):
        return "streamed upstream otherwise than to the client"
    return None


def _as_it_was_wanted(cell: Cell, streams: list[bool]) -> bool:
    """A stream if one was asked for. What takes several requests is streamed by one of them, or by none where the model has no stream."""
    return not any(streams) if cell.mode == "whole" else len(streams) > 1 or streams == [True]


def _wrongly_charged(cell: Cell, books: list[Record], entries: list[Record]) -> str | None:
    """Unless the ledger has as many tokens as the vendor billed; not where it did not tell, and Pulse had to estimate."""
    if not cell.provider.books or any(entry["source"] == "estimated" for entry in entries):
        return None
    billed = sum(sum(each["billed"].values()) for each in books)
    charged = sum(entry["tokens"] for entry in entries)
    return None if billed == charged else f"the vendor billed {billed} tokens, the ledger has {charged}"


def _text(cell: Cell, seen: dict[str, Any]) -> None:
    said = seen["text"]
    if cell.provider.books:
        assert "[system:أجب بإيجاز دائ" in said, "the system prompt did not arrive"
    assert any("\u0600" <= letter <= "\u06ff" for letter in said.replace("أجب بإيجاز دائ", "")), "no Arabic"
    assert seen["finish"] in _STOPPED[cell.dialect], seen["finish"]
    assert seen["input_tokens"] and seen["output_tokens"], "no usage"


def _limit(cell: Cell, seen: dict[str, Any]) -> None:
    assert seen["finish"] in _CUT[cell.dialect], seen["finish"]
    assert seen["output_tokens"] and seen["output_tokens"] <= 16, seen["output_tokens"]


def _tools(cell: Cell, seen: dict[str, Any]) -> None:
    calls = {call["name"]: call["arguments"] for call in seen["calls"]}
    assert set(calls) == {"weather", "clock"}, "not the tools"
    assert isinstance(calls["weather"]["city"], str) and isinstance(calls["weather"]["days"], int)
    assert calls["clock"]["zone"] in {"Asia/Amman", "Asia/Baghdad"}
    ids = {call["id"] for call in seen["calls"]}
    assert len(ids) == 2 or (cell.dialect == "gemini" and cell.provider.name == "vertex"), "ids are not unique"
    assert seen["finish"] in _CALLED[cell.dialect], seen["finish"]
    assert all(result in seen["answered"] for result in RESULTS.values()), "the results did not arrive"


def _schema(cell: Cell, seen: dict[str, Any]) -> None:
    value = json.loads(seen["text"])
    assert set(value) == {"city", "days"}
    assert isinstance(value["city"], str) and isinstance(value["days"], int)


def _reasoning(cell: Cell, seen: dict[str, Any]) -> None:
    assert seen["thought"] or not cell.provider.books, "neither reasoning nor a count of it"
    assert isinstance(seen["text"], str) and seen["text"]
    assert "<think>" not in seen["text"], "reasoning was told as the answer"
    assert seen["shown"] or not cell.provider.thinks_aloud, "reasoning was not shown"


def _image(cell: Cell, seen: dict[str, Any]) -> None:
    assert re.search(r"\[image:1 (image/)?png 70 bytes\]", seen["text"]), "the image did not arrive"


def _document(cell: Cell, seen: dict[str, Any]) -> None:
    assert re.search(r"\[document:1 (application/)?pdf 69 bytes\]", seen["text"]), "the document did not arrive"


def _count(cell: Cell, seen: dict[str, Any]) -> None:
    assert seen["tokens"] > 0


def _embeddings(cell: Cell, seen: dict[str, Any]) -> None:
    first, second = seen["vectors"]
    assert len(first) == len(second) >= 64 and first != second
    assert all(isinstance(number, int | float) for number in first)
    assert abs(sum(number * number for number in first) - 1) < 0.01
    if "again" in seen:
        assert all(abs(a - b) < 1e-5 for a, b in zip(first, seen["again"][0], strict=True)), "base64 is not float"
        assert seen["input_tokens"] > 0


def _pictures(cell: Cell, seen: dict[str, Any]) -> None:
    assert len(seen["images"]) == 1
    assert base64.b64decode(seen["images"][0]).startswith(_PICTURES), "no picture"


def _speech(cell: Cell, seen: dict[str, Any]) -> None:
    head = base64.b64decode(seen["head"])
    assert head[:4] == b"RIFF" and head[8:12] == b"WAVE", "no sound"
    assert seen["bytes"] > 1000


def _transcription(cell: Cell, seen: dict[str, Any]) -> None:
    assert seen["text"].strip()
    if cell.mode == "stream":
        assert seen["streamed"] == seen["text"], "the pieces are not the whole"


def _moderation(cell: Cell, seen: dict[str, Any]) -> None:
    assert seen["flagged"] == [True, False]


def _rerank(cell: Cell, seen: dict[str, Any]) -> None:
    assert seen["order"] == [1, 0]


def _videos(cell: Cell, seen: dict[str, Any]) -> None:
    assert seen["status"] == "completed"
    assert base64.b64decode(seen["head"])[4:8] == b"ftyp", "no video"
    assert seen["deleted"] is True


def _models(cell: Cell, seen: dict[str, Any]) -> None:
    assert seen["listed"], "shown, but not listed"


def _short(seen: dict[str, Any]) -> str:
    return json.dumps(seen, ensure_ascii=False)[:300]


CHECKS: dict[str, Callable[[Cell, dict[str, Any]], None]] = {
    "text": _text,
    "limit": _limit,
    "tools": _tools,
    "schema": _schema,
    "reasoning": _reasoning,
    "image": _image,
    "document": _document,
    "count": _count,
    "embeddings": _embeddings,
    "images": _pictures,
    "edits": _pictures,
    "speech": _speech,
    "transcription": _transcription,
    "translation": _transcription,
    "moderation": _moderation,
    "rerank": _rerank,
    "videos": _videos,
    "models": _models,
}
