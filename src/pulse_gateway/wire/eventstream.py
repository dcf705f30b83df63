"""Amazon's event stream: binary frames with headers, a payload and two checksums.

A frame is `total length, length of the headers, checksum of those two, headers, payload, checksum of all`, numbers big-endian.
The checksums and headers are read by botocore; where a frame ends is decided here, so that the buffer is bounded and grows without
being copied over and over.

Source: https://smithy.io/2.0/aws/amazon-eventstream.html (read 2026-11-24); botocore 1.44, `botocore/eventstream.py`
"""

from __future__ import annotations

import struct

import msgspec

from pulse_gateway.errors import UpstreamProtocolError
from pulse_gateway.wire.framing import Framing
from pulse_gateway.wire.sse import MAX_EVENT_BYTES, ServerSentEvent

__all__ = ["EVENT_STREAM", "FAILURE", "EventStreamDecoder"]

FAILURE = "!"
"""What the name of a frame begins with that tells of a failure; the rest is the failure's own name."""

_LENGTHS = struct.Struct(">II")
_OVERHEAD = 16  # of a frame: two lengths and two checksums


class EventStreamDecoder:
    """Splits a byte stream into frames, whatever the slices. `event` is the name of the event, `data` its payload.

    Raises: UpstreamProtocolError for a frame over `max_frame_bytes`, one whose checksum is wrong, and one that is no frame at all.
    """

    def __init__(self, max_frame_bytes: int = MAX_EVENT_BYTES) -> None:
        self._buffer = bytearray()
        self._max_frame_bytes = max_frame_bytes
        self._broken: UpstreamProtocolError | None = None

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """What is whole is given out first; an error that follows it in the same slice is raised by the next call."""
        if self._broken is not None:
            raise self._broken
        self._buffer += data
        frames: list[ServerSentEvent] = []
        start = 0
        try:
            while len(self._buffer) - start >= _LENGTHS.size:
                size = self._size(start)
                if len(self._buffer) - start < size:
                    break
                with memoryview(self._buffer) as view:
                    message = bytes(view[start : start + size])
                frames.append(_read(message))
                start += size
        except UpstreamProtocolError as error:
            if not frames:
                raise
            self._broken = error
        del self._buffer[:start]
        return frames

    def finish(self) -> list[ServerSentEvent]:
        """Nothing: a frame is whole or it is none. What was broken behind the last whole one is raised, if nothing more came."""
        self._buffer.clear()
        if self._broken is not None:
            raise self._broken
        return []

    def _size(self, start: int) -> int:
        size, headers = _LENGTHS.unpack_from(self._buffer, start)
        if not _OVERHEAD + headers <= size <= self._max_frame_bytes:
            raise UpstreamProtocolError(f"the provider's stream holds a frame of {size} bytes")
        return int(size)


def _read(message: bytes) -> ServerSentEvent:
    from botocore.eventstream import EventStreamBuffer, ParserError  # imported late: only this vendor needs it

    buffer = EventStreamBuffer()
    buffer.add_data(message)
    try:
        frame = buffer.next()
        headers = {name: value if isinstance(value, str) else "" for name, value in frame.headers.items()}
    except (ParserError, struct.error, LookupError, ValueError) as error:  # what a broken frame makes of the parser
        raise UpstreamProtocolError("the provider's stream holds a frame that is broken") from error
    match headers.get(":message-type"):
        case "event":
            return ServerSentEvent(frame.payload, headers.get(":event-type", ""), b"")
        case "exception":
            return ServerSentEvent(frame.payload, FAILURE + headers.get(":exception-type", ""), b"")
        case "error":
            said = msgspec.json.encode({"message": headers.get(":error-message", "")})
            return ServerSentEvent(said, FAILURE + headers.get(":error-code", ""), b"")
    return ServerSentEvent(b"", "", b"")  # of a kind that is yet to be invented


EVENT_STREAM = Framing("application/vnd.amazon.eventstream", EventStreamDecoder)
