"""Speech written down: a mark of the clip that arrived, then about three words a second.

`whisper…` models and names that no rule knows owe `audio_ms`; others owe ten audio tokens a second, the text of the prompt,
and the text they write.
Source: https://developers.openai.com/api/docs/api-reference/audio (read 2026-11-24) and openai 3.54.0
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec

from pulse_gateway.testing.simulator.answer import Usage, fragments
from pulse_gateway.testing.simulator.config import Models
from pulse_gateway.testing.simulator.dice import Dice, identifier
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.openai.body import Form, converted, form_body
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.openai.transcription_rules import (
    LISTS,
    Clip,
    TranscriptionRequest,
    TranslationRequest,
    audio_clip,
    check,
)
from pulse_gateway.testing.simulator.openai.vendor import check_family
from pulse_gateway.testing.simulator.scripts import ARABIC, LATIN, filler
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.tokens import Tally, count_text
from pulse_gateway.testing.simulator.vendor import Frame, Request

__all__ = ["transcribe", "translate", "write_down"]

_ENCODE = msgspec.json.encode
_AUDIO_TOKENS_PER_S = 10
_MOST_TEXT_TOKENS = 600
_WORDS_PER_SEGMENT = 8
_NAMES = {"ar": "arabic", "en": "english", "fr": "french", "de": "german", "es": "spanish"}
_CONTENT_TYPES = {
    "text": "text/plain; charset=utf-8",
    "srt": "text/plain; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
}


class _Written(msgspec.Struct, frozen=True, kw_only=True):
    """A clip and what was understood of it."""

    request: TranscriptionRequest
    task: str
    clip: Clip
    text: str
    digest: bytes
    by_tokens: bool
    input_tokens: int
    audio_tokens: int

    @property
    def usage(self) -> dict[str, Any]:
        if not self.by_tokens:
            return {"type": "duration", "seconds": self.clip.length_ms / 1000}
        output = count_text(self.text)
        return {
            "type": "tokens",
            "input_tokens": self.input_tokens,
            "input_token_details": {
                "audio_tokens": self.audio_tokens,
                "text_tokens": self.input_tokens - self.audio_tokens,
            },
            "output_tokens": output,
            "total_tokens": self.input_tokens + output,
        }


def transcribe(request: Request, path_model: str, seed: int, models: Models) -> Work:
    """Raises: Refusal."""
    return write_down(form_body(request, path_model, LISTS), "transcription", seed, models)


def write_down(form: Form, operation: str, seed: int, models: Models) -> Work:
    """`operation`: `transcription`, or `translation`, which keeps what a translation is not asked for. Raises: Refusal."""
    clip = audio_clip(form)
    wanted = converted(form.values, TranscriptionRequest, strict=False)
    return _work(wanted, "transcribe" if operation == "transcription" else "translate", clip, seed, models)


def translate(request: Request, path_model: str, seed: int, models: Models) -> Work:
    """Raises: Refusal."""
    form = form_body(request, path_model, frozenset())
    clip = audio_clip(form)
    asked = converted(form.values, TranslationRequest, strict=False)
    if asked.model.startswith("gpt-"):
        raise refuse(f"Translation is not supported with {asked.model}.", code="unsupported_model", param="model")
    wanted = TranscriptionRequest(
        model=asked.model,
        prompt=asked.prompt,
        response_format=asked.response_format,
        temperature=asked.temperature,
        language="en",
    )
    return _work(wanted, "translate", clip, seed, models)


def _work(request: TranscriptionRequest, task: str, clip: Clip, seed: int, models: Models) -> Work:
    model, spec = split_model(request.model)
    check_family(model, models)
    if model.startswith("gpt-") and "transcribe" not in model:
        raise refuse(
            f"Invalid value: '{model}'. Value must be a transcription model.", code="invalid_value", param="model"
        )
    check(request, model, clip)
    tally = Tally(seed, f"openai {task}", model)
    tally.media(clip.data)
    tally.text(request.prompt or "")
    script = ARABIC if "ar" in (request.language, *(request.languages or ())) else LATIN
    by_tokens = model.startswith("gpt-")
    audio_tokens = max(1, clip.length_ms * _AUDIO_TOKENS_PER_S // 1000) if by_tokens else 0
    sent = audio_tokens + count_text(request.prompt or "") if by_tokens else 0
    stream = bool(request.stream) and not model.startswith("whisper")

    def render(faults: Faults) -> list[Frame]:
        tokens = faults.tokens or min(_MOST_TEXT_TOKENS, 12 + clip.length_ms * 5 // 1000)
        start = f"[audio:1 {clip.kind} {len(clip.data)} bytes]"
        written = _Written(
            request=request,
            task=task,
            clip=clip,
            text=filler(script, Dice(tally.digest, "text"), tokens, start),
            digest=tally.digest,
            by_tokens=by_tokens,
            input_tokens=sent,
            audio_tokens=audio_tokens,
        )
        return _events(written, faults) if stream else _reply(written, faults)

    return Work(
        model=request.model,
        fault_spec=spec,
        content_type="text/event-stream; charset=utf-8"
        if stream
        else _CONTENT_TYPES.get(request.response_format, "application/json"),
        render=render,
        stream=stream,
        usage=Usage(input=sent),
        units={} if by_tokens else {"audio_ms": clip.length_ms},
    )


def _reply(written: _Written, faults: Faults) -> list[Frame]:
    request = written.request
    output = count_text(written.text) if written.by_tokens else 0
    usage = {} if faults.no_usage or written.task == "translate" else {"usage": written.usage}
    duration = written.clip.length_ms / 1000
    match request.response_format:
        case "text":
            return [Frame(f"{written.text}\n".encode(), output)]
        case "srt" | "vtt" as kind:
            return [Frame(_subtitles(written, kind), output)]
        case "verbose_json":
            wanted = request.timestamp_granularities or ["segment"]
            body: dict[str, Any] = {
                "task": written.task,
                "language": _NAMES.get(request.language or "en", request.language),
                "duration": duration,
                "text": written.text,
            }
            if "segment" in wanted:
                body["segments"] = [_segment(written, at, *each) for at, each in enumerate(_segments(written))]
            if "word" in wanted:
                body["words"] = [{"word": word, "start": start, "end": end} for word, start, end in _words(written)]
            return [Frame(_ENCODE({**body, **usage}), output)]
        case "diarized_json":
            segments = [_spoken(written, at, *each) for at, each in enumerate(_segments(written))]
            body = {"task": written.task, "duration": duration, "text": written.text, "segments": segments}
            return [Frame(_ENCODE({**body, **usage}), output)]
    scores = {"logprobs": _logprobs(written.text)} if request.include else {}
    return [Frame(_ENCODE({"text": written.text, **scores, **usage}), output)]


def _events(written: _Written, faults: Faults) -> list[Frame]:
    """Deltas and the whole text; with speakers, a segment after the deltas in it."""
    frames: list[Frame] = []
    size = 0

    def frame(kind: str, members: dict[str, Any]) -> None:
        output = -(-size // 4) if written.by_tokens else 0
        frames.append(Frame(b"data: " + _ENCODE({"type": kind, **members}) + b"\n\n", output))

    scored = bool(written.request.include)
    diarizes = written.request.response_format == "diarized_json"
    passages = _segments(written) if diarizes else [(written.text, 0.0, 0.0)]
    for at, (text, start, end) in enumerate(passages):
        segment = _spoken(written, at, text, start, end)
        piece_of = {"segment_id": segment["id"]} if diarizes else {}
        for piece in fragments(f" {text}" if at else text, written.digest, f"pieces {at}", faults.chunks):
            size += len(piece.encode())
            scores = {"logprobs": _logprobs(piece)} if scored else {}
            frame("transcript.text.delta", {"delta": piece, **scores, **piece_of})
        if diarizes:
            frame("transcript.text.segment", segment)
    if not faults.no_done:
        scores = {"logprobs": _logprobs(written.text)} if scored else {}
        usage = {} if faults.no_usage else {"usage": written.usage}
        frame("transcript.text.done", {"text": written.text, **scores, **usage})
    return frames


def _words(written: _Written) -> list[tuple[str, float, float]]:
    """Every word and when it is said, in seconds; each takes as long as the other."""
    words = written.text.split()
    edges = [round(at * written.clip.length_ms / len(words)) / 1000 for at in range(len(words) + 1)]
    return [(word, start, end) for word, (start, end) in zip(words, pairwise(edges), strict=True)]


def _segments(written: _Written) -> list[tuple[str, float, float]]:
    words = _words(written)
    groups = [words[at : at + _WORDS_PER_SEGMENT] for at in range(0, len(words), _WORDS_PER_SEGMENT)]
    return [(" ".join(word for word, _, _ in group), group[0][1], group[-1][2]) for group in groups]


def _segment(written: _Written, at: int, text: str, start: float, end: float) -> dict[str, Any]:
    return {
        "id": at,
        "seek": 0,
        "start": start,
        "end": end,
        "text": text,
        "tokens": [50364 + at],
        "temperature": written.request.temperature or 0.0,
        "avg_logprob": -0.25,
        "compression_ratio": 1.25,
        "no_speech_prob": 0.01,
    }


def _spoken(written: _Written, at: int, text: str, start: float, end: float) -> dict[str, Any]:
    """Two speakers take turns."""
    names = written.request.known_speaker_names or ["A", "B"]
    return {
        "type": "transcript.text.segment",
        "id": identifier("seg_", written.digest, str(at)),
        "start": start,
        "end": end,
        "text": text,
        "speaker": names[at % len(names)],
    }


def _subtitles(written: _Written, kind: str) -> bytes:
    def moment(seconds: float) -> str:
        thousandths = round(seconds * 1000)
        hours, rest = divmod(thousandths, 3_600_000)
        minutes, rest = divmod(rest, 60_000)
        comma = "," if kind == "srt" else "."
        return f"{hours:02}:{minutes:02}:{rest // 1000:02}{comma}{rest % 1000:03}"

    lines = ["WEBVTT", ""] if kind == "vtt" else []
    for at, (text, start, end) in enumerate(_segments(written), 1):
        lines += [str(at)] if kind == "srt" else []
        lines += [f"{moment(start)} --> {moment(end)}", text, ""]
    return "\n".join(lines).encode() + b"\n"


def _logprobs(text: str) -> list[dict[str, Any]]:
    return [{"token": word, "bytes": list(word.encode()), "logprob": -0.125} for word in text.split(" ")]
