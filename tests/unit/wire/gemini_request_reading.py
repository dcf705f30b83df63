"""A generateContent request, read."""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.types.chat import (
    ChatRequest,
)
from pulse_gateway.wire.gemini import GeminiCodec

__all__ = ["CODEC", "HELLO", "config", "decode", "parts"]

CODEC = GeminiCodec()
HELLO = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}


def decode(body: Any, *, stream: bool = False) -> ChatRequest:
    return CODEC.decode_request(msgspec.json.encode(body), model="alias", stream=stream)


def parts(*written: dict[str, Any], role: str = "user") -> tuple[Any, ...]:
    return decode({"contents": [{"role": role, "parts": list(written)}]}).messages[0].parts


def config(**written: Any) -> ChatRequest:
    return decode({**HELLO, "generationConfig": written})
