"""A streamed Chat Completions answer, read."""

from __future__ import annotations

import json
from typing import Any

from pulse_gateway.types.events import (
    Event,
    Started,
)
from pulse_gateway.wire.openai_chat import OpenAIChatCodec
from pulse_gateway.wire.sse import SSEDecoder

__all__ = ["CODEC", "DONE", "START", "call", "chunk", "decode", "delta"]

CODEC = OpenAIChatCodec(now=lambda: 1_700_000_000.9)
START = Started("chatcmpl-1", "m", 1)
DONE = b"data: [DONE]\n\n"


def chunk(*choices: dict[str, Any], **members: Any) -> bytes:
    told = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
    return b"data: " + json.dumps({**told, **members}).encode() + b"\n\n"


def delta(
    content: Any = None, index: int | None = 0, finish_reason: str | None = None, **fields: Any
) -> dict[str, Any]:
    said = fields if content is None else {"content": content, **fields}
    choice: dict[str, Any] = {"delta": said, "finish_reason": finish_reason}
    return choice if index is None else {"index": index, **choice}


def call(
    index: int | None = None, call_id: str | None = None, name: str | None = None, arguments: Any = None
) -> dict[str, Any]:
    """A delta that holds one fragment of a tool call."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    place = {key: value for key, value in (("index", index), ("id", call_id)) if value is not None}
    return delta(tool_calls=[{**place, "function": function}])


def decode(*frames: bytes, finish: bool = True) -> list[Event]:
    decoder, sse = CODEC.decoder(), SSEDecoder()
    events = [event for frame in sse.feed(b"".join(frames)) for event in decoder.decode(frame)]
    return events + decoder.finish() if finish else events
