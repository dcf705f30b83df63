"""Text spoken by whichever maker OpenRouter picks: OpenAI's dialect, in MP3 or raw samples alone, and without events.

Where no format is named it gives raw samples, where OpenAI's clients expect MP3. Members of its own (`input_references`, `provider`) pass.

Source: https://openrouter.ai/docs/guides/overview/multimodal/tts and the types of `openrouter` 1.3 (read 2026-11-24)
"""

from __future__ import annotations

import msgspec

from pulse_gateway.providers.compatible import OPENROUTER
from pulse_gateway.providers.offer import OfferCall, Steps, ask
from pulse_gateway.types.audio import SpeechReply, SpeechRequest
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import HttpRequest, Payload, header
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.audio.speech import Speech
from pulse_gateway.wire.json_splice import remove_member, set_members
from pulse_gateway.wire.refusals import unsupported

__all__ = ["SPEECH", "OpenRouterSpeech"]

_CODEC = Speech()
_FORMATS = (None, "mp3", "pcm")


class OpenRouterSpeech:
    """A `SpokenOffer` of `speech`."""

    dialect = _CODEC.dialect
    answers_whole = True

    def forward(self, body: Payload, call: OfferCall, /) -> HttpRequest:
        """Raises: UnsupportedParameter."""
        request = _CODEC.decode_request(body)
        self.check(request, call.deployment)
        data = body.data
        if b'"stream_format"' in data:
            data = remove_member(data, "stream_format")
        if request.response_format is None:
            data = set_members(data, response_format="mp3")
        headers = (("content-type", "application/json"), ("accept", "*/*"), *OPENROUTER.headers(call))
        return HttpRequest("POST", OPENROUTER.url(call.deployment, OPENROUTER.path(self.dialect)), headers, data)

    def check(self, request: SpeechRequest, deployment: Deployment, /) -> tuple[str, ...]:
        if request.response_format not in _FORMATS:
            raise unsupported(deployment.model, "response_format", f"gives mp3 and pcm, not {request.response_format}")
        return ()

    def steps(self, request: SpeechRequest, call: OfferCall, /) -> Steps[SpeechReply]:
        encoded = _CODEC.encode_request(request, call.deployment.model)
        answer = yield from ask(self.forward(encoded.payload, call))
        kind = header(answer.headers, "content-type") or "application/octet-stream"
        reply = _CODEC.decode_reply(Payload(answer.body, kind), request)
        return msgspec.structs.replace(reply, usage=Usage(characters=len(request.input)))


SPEECH = OpenRouterSpeech()
