"""Speech written down by xAI: a form whose last field is the recording, answered whole, with the times of words.

It streams over WebSockets alone, so a stream is told of the whole answer.

Source: https://docs.x.ai/developers/model-capabilities/audio/speech-to-text and `@ai-sdk/xai` 5.0 (read 2026-11-24)
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import msgspec

from pulse_gateway.providers.compatible import XAI
from pulse_gateway.providers.offer import OfferCall, Steps, ask
from pulse_gateway.types.audio import Segment, TranscriptionReply, TranscriptionRequest
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import HttpRequest
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.audio.formats import told_ms
from pulse_gateway.wire.foreign_json import from_provider
from pulse_gateway.wire.multipart import FormPart, build_form
from pulse_gateway.wire.refusals import refuse_extra, unsupported

__all__ = ["TRANSCRIPTION", "XaiTranscription"]

_LACKS = ("languages", "prompt", "temperature", "include", "known_speaker_names", "known_speaker_references")
_FORMATS = (None, "json", "text", "verbose_json", "diarized_json")


class _Word(msgspec.Struct):
    text: str
    start: float
    end: float
    speaker: int | str | None = None


class _Answer(msgspec.Struct):
    text: str
    language: str | None = None
    duration: float | None = None
    words: list[_Word] | None = None


_decode = msgspec.json.Decoder(_Answer).decode


class XaiTranscription:
    """An `Offer` of `transcription`."""

    dialect = None

    def check(self, request: TranscriptionRequest, deployment: Deployment, /) -> tuple[str, ...]:
        model = deployment.model
        if "transcribe" not in model.name and "stt" not in model.name:
            raise unsupported(model, "model", "does not listen")
        refuse_extra(request.extra, model)
        for name in _LACKS:
            if getattr(request, name) not in (None, ()):
                raise unsupported(model, name, f"writes down without {name.replace('_', ' ')}")
        form = request.response_format
        if form not in _FORMATS:
            raise unsupported(model, "response_format", f"gives json, text, verbose_json and diarized_json, not {form}")
        if request.timestamp_granularities != (("word",) if form == "verbose_json" else ()):
            raise unsupported(
                model, "timestamp_granularities", "knows the times of words alone, and tells them in verbose_json"
            )
        if request.chunking_strategy not in (None, "auto"):
            raise unsupported(model, "chunking_strategy", "cuts recordings by itself")
        return (*(("chunking_strategy",) if request.chunking_strategy else ()), *request.hints)

    def steps(self, request: TranscriptionRequest, call: OfferCall, /) -> Steps[TranscriptionReply]:
        diarized = request.response_format == "diarized_json"
        fields: list[tuple[str, str]] = [("model", call.deployment.model.name)]
        if request.language is not None:
            fields += [("language", request.language), ("format", "true")]  # numbers as they are written there
        fields += [("keyterm", word) for word in request.keywords]
        fields += [("diarize", "true")] if diarized else []
        file = request.file
        kind = file.media_type or "application/octet-stream"
        form = build_form(
            [
                *(FormPart(name=name, data=value.encode()) for name, value in fields),
                FormPart(name="file", data=file.data, filename=file.name or "audio", content_type=kind),
            ]
        )
        headers = (("content-type", form.content_type), *XAI.headers(call))
        answer = yield from ask(HttpRequest("POST", XAI.url(call.deployment, "/stt"), headers, form.data))
        read = from_provider(_decode, answer.body)
        words, heard_ms = read.words or [], told_ms(read.duration)
        return TranscriptionReply(
            text=read.text,
            language=read.language or request.language,
            duration_s=read.duration,
            segments=_turns(words) if diarized else None,
            words=tuple(map(_written, words)) if request.response_format == "verbose_json" else None,
            usage=None if heard_ms is None else Usage(audio_ms=heard_ms),
        )


def _written(word: _Word) -> dict[str, Any]:
    return {"word": word.text, "start": word.start, "end": word.end}


def _turns(words: list[_Word]) -> tuple[Segment, ...]:
    """What one speaker says until another does."""
    turns = [(speaker, list(said)) for speaker, said in groupby(words, key=lambda word: word.speaker)]
    return tuple(
        Segment(
            text=" ".join(word.text for word in said),
            start_s=said[0].start,
            end_s=said[-1].end,
            speaker=None if speaker is None else str(speaker),
            more={"type": "transcript.text.segment", "id": f"seg_{at}"},
        )
        for at, (speaker, said) in enumerate(turns)
    )


TRANSCRIPTION = XaiTranscription()
