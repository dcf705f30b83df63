"""Server-sent events from arbitrary slices of bytes, and back."""

from __future__ import annotations

import re

import msgspec

from pulse_gateway.errors import UpstreamProtocolError

__all__ = ["MAX_EVENT_BYTES", "SSEDecoder", "ServerSentEvent", "encode_event", "parse_event"]

MAX_EVENT_BYTES = 16 * 1024 * 1024

# A blank line ends an event. `\r` alone ends a line too, but only once the byte after it is known not to be `\n`.
_LINE_END = rb"(?:\r\n|\n|\r(?=[^\n]))"
_BLANK_LINE = re.compile(_LINE_END + _LINE_END)
_LINES = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class ServerSentEvent(msgspec.Struct, frozen=True, gc=False):
    """`raw` is the frame as it came, its blank line included; the frames of a stream joined are the stream.

    `data` is empty for a frame of comments only.
    """

    data: bytes
    event: str
    raw: bytes


class SSEDecoder:
    """Splits a byte stream into events, whatever the slices.

    Raises: UpstreamProtocolError when one event exceeds `max_event_bytes`.
    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html (read 2026-11-24)
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._max_event_bytes = max_event_bytes

    @property
    def pending(self) -> bool:
        """The beginning of an event waits for its rest."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        if not self._buffer and data.endswith(b"\n\n") and b"\r" not in data:  # whole events, as most slices are
            if data.startswith(b"data: ") and data.find(b"\n") == len(data) - 2:
                return [ServerSentEvent(data[6:-2], "", data)]
            return [parse_event(frame + b"\n\n") for frame in data[:-2].split(b"\n\n")]
        self._buffer += data
        frames: list[bytes] = []
        start = 0
        while end := _BLANK_LINE.search(self._buffer, max(start, self._scanned)):
            cut = end.end()
            del end  # a live match pins the buffer
            with memoryview(self._buffer) as view:
                frames.append(bytes(view[start:cut]))  # one copy; a slice of the buffer would be another
            start = cut
            self._scanned = start
        if start:
            del self._buffer[:start]
        self._scanned = max(0, len(self._buffer) - 3)
        if len(self._buffer) > self._max_event_bytes and not frames:  # what is whole is given out first
            raise UpstreamProtocolError(f"one event of the stream exceeds {self._max_event_bytes} bytes")
        return [parse_event(frame) for frame in frames]

    def finish(self) -> list[ServerSentEvent]:
        """What is left at the end of the stream: a last event whose blank line is missing, as long as its last line is whole."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._scanned = 0
        if not rest:
            return []
        # Vendors leave the last blank line out, and what such an event says is still worth hearing. JSON ends in a bracket.
        return [parse_event(rest)] if rest.endswith((b"\n", b"\r", b"}", b"]")) else []


def parse_event(raw: bytes) -> ServerSentEvent:
    """One frame, its blank line included."""
    # One line, or one with a name before it, as nearly all events are.
    if raw.endswith(b"\n\n") and b"\r" not in raw:
        if raw.startswith(b"data: ") and raw.find(b"\n") == len(raw) - 2:
            return ServerSentEvent(raw[6:-2], "", raw)
        if raw.startswith(b"event: ") and raw.count(b"\n") == 3:
            name, named, told = raw.partition(b"\ndata: ")
            if named:
                return ServerSentEvent(told[:-2], name[7:].strip().decode("utf-8", "replace"), raw)
    event = ""
    data: list[bytes] = []
    for line in _LINES.split(raw[3:] if raw.startswith(_BOM) else raw):
        if line.startswith(b"data:"):
            data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line.startswith(b"event:"):
            event = line[6:].strip().decode("utf-8", "replace")
        elif line == b"data":
            data.append(b"")
    return ServerSentEvent(data[0] if len(data) == 1 else b"\n".join(data), event, raw)


def encode_event(data: bytes, event: str | None = None) -> bytes:
    """One frame. `data` is JSON without line breaks, so one `data:` line always holds it."""
    if event is None:
        return b"data: %b\n\n" % data
    return b"event: %b\ndata: %b\n\n" % (event.encode(), data)
