"""Upstream bytes in, client bytes out, one frame at a time, while a `Reading` watches.

Only whole frames go on: an upstream that breaks off inside one leaves the client at a frame's end, where an error event can
follow.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Generic, Protocol, TypeVar

from pulse_gateway.errors import PulseError, UpstreamError
from pulse_gateway.types.events import Event, Failed, Finished
from pulse_gateway.wire.codec import Codec, StreamDecoder, UpstreamCodec
from pulse_gateway.wire.framing import SSE, Framing
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.sse import ServerSentEvent

__all__ = ["HideUsage", "Mended", "Mender", "Native", "Passthrough", "Piece", "Relay", "Translate"]

T = TypeVar("T")


class Piece(Generic[T]):
    """One frame: what the client gets for it, the visible text in it per choice, and the choices that end with it."""

    __slots__ = ("ended", "item", "texts")

    def __init__(self, item: T, events: list[Event]) -> None:
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
        return [item for item, _ in self._steps(data)]

    def feed_pieces(self, data: bytes) -> list[Piece[T]]:
        """As `feed`, with the visible text of each frame, for a moderator."""
        return [Piece(item, events) for item, events in self._steps(data)]

    def finish(self) -> list[Piece[T]]:
        """The upstream has ended. Again: nothing more."""
        if self._finished:
            return []
        self._finished = True
        pieces: list[Piece[T]] = []
        if self.over:
            return pieces
        try:
            pieces += [Piece(item, events) for item, events in self._each(self._frames.finish())]
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

    def _steps(self, data: bytes) -> Iterator[tuple[T, list[Event]]]:
        try:
            frames = self._frames.feed(data)
        except UpstreamError as error:
            self.broken = error
            return iter(())
        return self._each(frames)

    def _each(self, frames: list[ServerSentEvent]) -> Iterator[tuple[T, list[Event]]]:
        frames.reverse()
        decode, observe = self._decoder.decode, self.reading.observe
        while frames and not self.over:
            frame = frames.pop()
            try:
                events = decode(frame)
                observe(events)
                shown = frame if self._shows_frames else None
                del frame
                item = self.render(shown, events)
            except UpstreamError as error:
                self._break(error)
                return
            yield item, events


class _Bytes(Relay[bytes]):
    def join(self, items: list[bytes]) -> bytes:
        return items[0] if len(items) == 1 else b"".join(items)


class Passthrough(_Bytes):
    """The same dialect on both sides: every frame as it came."""

    _shows_frames = True

    def __init__(self, codec: Codec, request_model: str) -> None:
        super().__init__(codec.decoder())
        self._codec, self._request_model = codec, request_model
        self._unclosed = False  # the last frame came without its blank line, so what follows would be part of it
        self._plain_text: Callable[[bytes], str | None] | None = getattr(self._decoder, "plain_text", None)

    def feed(self, data: bytes) -> list[bytes]:
        """Most frames add to a text and say nothing else: these become no events of ours."""
        if self._plain_text is None:
            return super().feed(data)
        try:
            frames = self._frames.feed(data)
        except UpstreamError as error:
            self.broken = error
            return []
        items: list[bytes] = []
        hear, plain_text = self.reading.hear, self._plain_text
        frames.reverse()
        while frames and not self.over:
            frame = frames.pop()
            text = None if frame.event else plain_text(frame.data)
            if text is None:
                looked_at = [frame]
                del frame
                items += [item for item, _ in self._each(looked_at)]
                continue
            hear(text)
            self._unclosed = False
            items.append(frame.raw)
        return items

    def render(self, frame: ServerSentEvent | None, events: list[Event]) -> bytes:
        if frame is None:
            return b""
        self._unclosed = not frame.raw.endswith((b"\n\n", b"\r\n\r\n", b"\r\r"))
        return self._shown(frame)

    def render_error(self, error: PulseError, request_id: str) -> bytes:
        event = self._codec.encoder(self._request_model, include_usage=False).error(error, request_id)
        return b"\n\n" + event if self._unclosed else event

    def _shown(self, frame: ServerSentEvent) -> bytes:
        return frame.raw


class HideUsage(Passthrough):
    """The same, for a client that did not ask for the usage the gateway asked for."""

    def __init__(self, codec: Codec, request_model: str) -> None:
        super().__init__(codec, request_model)
        self._plain_text = None  # every frame may have something to hide

    def _shown(self, frame: ServerSentEvent) -> bytes:
        return self._codec.hide_usage(frame)


class Mender(Protocol):
    """Puts one answer right, whole or frame by frame."""

    def mend(self, data: bytes, /) -> bytes:
        """`data` itself where nothing is wrong with it."""
        ...


class Mended(Passthrough):
    """The same dialect on both sides, but for what the client's SDK would misread."""

    def __init__(self, codec: Codec, request_model: str, mender: Mender, *, hide_usage: bool) -> None:
        super().__init__(codec, request_model)
        self._mender, self._hide_usage = mender, hide_usage

    def _shown(self, frame: ServerSentEvent) -> bytes:
        data = self._mender.mend(frame.data)
        if data is not frame.data:
            frame = ServerSentEvent(data, frame.event, b"data: " + data + b"\n\n")
            self._unclosed = False
        return self._codec.hide_usage(frame) if self._hide_usage else frame.raw


class Translate(_Bytes):
    """The upstream's dialect in, the client's out."""

    def __init__(
        self, upstream: UpstreamCodec, client: Codec, request_model: str, request_id: str, *, include_usage: bool
    ) -> None:
        super().__init__(upstream.decoder(), upstream.framing)
        self._encoder = client.encoder(request_model, include_usage=include_usage)
        self._request_id = request_id

    def render(self, frame: ServerSentEvent | None, events: list[Event]) -> bytes:
        encode = self._encoder.encode
        if self.reading.failed is None:
            return encode(events[0]) if len(events) == 1 else b"".join([encode(event) for event in events])
        said = b"".join([encode(event) for event in takewhile(_is_answer, events)])
        return said + self._encoder.error(self.reading.failed, self._request_id)

    def render_error(self, error: PulseError, request_id: str) -> bytes:
        return self._encoder.error(error, request_id)


class Native(Relay[list[Event]]):
    """The upstream's dialect in, events out: for a program that embeds the gateway. Errors are raised, not rendered."""

    def join(self, items: list[list[Event]]) -> list[Event]:
        return items[0] if len(items) == 1 else [event for events in items for event in events]

    def render(self, frame: ServerSentEvent | None, events: list[Event]) -> list[Event]:
        return events

    def render_error(self, error: PulseError, request_id: str) -> list[Event]:
        raise error


def _is_answer(event: Event) -> bool:
    return not isinstance(event, Failed)
