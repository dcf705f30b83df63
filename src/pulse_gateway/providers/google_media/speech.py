"""Speech of Gemini's models: `:generateContent` that answers with raw samples.

Directions for the voice stand before the text, as the vendor's guide has them. Other files than WAV and raw samples would have to be
compressed, which is not done here.

Source: https://ai.google.dev/gemini-api/docs/speech-generation (read 2026-11-24)
"""

from __future__ import annotations

import base64
import re
from typing import Any

import msgspec

from pulse_gateway.errors import AnswerNotExpressible
from pulse_gateway.providers.google_media.answer import Blob, GoogleAddress, call_method, read_answer
from pulse_gateway.providers.offer import OfferCall, Steps, ask
from pulse_gateway.providers.tab import Tab
from pulse_gateway.types.audio import SpeechReply, SpeechRequest
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.wire.audio.formats import SPEECH_TYPES, wav
from pulse_gateway.wire.foreign_json import not_of_protocol
from pulse_gateway.wire.refusals import refuse_extra, unsupported

__all__ = ["GoogleSpeech"]

_FORMATS = (None, "wav", "pcm")
_RATE_HZ = 24_000  # that clients of raw samples expect
_RATE = re.compile(r"rate=([0-9]{4,6})", re.ASCII)
# Voices of OpenAI's, of which Gemini has none.
_FOREIGN = frozenset(
    ("alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse", "marin", "cedar")
)  # fmt: skip


class GoogleSpeech:
    """An `Offer` of `speech`."""

    dialect = None

    def __init__(self, vendor: GoogleAddress) -> None:
        self._vendor = vendor

    def check(self, request: SpeechRequest, deployment: Deployment, /) -> tuple[str, ...]:
        model = deployment.model
        refuse_extra(request.extra, model)
        if request.response_format not in _FORMATS:
            raise unsupported(model, "response_format", f"gives wav and pcm, not {request.response_format}")
        if request.speed is not None:
            raise unsupported(model, "speed", "speaks at its own speed")
        if request.voice in _FOREIGN:
            raise unsupported(model, "voice", "has voices of its own: Kore, Puck, Charon, Aoede and others")
        return tuple(request.hints)

    def steps(self, request: SpeechRequest, call: OfferCall, /) -> Steps[SpeechReply]:
        text = request.input if request.instructions is None else f"{request.instructions}:\n{request.input}"
        config: dict[str, Any] = {
            "responseModalities": ["AUDIO"],
            "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": request.voice}}},
        }
        body = {"contents": [{"role": "user", "parts": [{"text": text}]}], "generationConfig": config}
        answer = yield from ask(call_method(self._vendor, call, "generateContent", body))
        said, tab = read_answer(answer.body), Tab()
        usage = msgspec.structs.replace(said.usage, characters=len(request.input))
        yield tab.add(usage)
        if not said.blobs:
            raise said.refusal("speech")
        if said.cut:
            raise AnswerNotExpressible("the text is longer than the model speaks at once; send it in parts")
        samples, rate = b"".join(map(_samples, said.blobs)), _rate(said.blobs[0])
        if request.response_format != "pcm":
            return SpeechReply(audio=wav(samples, rate=rate), media_type=SPEECH_TYPES["wav"], usage=usage)
        if rate != _RATE_HZ:
            raise not_of_protocol(f"samples at {rate} a second")
        return SpeechReply(audio=samples, media_type=SPEECH_TYPES["pcm"], usage=usage)


def _samples(blob: Blob) -> bytes:
    try:
        return base64.b64decode(blob.data.replace("-", "+").replace("_", "/"), validate=True)
    except ValueError as error:  # binascii.Error is one; so is a character beyond ASCII
        raise not_of_protocol("samples that are no base64") from error


def _rate(blob: Blob) -> int:
    """Samples a second, of `audio/L16;codec=pcm;rate=24000`."""
    if not blob.mime_type.lower().startswith(("audio/l16", "audio/pcm")):
        raise not_of_protocol("sound that is no samples")
    found = _RATE.search(blob.mime_type)
    return int(found[1]) if found else _RATE_HZ
