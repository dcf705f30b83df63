"""How the bytes of a streamed answer are cut into frames: server-sent events, or what one vendor has instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from pulse_gateway.wire.sse import ServerSentEvent, SSEDecoder

__all__ = ["SSE", "FrameDecoder", "Framing"]


class FrameDecoder(Protocol):
    """One stream, whatever the slices. A frame of another framing is said in the words of server-sent events too.

    Raises: UpstreamProtocolError for bytes that are no such framing, and for a frame that exceeds its bound.
    """

    def feed(self, data: bytes) -> list[ServerSentEvent]: ...

    def finish(self) -> list[ServerSentEvent]:
        """What is left at the end of the stream and whole enough to be heard."""
        ...


class Framing(msgspec.Struct, frozen=True):
    """`content_type`: what the head of such an answer says it is. `decoder` begins a stream."""

    content_type: str
    decoder: Callable[[], FrameDecoder]


SSE = Framing("text/event-stream", SSEDecoder)
