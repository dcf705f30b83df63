"""OpenAI's Chat Completions."""

from pulse_gateway.wire.openai_chat.codec import OpenAIChatCodec

__all__ = ["OpenAIChatCodec"]
