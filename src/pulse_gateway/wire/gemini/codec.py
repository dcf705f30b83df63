"""The dialect as a whole. Each operation is a module of its own; this is where they meet the protocol."""

from __future__ import annotations

from types import MappingProxyType

import msgspec

from pulse_gateway.errors import PulseError
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ChatReply, ChatRequest, DocumentPart, ImagePart
from pulse_gateway.wire.client_spelling import FieldPaths
from pulse_gateway.wire.codec import Encoded, Envelope
from pulse_gateway.wire.framing import SSE
from pulse_gateway.wire.gemini.decode_request import decode_request
from pulse_gateway.wire.gemini.encode_request import encode_request
from pulse_gateway.wire.gemini.envelope import read_envelope, rewrite_request
from pulse_gateway.wire.gemini.errors import error_body
from pulse_gateway.wire.gemini.reply import decode_reply, encode_reply, read_reply
from pulse_gateway.wire.gemini.stream import GeminiDecoder, GeminiEncoder
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.sse import ServerSentEvent

__all__ = ["GeminiCodec"]


_FIELD_PATHS: FieldPaths = MappingProxyType(
    {
        "model": ("model",),
        "messages": ("contents",),
        "messages.role": ("contents[].role",),
        "messages.reasoning": ("contents[].parts[].thought",),
        "messages.thought_signature": ("contents[].parts[].thoughtSignature",),
        "messages.document_title": (
            "contents[].parts[].inlineData.displayName",
            "contents[].parts[].fileData.displayName",
        ),
        "messages.result_is_error": ("contents[].parts[].functionResponse.response.error",),
        "messages.blank_text": ("contents[].parts[].text",),
        "max_output_tokens": ("generationConfig.maxOutputTokens",),
        "temperature": ("generationConfig.temperature",),
        "top_p": ("generationConfig.topP",),
        "top_k": ("generationConfig.topK",),
        "stop": ("generationConfig.stopSequences",),
        "n": ("generationConfig.candidateCount",),
        "seed": ("generationConfig.seed",),
        "presence_penalty": ("generationConfig.presencePenalty",),
        "frequency_penalty": ("generationConfig.frequencyPenalty",),
        "logprobs": ("generationConfig.responseLogprobs",),
        "top_logprobs": ("generationConfig.logprobs",),
        "tools": ("tools",),
        "tool_choice": ("toolConfig.functionCallingConfig",),
        "response_format": ("generationConfig.responseMimeType",),
        "reasoning": ("generationConfig.thinkingConfig",),
        "reasoning.effort": ("generationConfig.thinkingConfig.thinkingLevel",),
        "reasoning.budget_tokens": ("generationConfig.thinkingConfig.thinkingBudget",),
        "reasoning.summary": ("generationConfig.thinkingConfig.includeThoughts",),
    }
)


class GeminiCodec:
    """Google's `generateContent`. Model and streaming are in the path; a client always sees usage."""

    dialect = "gemini"
    framing = SSE
    keep_alive: bytes | None = None  # the official SDK fails on anything but data
    field_paths: FieldPaths = _FIELD_PATHS

    def read_envelope(self, body: bytes, *, model: str | None = None, stream: bool | None = None) -> Envelope:
        return read_envelope(body, model=model, stream=stream)

    def rewrite_request(self, body: bytes, *, model: str, show_usage: bool) -> bytes:
        return rewrite_request(body, model=model, show_usage=show_usage)

    def decode_request(self, body: bytes, *, model: str | None = None, stream: bool | None = None) -> ChatRequest:
        return decode_request(body, model=model, stream=stream)

    def takes_url(self, part: ImagePart | DocumentPart, model: Model) -> bool:
        return model.capabilities.image_urls

    def encode_request(self, request: ChatRequest, model: Model) -> Encoded:
        return encode_request(request, model)

    def decode_reply(self, body: bytes) -> ChatReply:
        return decode_reply(body)

    def read_reply(self, body: bytes, reading: Reading) -> str:
        return read_reply(body, reading)

    def encode_reply(self, reply: ChatReply) -> bytes:
        return encode_reply(reply)

    def encode_error(self, error: PulseError, request_id: str) -> bytes:
        return msgspec.json.encode(error_body(error, request_id))

    def decoder(self) -> GeminiDecoder:
        return GeminiDecoder()

    def encoder(self, request_model: str, *, include_usage: bool) -> GeminiEncoder:
        return GeminiEncoder(request_model)

    def hide_usage(self, frame: ServerSentEvent) -> bytes:
        """The frame as it came: usage belongs to every answer of this dialect."""
        return frame.raw
