"""Speech: silence that lasts ten milliseconds a character, or as long as its tokens say (50 ms each).

Models billed by tokens owe text in and audio out; `tts-…` and names that no rule knows owe `characters`.
Source: https://developers.openai.com/api/docs/api-reference/audio/createSpeech (read 2026-11-24) and openai 3.54.0; the
events of `stream_format: sse` follow openai 1.x, the last SDK that types them.
"""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pulse_gateway.testing.simulator.answer import Usage
from pulse_gateway.testing.simulator.config import Models
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.openai.body import Strict, converted
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.openai.sounds import AUDIO_TYPES, silence
from pulse_gateway.testing.simulator.openai.vendor import check_family
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.tokens import count_text
from pulse_gateway.testing.simulator.vendor import Frame

__all__ = ["speech"]

_ENCODE = msgspec.json.encode
_VOICES = frozenset(
    {
        "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse",
    }
)  # fmt: skip
_MOST_CHARACTERS = 4096
_MS_PER_CHARACTER = 10
_MS_PER_TOKEN = 50
_PIECE_BYTES = 4096


class VoiceId(Strict):
    id: Annotated[str, Meta(pattern=r"^voice_\w+$")]


class SpeechRequest(Strict):
    input: str
    model: str
    voice: str | VoiceId
    instructions: str | UnsetType = UNSET
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] | UnsetType = UNSET
    speed: Annotated[float, Meta(ge=0.25, le=4)] | UnsetType = UNSET
    stream_format: Literal["sse", "audio"] | UnsetType = UNSET


def speech(body: dict[str, Any], models: Models) -> Work:
    """Raises: Refusal."""
    request = converted(body, SpeechRequest)
    model, spec = split_model(request.model)
    check_family(model, models)
    _check(request, model)
    by_tokens = model.startswith("gpt-")
    instructions = request.instructions or ""
    sent = count_text(request.input + instructions) if by_tokens else 0
    is_sse = request.stream_format == "sse"

    def render(faults: Faults) -> list[Frame]:
        length_ms = max(100, int(len(request.input) * _MS_PER_CHARACTER / (request.speed or 1)))
        tokens = faults.tokens or -(-length_ms // _MS_PER_TOKEN)
        audio = silence(request.response_format or "mp3", tokens * _MS_PER_TOKEN if faults.tokens else length_ms)
        pieces = [audio[at : at + _PIECE_BYTES] for at in range(0, len(audio), _PIECE_BYTES)]
        owed = [tokens * (at + 1) // len(pieces) if by_tokens else 0 for at in range(len(pieces))]
        if not is_sse:
            return [Frame(piece, output) for piece, output in zip(pieces, owed, strict=True)]
        frames = [
            Frame(_event("speech.audio.delta", {"audio": base64.b64encode(piece).decode()}), output)
            for piece, output in zip(pieces, owed, strict=True)
        ]
        if not faults.no_done:
            usage = {"input_tokens": sent, "output_tokens": tokens, "total_tokens": sent + tokens}
            done = {} if faults.no_usage else {"usage": usage}
            frames.append(Frame(_event("speech.audio.done", done), owed[-1]))
        return frames

    return Work(
        model=request.model,
        fault_spec=spec,
        content_type="text/event-stream; charset=utf-8" if is_sse else AUDIO_TYPES[request.response_format or "mp3"],
        render=render,
        stream=True,
        usage=Usage(input=sent),
        units={} if by_tokens else {"characters": len(request.input)},
    )


def _event(kind: str, members: dict[str, Any]) -> bytes:
    return b"data: " + _ENCODE({"type": kind, **members}) + b"\n\n"


def _check(request: SpeechRequest, model: str) -> None:
    if not request.input:
        raise refuse("Invalid 'input': string too short.", code="string_below_min_length", param="input")
    if len(request.input) > _MOST_CHARACTERS:
        raise refuse(
            f"Invalid 'input': string too long. Expected a string with maximum length {_MOST_CHARACTERS}, but got a "
            f"string with length {len(request.input)} instead.",
            code="string_above_max_length",
            param="input",
        )
    known = model.startswith(("gpt-", "tts-"))
    if model.startswith("gpt-") and "-tts" not in model:
        raise refuse(f"Invalid value: '{model}'. Value must be a speech model.", code="invalid_value", param="model")
    if known and isinstance(request.voice, str) and request.voice not in _VOICES:
        supported = ", ".join(f"'{voice}'" for voice in sorted(_VOICES))
        raise refuse(
            f"Invalid value: '{request.voice}'. Supported values are: {supported}.", code="invalid_value", param="voice"
        )
    if model.startswith("tts-") and request.stream_format == "sse":
        raise refuse(
            f"stream_format 'sse' is not supported with {model}.", code="unsupported_value", param="stream_format"
        )
