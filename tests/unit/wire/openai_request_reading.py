"""A Chat Completions request, read."""

from __future__ import annotations

import base64
import json
from typing import Any

from pulse_gateway.types.chat import (
    ChatRequest,
)
from pulse_gateway.wire.openai_chat import OpenAIChatCodec

__all__ = ["CALL", "CODEC", "PIXEL", "TIME", "USER", "WEATHER", "decode", "user_part"]

CODEC = OpenAIChatCodec()
USER = {"role": "user", "content": "hi"}
WEATHER = {"type": "function", "function": {"name": "weather"}}
TIME = {"type": "function", "function": {"name": "time"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"a": 1}'}}
PIXEL = base64.b64encode(b"not really a png").decode()


def decode(**members: Any) -> ChatRequest:
    return CODEC.decode_request(json.dumps({"model": "m", "messages": [USER], **members}).encode())


def user_part(part: dict[str, Any]) -> ChatRequest:
    return decode(messages=[{"role": "user", "content": [part]}])
