"""Text spoken by xAI: one address for all of its voices, in words of its own, answered with sound.

What makes the speech is not named there, so any model of xAI's that is called a voice is the same one. Sound goes on to the client as it
comes; events are made of it where those are asked for, since xAI has none over HTTP.

Source: https://docs.x.ai/developers/model-capabilities/audio/text-to-speech (read 2026-11-24); the range of `speed` is that of
`@ai-sdk/xai` 5.0.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pulse_gateway.providers.compatible import XAI
from pulse_gateway.providers.offer import OfferCall, Steps, ask
from pulse_gateway.types.audio import SpeechReply, SpeechRequest
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import HttpRequest, Payload, header
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.audio.speech import Speech
from pulse_gateway.wire.foreign_json import to_provider
from pulse_gateway.wire.refusals import refuse_extra, unsupported

__all__ = ["SPEECH", "XaiSpeech"]

_CODEC = Speech()
_VOICES = re.compile("tts|voice(?!-transcribe)")
_FORMATS = (None, "mp3", "wav", "pcm")
_RATE_HZ = 24_000  # xAI's default, and what OpenAI's raw samples have
_SLOWEST, _FASTEST = 0.7, 1.5
_LANGUAGE = "language"  # a further member: as BCP 47 has it; without one xAI hears by itself which it is


class XaiSpeech:
    """A `SpokenOffer` of `speech`, although what it sends are xAI's words."""

    dialect = _CODEC.dialect
    answers_whole = True

    def forward(self, body: Payload, call: OfferCall, /) -> HttpRequest:
        """Raises: UnsupportedParameter."""
        request = _CODEC.decode_request(body)
        self.check(request, call.deployment)
        return _request(request, call)

    def check(self, request: SpeechRequest, deployment: Deployment, /) -> tuple[str, ...]:
        model = deployment.model
        if not _VOICES.search(model.name):
            raise unsupported(model, "model", "does not speak")
        refuse_extra((name for name in request.extra if name != _LANGUAGE), model)
        if request.response_format not in _FORMATS:
            raise unsupported(model, "response_format", f"gives mp3, wav and pcm, not {request.response_format}")
        if request.speed is not None and not _SLOWEST <= request.speed <= _FASTEST:
            raise unsupported(model, "speed", f"speaks at {_SLOWEST} to {_FASTEST} of its own speed")
        if request.instructions is not None:
            raise unsupported(model, "instructions", "takes its directions as tags in the text")
        if not isinstance(request.extra.get(_LANGUAGE, ""), str):
            raise unsupported(model, _LANGUAGE, "knows languages by their names")
        if not request.voice:
            raise unsupported(model, "voice", "knows voices by their names")
        return tuple(request.hints)

    def steps(self, request: SpeechRequest, call: OfferCall, /) -> Steps[SpeechReply]:
        answer = yield from ask(_request(request, call))
        kind = header(answer.headers, "content-type") or "application/octet-stream"
        reply = _CODEC.decode_reply(Payload(answer.body, kind), request)
        return msgspec.structs.replace(reply, usage=Usage(characters=len(request.input)))


def _request(request: SpeechRequest, call: OfferCall) -> HttpRequest:
    codec = request.response_format or "mp3"
    body: dict[str, Any] = {
        "text": request.input,
        "voice_id": request.voice,
        "language": request.extra.get(_LANGUAGE, "auto"),
        "output_format": {"codec": codec, "sample_rate": _RATE_HZ},
    }
    if request.speed is not None:
        body["speed"] = request.speed
    headers = (("content-type", "application/json"), ("accept", "*/*"), *XAI.headers(call))
    return HttpRequest("POST", XAI.url(call.deployment, "/tts"), headers, to_provider(body))


SPEECH = XaiSpeech()
