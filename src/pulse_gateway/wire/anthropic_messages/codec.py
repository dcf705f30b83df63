"""Anthropic's Messages dialect, as one value."""

from __future__ import annotations

from types import MappingProxyType

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import DocumentPart, ImagePart
from pulse_gateway.wire.anthropic_messages.client_request import decode_request
from pulse_gateway.wire.anthropic_messages.envelope import read_envelope, rewrite_request
from pulse_gateway.wire.anthropic_messages.errors import encode_error
from pulse_gateway.wire.anthropic_messages.reply import decode_reply, encode_reply, read_reply
from pulse_gateway.wire.anthropic_messages.stream_decoder import MessagesStreamDecoder
from pulse_gateway.wire.anthropic_messages.stream_encoder import MessagesStreamEncoder
from pulse_gateway.wire.anthropic_messages.upstream_request import encode_request
from pulse_gateway.wire.client_spelling import FieldPaths
from pulse_gateway.wire.codec import StreamEncoder
from pulse_gateway.wire.framing import SSE
from pulse_gateway.wire.media import media_type_of
from pulse_gateway.wire.sse import ServerSentEvent

__all__ = ["AnthropicMessagesCodec"]


class AnthropicMessagesCodec:
    """The codec of `anthropic.messages`. Source: https://platform.claude.com/docs/en/api/messages (read 2026-11-24)"""

    dialect: str = "anthropic.messages"
    framing = SSE
    keep_alive: bytes | None = b'event: ping\ndata: {"type": "ping"}\n\n'
    field_paths: FieldPaths = MappingProxyType(
        {
            "model": ("model",),
            "messages": ("messages",),
            "messages.role": ("messages[].role",),
            "messages.reasoning": ("messages[].content[].thinking", "messages[].content[].data"),
            "messages.thought_signature": ("messages[].content[].signature",),
            "messages.document_title": ("messages[].content[].title", "messages[].content[].content[].title"),
            "messages.result_is_error": ("messages[].content[].is_error",),
            "messages.blank_text": ("messages[].content",),
            "stream": ("stream",),
            "max_output_tokens": ("max_tokens",),
            "temperature": ("temperature",),
            "top_p": ("top_p",),
            "top_k": ("top_k",),
            "stop": ("stop_sequences",),
            "tools": ("tools",),
            "tools.strict": ("tools[].strict",),
            "tool_choice": ("tool_choice",),
            "parallel_tool_calls": ("tool_choice.disable_parallel_tool_use",),
            "response_format": ("output_config.format",),
            "reasoning": ("thinking", "output_config.effort"),
            "reasoning.effort": ("output_config.effort",),
            "reasoning.budget_tokens": ("thinking.budget_tokens",),
            "reasoning.summary": ("thinking.display",),
            "user": ("metadata.user_id",),
        }
    )

    read_envelope = staticmethod(read_envelope)
    rewrite_request = staticmethod(rewrite_request)
    decode_request = staticmethod(decode_request)
    encode_request = staticmethod(encode_request)
    decode_reply = staticmethod(decode_reply)
    read_reply = staticmethod(read_reply)
    encode_reply = staticmethod(encode_reply)
    encode_error = staticmethod(encode_error)
    decoder = MessagesStreamDecoder

    def takes_url(self, part: ImagePart | DocumentPart, model: Model) -> bool:
        """It fetches images and PDFs, and only by https."""
        if isinstance(part, DocumentPart) and media_type_of(part.media_type) not in (None, "application/pdf"):
            return False
        return model.capabilities.image_urls and (part.url or "").startswith("https://")

    def encoder(self, request_model: str, *, include_usage: bool) -> StreamEncoder:
        """Usage is always shown in this dialect, whatever `include_usage` says."""
        return MessagesStreamEncoder(request_model)

    def hide_usage(self, frame: ServerSentEvent) -> bytes:
        return frame.raw
