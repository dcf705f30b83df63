"""Amazon's Converse without any codec: what a request in it means, and answers as Bedrock sends them, in frames of its own."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any
from zlib import crc32

from hypothesis import strategies as st
from translation_answer import COUNTS, NAMES, Answer, pieces_of
from translation_writer import Draw, json_objects, said

from pulse_gateway.types.chat import (
    AudioPart,
    ChatRequest,
    DocumentPart,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from pulse_gateway.wire.bedrock_converse.tool_ids import unescape

__all__ = ["CONVERSE_ANSWERS", "frame", "read_converse"]

_TYPES = {"txt": "text/plain", "md": "text/markdown", "csv": "text/csv", "html": "text/html", "pdf": "application/pdf"}


def frame(name: str, payload: Any, *, kind: str = "event") -> bytes:
    """One frame. Source: the Smithy specification of the Amazon event stream encoding."""
    data = payload if isinstance(payload, bytes) else json.dumps(payload, ensure_ascii=False).encode()
    headers = b"".join(
        bytes([len(key)]) + key.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for key, value in ((f":{kind}-type", name), (":content-type", "application/json"), (":message-type", kind))
    )
    prelude = struct.pack(">II", 16 + len(headers) + len(data), len(headers))
    message = prelude + struct.pack(">I", crc32(prelude)) + headers + data
    return message + struct.pack(">I", crc32(message))


# ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def read_converse(body: dict[str, Any]) -> ChatRequest:
    """`body` in neutral words. An id that is used again in a later turn is the one it was made from."""
    messages = [Message("system", (TextPart(block["text"]),)) for block in body.get("system", []) if "text" in block]
    for turn in body["messages"]:
        parts = tuple(part for block in turn["content"] if (part := _part(block)) is not None)
        results = tuple(part for part in parts if isinstance(part, ToolResultPart))
        if results:
            messages.append(Message("tool", results))
        messages.append(Message(turn["role"], tuple(part for part in parts if part not in results)))
    config = body.get("toolConfig", {})
    tools = tuple(
        Tool(each["name"], each.get("description"), each["inputSchema"]["json"], each.get("strict"))
        for each in (tool["toolSpec"] for tool in config.get("tools", []) if "toolSpec" in tool)
    )
    inference = body.get("inferenceConfig", {})
    return ChatRequest(
        model="",
        messages=tuple(messages),
        tools=tools,
        tool_choice=_choice(config.get("toolChoice")),
        max_output_tokens=inference.get("maxTokens"),
        temperature=inference.get("temperature"),
        top_p=inference.get("topP"),
        top_k=body.get("additionalModelRequestFields", {}).get("top_k"),
        stop=tuple(inference.get("stopSequences", ())),
    )


def _choice(choice: dict[str, Any] | None) -> ToolChoice | None:
    match choice:
        case {"any": _}:
            return ToolChoice("required")
        case {"tool": {"name": name}}:
            return ToolChoice("required", (name,))
    return None


def _part(block: dict[str, Any]) -> Part | None:
    match block:
        case {"text": text}:
            return TextPart(text)
        case {"image": {"format": form, "source": {"bytes": data}}}:
            return ImagePart(f"image/{form}", data)
        case {"audio": {"format": form, "source": {"bytes": data}}}:
            return AudioPart(f"audio/{form}", data)
        case {"document": {"format": "pdf", "source": {"bytes": data}}}:
            return DocumentPart("application/pdf", data)
        case {"document": {"format": form, "source": {"bytes": data}}}:
            return DocumentPart(_TYPES[form], text=base64.b64decode(data).decode())
        case {"toolUse": {"toolUseId": call_id, "name": name, "input": value}}:
            return ToolCallPart(unescape(call_id).partition("\0")[0], name, json.dumps(value))
        case {"toolResult": {"toolUseId": call_id, "content": content}}:
            parts = tuple(_result(each) for each in content)
            return ToolResultPart(unescape(call_id).partition("\0")[0], parts)
        case {"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}}:
            return ReasoningPart(text, signature)
    return None


def _result(block: dict[str, Any]) -> Any:
    return (
        TextPart(json.dumps(block["json"], ensure_ascii=False, separators=(",", ":")))
        if "json" in block
        else _part(block)
    )


# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@st.composite
def CONVERSE_ANSWERS(draw: Draw, *, cut_short: bool = False) -> Answer:
    """Thinking, texts and calls in any order; blocks of text and thinking begin with or without a start."""
    content: list[dict[str, Any]] = []
    for place, kind in enumerate(
        draw(st.lists(st.sampled_from(("text", "thought", "redacted", "call", "cited")), max_size=4))
    ):
        match kind:
            case "text":
                content.append({"text": draw(said)})
            case "cited":
                content.append({"citationsContent": {"content": [{"text": draw(said)}], "citations": []}})
            case "thought":
                content.append({"reasoningContent": {"reasoningText": {"text": draw(said), "signature": "c2ln"}}})
            case "redacted":
                content.append({"reasoningContent": {"redactedContent": "eHh4eHg="}})
            case _:
                call = {"toolUseId": f"tooluse_{place}", "name": draw(NAMES), "input": draw(json_objects)}
                content.append({"toolUse": call})
    called = any("toolUse" in block for block in content)
    reasons = (
        "max_tokens",
        "content_filtered",
        "guardrail_intervened",
        *(("tool_use",) if called else ("end_turn", "stop_sequence")),
    )
    reason = "max_tokens" if cut_short else draw(st.sampled_from(reasons))
    usage = {"inputTokens": draw(COUNTS), "outputTokens": draw(COUNTS)}
    usage["totalTokens"] = usage["inputTokens"] + usage["outputTokens"]
    if draw(st.booleans()):
        cached = {"cacheReadInputTokens": draw(COUNTS), "cacheWriteInputTokens": draw(COUNTS)}
        usage["totalTokens"] += sum(cached.values())
        usage |= cached
    frames = [frame("messageStart", {"role": "assistant"})]
    for place, block in enumerate(content):
        frames += _frames(draw, place, block)
    frames += [
        frame("messageStop", {"stopReason": reason}),
        frame("metadata", {"usage": usage, "metrics": {"latencyMs": 1}}),
    ]
    whole = {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": reason, "usage": usage}
    return Answer({**whole, "metrics": {"latencyMs": 1}}, frames)


def _frames(draw: Draw, place: int, block: dict[str, Any]) -> list[bytes]:
    start: dict[str, Any] | None = None
    deltas: list[dict[str, Any]]
    match block:
        case {"text": text}:
            deltas = [{"text": piece} for piece in pieces_of(draw, text)]
        case {"citationsContent": {"content": [{"text": text}]}}:
            deltas = [{"text": piece} for piece in pieces_of(draw, text)] + [{"citation": {"title": "t"}}]
        case {"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}}:
            deltas = [{"reasoningContent": {"text": piece}} for piece in pieces_of(draw, text)]
            deltas.append({"reasoningContent": {"signature": signature}})
        case {"reasoningContent": {"redactedContent": data}}:
            deltas = [{"reasoningContent": {"redactedContent": data}}]
        case {"toolUse": call}:
            start = {"toolUse": {"toolUseId": call["toolUseId"], "name": call["name"]}}
            text = json.dumps(call["input"], ensure_ascii=False) if call["input"] or draw(st.booleans()) else ""
            deltas = [{"toolUse": {"input": piece}} for piece in pieces_of(draw, text)]
    opened = [] if start is None else [frame("contentBlockStart", {"contentBlockIndex": place, "start": start})]
    told = [frame("contentBlockDelta", {"contentBlockIndex": place, "delta": delta, "p": "abcd"}) for delta in deltas]
    return [*opened, *told, frame("contentBlockStop", {"contentBlockIndex": place})]
