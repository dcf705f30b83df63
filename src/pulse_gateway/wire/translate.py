"""The upstream's dialect in, the client's out, frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile

import msgspec

from pulse_gateway.errors import PulseError
from pulse_gateway.types.events import Event, Failed
from pulse_gateway.wire.codec import Codec, UpstreamCodec
from pulse_gateway.wire.framing import SSE
from pulse_gateway.wire.relay import BytesRelay, Piece
from pulse_gateway.wire.sse import ServerSentEvent, SSEDecoder, parse_event
from pulse_gateway.wire.text_run import NO_STRING, Learner, TextRun

__all__ = ["Translate"]

_encode = msgspec.json.Encoder().encode
_TRIES_A_SLICE = 8


class Translate(BytesRelay):
    """What a frame says becomes events, and these are said in the client's dialect.

    Most frames add to a text and say nothing else. Where they look like the one before but for the text they are not parsed, and become no
    events: the text alone is taken out, and put into what the client's frame has around it.
    """

    def __init__(
        self, upstream: UpstreamCodec, client: Codec, request_model: str, request_id: str, *, include_usage: bool
    ) -> None:
        super().__init__(upstream.decoder(), upstream.framing)
        self._encoder = client.encoder(request_model, include_usage=include_usage)
        self._request_id = request_id
        self._plain_text: Callable[[ServerSentEvent], str | None] | None = getattr(self._decoder, "plain_text", None)
        self._around_text: Callable[[], tuple[bytes, bytes] | None] | None = getattr(self._encoder, "around_text", None)
        self._learner = Learner(self._understood)
        self._run: TextRun | None = None  # what the upstream's frames look like that come now
        self._usable: TextRun | None = None  # the same, unless the beginning of a frame waits for its rest
        self._start = self._end = b""  # what the client's have around the text, while there is a run
        self._sse = SSEDecoder()
        if upstream.framing is SSE:
            self._frames = self._sse
        else:
            self._plain_text = None

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
                    return [self._start + _encode(text) + self._end] if text else []
        if self._plain_text is None or self._around_text is None:
            return super().feed(data)
        items: list[bytes] = []
        for _ in range(_TRIES_A_SLICE):
            run = self._usable
            if run is not None:
                size = run.head_of(data)
                if size == 0 or (texts := run.texts(data[:size])) is None:
                    break
                items.append(self._said(texts))
            else:
                size = data.find(b"\n\n") + 2
                if size == 1 or self._learner.given_up:
                    break
                items += self._by_frame(
                    data[:size]
                )  # by itself, since those after it may look like it, or like those before
            data = data[size:]
            if not data or self.over:
                return items
        return items + self._by_frame(data)

    def _by_frame(self, data: bytes) -> list[bytes]:
        items: list[bytes] = []
        frames = self._cut(data)
        frames.reverse()
        while frames and not self.over:
            frame = frames.pop()
            run = self._run
            if run is not None and (known := run.text_of(frame.raw)) is not None:
                self.reading.count(known)
                if known:
                    items.append(self._start + _encode(known) + self._end)
                continue
            text = None if self._plain_text is None else self._plain_text(frame)
            raw = frame.raw if text else b""
            heard = self.reading.output_chars
            alone = [frame]
            del frame  # it may be large, and is then not kept while it is said
            items += self._read(alone)
            # What another frame says may change what frames like those before it mean.
            self._run = self._learnt(raw, text, heard) if text and not self.over else None
        self._usable = None if self._sse.pending else self._run
        return items

    def feed_pieces(self, data: bytes) -> list[Piece[bytes]]:
        self._run = self._usable = None
        return super().feed_pieces(data)

    def _learnt(self, frame: bytes, text: str, heard: int) -> TextRun | None:
        around = None if self._around_text is None or self._learner.given_up else self._around_text()
        if around is None:
            return None
        self._start, self._end = around
        return self._learner.learn(frame, text, frame, heard)

    def _understood(self, raw: bytes) -> tuple[str | None, bytes]:
        return None if self._plain_text is None else self._plain_text(parse_event(raw)), raw

    def _said(self, texts: list[str]) -> bytes:
        self.reading.count("".join(texts))
        start, end = self._start, self._end
        return b"".join([start + _encode(text) + end for text in texts if text])

    def render(self, frame: ServerSentEvent | None, events: list[Event]) -> bytes:
        encode = self._encoder.encode
        if self.reading.failed is None:
            return encode(events[0]) if len(events) == 1 else b"".join([encode(event) for event in events])
        said = b"".join([encode(event) for event in takewhile(_is_answer, events)])
        return said + self._encoder.error(self.reading.failed, self._request_id)

    def render_error(self, error: PulseError, request_id: str) -> bytes:
        return self._encoder.error(error, request_id)


def _is_answer(event: Event) -> bool:
    return not isinstance(event, Failed)
