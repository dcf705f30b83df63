"""Speech written down by Gemini's models: a recording and an instruction to `:generateContent`, text out.

There are no times, no speakers and no probabilities: only the words.

Source: https://ai.google.dev/gemini-api/docs/audio (read 2026-11-24)
"""

from __future__ import annotations

import base64
from typing import Any

from pulse_gateway.errors import AnswerNotExpressible
from pulse_gateway.providers.google_media.answer import GoogleAddress, call_method, read_answer
from pulse_gateway.providers.offer import OfferCall, Steps, ask
from pulse_gateway.providers.tab import Tab
from pulse_gateway.types.audio import TranscriptionReply, TranscriptionRequest
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.wire.refusals import not_taken, refuse_extra, unsupported

__all__ = ["GoogleTranscription"]

_FORMATS = (None, "json", "text")
_LACKS = ("timestamp_granularities", "include", "known_speaker_names", "known_speaker_references")
_VERBATIM = "Write down the speech in this recording word for word, in its own language."
_IN_ENGLISH = "Translate the speech in this recording into English."
_NOTHING_ELSE = "Answer with the text alone, without comments, times or names of speakers."


class GoogleTranscription:
    """An `Offer` of `transcription`, or of `translation` into English."""

    dialect = None

    def __init__(self, vendor: GoogleAddress, *, translate: bool = False) -> None:
        self._vendor, self._translate = vendor, translate

    def check(self, request: TranscriptionRequest, deployment: Deployment, /) -> tuple[str, ...]:
        model = deployment.model
        refuse_extra(request.extra, model)
        if request.response_format not in _FORMATS:
            raise unsupported(model, "response_format", f"gives json and text, not {request.response_format}")
        for name in _LACKS:
            if getattr(request, name):
                raise not_taken(model, name)
        if request.chunking_strategy not in (None, "auto"):
            raise unsupported(model, "chunking_strategy", "cuts recordings by itself")
        if request.temperature is not None and not model.capabilities.sampling:
            raise not_taken(model, "temperature")
        return (*(("chunking_strategy",) if request.chunking_strategy else ()), *request.hints)

    def steps(self, request: TranscriptionRequest, call: OfferCall, /) -> Steps[TranscriptionReply]:
        data = base64.b64encode(request.file.data).decode()
        recording = {"inlineData": {"mimeType": request.file.media_type or "audio/mp3", "data": data}}
        parts: list[dict[str, Any]] = [recording, {"text": self._instruction(request)}]
        body: dict[str, Any] = {"contents": [{"role": "user", "parts": parts}]}
        if request.temperature is not None:
            body["generationConfig"] = {"temperature": request.temperature}
        answer = yield from ask(call_method(self._vendor, call, "generateContent", body))
        said, tab = read_answer(answer.body), Tab()
        yield tab.add(said.usage)
        if said.refused is not None:
            raise said.refusal("text")
        if said.cut:
            raise AnswerNotExpressible("the recording is longer than the model writes at once; send it in parts")
        return TranscriptionReply(text=said.text.strip(), language=request.language, usage=said.usage)

    def _instruction(self, request: TranscriptionRequest) -> str:
        sentences = [_IN_ENGLISH if self._translate else _VERBATIM, _NOTHING_ELSE]
        if languages := ", ".join(filter(None, (request.language, *request.languages))):
            sentences.append(f"It is spoken in: {languages}.")
        if request.keywords:
            sentences.append(f"These words may occur: {', '.join(request.keywords)}.")
        if request.prompt:
            sentences.append(f"What is said before it, or how it is to be written:\n{request.prompt}")
        return "\n".join(sentences)
