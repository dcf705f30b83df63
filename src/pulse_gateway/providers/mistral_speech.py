"""Speech of Mistral's Voxtral: OpenAI's path in words of its own, answered with base64 inside JSON.

Its raw samples are floats, or whatever a model of tomorrow makes of them; those of a WAV file are what OpenAI's clients expect, so clients
of `pcm` get the samples of one. Directions for the voice are tags in the text (`[emotion=happy]`), which nobody else knows.

Source: https://docs.mistral.ai/studio/audio/text-to-speech/generate-speech, /api/endpoint/audio/speech and the types of `mistralai` 3.7
(read 2026-11-24); that 403 is its filter stands in the former, its words are unconfirmed.
"""

from __future__ import annotations

import binascii
from typing import Any

import msgspec

from pulse_gateway.errors import UpstreamRefusedContent, UpstreamUnauthorized
from pulse_gateway.providers.compatible import MISTRAL
from pulse_gateway.providers.offer import OfferCall, Steps, ask
from pulse_gateway.providers.tab import Tab
from pulse_gateway.types.audio import SpeechReply, SpeechRequest
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import HttpRequest
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.audio.formats import SPEECH_TYPES, wav_samples
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol, to_provider
from pulse_gateway.wire.refusals import refuse_extra, unsupported

__all__ = ["SPEECH", "MistralSpeech"]

_FORMATS = {None: "mp3", "mp3": "mp3", "opus": "opus", "flac": "flac", "wav": "wav", "pcm": "wav"}
_RATE_HZ, _BITS = 24_000, 16  # that clients of raw samples expect
_SAMPLE = "ref_audio"
_OWN = frozenset({_SAMPLE, "expressiveness", "phoneme_hints", "conversation_history", "metadata", "prompt_cache_key"})
"""Members of Mistral's that clients add."""
# Voices of OpenAI's, of which Voxtral has none.
_FOREIGN = frozenset(
    ("alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse", "marin", "cedar")
)  # fmt: skip


class _Answer(msgspec.Struct):
    audio_data: str


_decode = msgspec.json.Decoder(_Answer).decode


class MistralSpeech:
    """An `Offer` of `speech`."""

    dialect: str | None = None

    def check(self, request: SpeechRequest, deployment: Deployment, /) -> tuple[str, ...]:
        model = deployment.model
        refuse_extra((name for name in request.extra if name not in _OWN and name != "voice"), model)
        if request.response_format not in _FORMATS:
            raise unsupported(model, "response_format", f"gives no {request.response_format} files")
        if request.speed is not None:
            raise unsupported(model, "speed", "speaks at its own speed")
        if request.instructions is not None:
            raise unsupported(model, "instructions", "takes its directions as tags in the text")
        voice = _voice(request, deployment)
        if voice in _FOREIGN:
            raise unsupported(model, "voice", "has voices of its own, such as gb_jane_neutral")
        if voice and _SAMPLE in request.extra:
            raise unsupported(model, "voice", f"speaks as a voice or as {_SAMPLE}, not as both")
        return tuple(request.hints)

    def steps(self, request: SpeechRequest, call: OfferCall, /) -> Steps[SpeechReply]:
        own = {name: value for name, value in request.extra.items() if name in _OWN}
        body: dict[str, Any] = {
            "model": call.deployment.model.name,
            "input": request.input,
            "response_format": _FORMATS[request.response_format],
            **own,
        }
        if voice := _voice(request, call.deployment):
            body["voice_id"] = voice
        headers = (("content-type", "application/json"), *MISTRAL.headers(call))
        url = MISTRAL.url(call.deployment, MISTRAL.path("openai.speech"))
        try:
            answer = yield from ask(HttpRequest("POST", url, headers, to_provider(body)))
        except UpstreamUnauthorized as error:
            if error.upstream_status != 403:
                raise
            raise UpstreamRefusedContent(
                "the provider's filter lets this text not be spoken",
                upstream_status=error.upstream_status,
                upstream_code=error.upstream_code,
            ) from error
        usage = Usage(characters=len(request.input))
        yield Tab().add(usage)
        sound = _sound(from_provider(_decode, answer.body).audio_data)
        if request.response_format == "pcm":
            sound = _samples(sound)
        return SpeechReply(audio=sound, media_type=SPEECH_TYPES[request.response_format or "mp3"], usage=usage)


def _voice(request: SpeechRequest, deployment: Deployment) -> str:
    """Its id, also as OpenAI has those of one's own: `{"id": …}`. Raises: UnsupportedParameter."""
    written = request.extra.get("voice", request.voice)
    voice = written.get("id") if isinstance(written, dict) and len(written) == 1 else written
    if not isinstance(voice, str):
        raise unsupported(deployment.model, "voice", "knows a voice by its id")
    return voice


def _sound(written: str) -> bytes:
    try:
        sound = binascii.a2b_base64(written, strict_mode=True)
    except ValueError as error:  # binascii.Error is one; so is a character beyond ASCII
        raise not_of_protocol("sound that is no base64") from error
    if not sound:
        raise not_of_protocol("it holds no sound")
    return sound


def _samples(file: bytes) -> bytes:
    read = wav_samples(file)
    if read is None:
        raise not_of_protocol("a WAV file without samples")
    samples, kind = read
    if kind != (1, 1, _RATE_HZ, _BITS):
        raise not_of_protocol("samples that are not 16 bit, one channel, 24 kHz")
    return samples


SPEECH = MistralSpeech()
