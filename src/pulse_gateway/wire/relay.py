"""Upstream bytes in, client bytes out, one frame at a time, while a `Reading` watches.

Only whole frames go on: an upstream that breaks off inside one leaves the client at a frame's end, where an error event can
follow.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from pulse_gateway.errors import PulseError, UpstreamError
from pulse_gateway.types.events import Event, Finished
from pulse_gateway.wire.codec import StreamDecoder
from pulse_gateway.wire.framing import SSE, Framing
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.sse import ServerSentEvent

__all__ = ["BytesRelay", "Native", "Piece", "Relay"]

T = TypeVar("T")


class Piece(Generic[T]):
    """One frame: what the client gets for it, the visible text in it per choice, and the choices that end with it."""

    __slots__ = ("ended", "item", "texts")

    def __init__(self, item: T, events: Sequence[Event]) -> None:
        self.item = item
        self.texts: dict[int, str] = {}
        self.ended: set[int] = set()
        for event in events:
            if event.text:
                choice = getattr(event, "choice", 0)
                self.texts[choice] = self.texts.get(choice, "") + event.text
            elif isinstance(event, Finished):
                self.ended.add(event.choice)


class Relay(ABC, Generic[T]):
    """The loop all relays share. Subclasses say what a frame becomes.

    It never raises, so that what came before an error in the same slice is not lost. A failure that the upstream *reports* is in
    `reading.failed`, already rendered. A frame that leaves its dialect, or cannot be said in the client's, is in `broken`, not
    rendered. After either, and after the terminal frame (`reading.ended`), what follows is ignored.

    A frame may have many megabytes, so no more copies of it are alive at once than are still needed.
    """

    _shows_frames = False  # whether `render` wants the frame itself

    def __init__(self, decoder: StreamDecoder, framing: Framing = SSE) -> None:
        self.reading = Reading()
        self.broken: UpstreamError | None = None
        self._decoder = decoder
        self._frames = framing.decoder()
        self._finished = False

    @property
    def over(self) -> bool:
        """Nothing more will come of this stream."""
        return self.reading.ended or self.reading.failed is not None or self.broken is not None

    def feed(self, data: bytes) -> list[T]:
        return self._read(self._cut(data))

    def feed_pieces(self, data: bytes) -> list[Piece[T]]:
        """As `feed`, with the visible text of each frame, for a moderator."""
        return self._pieces(self._cut(data))

    def finish(self) -> list[Piece[T]]:
        """The upstream has ended. Again: nothing more."""
        if self._finished:
            return []
        self._finished = True
        pieces: list[Piece[T]] = []
        if self.over:
            return pieces
        try:
            pieces += self._pieces(self._frames.finish())
            if not self.over:
                events = self._decoder.finish()
                self.reading.observe(events)
                if events:
                    pieces.append(Piece(self.render(None, events), events))
        except UpstreamError as error:
            self._break(error)
        return pieces

    @abstractmethod
    def join(self, items: list[T]) -> T:
        """Several items as one."""

    @abstractmethod
    def render(self, frame: ServerSentEvent | None, events: list[Event]) -> T:
        """What the client gets for `events`, which were in `frame`. None: at the end of the stream, and for those that have no use
        for frames."""

    @abstractmethod
    def render_error(self, error: PulseError, request_id: str) -> T:
        """The client dialect's error event; nothing follows it."""

    def _break(self, error: UpstreamError) -> None:
        """Nothing is whole that could not be said to its end, though the upstream's part of it was."""
        self.broken, self.reading.ended = error, False

    def _cut(self, data: bytes) -> list[ServerSentEvent]:
        try:
            return self._frames.feed(data)
        except UpstreamError as error:
            self.broken = error
            return []

    def _pieces(self, frames: list[ServerSentEvent]) -> list[Piece[T]]:
        told: list[list[Event]] = []
        return [Piece(item, events) for item, events in zip(self._read(frames, told), told, strict=True)]

    def _read(self, frames: list[ServerSentEvent], told: list[list[Event]] | None = None) -> list[T]:
        """What the client gets for `frames`, each; the events of each are added to `told`."""
        items: list[T] = []
        if self.broken is not None:
            return items
        reading, decode, observe, render = self.reading, self._decoder.decode, self.reading.observe, self.render
        frames.reverse()
        while frames and not reading.ended and reading.failed is None:
            frame = frames.pop()
            try:
                events = decode(frame)
                observe(events)
                shown = frame if self._shows_frames else None
                del frame
                item = render(shown, events)
            except UpstreamError as error:
                self._break(error)
                return items
            items.append(item)
            if told is not None:
                told.append(events)
        return items


class BytesRelay(Relay[bytes]):
    def join(self, items: list[bytes]) -> bytes:
        return items[0] if len(items) == 1 else b"".join(items)


class Native(Relay[list[Event]]):
    """The upstream's dialect in, events out: for a program that embeds the gateway. Errors are raised, not rendered."""

    def join(self, items: list[list[Event]]) -> list[Event]:
        return items[0] if len(items) == 1 else [event for events in items for event in events]

    def render(self, frame: ServerSentEvent | None, events: list[Event]) -> list[Event]:
        return events

    def render_error(self, error: PulseError, request_id: str) -> list[Event]:
        raise error
