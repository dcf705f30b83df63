"""Anthropic's Messages API."""

from pulse_gateway.wire.anthropic_messages.codec import AnthropicMessagesCodec

__all__ = ["AnthropicMessagesCodec"]
