"""The dialect `openai.responses`: OpenAI's Responses, and the vendors that speak it too."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import MappingProxyType

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ChatReply, DocumentPart, ImagePart
from pulse_gateway.wire.client_spelling import FieldPaths
from pulse_gateway.wire.framing import SSE
from pulse_gateway.wire.openai_chat.errors import encode_error
from pulse_gateway.wire.openai_responses.decode import decode_request
from pulse_gateway.wire.openai_responses.encode import encode_request
from pulse_gateway.wire.openai_responses.envelope import read_envelope, rewrite_request
from pulse_gateway.wire.openai_responses.reply import decode_reply, encode_reply, read_reply
from pulse_gateway.wire.openai_responses.stream_decoder import ResponsesStreamDecoder
from pulse_gateway.wire.openai_responses.stream_encoder import ResponsesStreamEncoder
from pulse_gateway.wire.sse import ServerSentEvent

__all__ = ["OpenAIResponsesCodec"]

_FIELD_PATHS: FieldPaths = MappingProxyType(
    {
        "model": ("model",),
        "messages": ("input",),
        "messages.role": ("input[].role",),
        "messages.reasoning": ("input[].summary",),
        "messages.thought_signature": ("input[].extra_content.google.thought_signature",),
        "messages.image_detail": ("input[].content[].detail", "input[].output[].detail"),
        "messages.document_title": ("input[].content[].filename", "input[].output[].filename"),
        "messages.blank_text": ("input[].content", "input[].output", "input"),
        "stream": ("stream",),
        "max_output_tokens": ("max_output_tokens",),
        "temperature": ("temperature",),
        "top_p": ("top_p",),
        "logprobs": ("include", "top_logprobs"),
        "top_logprobs": ("top_logprobs",),
        "tools": ("tools",),
        "tools.strict": ("tools[].strict",),
        "tool_choice": ("tool_choice",),
        "parallel_tool_calls": ("parallel_tool_calls",),
        "response_format": ("text.format",),
        "response_format.name": ("text.format.name",),
        "response_format.description": ("text.format.description",),
        "response_format.strict": ("text.format.strict",),
        "reasoning": ("reasoning.effort", "reasoning"),
        "reasoning.effort": ("reasoning.effort",),
        "reasoning.summary": ("reasoning.summary", "reasoning.generate_summary"),
        "user": ("user", "safety_identifier"),
    }
)


class OpenAIResponsesCodec:
    """`wire.codec.Codec` for Responses. One instance serves every exchange.

    `now`, in seconds since the epoch, dates answers whose vendor gives no date.
    """

    dialect = "openai.responses"
    framing = SSE
    keep_alive: bytes | None = b": ping\n\n"
    field_paths: FieldPaths = _FIELD_PATHS

    read_envelope = staticmethod(read_envelope)
    rewrite_request = staticmethod(rewrite_request)
    decode_request = staticmethod(decode_request)
    encode_request = staticmethod(encode_request)
    decode_reply = staticmethod(decode_reply)
    read_reply = staticmethod(read_reply)
    encode_error = staticmethod(encode_error)
    decoder = ResponsesStreamDecoder

    @staticmethod
    def takes_url(part: ImagePart | DocumentPart, model: Model) -> bool:
        """A document of any kind; text could be shown only as text, and is still a file here."""
        return isinstance(part, DocumentPart) or model.capabilities.image_urls

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now

    def encode_reply(self, reply: ChatReply) -> bytes:
        return encode_reply(reply, now=self._now)

    def encoder(self, request_model: str, *, include_usage: bool) -> ResponsesStreamEncoder:
        """Usage is always shown in this dialect, whatever `include_usage` says."""
        return ResponsesStreamEncoder(request_model, now=self._now)

    def hide_usage(self, frame: ServerSentEvent) -> bytes:
        return frame.raw
