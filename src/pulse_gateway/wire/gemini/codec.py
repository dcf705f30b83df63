"""The dialect as a whole. Each operation is a module of its own; this is where they meet the protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from pulse_gateway.errors import PulseError
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ChatReply, ChatRequest
from pulse_gateway.wire.codec import Encoded, Envelope
from pulse_gateway.wire.gemini.decode_request import decode_request
from pulse_gateway.wire.gemini.encode_request import FIELD_PATHS, encode_request
from pulse_gateway.wire.gemini.envelope import read_envelope
from pulse_gateway.wire.gemini.errors import error_body
from pulse_gateway.wire.gemini.reply import decode_reply, encode_reply, read_reply
from pulse_gateway.wire.gemini.stream import GeminiDecoder, GeminiEncoder
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.sse import ServerSentEvent

__all__ = ["GeminiCodec"]


class GeminiCodec:
    """Google's `generateContent`. Model and streaming are in the path; a client always sees usage."""

    dialect = "gemini"
    keep_alive: bytes | None = None  # the official SDK fails on anything but data
    field_paths: ClassVar[Mapping[str, str]] = FIELD_PATHS

    def read_envelope(self, body: bytes, *, model: str | None = None, stream: bool | None = None) -> Envelope:
        return read_envelope(body, model=model, stream=stream)

    def rewrite_request(self, body: bytes, *, model: str, show_usage: bool) -> bytes:
        """The body itself: the model is in the path, and usage is always sent."""
        return body

    def decode_request(self, body: bytes, *, model: str | None = None, stream: bool | None = None) -> ChatRequest:
        return decode_request(body, model=model, stream=stream)

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
