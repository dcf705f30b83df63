"""What was said: OpenAI's answers and events ⇄ the neutral form.

| ours                 | theirs                                                                                     |
| -------------------- | ------------------------------------------------------------------------------------------ |
| `audio_input_tokens` | `usage.input_token_details.audio_tokens`, else all of `input_tokens`                       |
| `input_tokens`       | `usage.input_token_details.text_tokens`                                                    |
| `output_tokens`      | `usage.output_tokens`                                                                      |
| `audio_ms`           | `usage.seconds`, Mistral: `usage.prompt_audio_seconds`, else `duration`                    |

Subtitles and plain text carry no count; then the recording's own length counts.

Source: `transcription.py`, `transcription_verbose.py`, `transcription_diarized.py` and the events of openai 3.54.0;
https://docs.mistral.ai/api/endpoint/audio/transcriptions (read 2026-11-24).
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from pulse_gateway.errors import UpstreamProtocolError
from pulse_gateway.types.audio import Segment, TranscriptionReply, TranscriptionRequest
from pulse_gateway.types.chat import FinishReason
from pulse_gateway.types.events import Ended, Event, Finished, TextDelta, UsageReported
from pulse_gateway.types.http import Payload
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.audio.subtitles import SUBTITLE_TYPES, subtitles
from pulse_gateway.wire.foreign_answers import WatchedEvents, counted, holding
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.sse import encode_event

__all__ = ["TranscriptEvents", "decode_reply", "encode_events", "encode_reply", "read_reply"]

_JSON = "application/json"
_PLAIN = "text/plain; charset=utf-8"


class _Details(msgspec.Struct):
    audio_tokens: int | None = None
    text_tokens: int | None = None


class _Usage(msgspec.Struct):
    type: str | None = None
    seconds: float | None = None
    prompt_audio_seconds: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_token_details: _Details | None = None


class _Language(msgspec.Struct):
    code: str = ""


class _Answer(msgspec.Struct):
    text: str | None = None
    language: str | None = None
    languages: list[_Language] | None = None
    duration: float | str | None = None
    segments: list[dict[str, Any]] | None = None
    words: list[dict[str, Any]] | None = None
    logprobs: list[dict[str, Any]] | None = None
    usage: _Usage | None = None


class _Seen(msgspec.Struct):
    """What settling needs, of an answer that goes on untouched."""

    text: str | None = None
    duration: Any = None
    usage: Raw = Raw()


class _Event(msgspec.Struct):
    type: str = ""
    delta: str | None = None
    usage: Raw = Raw()
    error: Any = None


_answer = msgspec.json.Decoder(_Answer).decode
_seen = msgspec.json.Decoder(_Seen).decode
_counts = msgspec.json.Decoder(_Usage | None).decode
_event = msgspec.json.Decoder(_Event).decode
_NONE = _Details()


def decode_reply(answer: Payload) -> TranscriptionReply:
    """Raises: UpstreamProtocolError; UpstreamError for an error object sent with status 200."""
    if not answer.content_type.startswith(_JSON):
        return TranscriptionReply(text=_plain(answer.data))
    read = from_provider(_answer, answer.data)
    text = holding("text", read.text, answer.data)
    duration_s = _seconds(read.duration)
    return TranscriptionReply(
        text=text,
        language=read.language,
        languages=None if read.languages is None else tuple(each.code for each in read.languages),
        duration_s=duration_s,
        segments=None if read.segments is None else tuple(map(_segment, read.segments)),
        words=None if read.words is None else tuple(read.words),
        logprobs=None if read.logprobs is None else tuple(read.logprobs),
        usage=_usage(read.usage, duration_s),
    )


def read_reply(answer: Payload, reading: Reading) -> None:
    reading.started = reading.ended = True
    if answer.content_type.startswith(_JSON):
        read = from_provider(_seen, answer.data)
        reading.count(holding("text", read.text, answer.data))
        reading.usage = _usage(counted(_counts, read.usage), _seconds(read.duration))
        reading.usage_is_final = reading.usage is not None
    else:
        reading.count(answer.data.decode("utf-8", "replace"))


def _plain(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise not_of_protocol("it is not UTF-8 text") from error


def _segment(written: dict[str, Any]) -> Segment:
    more = dict(written)
    start, end = more.pop("start", None), more.pop("end", None)
    text, speaker = more.pop("text", ""), more.pop("speaker", None)
    if not isinstance(text, str) or not isinstance(start, int | float) or not isinstance(end, int | float):
        raise not_of_protocol("a segment without text and times")
    return Segment(
        text=text, start_s=start, end_s=end, speaker=speaker if isinstance(speaker, str) else None, more=more
    )


def _seconds(written: Any) -> float | None:
    """Older servers write it as text."""
    try:
        return None if written is None else float(written)
    except (ValueError, TypeError):
        return None


def _usage(counts: _Usage | None, duration_s: float | None) -> Usage | None:
    """None where the vendor says nothing at all."""
    seconds = duration_s
    usage = Usage()
    if counts is not None:
        told_s = counts.seconds if counts.prompt_audio_seconds is None else counts.prompt_audio_seconds
        seconds = duration_s if told_s is None else told_s
        read = counts.prompt_tokens if counts.input_tokens is None else counts.input_tokens
        details = counts.input_token_details or _NONE
        heard = read if details.audio_tokens is None else details.audio_tokens
        text = details.text_tokens
        if text is None and read is not None:
            text = max(0, read - (heard or 0))
        usage = Usage(
            input_tokens=text,
            audio_input_tokens=heard,
            output_tokens=counts.completion_tokens if counts.output_tokens is None else counts.output_tokens,
        )
    if seconds is not None and 0 <= seconds < 10**6:
        usage = msgspec.structs.replace(usage, audio_ms=round(seconds * 1000))
    return None if usage == Usage() else usage


def encode_reply(reply: TranscriptionReply, request: TranscriptionRequest) -> Payload:
    """Raises: UpstreamProtocolError for a form that cannot be made of what is there."""
    form = request.response_format or "json"
    if form == "text":
        return Payload(f"{reply.text}\n".encode(), _PLAIN)
    if form in SUBTITLE_TYPES:
        if reply.segments is None:
            raise UpstreamProtocolError(f"the provider's answer cannot be said as {form}")
        return Payload(subtitles(reply.segments, form).encode(), SUBTITLE_TYPES[form])
    body: dict[str, Any] = {"text": reply.text, "language": reply.language, "duration": reply.duration_s}
    body["languages"] = _written_languages(reply)
    body["segments"] = None if reply.segments is None else [_written_segment(each) for each in reply.segments]
    body |= {"words": reply.words, "logprobs": reply.logprobs, "usage": _written_usage(reply.usage)}
    return Payload(msgspec.json.encode({name: value for name, value in body.items() if value is not None}))


def _written_languages(reply: TranscriptionReply) -> list[dict[str, str]] | None:
    return None if reply.languages is None else [{"code": code} for code in reply.languages]


def _written_segment(segment: Segment) -> dict[str, Any]:
    written = {"start": segment.start_s, "end": segment.end_s, "text": segment.text, "speaker": segment.speaker}
    return {**segment.more, **{name: value for name, value in written.items() if value is not None}}


def _written_usage(usage: Usage | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    if usage.total:
        heard = usage.audio_input_tokens or 0
        return {
            "type": "tokens",
            "input_tokens": usage.input_total,
            "output_tokens": usage.output_total,
            "total_tokens": usage.total,
            "input_token_details": {"audio_tokens": heard, "text_tokens": usage.input_total - heard},
        }
    return None if usage.audio_ms is None else {"type": "duration", "seconds": usage.audio_ms / 1000}


def encode_events(reply: TranscriptionReply, request: TranscriptionRequest) -> Payload:
    """Speakers have events of their own; what else was asked for beside the text stands beside it in the last one."""
    form = request.response_format or "json"
    segments = [_written_segment(each) for each in reply.segments or ()]
    events: list[dict[str, Any]] = [{"type": "transcript.text.delta", "delta": reply.text}]
    if form == "diarized_json":
        events += [
            {"id": f"seg_{number}", **each, "type": "transcript.text.segment"} for number, each in enumerate(segments)
        ]
    done: dict[str, Any] = {"type": "transcript.text.done", "text": reply.text, "usage": _written_usage(reply.usage)}
    done["logprobs"] = reply.logprobs
    done["languages"] = _written_languages(reply)
    if form == "verbose_json":
        done |= {"language": reply.language, "duration": reply.duration_s, "words": reply.words}
        done["segments"] = None if reply.segments is None else segments
    frames = [
        encode_event(
            msgspec.json.encode({name: value for name, value in event.items() if value is not None}), event["type"]
        )
        for event in (*events, done)
    ]
    return Payload(b"".join(frames), "text/event-stream; charset=utf-8")


class TranscriptEvents(WatchedEvents[_Event]):
    read = staticmethod(_event)

    def told(self, event: _Event, /) -> list[Event]:
        if event.type == "transcript.text.delta":
            return [TextDelta(event.delta or "")]
        if event.type != "transcript.text.done":
            return []
        usage = _usage(counted(_counts, event.usage), None)
        reported: list[Event] = [] if usage is None else [UsageReported(usage)]
        return [Finished(FinishReason.STOP), *reported, Ended()]
