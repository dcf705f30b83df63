"""A prediction's events → events.

Replicate tells the output alone, piece by piece, and then that it is done; what was used stands in the prediction. So whoever reads such
a stream looks at the prediction afterwards, and hands it on as one more frame, `closing_frame`. What the stream did not have of the
output, because it broke off or because the model has no stream, is taken from there; where it had something else, it was damaged.

Source: https://replicate.com/docs/topics/predictions/streaming and `stream.py` of replicate 1.0.7 (read 2026-11-24)
"""

from __future__ import annotations

from codecs import utf_8_decode

import msgspec

from pulse_gateway.types.chat import FinishReason
from pulse_gateway.types.events import (
    Ended,
    Event,
    Failed,
    Finished,
    ReasoningDelta,
    Started,
    TextDelta,
    UsageReported,
)
from pulse_gateway.wire.foreign_json import from_provider
from pulse_gateway.wire.replicate_predictions.heard import Heard
from pulse_gateway.wire.replicate_predictions.reply import (
    failure,
    finish_reason,
    made_reply_id,
    output_text,
    read_prediction,
    usage_of,
)
from pulse_gateway.wire.sse import ServerSentEvent, encode_event
from pulse_gateway.wire.thinking_aloud import ThinkingSplitter

__all__ = ["PredictionStreamDecoder", "closing_frame"]

_CLOSING = "prediction"


class _Why(msgspec.Struct):
    reason: str | None = None


class _Problem(msgspec.Struct):
    detail: str = ""


_decode_why = msgspec.json.Decoder(_Why).decode
_decode_problem = msgspec.json.Decoder(_Problem).decode


def closing_frame(prediction: bytes) -> bytes:
    """The prediction, as it came, behind its stream, of which a blank line ends the last frame if that broke off. JSON has no line
    breaks that matter.
    """
    return b"\n\n" + encode_event(prediction.replace(b"\n", b" ").replace(b"\r", b" "), _CLOSING)


class PredictionStreamDecoder:
    """One streamed answer."""

    def __init__(self) -> None:
        self._splitter = ThinkingSplitter()
        self._heard = Heard()
        self._started = self._done = self._stopped = self._over = False

    def decode(self, frame: ServerSentEvent) -> list[Event]:
        if self._over:
            return []
        match frame.event:
            case "output":
                return self._say(from_provider(_text, frame.data))
            case "error":
                return self._fail("failed", _problem(frame.data))
            case "done":
                return self._stop(frame.data)
            case name if name == _CLOSING:
                return self._close(frame.data)
        return []  # `logs`, comments

    def finish(self) -> list[Event]:
        """What a stream said of its end holds, even if nobody could tell what the prediction has: done is whole."""
        if self._stopped and not self._over:
            return self._fail("canceled", None)
        if self._over or not self._done:
            return []
        self._over = True
        return [*self._begin(), *self._told(self._splitter.finish()), Finished(FinishReason.STOP), Ended()]

    def _begin(self) -> list[Event]:
        if self._started:
            return []
        self._started = True
        return [Started(made_reply_id(), "")]

    def _say(self, text: str) -> list[Event]:
        if not text:
            return []
        self._heard.add(text)
        return [*self._begin(), *self._told(self._splitter.feed(text))]

    def _told(self, pieces: list[tuple[bool, str]]) -> list[Event]:
        return [ReasoningDelta(text) if thinks else TextDelta(text) for thinks, text in pieces]

    def _stop(self, data: bytes) -> list[Event]:
        reason = from_provider(_decode_why, data or b"{}").reason
        self._done, self._stopped = reason is None, reason == "canceled"
        return []  # what went wrong is said by an `error`, or by the prediction: one that was stopped may never have run

    def _close(self, data: bytes) -> list[Event]:
        prediction = read_prediction(data)
        if prediction.status != "succeeded":
            return self._fail(prediction.status, prediction.error)
        events = self._begin()
        events += self._say(self._heard.rest_of(output_text(prediction)))
        events += self._told(self._splitter.finish())
        events.append(Finished(finish_reason(prediction)))
        if (usage := usage_of(prediction)) is not None:
            events.append(UsageReported(usage))
        self._over = True
        return [*events, Ended()]

    def _fail(self, status: str, words: str | None) -> list[Event]:
        self._over = True
        return [Failed(failure(status, words))]


def _text(data: bytes | msgspec.Raw) -> str:
    """Without the beginning of a character at its end, with which a stream may have broken off."""
    return utf_8_decode(bytes(data), "strict", False)[0]


def _problem(data: bytes) -> str:
    """`{"detail": …}`, or the words themselves."""
    try:
        return _decode_problem(data).detail
    except (ValueError, RecursionError):
        return data.decode(errors="replace")
