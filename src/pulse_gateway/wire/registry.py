"""Dialect → codec, each imported on first use."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import cast

from pulse_gateway.wire.codec import Codec

__all__ = ["DIALECTS", "codec"]

DIALECTS = {
    "openai.chat": "pulse_gateway.wire.openai_chat:OpenAIChatCodec",
    "anthropic.messages": "pulse_gateway.wire.anthropic_messages:AnthropicMessagesCodec",
    "gemini": "pulse_gateway.wire.gemini:GeminiCodec",
}


@cache
def codec(dialect: str) -> Codec:
    """The one codec of `dialect`.

    Raises: KeyError for a dialect nobody speaks.
    """
    module, _, name = DIALECTS[dialect].partition(":")
    return cast("Codec", getattr(import_module(module), name)())
