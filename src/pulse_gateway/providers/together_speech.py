"""Text spoken by Together's models: OpenAI's shape, in which some words mean something else.

Without a format it gives WAV, where OpenAI's clients expect MP3; raw samples are `raw`, and have to be told their coding and rate. Its
streams are events of its own, so OpenAI's are made of the whole answer.

Source: https://docs.together.ai/docs/inference/text-to-speech/overview and the types of `together` 3.1 (read 2026-11-24)
"""

from __future__ import annotations

from pulse_gateway.providers.compatible import TOGETHER
from pulse_gateway.providers.offer import OfferCall, Steps, ask
from pulse_gateway.types.audio import SpeechReply, SpeechRequest
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import HttpRequest, Payload, header
from pulse_gateway.wire.audio.speech import Speech
from pulse_gateway.wire.json_splice import remove_member, set_members
from pulse_gateway.wire.refusals import unsupported

__all__ = ["SPEECH", "TogetherSpeech"]

_CODEC = Speech()
_FORMATS = (None, "mp3", "wav", "pcm")
_RATE_HZ = 24_000  # of OpenAI's raw samples


class TogetherSpeech:
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
        elif request.response_format == "pcm":
            data = set_members(data, response_format="raw", response_encoding="pcm_s16le", sample_rate=_RATE_HZ)
        headers = (("content-type", "application/json"), ("accept", "*/*"), *TOGETHER.headers(call))
        return HttpRequest("POST", TOGETHER.url(call.deployment, "/audio/speech"), headers, data)

    def check(self, request: SpeechRequest, deployment: Deployment, /) -> tuple[str, ...]:
        """Members that OpenAI does not know are passed on: it answers for them."""
        model = deployment.model
        if request.response_format not in _FORMATS:
            raise unsupported(model, "response_format", f"gives mp3, wav and pcm, not {request.response_format}")
        for name in ("instructions", "speed"):
            if getattr(request, name) is not None:
                raise unsupported(model, name, f"speaks without {name}")
        if "stream" in request.extra:
            raise unsupported(model, "stream", "is asked for events by `stream_format`")
        return ()

    def steps(self, request: SpeechRequest, call: OfferCall, /) -> Steps[SpeechReply]:
        encoded = _CODEC.encode_request(request, call.deployment.model)
        answer = yield from ask(self.forward(encoded.payload, call))
        kind = header(answer.headers, "content-type") or "application/octet-stream"
        return _CODEC.decode_reply(Payload(answer.body, kind), request)


SPEECH = TogetherSpeech()
