"""What the dialect of any operation but chat offers: embeddings, images, speech … Bytes ⇄ values, without I/O."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from pulse_gateway.errors import PulseError
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.http import Payload
from pulse_gateway.wire.client_spelling import FieldPaths
from pulse_gateway.wire.codec import Envelope, StreamDecoder
from pulse_gateway.wire.reading import Reading

__all__ = ["EncodedPayload", "OperationCodec", "OperationFace"]


class EncodedPayload(msgspec.Struct, frozen=True):
    """A request's body, and the hints that had no place in it."""

    payload: Payload
    dropped: tuple[str, ...] = ()


class OperationFace(Protocol):
    """One operation in one dialect, as clients speak it. Every method is a pure function of its arguments.

    The neutral request and reply are the structs of `types/` that belong to `operation`; `Any` here, since each codec knows its own.
    """

    dialect: str  # "openai.embeddings"
    operation: str  # "embeddings": what `Provider.offer` is asked for
    keep_alive: bytes | None  # what may be sent on a slow stream; None: nothing
    field_paths: FieldPaths

    def read_envelope(self, body: Payload, *, model: str | None = None, stream: bool | None = None) -> Envelope:
        """Raises: InvalidRequest, `param` naming the path of the bad field."""
        ...

    def decode_request(self, body: Payload, *, model: str | None = None, stream: bool | None = None) -> Any:
        """The neutral request. Raises: InvalidRequest, UnsupportedParameter for what nothing else could ever express."""
        ...

    def encode_reply(self, reply: Any, request: Any) -> Payload:
        """Raises: UpstreamError when the answer cannot be said in this dialect."""
        ...

    def encode_stream(self, reply: Any, request: Any) -> Payload:
        """A whole answer for a client that asked for a stream: all of its events."""
        ...

    def encode_error(self, error: PulseError, request_id: str) -> bytes: ...

    def stream_error(self, error: PulseError, request_id: str) -> bytes | None:
        """The error event of a stream, after which nothing follows. None: a stream of bytes, which can only be broken off."""
        ...


class OperationCodec(OperationFace, Protocol):
    """The same for a dialect that vendors speak as well."""

    def rewrite_request(self, body: Payload, *, model: str) -> Payload:
        """The same request with another model; every other byte is kept."""
        ...

    def encode_request(self, request: Any, model: Model) -> EncodedPayload:
        """Raises: UnsupportedParameter, `param` naming the neutral field; the caller spells it for its client."""
        ...

    def decode_reply(self, answer: Payload, request: Any) -> Any:
        """Raises: UpstreamProtocolError; UpstreamError for an error object sent with status 200."""
        ...

    def read_reply(self, answer: Payload, reading: Reading) -> None:
        """Note in `reading` what settling needs, of an answer that goes on untouched. Tolerant.

        Raises: UpstreamProtocolError when it is not this dialect at all; UpstreamError for an error object sent with 200.
        """
        ...

    def decoder(self) -> StreamDecoder:
        """Of a stream of events that goes on untouched: usage, errors and the end; deltas need not become events."""
        ...
