"""OpenAI's Responses."""

from pulse_gateway.wire.openai_responses.codec import OpenAIResponsesCodec

__all__ = ["OpenAIResponsesCodec"]
