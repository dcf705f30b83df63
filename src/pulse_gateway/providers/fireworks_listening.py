"""What Fireworks hears: OpenAI's forms, at hosts of their own, and never streamed.

`whisper-v3` is heard at `audio-prod`, `whisper-v3-turbo` at `audio-turbo`. A base address that was configured is where everything is
asked for: a proxy, or an endpoint for oneself.

A copy of what `whisper-1` takes, with members of its own beside it (`vad_model`, `diarize` …), which clients may send. Several granularities
are one field there: `word,segment`.

Source: https://docs.fireworks.ai/api-reference/audio-transcriptions and /audio-translations (read 2026-11-24)
"""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.providers.compatible import FIREWORKS
from pulse_gateway.providers.offer import OfferCall, Steps
from pulse_gateway.providers.shape_offer import ShapeOffer
from pulse_gateway.types.audio import TranscriptionRequest
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import HttpRequest, Payload
from pulse_gateway.wire.multipart import FormPart, build_form, parse_form
from pulse_gateway.wire.refusals import not_taken, unsupported

__all__ = ["TRANSCRIPTION", "TRANSLATION", "FireworksListening"]

_PROD, _TURBO = "https://audio-prod.api.fireworks.ai/v1", "https://audio-turbo.api.fireworks.ai/v1"
_GRANULARITIES = "timestamp_granularities"
_LACKS = ("languages", "keywords", "include", "chunking_strategy", "known_speaker_names", "known_speaker_references")
_FORMATS = ("json", "text", "srt", "verbose_json", "vtt")


class FireworksListening(ShapeOffer, frozen=True):
    """A `ShapeOffer` that answers whole."""

    def forward(self, body: Payload, call: OfferCall, /) -> HttpRequest:
        """Raises: UnsupportedParameter, in the dialect's own spelling, for what is not heard of there."""
        self.check(self._codec().decode_request(body), call.deployment)
        heard = msgspec.structs.replace(call.deployment, base_url=_heard_at(call.deployment))
        return super().forward(_one_field(body), msgspec.structs.replace(call, deployment=heard))

    def check(self, request: TranscriptionRequest, deployment: Deployment, /) -> tuple[str, ...]:
        for name in _LACKS:
            if getattr(request, name):
                raise not_taken(deployment.model, name)
        if request.response_format not in (None, *_FORMATS):
            raise unsupported(deployment.model, "response_format", f"writes {', '.join(_FORMATS)}")
        return super().check(request, deployment)

    def steps(self, request: TranscriptionRequest, call: OfferCall, /) -> Steps[Any]:
        return super().steps(msgspec.structs.replace(request, stream=False), call)


def _heard_at(deployment: Deployment) -> str:
    if deployment.base_url not in ("", FIREWORKS.base_url):
        return deployment.base_url
    return _TURBO if deployment.model.name.endswith("turbo") else _PROD


def _one_field(body: Payload) -> Payload:
    """The same form, unless it names granularities as OpenAI's SDK writes them: a part each."""
    parts = parse_form(body)
    named = [part.text() for part in parts if part.name in (_GRANULARITIES, f"{_GRANULARITIES}[]")]
    if not named or all(part.name != f"{_GRANULARITIES}[]" for part in parts):
        return body
    kept = [
        FormPart(name=part.name, data=bytes(part.data), filename=part.filename, content_type=part.content_type)
        for part in parts
        if part.name not in (_GRANULARITIES, f"{_GRANULARITIES}[]")
    ]
    return build_form([FormPart(name=_GRANULARITIES, data=",".join(named).encode()), *kept])


TRANSCRIPTION = FireworksListening(FIREWORKS, "openai.transcriptions", answers_whole=True)
TRANSLATION = FireworksListening(FIREWORKS, "openai.translations", answers_whole=True)
