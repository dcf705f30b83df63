"""A Messages request, written."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import UnsupportedParameter
from pulse_gateway.types.catalog import Capabilities, Model
from pulse_gateway.types.chat import (
    ChatRequest,
    Message,
    Part,
    TextPart,
)
from pulse_gateway.wire.anthropic_messages import AnthropicMessagesCodec

__all__ = ["CODEC", "HELLO", "claude", "content", "dropped", "encoded", "refused"]

CODEC = AnthropicMessagesCodec()
HELLO = Message("user", (TextPart("hello"),), path="messages[0]")


def claude(max_output_tokens: int | None = None, **capabilities: Any) -> Model:
    return Model(
        provider="anthropic",
        name="claude-test",
        max_output_tokens=max_output_tokens,
        capabilities=Capabilities(**capabilities),
    )


def encoded(*messages: Message, model: Model | None = None, **fields: Any) -> dict[str, Any]:
    request = ChatRequest(model="alias", messages=messages or (HELLO,), **fields)
    body: dict[str, Any] = msgspec.json.decode(CODEC.encode_request(request, model or claude()).body)
    return body


def dropped(*messages: Message, **fields: Any) -> tuple[str, ...]:
    return CODEC.encode_request(ChatRequest(model="alias", messages=messages or (HELLO,), **fields), claude()).dropped


def refused(*messages: Message, model: Model | None = None, **fields: Any) -> str | None:
    with pytest.raises(UnsupportedParameter) as caught:
        encoded(*messages, model=model, **fields)
    assert "claude-test" in caught.value.message
    return caught.value.param


def content(*parts: Part, role: str = "user") -> Any:
    return encoded(Message(role, parts, path="messages[0]"))["messages"][0]["content"]  # type: ignore[arg-type]
