"""Subtitles of segments: SubRip and WebVTT.

Source: https://www.w3.org/TR/webvtt1/ 4 and the files of openai-whisper's writers, as OpenAI answers with (read 2026-11-24).
"""

from __future__ import annotations

from collections.abc import Iterable

from pulse_gateway.types.audio import Segment

__all__ = ["SUBTITLE_TYPES", "subtitles"]

SUBTITLE_TYPES = {"srt": "text/plain; charset=utf-8", "vtt": "text/vtt; charset=utf-8"}
_COMMA = {"srt": ",", "vtt": "."}  # before the milliseconds
_LONGEST_S = 99 * 3600 + 59 * 60 + 59.999  # that two digits of hours can say


def subtitles(segments: Iterable[Segment], form: str) -> str:
    """`form` is `srt` or `vtt`. A text in it has no empty line and no arrow, which would end it."""
    comma, blocks = _COMMA[form], ["WEBVTT\n"] if form == "vtt" else []
    for number, segment in enumerate(segments, 1):
        text = "\n".join(line for line in segment.text.replace("-->", "->").strip().splitlines() if line.strip())
        times = f"{_clock(segment.start_s, comma)} --> {_clock(segment.end_s, comma)}"
        blocks.append(f"{number}\n{times}\n{text}\n" if form == "srt" else f"{times}\n{text}\n")
    return "\n".join(blocks)


def _clock(seconds: float, comma: str) -> str:
    minutes, thousandths = divmod(round(min(max(seconds, 0.0), _LONGEST_S) * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{thousandths // 1000:02}{comma}{thousandths % 1000:03}"
