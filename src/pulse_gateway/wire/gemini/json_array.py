"""A stream of Gemini's as one JSON array, which is how it is sent to a client that does not ask for server-sent events.

Source: https://ai.google.dev/api/generate-content (`streamGenerateContent` without `alt=sse`), read 2026-11-24.
"""

from __future__ import annotations

from pulse_gateway.wire.sse import SSEDecoder

__all__ = ["JsonArray"]


class JsonArray:
    """Events in, the pieces of an array out: an element for each event, in its own bytes. One per stream."""

    def __init__(self) -> None:
        self._frames = SSEDecoder()
        self._begun = False

    def feed(self, events: bytes) -> bytes:
        return b"".join([self._element(frame.data) for frame in self._frames.feed(events) if frame.data])

    def finish(self) -> bytes:
        """The end of the array. Nothing follows it."""
        rest = b"".join([self._element(frame.data) for frame in self._frames.finish() if frame.data])
        return rest + (b"\n]\n" if self._begun else b"[]\n")

    def _element(self, data: bytes) -> bytes:
        before, self._begun = (b"\n,\r\n" if self._begun else b"["), True
        return before + data
