"""Answers as each vendor sends them, whole and streamed: JSON of the wire, made without any codec."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from translation_answer import COUNTS, NAMES, Answer, as_json, named, pieces_of
from translation_responses_answers import responses
from translation_writer import Draw, call_ids, json_objects, said

__all__ = ["ANSWERS", "Answer", "pieces_of"]


# ── OpenAI, and vendors that copy it ──────────────────────────────────────────────────────────────────────────────────


def openai(draw: Draw, *, cut_short: bool = False) -> Answer:
    """One choice; calls are told by their index, and their fragments interleave."""
    head = {"id": "chatcmpl-é1", "created": 1_700_000_000, "model": "gpt-x"}
    message: dict[str, Any] = {"role": "assistant", "content": draw(st.none() | said), "refusal": None}
    if draw(st.booleans()):
        message["reasoning_content"] = draw(said)
    ids = draw(st.lists(call_ids, max_size=3, unique=True))
    calls = [
        {"id": one, "type": "function", "function": {"name": draw(NAMES), "arguments": json.dumps(draw(json_objects))}}
        for one in ids
    ]
    if cut_short and calls:
        calls[-1]["function"]["arguments"] = calls[-1]["function"]["arguments"][:-1]
    if calls:
        message["tool_calls"] = calls
    elif draw(st.integers(0, 4)) == 0:
        message["refusal"] = draw(said)
    finish = "length" if cut_short else draw(st.sampled_from(("stop", "length", "content_filter")))
    finish = "tool_calls" if calls and finish == "stop" and draw(st.booleans()) else finish
    prompt, completion = draw(COUNTS), draw(COUNTS)
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    if draw(st.booleans()):
        usage["prompt_tokens_details"] = {"cached_tokens": draw(st.integers(0, prompt)), "cache_write_tokens": 0}  # type: ignore[assignment]
        usage["completion_tokens_details"] = {"reasoning_tokens": draw(st.integers(0, completion))}  # type: ignore[assignment]
    whole = {
        **head,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
    }

    def chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return (
            b"data: "
            + as_json({**head, "object": "chat.completion.chunk", "choices": [choice], "usage": None})
            + b"\n\n"
        )

    frames = [chunk({"role": "assistant", "content": ""})]
    for name in ("reasoning_content", "content", "refusal"):
        frames += [chunk({name: piece}) for piece in pieces_of(draw, message.get(name) or "") if piece]
    waiting = [(place, pieces_of(draw, call["function"]["arguments"])) for place, call in enumerate(calls)]
    for place, call in enumerate(calls):
        begun = {**call, "index": place, "function": {"name": call["function"]["name"], "arguments": ""}}
        frames.append(chunk({"tool_calls": [begun]}))
        if draw(st.booleans()):
            frames += [_fragment(chunk, place, piece) for piece in waiting[place][1]]
            waiting[place][1].clear()
    while any(rest for _, rest in waiting):
        place, rest = draw(st.sampled_from([one for one in waiting if one[1]]))
        frames.append(_fragment(chunk, place, rest.pop(0)))
    frames.append(chunk({}, finish))
    frames.append(
        b"data: " + as_json({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage}) + b"\n\n"
    )
    return Answer({**whole, "usage": usage}, [*frames, b"data: [DONE]\n\n"])


def _fragment(chunk: Callable[[dict[str, Any]], bytes], place: int, piece: str) -> bytes:
    return chunk({"tool_calls": [{"index": place, "function": {"arguments": piece}}]})


# ── Anthropic ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def anthropic(draw: Draw, *, cut_short: bool = False) -> Answer:
    """Thinking, texts and calls in any order, one block after the other."""
    ids = iter(f"toolu_{n}" for n in range(9))
    kinds = draw(
        st.lists(st.sampled_from(("text", "thinking", "tool_use", "redacted_thinking", "server_tool_use")), max_size=4)
    )
    content: list[dict[str, Any]] = []
    for kind in kinds:
        match kind:
            case "text":
                content.append({"type": kind, "text": draw(said)})
            case "thinking":
                content.append({"type": kind, "thinking": draw(said), "signature": "c2ln"})
            case "redacted_thinking":
                content.append({"type": kind, "data": "eHg="})
            case _:
                content.append({"type": kind, "id": next(ids), "name": draw(NAMES), "input": draw(json_objects)})
    called = any(block["type"] == "tool_use" for block in content)
    reasons = ("max_tokens", "refusal", *(("tool_use",) if called else ("end_turn", "stop_sequence", "pause_turn")))
    reason = "max_tokens" if cut_short else draw(st.sampled_from(reasons))
    usage = {"input_tokens": draw(COUNTS), "output_tokens": draw(COUNTS)}
    if draw(st.booleans()):
        usage |= {"cache_read_input_tokens": draw(COUNTS), "cache_creation_input_tokens": draw(COUNTS)}
        usage["output_tokens_details"] = {"thinking_tokens": draw(st.integers(0, usage["output_tokens"]))}  # type: ignore[assignment]
    stop = {"stop_reason": reason, "stop_sequence": "END" if reason == "stop_sequence" else None}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x"}
    opening = {
        **head,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": 1},
    }
    frames = [named("message_start", message=opening)]
    for place, block in enumerate(content):
        frames += _block(draw, place, block)
    frames += [named("message_delta", delta=stop, usage=usage), named("message_stop")]
    return Answer({**head, "content": content, **stop, "usage": usage}, frames)


def _block(draw: Draw, place: int, block: dict[str, Any]) -> list[bytes]:
    start, deltas = dict(block), []
    match block["type"]:
        case "text":
            start["text"] = ""
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces_of(draw, block["text"])]
        case "thinking":
            start |= {"thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces_of(draw, block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        case "tool_use" | "server_tool_use":
            start["input"] = {}
            text = json.dumps(block["input"], ensure_ascii=False) if block["input"] else ""
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces_of(draw, text)]
    told = [named("content_block_delta", index=place, delta=delta) for delta in deltas]
    ping = [named("ping")] if draw(st.booleans()) else []
    opened = named("content_block_start", index=place, content_block=start)
    return [opened, *ping, *told, named("content_block_stop", index=place)]


# ── Gemini ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def gemini(draw: Draw, *, cut_short: bool = False) -> Answer:
    """Thoughts, texts and whole calls, with ids or without."""
    parts: list[dict[str, Any]] = []
    signature = base64.b64encode(b"sig").decode()
    has_ids, called = draw(st.booleans()), 0
    for kind in draw(st.lists(st.sampled_from(("text", "thought", "call")), max_size=4)):
        if kind == "call":
            call = {"name": draw(NAMES), "args": draw(json_objects), **({"id": f"fc é{called}"} if has_ids else {})}
            parts.append({"functionCall": call, **({"thoughtSignature": signature} if not called else {})})
            called += 1
        else:
            parts.append({"text": draw(said), **({"thought": True} if kind == "thought" else {})})
    reason = "MAX_TOKENS" if cut_short else draw(st.sampled_from(("STOP", "MAX_TOKENS", "SAFETY", "RECITATION")))
    prompt, candidates, thoughts = draw(COUNTS), draw(COUNTS), draw(COUNTS)
    usage = {"promptTokenCount": prompt, "candidatesTokenCount": candidates, "totalTokenCount": prompt + candidates}
    if draw(st.booleans()):
        usage |= {"thoughtsTokenCount": thoughts, "cachedContentTokenCount": draw(st.integers(0, prompt))}
        usage["totalTokenCount"] += thoughts
    tail = {"usageMetadata": usage, "modelVersion": "gemini-x", "responseId": "r-é1"}

    def frame(some: list[dict[str, Any]], **more: Any) -> bytes:
        candidate = {"content": {"parts": some, "role": "model"}, "index": 0, **more}
        return b"data: " + as_json({"candidates": [candidate], **tail}) + b"\r\n\r\n"

    frames: list[bytes] = []
    for part in parts:
        pieces = [part] if "text" not in part else [{**part, "text": piece} for piece in pieces_of(draw, part["text"])]
        frames += [frame([piece]) for piece in pieces]
    whole = {"content": {"parts": parts, "role": "model"}, "index": 0, "finishReason": reason}
    return Answer({"candidates": [whole], **tail}, [*frames, frame([], finishReason=reason)])


def _answers(write: Callable[..., Answer]) -> Callable[..., st.SearchStrategy[Answer]]:
    @st.composite
    def answers(draw: st.DrawFn, *, cut_short: bool = False) -> Answer:
        return write(draw, cut_short=cut_short)

    return answers


ANSWERS = {
    "openai.chat": _answers(openai),
    "openai.responses": _answers(responses),
    "anthropic.messages": _answers(anthropic),
    "gemini": _answers(gemini),
}
