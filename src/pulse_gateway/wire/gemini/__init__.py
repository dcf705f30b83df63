"""Google's `generateContent` dialect."""

from pulse_gateway.wire.gemini.codec import GeminiCodec

__all__ = ["GeminiCodec"]
