"""The dialects `openai.transcriptions` and `openai.translations`: a form with a recording in, text out.

Source: `transcription_create_params.py`, `translation_create_params.py` and the answers beside them in openai 3.54.0 (read 2026-11-24).
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any

import msgspec

from pulse_gateway.errors import InvalidRequest, PulseError
from pulse_gateway.types.audio import AudioFile, TranscriptionReply, TranscriptionRequest
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.http import Payload
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.audio import transcript
from pulse_gateway.wire.audio.formats import audio_type, duration_ms
from pulse_gateway.wire.client_spelling import FieldPaths
from pulse_gateway.wire.codec import MAX_COUNT, Envelope, StreamDecoder
from pulse_gateway.wire.form_members import FormMembers, read_form
from pulse_gateway.wire.media import media_type_of
from pulse_gateway.wire.multipart import FormPart, build_form, set_field
from pulse_gateway.wire.openai_chat.errors import encode_error
from pulse_gateway.wire.operation import EncodedPayload
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.sse import encode_event

__all__ = ["Transcriptions", "Translations"]

_LISTS = (
    "languages", "keywords", "timestamp_granularities", "include", "known_speaker_names", "known_speaker_references",
)  # fmt: skip
_TEXTS = ("language", "prompt", "response_format")
# `application/octet-stream`, `application/ogg`: nothing is said of the content
_MAY_SOUND = ("audio", "video", "application")
_MS_PER_TOKEN = 200  # a quick speaker
_OBJECT = re.compile(r"\s*\{")


class Transcriptions:
    """What is said, in the language in which it is said."""

    dialect = "openai.transcriptions"
    operation = "transcription"
    keep_alive: bytes | None = b": keep-alive\n\n"
    field_paths: FieldPaths = MappingProxyType(
        {name: (name,) for name in ("model", "file", "temperature", "stream", "chunking_strategy", *_TEXTS, *_LISTS)}
    )

    # ── for clients ───────────────────────────────────────────────────────────────────────────────────────────────────

    def read_envelope(self, body: Payload, *, model: str | None = None, stream: bool | None = None) -> Envelope:
        request = self.decode_request(body)
        length_ms = duration_ms(request.file.data, request.file.media_type)
        return Envelope(
            model=request.model,
            stream=request.stream,
            texts=[text for text in (request.prompt, *request.keywords) if text],
            max_output_tokens=min(length_ms // _MS_PER_TOKEN, MAX_COUNT),
            expected=Usage(audio_ms=length_ms),
        )

    def decode_request(
        self, body: Payload, *, model: str | None = None, stream: bool | None = None
    ) -> TranscriptionRequest:
        members = read_form(body)
        name = members.need_text("model")
        if not name:
            raise members.wrong("model", "is empty")
        file = _file(members)
        members.skip("stream", "false")
        fields: dict[str, Any] = {each: members.text(each) or None for each in _TEXTS}
        fields |= {each: members.strings(each) for each in _LISTS}
        fields |= {"temperature": members.number("temperature"), "stream": members.flag("stream") is True}
        chunking = members.peek("chunking_strategy")
        fields["chunking_strategy"] = (
            members.object("chunking_strategy") if isinstance(chunking, dict) else _chunking(members)
        )
        extra, _ = members.leftovers()
        return TranscriptionRequest(model=name, file=file, extra=extra, **fields)

    def encode_reply(self, reply: TranscriptionReply, request: TranscriptionRequest) -> Payload:
        return transcript.encode_reply(reply, request)

    def encode_stream(self, reply: TranscriptionReply, request: TranscriptionRequest) -> Payload:
        return transcript.encode_events(reply, request)

    def encode_error(self, error: PulseError, request_id: str) -> bytes:
        return encode_error(error, request_id)

    def stream_error(self, error: PulseError, request_id: str) -> bytes | None:
        return encode_event(encode_error(error, request_id), "error")

    # ── for vendors ───────────────────────────────────────────────────────────────────────────────────────────────────

    def rewrite_request(self, body: Payload, *, model: str) -> Payload:
        return set_field(body, "model", model)

    def encode_request(self, request: TranscriptionRequest, model: Model) -> EncodedPayload:
        """What is in no neutral field goes back where it came from: this dialect is the only one that it is asked for in."""
        fields = {name: getattr(request, name) for name in (*_TEXTS, "temperature", "chunking_strategy")}
        parts = [_part("model", model.name)]
        parts += [_part(name, value) for name, value in fields.items() if value is not None]
        parts += [_part(f"{name}[]", value) for name in _LISTS for value in getattr(request, name)]
        parts += [_part(name, value) for name, value in (*request.extra.items(), *request.hints.items())]
        file = request.file
        kind = file.media_type or "application/octet-stream"
        parts.append(FormPart(name="file", data=file.data, filename=file.name or "audio", content_type=kind))
        return EncodedPayload(build_form(parts))

    def decode_reply(self, answer: Payload, request: TranscriptionRequest) -> TranscriptionReply:
        return transcript.decode_reply(answer)

    def read_reply(self, answer: Payload, reading: Reading) -> None:
        transcript.read_reply(answer, reading)

    def decoder(self) -> StreamDecoder:
        return transcript.TranscriptEvents()


class Translations(Transcriptions):
    """What is said, in English."""

    dialect = "openai.translations"
    operation = "translation"


def _file(members: FormMembers) -> AudioFile:
    files = members.files("file")
    if len(files) != 1:
        raise members.wrong("file", "expected one file" if files else "is required")
    file = files[0]
    if not file.data:
        raise InvalidRequest("file: is empty", param="file")
    kind = audio_type(file.data, file.name) or media_type_of(file.media_type)
    if kind is not None and kind.partition("/")[0] not in _MAY_SOUND:
        raise InvalidRequest(f"file: a file of the type {kind} is no recording", param="file")
    return AudioFile(data=file.data, media_type=kind, name=file.name)


def _chunking(members: FormMembers) -> str | dict[str, Any] | None:
    """A word, or an object that was written as JSON."""
    written = members.text("chunking_strategy")
    if written is None or not _OBJECT.match(written):
        return written or None
    try:
        found: dict[str, Any] = msgspec.json.decode(written, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise members.wrong("chunking_strategy", "is neither a word nor a JSON object") from error
    return found


def _part(name: str, value: Any) -> FormPart:
    return FormPart(name=name, data=(value if isinstance(value, str) else msgspec.json.encode(value).decode()).encode())
