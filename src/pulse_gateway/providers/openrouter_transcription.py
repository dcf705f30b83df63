"""Speech written down through OpenRouter: the recording as base64 inside JSON, answered whole, with what it has cost.

It has to be told what kind of file a recording is. Subtitles and speakers it does not give in OpenAI's forms, and translates nothing.

Source: https://openrouter.ai/docs/api/api-reference/stt and the types of `openrouter` 1.3 (read 2026-11-24)
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.providers.compatible import OPENROUTER
from pulse_gateway.providers.offer import OfferCall, Steps, ask
from pulse_gateway.types.audio import AudioFile, Segment, TranscriptionReply, TranscriptionRequest
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import HttpRequest
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.audio.formats import audio_type, told_ms
from pulse_gateway.wire.foreign_json import from_provider, to_provider
from pulse_gateway.wire.openai_chat.errors import upstream_error
from pulse_gateway.wire.refusals import refuse_extra, unsupported
from pulse_gateway.wire.told_cost import ToldCost, told_nano_usd

__all__ = ["TRANSCRIPTION", "OpenRouterTranscription"]

_LACKS = ("languages", "prompt", "include", "known_speaker_names", "known_speaker_references")
_FORMATS = (None, "json", "text", "verbose_json")
_OWN = frozenset({"provider", "session_id", "trace", "user"})  # members of OpenRouter's that clients add
_KINDS = {"audio/mp4": "m4a"}  # others are called what stands behind the slash


class _Segment(msgspec.Struct):
    text: str
    start: float
    end: float


class _Usage(ToldCost):
    seconds: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


class _Answer(msgspec.Struct):
    text: str | None = None
    language: str | None = None
    duration: float | None = None
    segments: list[_Segment] | None = None
    words: list[dict[str, Any]] | None = None
    usage: _Usage | None = None


_decode = msgspec.json.Decoder(_Answer).decode


class OpenRouterTranscription:
    """An `Offer` of `transcription`."""

    dialect: str | None = None

    def check(self, request: TranscriptionRequest, deployment: Deployment, /) -> tuple[str, ...]:
        model = deployment.model
        refuse_extra((name for name in request.extra if name not in _OWN), model)
        for name in _LACKS:
            if getattr(request, name) not in (None, ()):
                raise unsupported(model, name, f"writes down without {name.replace('_', ' ')}")
        form = request.response_format
        if form not in _FORMATS:
            raise unsupported(model, "response_format", f"gives json, text and verbose_json, not {form}")
        if request.chunking_strategy not in (None, "auto"):
            raise unsupported(model, "chunking_strategy", "cuts recordings by itself")
        return (*(("chunking_strategy",) if request.chunking_strategy else ()), *request.hints)

    def steps(self, request: TranscriptionRequest, call: OfferCall, /) -> Steps[TranscriptionReply]:
        file = request.file
        fields: dict[str, Any] = {
            "model": call.deployment.model.name,
            "input_audio": {"data": base64.b64encode(file.data).decode(), "format": _kind(file)},
            "language": request.language,
            "temperature": request.temperature,
            "keyterms": list(request.keywords) or None,
            "response_format": "verbose_json" if request.response_format == "verbose_json" else None,
            "timestamp_granularities": list(request.timestamp_granularities) or None,
        }
        body = {name: value for name, value in fields.items() if value is not None} | request.extra
        headers = (("content-type", "application/json"), *OPENROUTER.headers(call))
        url = OPENROUTER.url(call.deployment, OPENROUTER.path("openai.transcriptions"))
        answer = yield from ask(HttpRequest("POST", url, headers, to_provider(body)))
        read = from_provider(_decode, answer.body)
        if read.text is None:
            raise upstream_error(200, answer.headers, answer.body)
        return TranscriptionReply(
            text=read.text,
            language=read.language,
            duration_s=read.duration,
            segments=None if read.segments is None else tuple(map(_segment, read.segments)),
            words=None if read.words is None else tuple(read.words),
            usage=_counted(read),
            cost_nano_usd=told_nano_usd(read.usage),
        )


def _kind(file: AudioFile) -> str:
    """Raises: InvalidRequest for a recording that nothing tells the kind of."""
    kind = file.media_type or audio_type(file.data, file.name)
    if kind is None or not kind.startswith("audio/"):
        raise InvalidRequest(
            "file: neither its beginning nor its name tells what kind of recording it is", param="file"
        )
    return _KINDS.get(kind, kind.removeprefix("audio/"))


def _segment(read: _Segment) -> Segment:
    return Segment(text=read.text, start_s=read.start, end_s=read.end)


def _counted(read: _Answer) -> Usage | None:
    """None where it says nothing. Of many a model it says what it costs, and no more: then the recording is as long as it looks."""
    told = read.usage or _Usage()
    seconds = told.seconds if read.duration is None else read.duration
    used = Usage(input_tokens=told.input_tokens, output_tokens=told.output_tokens, audio_ms=told_ms(seconds))
    return None if used == Usage() and told_nano_usd(told) is None else used


TRANSCRIPTION = OpenRouterTranscription()
