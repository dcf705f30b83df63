"""The dialect `openai.chat`: OpenAI's Chat Completions, and what dozens of vendors made of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import MappingProxyType

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ChatReply, DocumentPart, ImagePart
from pulse_gateway.wire.client_spelling import FieldPaths
from pulse_gateway.wire.framing import SSE
from pulse_gateway.wire.openai_chat.decode import decode_request
from pulse_gateway.wire.openai_chat.encode import encode_request
from pulse_gateway.wire.openai_chat.envelope import hide_usage, read_envelope, rewrite_request
from pulse_gateway.wire.openai_chat.errors import encode_error
from pulse_gateway.wire.openai_chat.reply import decode_reply, encode_reply, read_reply
from pulse_gateway.wire.openai_chat.stream import ChatStreamDecoder, ChatStreamEncoder

__all__ = ["OpenAIChatCodec"]

_FIELD_PATHS: FieldPaths = MappingProxyType(
    {
        "model": ("model",),
        "messages": ("messages",),
        "messages.name": ("messages[].name",),
        "messages.role": ("messages[].role",),
        "messages.reasoning": (
            "messages[].reasoning_content",
            "messages[].reasoning",
            "messages[].reasoning_details",
        ),
        "messages.thought_signature": ("messages[].tool_calls[].extra_content.google.thought_signature",),
        "messages.image_detail": ("messages[].content[].image_url.detail",),
        "messages.document_title": ("messages[].content[].file.filename",),
        "messages.blank_text": ("messages[].content",),
        "stream": ("stream",),
        "include_usage": ("stream_options.include_usage",),
        "max_output_tokens": ("max_completion_tokens", "max_tokens"),
        "temperature": ("temperature",),
        "top_p": ("top_p",),
        "stop": ("stop",),
        "n": ("n",),
        "seed": ("seed",),
        "presence_penalty": ("presence_penalty",),
        "frequency_penalty": ("frequency_penalty",),
        "logprobs": ("logprobs",),
        "top_logprobs": ("top_logprobs",),
        "tools": ("tools",),
        "tools.strict": ("tools[].function.strict",),
        "tool_choice": ("tool_choice",),
        "parallel_tool_calls": ("parallel_tool_calls",),
        "response_format": ("response_format",),
        "response_format.name": ("response_format.json_schema.name",),
        "response_format.description": ("response_format.json_schema.description",),
        "response_format.strict": ("response_format.json_schema.strict",),
        "reasoning": ("reasoning_effort",),
        "reasoning.effort": ("reasoning_effort",),
        "user": ("user", "safety_identifier"),
    }
)


class OpenAIChatCodec:
    """`wire.codec.Codec` for Chat Completions. One instance serves every exchange.

    `now`, in seconds since the epoch, dates answers whose vendor gives no date.
    """

    dialect = "openai.chat"
    framing = SSE
    keep_alive: bytes | None = b": ping\n\n"
    field_paths: FieldPaths = _FIELD_PATHS

    read_envelope = staticmethod(read_envelope)
    rewrite_request = staticmethod(rewrite_request)
    hide_usage = staticmethod(hide_usage)
    decode_request = staticmethod(decode_request)
    encode_request = staticmethod(encode_request)
    decode_reply = staticmethod(decode_reply)
    read_reply = staticmethod(read_reply)
    encode_error = staticmethod(encode_error)
    decoder = ChatStreamDecoder

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now

    def takes_url(self, part: ImagePart | DocumentPart, model: Model) -> bool:
        """Of images; a file goes along as its bytes."""
        return isinstance(part, ImagePart) and model.capabilities.image_urls

    def encode_reply(self, reply: ChatReply) -> bytes:
        return encode_reply(reply, now=self._now)

    def encoder(self, request_model: str, *, include_usage: bool) -> ChatStreamEncoder:
        return ChatStreamEncoder(request_model, include_usage=include_usage, now=self._now)
