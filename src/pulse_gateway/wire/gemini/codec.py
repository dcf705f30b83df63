"""The dialect as a whole. Each operation is a module of its own; this is where they meet the protocol."""

from __future__ import annotations

from types import MappingProxyType

import msgspec

from pulse_gateway.errors import PulseError
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import DocumentPart, ImagePart
from pulse_gateway.wire.client_spelling import FieldPaths
from pulse_gateway.wire.framing import SSE
from pulse_gateway.wire.gemini.decode_request import decode_request
from pulse_gateway.wire.gemini.encode_request import encode_request
from pulse_gateway.wire.gemini.envelope import read_envelope, rewrite_request
from pulse_gateway.wire.gemini.errors import error_body
from pulse_gateway.wire.gemini.reply import decode_reply, encode_reply, read_reply
from pulse_gateway.wire.gemini.stream import GeminiDecoder, GeminiEncoder
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

    dialect: str = "gemini"
    framing = SSE
    keep_alive: bytes | None = None  # the official SDK fails on anything but data
    field_paths: FieldPaths = _FIELD_PATHS

    read_envelope = staticmethod(read_envelope)
    rewrite_request = staticmethod(rewrite_request)
    decode_request = staticmethod(decode_request)
    encode_request = staticmethod(encode_request)
    decode_reply = staticmethod(decode_reply)
    read_reply = staticmethod(read_reply)
    encode_reply = staticmethod(encode_reply)
    decoder = GeminiDecoder

    def takes_url(self, part: ImagePart | DocumentPart, model: Model) -> bool:
        return model.capabilities.image_urls

    def encode_error(self, error: PulseError, request_id: str) -> bytes:
        return msgspec.json.encode(error_body(error, request_id))

    def encoder(self, request_model: str, *, include_usage: bool) -> GeminiEncoder:
        return GeminiEncoder(request_model)

    def hide_usage(self, frame: ServerSentEvent) -> bytes:
        """The frame as it came: usage belongs to every answer of this dialect."""
        return frame.raw
