"""The dialect `openai.speech`: `POST /v1/audio/speech`, answered with sound itself, or with events.

The sound carries no count of what it cost. Where nobody counts, the characters of the text are counted, and tokens are estimated.

Source: `speech_create_params.py` of openai 3.54.0; https://developers.openai.com/api/docs/guides/text-to-speech (read 2026-11-24).
"""

from __future__ import annotations

import base64
from types import MappingProxyType
from typing import Any

import msgspec

from pulse_gateway.errors import PulseError, UpstreamError
from pulse_gateway.types.audio import SpeechReply, SpeechRequest
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import FinishReason
from pulse_gateway.types.events import Ended, Event, Finished, UsageReported
from pulse_gateway.types.http import Payload
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.audio.formats import SPEECH_TYPES
from pulse_gateway.wire.client_spelling import FieldPaths
from pulse_gateway.wire.codec import Envelope, StreamDecoder
from pulse_gateway.wire.foreign_answers import WatchedEvents
from pulse_gateway.wire.foreign_json import from_client, not_of_protocol, to_provider
from pulse_gateway.wire.json_splice import set_members
from pulse_gateway.wire.members import Members
from pulse_gateway.wire.openai_chat.errors import encode_error, upstream_error
from pulse_gateway.wire.operation import EncodedPayload
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.sse import encode_event

__all__ = ["Speech"]

_JSON = "application/json"
_WORDS = (_JSON, "text/")
_any = msgspec.json.Decoder().decode
# Fifteen characters are about a second of speech; a second is some twenty tokens of sound.
# Source: $0.015 a minute at $12 a million tokens, https://developers.openai.com/api/docs/pricing (read 2026-11-24)
_TOKENS_PER_CHARACTER = 1.4


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None


class _Event(msgspec.Struct):
    type: str = ""
    usage: _Usage | None = None
    error: Any = None


_event = msgspec.json.Decoder(_Event).decode


class Speech:
    dialect = "openai.speech"
    operation = "speech"
    keep_alive: bytes | None = b": keep-alive\n\n"
    field_paths: FieldPaths = MappingProxyType(
        {
            **{name: (name,) for name in ("model", "input", "voice", "instructions", "response_format", "speed")},
            "stream": ("stream_format",),
        }
    )

    # ── for clients ───────────────────────────────────────────────────────────────────────────────────────────────────

    def read_envelope(self, body: Payload, *, model: str | None = None, stream: bool | None = None) -> Envelope:
        request = self.decode_request(body)
        return Envelope(
            model=request.model,
            stream=request.stream,
            texts=[text for text in (request.instructions, request.input) if text is not None],
            max_output_tokens=0,
            expected=Usage(
                characters=len(request.input), audio_output_tokens=round(len(request.input) * _TOKENS_PER_CHARACTER)
            ),
        )

    def decode_request(self, body: Payload, *, model: str | None = None, stream: bool | None = None) -> SpeechRequest:
        members = Members(from_client(_any, body.data))
        text, name = members.need_text("input"), members.need_text("model")
        for field, value in (("input", text), ("model", name)):
            if not value:
                raise members.wrong(field, "is empty")
        voice = members.text("voice") if isinstance(members.peek("voice"), str) else None
        if voice is None and members.peek("voice") is None:
            raise members.wrong("voice", "is required")
        members.skip("stream_format", "audio")
        stream_format = members.word("stream_format", ("sse",))
        members.skip("speed", 1)
        fields: dict[str, Any] = {
            "instructions": members.text("instructions"),
            "response_format": members.text("response_format"),
            "speed": members.number("speed"),
        }
        extra, _ = members.leftovers()
        return SpeechRequest(
            model=name, input=text, voice=voice or "", stream=stream_format == "sse", extra=extra, **fields
        )

    def encode_reply(self, reply: SpeechReply, request: SpeechRequest) -> Payload:
        return Payload(reply.audio, reply.media_type)

    def encode_stream(self, reply: SpeechReply, request: SpeechRequest) -> Payload:
        delta = {"type": "speech.audio.delta", "audio": base64.b64encode(reply.audio).decode()}
        usage = reply.usage
        counts = None
        if usage is not None and usage.total:  # who sells by the character counts no tokens: that is unknown, not none
            counts = {
                "input_tokens": usage.input_total,
                "output_tokens": usage.output_total,
                "total_tokens": usage.total,
            }
        done = {"type": "speech.audio.done", "usage": counts}
        frames = [encode_event(msgspec.json.encode(event), str(event["type"])) for event in (delta, done)]
        return Payload(b"".join(frames), "text/event-stream; charset=utf-8")

    def encode_error(self, error: PulseError, request_id: str) -> bytes:
        return encode_error(error, request_id)

    def stream_error(self, error: PulseError, request_id: str) -> bytes | None:
        return encode_event(encode_error(error, request_id), "error")

    # ── for vendors ───────────────────────────────────────────────────────────────────────────────────────────────────

    def rewrite_request(self, body: Payload, *, model: str) -> Payload:
        return Payload(set_members(body.data, model=model), body.content_type)

    def encode_request(self, request: SpeechRequest, model: Model) -> EncodedPayload:
        """What is in no neutral field goes back where it came from: this dialect is the only one that speech is asked for in."""
        body: dict[str, Any] = {"model": model.name, "input": request.input, "voice": request.voice or None}
        body |= {name: getattr(request, name) for name in ("instructions", "response_format", "speed")}
        written = {name: value for name, value in body.items() if value is not None}
        return EncodedPayload(Payload(to_provider({**written, **request.extra, **request.hints})))

    def decode_reply(self, answer: Payload, request: SpeechRequest) -> SpeechReply:
        kind = answer.content_type
        if kind.startswith(_WORDS):
            raise _no_sound(answer)
        if not answer.data:
            raise not_of_protocol("it holds no sound")
        if kind.startswith("application/octet-stream"):
            kind = SPEECH_TYPES.get(request.response_format or "mp3", kind)
        return SpeechReply(audio=answer.data, media_type=kind)

    def read_reply(self, answer: Payload, reading: Reading) -> None:
        """Of an answer in words, which is none."""
        raise _no_sound(answer)

    def decoder(self) -> StreamDecoder:
        return _SpeechEvents()


def _no_sound(answer: Payload) -> UpstreamError:
    """What words mean where sound was asked for: an error if they are one; else whoever wrote them does not speak this dialect."""
    if answer.content_type.startswith(_JSON):
        return upstream_error(200, (), answer.data)
    return not_of_protocol(f"sound was asked for, and the answer is {answer.content_type.partition(';')[0]}")


class _SpeechEvents(WatchedEvents[_Event]):
    read = staticmethod(_event)

    def told(self, event: _Event, /) -> list[Event]:
        if event.type != "speech.audio.done":
            return []
        told: list[Event] = [Finished(FinishReason.STOP)]
        if event.usage is not None:
            # What is written is sound: no token of it is text.
            told.append(
                UsageReported(
                    Usage(
                        input_tokens=event.usage.input_tokens,
                        output_tokens=0,
                        audio_output_tokens=event.usage.output_tokens,
                    )
                )
            )
        return [*told, Ended()]
