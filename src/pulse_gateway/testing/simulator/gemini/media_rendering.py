"""Answers that are pictures or speech: their parts, in the order in which a stream brings them.

Source: https://ai.google.dev/gemini-api/docs/image-generation and /speech-generation (read 2026-11-24)
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, NamedTuple

from pulse_gateway.testing.simulator.answer import Choice, fragments
from pulse_gateway.testing.simulator.dice import seal
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.gemini.pictures import picture_traits, pixels
from pulse_gateway.testing.simulator.gemini.schema import GenerateContentRequest, SpeechConfig
from pulse_gateway.testing.simulator.gemini.speech import PCM, TOKENS_PER_S, tone
from pulse_gateway.testing.simulator.gemini.turns import picture_parts
from pulse_gateway.testing.simulator.samples import clip, colour, picture
from pulse_gateway.testing.simulator.tokens import count_bytes

__all__ = [
    "HELD_BACK",
    "Film",
    "Picture",
    "Speech",
    "Step",
    "film_steps",
    "picture_of",
    "picture_steps",
    "speech_of",
    "speech_steps",
]

HELD_BACK = frozenset({"IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER", "NO_IMAGE"})
_MS_PER_CHARACTER = 10
_MS_PER_PIECE = 200
_BYTES_PER_MS = 48
_MS_PER_TOKEN = 1000 // TOKENS_PER_S


class Picture(NamedTuple):
    """The picture that is asked for."""

    media_type: str
    width: int
    height: int
    tokens: int
    with_text: bool
    is_drafted: bool  # the model shows a thought of it first
    room: int | None  # tokens there may be


class Speech(NamedTuple):
    """The speech that is asked for."""

    voice: str
    duration_ms: int


class Film(NamedTuple):
    """The video that is asked for."""

    duration_ms: int
    tokens: int
    keep: Callable[[bytes], str] | None  # takes the file and says where it is; None: it is in the answer itself


class Step(NamedTuple):
    """The parts of one frame, and the tokens up to there."""

    parts: list[dict[str, Any]]
    output_tokens: int = 0
    reasoning_tokens: int = 0
    media_tokens: int = 0  # of the output


def picture_of(request: GenerateContentRequest, model: str, *, thinks: bool) -> Picture | None:
    """None: it is to answer in text only."""
    config = request.generation_config
    modalities = config.response_modalities or ["TEXT", "IMAGE"]
    if "IMAGE" not in modalities:
        return None
    traits, asked = picture_traits(model), config.image_config
    size = (asked.image_size if asked else None) or ("1K" if "1K" in traits.tokens else next(iter(traits.tokens)))
    width, height = pixels((asked.aspect_ratio if asked else None) or "1:1", size)
    media_type = (asked.image_output_options.mime_type if asked else None) or traits.media_type
    return Picture(
        media_type, width, height, traits.tokens[size], "TEXT" in modalities, thinks, config.max_output_tokens
    )


def speech_of(config: SpeechConfig | None, text: str) -> Speech:
    voice = "Kore"
    if config is not None:
        several = config.multi_speaker_voice_config
        given = several.speaker_voice_configs[0].voice_config if several else config.voice_config
        if given is not None:
            named = given.prebuilt_voice_config.voice_name if given.prebuilt_voice_config else given.voice
            voice = named or voice
    return Speech(voice, max(1, len(text)) * _MS_PER_CHARACTER)


def picture_steps(wanted: Picture, choice: Choice, digest: bytes, seed: int, *, thoughts: bool, signs: bool, faults: Faults) -> tuple[list[Step], str | None]:  # fmt: skip
    """The frames, and the finish reason if there is no picture."""
    steps: list[Step] = []
    reasoning = choice.reasoning_tokens
    if thoughts and choice.reasoning:
        steps.append(Step([{"text": choice.reasoning, "thought": True}], 0, reasoning, 0))
    held_back = faults.finish if faults.finish in HELD_BACK else "IMAGE_SAFETY" if faults.refusal else None
    if held_back is not None and held_back != "NO_IMAGE":
        return steps, held_back
    if wanted.is_drafted and held_back is None:
        steps.append(Step([{**_inline(wanted, _bytes(wanted, digest, "draft")), "thought": True}], 0, reasoning, 0))
    size = 0
    for piece in fragments(choice.text, digest, "pieces 0", faults.chunks) if wanted.with_text else ():
        size += len(piece.encode())
        steps.append(Step([{"text": piece}], count_bytes(size), reasoning, 0))
    output = count_bytes(size)
    if held_back is None and wanted.room is not None and wanted.room < reasoning + output + wanted.tokens:
        return steps, "MAX_TOKENS"
    if held_back is None:
        part = _inline(wanted, _bytes(wanted, digest, "picture"))
        if signs:
            part["thoughtSignature"] = seal(seed, *picture_parts(_bytes(wanted, digest, "picture")))
        steps.append(Step([part], output + wanted.tokens, reasoning, wanted.tokens))
    return steps, held_back


def speech_steps(wanted: Speech, choice: Choice, faults: Faults) -> list[Step]:
    duration_ms = wanted.duration_ms if faults.tokens is None else faults.tokens * _MS_PER_TOKEN
    samples = tone(wanted.voice, duration_ms)
    piece_ms = _MS_PER_PIECE if faults.chunks is None else -(-duration_ms // faults.chunks)
    steps: list[Step] = []
    for start in range(0, len(samples), piece_ms * _BYTES_PER_MS):
        piece = samples[start : start + piece_ms * _BYTES_PER_MS]
        tokens = -(-(start + len(piece)) // (_BYTES_PER_MS * _MS_PER_TOKEN))
        data = base64.b64encode(piece).decode()
        parts: list[dict[str, Any]] = [{"inlineData": {"mimeType": PCM, "data": data}}]
        steps.append(Step(parts, tokens, choice.reasoning_tokens, tokens))
    return steps


def film_steps(wanted: Film, choice: Choice, digest: bytes, faults: Faults) -> list[Step]:
    """Nothing, if it was held back."""
    if faults.refusal or faults.filtered:
        return []
    data = clip(wanted.duration_ms, colour(digest, "film"))
    part: dict[str, Any] = {"mimeType": "video/mp4"}
    if wanted.keep is None:
        part = {"inlineData": part | {"data": base64.b64encode(data).decode()}}
    else:
        part = {"fileData": part | {"fileUri": wanted.keep(data)}}
    return [Step([part], wanted.tokens, choice.reasoning_tokens, wanted.tokens)]


def _bytes(wanted: Picture, digest: bytes, label: str) -> bytes:
    return picture(wanted.media_type, wanted.width, wanted.height, colour(digest, label))


def _inline(wanted: Picture, data: bytes) -> dict[str, Any]:
    return {"inlineData": {"mimeType": wanted.media_type, "data": base64.b64encode(data).decode()}}
