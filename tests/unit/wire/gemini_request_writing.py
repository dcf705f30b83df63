"""A generateContent request, written."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import InvalidRequest, PulseError
from pulse_gateway.types.catalog import Capabilities, Model
from pulse_gateway.types.chat import (
    ChatRequest,
    Message,
    Part,
    ReasoningControl,
    TextPart,
    ToolCallPart,
)
from pulse_gateway.wire.gemini import GeminiCodec

__all__ = ["CALLED", "CODEC", "DUMMY", "HELLO", "OLD", "dropped", "encode", "model", "refused", "thinking", "user_part"]

CODEC = GeminiCodec()
HELLO = (Message("user", (TextPart("hello"),), path="messages[0]"),)
CALLED = Message("assistant", (ToolCallPart("one", "f", "{}"),), path="messages[1]")
DUMMY = "skip_thought_signature_validator"


def model(name: str = "gemini-3.8-flash", *, max_output_tokens: int | None = None, **capabilities: Any) -> Model:
    return Model(
        provider="google", name=name, max_output_tokens=max_output_tokens, capabilities=Capabilities(**capabilities)
    )


OLD = model("gemini-2.5-flash")


def encode(target: Model | None = None, /, *, messages: tuple[Message, ...] = HELLO, **fields: Any) -> dict[str, Any]:
    request = ChatRequest(model="alias", messages=messages, **fields)
    body: dict[str, Any] = msgspec.json.decode(CODEC.encode_request(request, target or model()).body)
    return body


def dropped(*, messages: tuple[Message, ...] = HELLO, **fields: Any) -> tuple[str, ...]:
    return CODEC.encode_request(ChatRequest(model="alias", messages=messages, **fields), model()).dropped


def refused(target: Model | None = None, /, *, messages: tuple[Message, ...] = HELLO, **fields: Any) -> PulseError:
    with pytest.raises(InvalidRequest) as caught:
        encode(target, messages=messages, **fields)
    return caught.value


def user_part(part: Part, target: Model | None = None) -> dict[str, Any]:
    body = encode(target, messages=(Message("user", (part,), path="messages[0]"),))
    found: dict[str, Any] = body["contents"][0]["parts"][0]
    return found


def thinking(control: ReasoningControl, target: Model | None = None) -> Any:
    return encode(target, reasoning=control).get("generationConfig", {}).get("thinkingConfig")
