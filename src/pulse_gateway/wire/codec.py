"""What every chat dialect offers: bytes ⇄ values, without I/O.

What a vendor speaks is an `UpstreamCodec`; what clients may speak too is a `Codec`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from pulse_gateway.errors import PulseError
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ChatReply, ChatRequest, DocumentPart, ImagePart
from pulse_gateway.types.events import Event
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.client_spelling import FieldPaths
from pulse_gateway.wire.framing import Framing
from pulse_gateway.wire.prompt_texts import Text, joined_texts
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.sse import ServerSentEvent

__all__ = ["MAX_COUNT", "Codec", "Encoded", "Envelope", "StreamDecoder", "StreamEncoder", "UpstreamCodec"]

MAX_COUNT = 2**31 - 1  # more tokens than any model writes, and still a number that every store can count with


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The few things the gateway itself acts on, read without decoding the rest.

    `texts` is every text of the prompt, for moderation and for the estimate; `attachments` counts
    images, audio and documents. `expected` is what the request says that it will use beside tokens: images to make, seconds of
    video, characters to speak. `include_usage` is whether the client of a stream asked to see usage (true for dialects
    that always show it).
    """

    model: str
    stream: bool
    texts: Sequence[Text] = ()
    attachments: int = 0
    max_output_tokens: int | None = None
    n: int = 1
    include_usage: bool = True
    expected: Usage = Usage()

    @property
    def text(self) -> str:
        """All of it, joined by newlines. Raises: InvalidRequest when it is no UTF-8."""
        return joined_texts(self.texts)


class Encoded(msgspec.Struct, frozen=True):
    """A request body, and the hints that had no place in it: neutral names of `client_spelling`, or paths of `hints`."""

    body: bytes
    dropped: tuple[str, ...] = ()


class StreamDecoder(Protocol):
    """One streamed answer, bytes in, events out. Stateful; one per stream.

    Raises: UpstreamProtocolError on a frame that the dialect does not allow. Unknown fields, event names and block types
    are not that: they are ignored.
    """

    def decode(self, frame: ServerSentEvent) -> list[Event]: ...

    def finish(self) -> list[Event]:
        """What the end of the stream adds: closes what the vendor left open but whole, else nothing."""
        ...


class StreamEncoder(Protocol):
    """One streamed answer, events in, bytes of the dialect out. Stateful; one per stream."""

    def encode(self, event: Event) -> bytes: ...

    def error(self, error: PulseError, request_id: str) -> bytes:
        """The dialect's error event. Nothing follows it."""
        ...


class UpstreamCodec(Protocol):
    """One dialect as a vendor speaks it. Every method is a pure function of its arguments."""

    dialect: str
    framing: Framing  # of its streams

    def takes_url(self, part: ImagePart | DocumentPart, model: Model) -> bool:
        """Whether the vendor fetches `part.url` itself. Else its bytes must be in the request: whoever encodes it fetches them."""
        ...

    def encode_request(self, request: ChatRequest, model: Model) -> Encoded:
        """Raises: UnsupportedParameter whose `param` is the *neutral* field name; the caller spells it for its client."""
        ...

    def decode_reply(self, body: bytes) -> ChatReply:
        """Raises: UpstreamProtocolError; UpstreamError for an error object sent with status 200."""
        ...

    def decoder(self) -> StreamDecoder: ...


class Codec(UpstreamCodec, Protocol):
    """One dialect that clients speak, and vendors. Its streams are server-sent events."""

    keep_alive: (
        bytes | None
    )  # what may be sent on a slow stream so that nothing times out; None: the dialect has nothing
    field_paths: FieldPaths  # how this dialect spells what its requests can say, for errors and for what was dropped

    def read_envelope(self, body: bytes, *, model: str | None = None, stream: bool | None = None) -> Envelope:
        """Check and read what the gateway acts on. `model` and `stream` come from the path where the dialect has them there.

        Raises: InvalidRequest, `param` naming the path of the bad field.
        """
        ...

    def rewrite_request(self, body: bytes, *, model: str, show_usage: bool) -> bytes:
        """The same request for the same dialect: only the model is replaced, and, for a stream, usage asked for.

        Every other byte is kept. Returns `body` itself when nothing needs changing.
        """
        ...

    def decode_request(self, body: bytes, *, model: str | None = None, stream: bool | None = None) -> ChatRequest:
        """Raises: InvalidRequest (param: path), UnsupportedParameter for what no other dialect could ever express."""
        ...

    def read_reply(self, body: bytes, reading: Reading) -> str:
        """Note in `reading` what settling needs, and return the visible text. Tolerant: for bytes that pass through untouched.

        Raises: UpstreamProtocolError when it is not this dialect at all; UpstreamError for an error object sent with 200.
        """
        ...

    def encode_reply(self, reply: ChatReply) -> bytes: ...

    def encode_error(self, error: PulseError, request_id: str) -> bytes: ...

    def encoder(self, request_model: str, *, include_usage: bool) -> StreamEncoder: ...

    def hide_usage(self, frame: ServerSentEvent) -> bytes:
        """`frame` as a client sees it that did not ask for usage. Only called when `rewrite_request` asked on its behalf."""
        ...
