"""Answers to clients of Gemini's dialect that want their stream as one JSON array."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pulse_gateway.errors import PulseError
from pulse_gateway.pipeline.reply import Body, Reply
from pulse_gateway.types.usage import Outcome
from pulse_gateway.wire.gemini.json_array import JsonArray

__all__ = ["as_array"]


def as_array(reply: Reply) -> Reply:
    """The same answer: a stream as an array that grows, an error as an array of one, as Google sends both."""
    if reply.stream is None:
        reply.body = b"[" + reply.body + b"]"
        return reply
    reply.stream = _ArrayBody(reply.stream)
    reply.headers = [
        (name, "application/json; charset=utf-8" if name == "content-type" else value) for name, value in reply.headers
    ]
    return reply


class _ArrayBody:
    """A `Body` of another one's events."""

    def __init__(self, events: Body) -> None:
        self._events, self._array = events, JsonArray()

    @property
    def ending(self) -> tuple[Outcome, PulseError | None] | None:
        return self._events.ending

    @property
    def cut(self) -> bool:
        return self._events.cut

    @property
    def gone(self) -> bool:
        return self._events.gone

    def farewell(self) -> Any:
        event = self._events.farewell()
        return self._array.feed(event) + self._array.finish() if event else b""

    def abandon(self, *, slow: bool = False) -> bool:
        return self._events.abandon(slow=slow)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for item in self._events:
            if piece := self._array.feed(item):
                yield piece
        yield self._array.finish()
