"""What a client of each dialect keeps of an answer, and sends back with its next request: by the wire alone, or by its SDK."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from openai.lib.streaming._deltas import accumulate_delta

from pulse_gateway.wire.sse import SSEDecoder

__all__ = ["next_request"]


def next_request(client: str, answer: bytes, *, streamed: bool) -> dict[str, Any]:
    """A request that goes on after `answer`: what was called is answered, and something is said."""
    kept = _STREAMED[client](_frames(answer)) if streamed else _WHOLE[client](json.loads(answer))
    return _GOING_ON[client](kept)


def _frames(stream: bytes) -> list[Any]:
    decoder = SSEDecoder()
    frames = [*decoder.feed(stream), *decoder.finish()]
    return [json.loads(frame.data) for frame in frames if frame.data not in (b"", b"[DONE]")]


# ── what is kept ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _chat_stream(frames: list[Any]) -> Any:
    message: dict[object, object] = {}
    for frame in frames:
        for choice in frame["choices"]:
            accumulate_delta(message, choice["delta"])
    return json.loads(json.dumps(message))


def _messages_stream(frames: list[Any]) -> Any:
    blocks: list[dict[str, Any]] = []
    inputs: dict[int, str] = {}
    for frame in frames:
        if frame["type"] == "content_block_start":
            blocks.append(dict(frame["content_block"]))
        elif frame["type"] == "content_block_delta":
            block, delta = blocks[frame["index"]], frame["delta"]
            match delta["type"]:
                case "text_delta":
                    block["text"] += delta["text"]
                case "thinking_delta":
                    block["thinking"] += delta["thinking"]
                case "signature_delta":
                    block["signature"] = delta["signature"]
                case "input_json_delta":
                    inputs[frame["index"]] = inputs.get(frame["index"], "") + delta["partial_json"]
    for index, text in inputs.items():
        blocks[index]["input"] = json.loads(text)
    return blocks


def _gemini_stream(frames: list[Any]) -> Any:
    return [part for frame in frames for part in frame["candidates"][0]["content"]["parts"]]


_WHOLE: dict[str, Callable[[Any], Any]] = {
    "openai.chat": lambda answer: answer["choices"][0]["message"],
    "openai.responses": lambda answer: answer["output"],
    "anthropic.messages": lambda answer: answer["content"],
    "gemini": lambda answer: answer["candidates"][0]["content"]["parts"],
}
_STREAMED: dict[str, Callable[[list[Any]], Any]] = {
    "openai.chat": _chat_stream,
    "openai.responses": lambda frames: frames[-1]["response"]["output"],
    "anthropic.messages": _messages_stream,
    "gemini": _gemini_stream,
}


# ── and sent ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _chat(message: Any) -> dict[str, Any]:
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "so"} for call in message.get("tool_calls") or ()
    ]
    said = {"role": "user", "content": "go on"}
    return {"model": "alias", "messages": [said, message, *results, said]}


def _responses(output: list[Any]) -> dict[str, Any]:
    calls = [item["call_id"] for item in output if item["type"] == "function_call"]
    results = [{"type": "function_call_output", "call_id": call_id, "output": "so"} for call_id in calls]
    said = {"role": "user", "content": "go on"}
    return {"model": "alias", "input": [said, *output, *results, said], "store": False}


def _messages(blocks: list[Any]) -> dict[str, Any]:
    calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": call_id, "content": "so"} for call_id in calls]
    said = {"type": "text", "text": "go on"}
    turns = [{"role": "assistant", "content": blocks}] if blocks else []
    messages = [{"role": "user", "content": [said]}, *turns, {"role": "user", "content": [*results, said]}]
    return {"model": "alias", "max_tokens": 9999, "messages": messages}


def _gemini(parts: list[Any]) -> dict[str, Any]:
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    results = [
        {"functionResponse": {"id": call["id"], "name": call["name"], "response": {"output": "so"}}} for call in calls
    ]
    said = {"text": "go on"}
    turns = [{"role": "model", "parts": parts}] if parts else []
    return {"contents": [{"parts": [said]}, *turns, {"role": "user", "parts": [*results, said]}]}


_GOING_ON: dict[str, Callable[[Any], dict[str, Any]]] = {
    "openai.chat": _chat,
    "openai.responses": _responses,
    "anthropic.messages": _messages,
    "gemini": _gemini,
}
