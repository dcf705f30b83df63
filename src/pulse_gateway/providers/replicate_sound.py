"""Speech, and what is said in it, by models at Replicate: a prediction each.

What a model calls its inputs stands in `replicate_models`. A language is an ISO 639-1 code, as clients say it. Sound is fetched, since
its address leads nowhere after an hour.

Source: as `replicate_models`
"""

from __future__ import annotations

import base64
from typing import Any

from pulse_gateway.providers.offer import OfferCall, Steps
from pulse_gateway.providers.replicate_models import HEARS, SPEAKS, Hears, known, version_name
from pulse_gateway.providers.replicate_runs import Runs, addresses, inline_data
from pulse_gateway.providers.replicate_transcripts import read_transcript
from pulse_gateway.providers.replicate_videos import ReplicateAddress
from pulse_gateway.providers.tab import Tab
from pulse_gateway.providers.whisper_languages import LANGUAGES
from pulse_gateway.types.audio import SpeechReply, SpeechRequest, TranscriptionReply, TranscriptionRequest
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.audio.formats import SPEECH_TYPES, audio_type, duration_ms
from pulse_gateway.wire.foreign_json import not_of_protocol
from pulse_gateway.wire.refusals import refuse_extra, unsupported

__all__ = ["ReplicateListening", "ReplicateSpeech"]

_SAMPLES_HZ = 24_000  # of raw sound, as OpenAI's clients read it
_NOT_HEARD = ("languages", "keywords", "include", "known_speaker_names", "known_speaker_references")
_UNTIMED = ("json", "text")
_TIMED = "verbose_json"
_GRANULARITIES = "timestamp_granularities"


class ReplicateSpeech:
    """An `Offer` of `speech`."""

    dialect = None

    def __init__(self, vendor: ReplicateAddress) -> None:
        self._runs = Runs(vendor)

    def check(self, request: SpeechRequest, deployment: Deployment, /) -> tuple[str, ...]:
        model, row = deployment.model, known(SPEAKS, deployment, "speak")
        refuse_extra((name for name in request.extra if name not in row.more), model)
        if request.instructions is not None:
            raise unsupported(model, "instructions", "takes no instructions on how to speak")
        formats = tuple(row.formats) or (row.makes,)
        if request.response_format not in (None, *formats):
            raise unsupported(model, "response_format", f"gives {', '.join(formats)}, not {request.response_format}")
        if request.speed is not None and not row.slowest <= request.speed <= row.quickest:
            raise unsupported(model, "speed", f"speaks {row.slowest:g} to {row.quickest:g} times as quickly as usual")
        return tuple(request.hints)

    def steps(self, request: SpeechRequest, call: OfferCall, /) -> Steps[SpeechReply]:
        row = known(SPEAKS, call.deployment, "speak")
        kind = request.response_format or row.makes
        asked: dict[str, Any] = {"text": request.input, row.voice: request.voice or None, "speed": request.speed}
        if row.format is not None and request.response_format is not None:
            asked[row.format] = row.formats[kind]
        if kind == "pcm":
            asked["sample_rate"] = _SAMPLES_HZ
        asked |= request.extra
        tab = Tab()
        prediction = yield from self._runs.ended(
            {name: value for name, value in asked.items() if value is not None},
            call,
            by_version=version_name(row, call.deployment),
        )
        yield tab.add(Usage(characters=len(request.input) if prediction.succeeded else 0))
        if not prediction.succeeded:
            raise prediction.failure("speech")
        urls = addresses(prediction.output, "audio", "url")
        if not urls:
            raise not_of_protocol("a prediction that succeeded without sound")
        data = inline_data(urls[0])
        sound = (yield from self._runs.fetched(urls[0], call)) if data is None else base64.b64decode(data)
        if not sound or (kind != "pcm" and audio_type(sound, None) is None):
            raise not_of_protocol("a file that is no sound")
        return SpeechReply(audio=sound, media_type=SPEECH_TYPES[kind], usage=tab.usage)


