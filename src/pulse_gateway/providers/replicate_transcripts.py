"""What Replicate's models make of a recording, each in a shape of its own, as text with times. Pure.

| gives      | its output                                                                                    |
| ---------- | --------------------------------------------------------------------------------------------- |
| `text`     | pieces of text                                                                                |
| `whisper`  | `transcription` (text, or subtitles), `translation`, `segments`, `detected_language`          |
| `chunks`   | `text`, `chunks` of a `timestamp` (begin and end) and a `text`: phrases, or words             |
| `segments` | `segments` of `start`, `end`, `text` and, if asked for, `words`; `detected_language`           |

Source: as `replicate_models`
"""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.errors import UpstreamProtocolError
from pulse_gateway.providers.replicate_models import Hears
from pulse_gateway.types.audio import Segment
from pulse_gateway.wire.foreign_json import not_of_protocol

__all__ = ["Transcript", "read_transcript"]


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    language: str | None = None
    segments: tuple[Segment, ...] | None = None
    words: tuple[dict[str, Any], ...] | None = None


class _Word(msgspec.Struct):
    """Not every word is found in the sound."""

    word: str
    start: float | None = None
    end: float | None = None


class _Stretch(msgspec.Struct):
    text: str
    start: float = 0.0
    end: float = 0.0
    words: list[_Word] | None = None


class _Chunk(msgspec.Struct):
    """The last one may have no end."""

    text: str
    timestamp: tuple[float | None, float | None] = (None, None)


class _Output(msgspec.Struct):
    text: str | None = None
    transcription: str | None = None
    translation: str | None = None
    detected_language: str | None = None
    segments: list[_Stretch] | None = None
    chunks: list[_Chunk] | None = None


def read_transcript(row: Hears, output: Any, *, translate: bool, words: bool) -> Transcript:
    """`words`: it was asked when each is said. Raises: UpstreamProtocolError."""
    if row.gives == "text":
        pieces = output if isinstance(output, list) else [output]
        if not all(isinstance(piece, str) for piece in pieces):
            raise not_of_protocol("it holds no text")
        return Transcript(text="".join(pieces).strip())
    try:
        read = msgspec.convert(output, _Output)
    except msgspec.ValidationError as error:
        raise UpstreamProtocolError(f"the provider's prediction is no transcript: {error}") from error
    if row.gives == "chunks":
        return _of_chunks(read, words)
    if row.gives == "segments":
        text = None if read.segments is None else "".join(each.text for each in read.segments)
    else:
        text = read.translation if translate else read.transcription
    if text is None:
        raise not_of_protocol("it holds no text")
    return Transcript(
        text=text.strip(),
        language="english" if translate else read.detected_language,
        segments=tuple(Segment(text=each.text, start_s=each.start, end_s=each.end) for each in read.segments or ()),
        words=tuple(
            {"word": word.word, "start": word.start, "end": word.end}
            for each in read.segments or ()
            for word in each.words or ()
            if word.start is not None and word.end is not None
        ),
    )


def _of_chunks(read: _Output, words: bool) -> Transcript:
    if read.text is None:
        raise not_of_protocol("it holds no text")
    timed = [(each.text, *_times(each)) for each in read.chunks or ()]
    if words:
        each_word = tuple({"word": text.strip(), "start": start, "end": end} for text, start, end in timed)
        return Transcript(text=read.text.strip(), words=each_word)
    segments = tuple(Segment(text=text, start_s=start, end_s=end) for text, start, end in timed)
    return Transcript(text=read.text.strip(), segments=segments)


def _times(chunk: _Chunk) -> tuple[float, float]:
    start, end = chunk.timestamp
    begin = start or 0.0
    return begin, begin if end is None else end
