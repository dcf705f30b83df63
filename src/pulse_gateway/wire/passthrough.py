"""The same dialect on both sides: the upstream's bytes go on as they came, and are only watched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pulse_gateway.errors import PulseError, UpstreamError
from pulse_gateway.types.events import Event
from pulse_gateway.wire.codec import Codec
from pulse_gateway.wire.relay import BytesRelay
from pulse_gateway.wire.sse import ServerSentEvent, SSEDecoder, parse_event
from pulse_gateway.wire.text_run import NO_STRING, Learner, TextRun

__all__ = ["Mended", "Mender", "Passthrough"]

_TRIES_A_SLICE = 8


class Mender(Protocol):
    """Puts one answer right, whole or frame by frame."""

    @property
    def mends_texts(self) -> bool:
        """Whether something may be wrong even with a frame that adds to a text and says nothing else."""
        ...

    def mend(self, data: bytes, /) -> bytes:
        """`data` itself where nothing is wrong with it."""
        ...


class Passthrough(BytesRelay):
    """Every frame as it came. `hide_usage`: but for the usage, of which the gateway asked and the client did not.

    Most frames add to a text and say nothing else. These become no events of ours, and where they look like the one before but for
    the text they are not even parsed.
    """

    _shows_frames = True

    def __init__(self, codec: Codec, request_model: str, *, hide_usage: bool = False) -> None:
        super().__init__(codec.decoder())
        self._frames = self._sse = SSEDecoder()
        self._codec, self._request_model, self._hide_usage = codec, request_model, hide_usage
        self._unclosed = False  # the last frame came without its blank line, so what follows would be part of it
        self._plain_text: Callable[[ServerSentEvent], str | None] | None = getattr(self._decoder, "plain_text", None)
        self._run: TextRun | None = None  # what the frames look like that come now
        self._usable: TextRun | None = None  # the same, unless the beginning of a frame waits for its rest
        self._learner = Learner(self._understood)

    def feed(self, data: bytes) -> list[bytes]:
        run = self._usable
        if run is not None and len(data) <= run.most_of_one:
            token = data.removeprefix(run.start).removesuffix(run.end)
            if len(token) + run.around_bytes == len(data):
                try:
                    text = run.text_in(token)
                except NO_STRING:
                    pass  # another frame, or several
                else:
                    self.reading.count(text)
                    return [data if run.as_is else run.said(token)]
        return super().feed(data) if self._plain_text is None else self._feed_runs(data)

    def _feed_runs(self, data: bytes) -> list[bytes]:
        items: list[bytes] = []
        for _ in range(_TRIES_A_SLICE):
            run = self._usable
            if run is not None:
                size = run.head_of(data)
                if size == 0 or (read := run.read(data[:size])) is None:
                    break
                self.reading.count(read[0])
                items.append(read[1])
            else:
                size = data.find(b"\n\n") + 2
                if size == 1 or self._run is not None or self._learner.given_up:
                    break
                items += self._by_frame(data[:size])  # by itself, since those after it may look the same
            data = data[size:]
            if not data:
                return items
        return items + self._by_frame(data)

    def _by_frame(self, data: bytes) -> list[bytes]:
        try:
            frames = self._sse.feed(data)
        except UpstreamError as error:
            self.broken, self._usable = error, None
            return []
        items: list[bytes] = []
        frames.reverse()
        while frames and not self.over:
            frame = frames.pop()
            run = self._run
            if run is not None and run.head_of(frame.raw) and (read := run.read(frame.raw)) is not None:
                self.reading.count(read[0])
                items.append(read[1])
            elif (text := self._text_of(frame)) is not None:
                items.append(shown := self._shown_plain(frame))
                if text:  # an empty one says nothing yet
                    self._run = self._learner.learn(frame.raw, text, shown, self.reading.output_chars)
                    self.reading.hear(text)
                self._unclosed = False
            else:
                self._run = None  # what it says may change what frames like those before it mean
                try:
                    events = self._decoder.decode(frame)
                    self.reading.observe(events)
                    items.append(self.render(frame, events))
                except UpstreamError as error:
                    self._break(error)
        self._usable = None if self._sse.pending else self._run
        return items

    def _text_of(self, frame: ServerSentEvent) -> str | None:
        return None if self._plain_text is None else self._plain_text(frame)

    def _understood(self, raw: bytes) -> tuple[str | None, bytes]:
        frame = parse_event(raw)
        text = self._text_of(frame)
        return text, raw if text is None else self._shown_plain(frame)

    def render(self, frame: ServerSentEvent | None, events: list[Event]) -> bytes:
        if frame is None:
            return b""
        self._unclosed = not frame.raw.endswith((b"\n\n", b"\r\n\r\n", b"\r\r"))
        return self._shown(frame)

    def render_error(self, error: PulseError, request_id: str) -> bytes:
        event = self._codec.encoder(self._request_model, include_usage=False).error(error, request_id)
        return b"\n\n" + event if self._unclosed else event

    def _shown_plain(self, frame: ServerSentEvent) -> bytes:
        return self._codec.hide_usage(frame) if self._hide_usage else frame.raw

    def _shown(self, frame: ServerSentEvent) -> bytes:
        return self._shown_plain(frame)


class Mended(Passthrough):
    """The same, but for what the client's SDK would misread."""

    def __init__(self, codec: Codec, request_model: str, mender: Mender, *, hide_usage: bool) -> None:
        super().__init__(codec, request_model, hide_usage=hide_usage)
        self._mender = mender
        if mender.mends_texts:
            self._plain_text = None

    def _shown(self, frame: ServerSentEvent) -> bytes:
        data = self._mender.mend(frame.data)
        if data is not frame.data:
            frame = ServerSentEvent(data, frame.event, b"data: " + data + b"\n\n")
            self._unclosed = False
        return self._shown_plain(frame)