class ReplicateListening:
    """An `Offer` of `transcription`, or, with `translate`, of `translation` into English."""

    dialect = None

    def __init__(self, vendor: ReplicateAddress, *, translate: bool = False) -> None:
        self._runs, self._translate = Runs(vendor), translate

    def check(self, request: TranscriptionRequest, deployment: Deployment, /) -> tuple[str, ...]:
        model, row = deployment.model, self._row(deployment)
        refuse_extra(request.extra, model)
        lacks = [name for name in ("prompt", "temperature", "language") if getattr(row, name) is None]
        for name in (*_NOT_HEARD, *lacks):
            if getattr(request, name) not in (None, ()):
                raise unsupported(model, name, f"has no {name.replace('_', ' ')}")
        self._check_times(request, deployment, row)
        if request.chunking_strategy not in (None, "auto"):
            raise unsupported(model, "chunking_strategy", "cuts recordings by itself")
        if row.names and request.language not in (None, *LANGUAGES):
            raise unsupported(model, "language", f"knows no language {request.language}")
        return (*(("chunking_strategy",) if request.chunking_strategy else ()), *request.hints)

    def steps(self, request: TranscriptionRequest, call: OfferCall, /) -> Steps[TranscriptionReply]:
        row, file = self._row(call.deployment), request.file
        words = "word" in request.timestamp_granularities
        link = yield from self._runs.link(file.data, file.media_type, file.name or "audio", call)
        asked: dict[str, Any] = {row.file: link}
        if row.language is not None and request.language is not None:
            asked[row.language] = LANGUAGES[request.language] if row.names else request.language
        if row.prompt is not None:
            asked[row.prompt] = request.prompt
        if row.temperature is not None:
            asked[row.temperature] = request.temperature
        asked |= {**(row.english if self._translate else {}), **(row.by_words if words else {})}
        tab = Tab()
        prediction = yield from self._runs.ended(
            {name: value for name, value in asked.items() if value is not None},
            call,
            by_version=version_name(row, call.deployment),
        )
        length_ms = duration_ms(file.data, file.media_type)
        yield tab.add(Usage(audio_ms=length_ms if prediction.succeeded else 0))
        if not prediction.succeeded:
            raise prediction.failure("text")
        read = read_transcript(row, prediction.output, translate=self._translate, words=words)
        timed, phrases = request.response_format == _TIMED, not words or "segment" in request.timestamp_granularities
        return TranscriptionReply(
            text=read.text,
            language=read.language if timed else None,
            duration_s=length_ms / 1000 if timed else None,
            segments=read.segments if phrases and request.response_format not in (None, *_UNTIMED) else None,
            words=read.words if words else None,
            usage=tab.usage,
        )

    def _check_times(self, request: TranscriptionRequest, deployment: Deployment, row: Hears) -> None:
        """Raises: UnsupportedParameter."""
        model, wanted = deployment.model, set(request.timestamp_granularities)
        formats = _UNTIMED if self._is_untimed(row) else (*_UNTIMED, _TIMED, "srt", "vtt")
        if request.response_format not in (None, *formats):
            raise unsupported(model, "response_format", f"gives {', '.join(formats)}, not {request.response_format}")
        if request.stream and request.response_format not in (None, *_UNTIMED):
            raise unsupported(model, "response_format", "tells no times in a stream")
        if wanted and request.response_format != _TIMED:
            raise unsupported(model, _GRANULARITIES, f"tells times in {_TIMED} alone")
        if "word" in wanted and not row.by_words:
            raise unsupported(model, _GRANULARITIES, "tells no times of words")
        if wanted - {"word", "segment"} or (len(wanted) > 1 and row.gives == "chunks"):
            raise unsupported(model, _GRANULARITIES, "tells the times of words or of segments")

    def _is_untimed(self, row: Hears) -> bool:
        """What Whisper translates it gives without times."""
        return row.gives == "text" or (self._translate and row.gives == "whisper")

    def _row(self, deployment: Deployment) -> Hears:
        """Raises: UnsupportedParameter."""
        if not self._translate:
            return known(HEARS, deployment, "write down what is said")
        return known(HEARS, deployment, "translate what is said", [name for name, row in HEARS.items() if row.english])
