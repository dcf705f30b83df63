"""Streams of operations beside chat, passed through untouched: events that are watched, and plain bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pulse_gateway.errors import PulseError
from pulse_gateway.types.events import Event
from pulse_gateway.wire.operation import OperationCodec
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.relay import Piece, Relay
from pulse_gateway.wire.sse import ServerSentEvent

if TYPE_CHECKING:
    from pulse_gateway.errors import UpstreamError

__all__ = ["RawRelay", "WatchedRelay"]


class WatchedRelay(Relay[bytes]):
    """Every frame as it came; the codec's decoder sees it."""

    _shows_frames = True

    def __init__(self, codec: OperationCodec) -> None:
        super().__init__(codec.decoder())
        self._codec = codec
        self._unclosed = False  # the last frame came without its blank line, so what follows would be part of it

    def join(self, items: list[bytes]) -> bytes:
        return items[0] if len(items) == 1 else b"".join(items)

    def render(self, frame: ServerSentEvent | None, events: list[Event]) -> bytes:
        if frame is None:
            return b""
        self._unclosed = not frame.raw.endswith((b"\n\n", b"\r\n\r\n", b"\r\r"))
        return frame.raw

    def render_error(self, error: PulseError, request_id: str) -> bytes:
        event = self._codec.stream_error(error, request_id) or b""
        return b"\n\n" + event if self._unclosed else event


class RawRelay(Relay[bytes]):
    """A `Relay` of bytes that nobody here can read: audio, an image. It is whole when the connection says so."""

    def __init__(self) -> None:  # without a decoder: there is nothing to decode
        self.reading = Reading()
        self.broken: UpstreamError | None = None

    def feed(self, data: bytes) -> list[bytes]:
        self.reading.started = True
        return [data]

    def feed_pieces(self, data: bytes) -> list[Piece[bytes]]:
        return [Piece(item, []) for item in self.feed(data)]

    def finish(self) -> list[Piece[bytes]]:
        self.reading.ended = self.reading.started  # of nothing at all there is no whole
        return []

    def join(self, items: list[bytes]) -> bytes:
        return items[0] if len(items) == 1 else b"".join(items)

    def render(self, frame: ServerSentEvent | None, events: list[Event]) -> bytes:
        return b"" if frame is None else frame.raw

    def render_error(self, error: PulseError, request_id: str) -> bytes:
        """Nothing can be said among such bytes: whoever sends them on breaks the connection off."""
        return b""
