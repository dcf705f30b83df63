"""What may be asked of a model that listens.

Source: type definitions of the official SDK, openai 3.54.0 (read 2026-11-24)
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pulse_gateway.testing.simulator.forms import Part
from pulse_gateway.testing.simulator.openai.body import Form, Strict
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.openai.sounds import SUPPORTED, audio_kind, duration_ms

__all__ = ["LISTS", "Clip", "TranscriptionRequest", "TranslationRequest", "audio_clip", "check"]

LISTS = frozenset(
    {"include", "keywords", "known_speaker_names", "known_speaker_references", "languages", "timestamp_granularities"}
)
"""Fields that come as `name[]`."""

_MOST_BYTES = 25 * 1024 * 1024
_LEAST_MS = 100
_WHOLE_MS = 30_000  # the longest clip that is diarized without chunks
_Language = Annotated[str, Meta(pattern=r"^[a-z]{2,3}$")]
_Format = Literal["json", "text", "srt", "verbose_json", "vtt"]


class TranslationRequest(Strict):
    model: str
    prompt: str | None = None
    response_format: _Format = "json"
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None


class TranscriptionRequest(Strict):
    model: str
    chunking_strategy: Literal["auto"] | None = None
    vad_type: Literal["server_vad"] | None = msgspec.field(name="chunking_strategy[type]", default=None)
    vad_padding_ms: int | None = msgspec.field(name="chunking_strategy[prefix_padding_ms]", default=None)
    vad_silence_ms: int | None = msgspec.field(name="chunking_strategy[silence_duration_ms]", default=None)
    vad_threshold: float | None = msgspec.field(name="chunking_strategy[threshold]", default=None)
    include: list[Literal["logprobs"]] | None = None
    keywords: list[str] | None = None
    known_speaker_names: Annotated[list[str], Meta(max_length=4)] | None = None
    known_speaker_references: Annotated[list[str], Meta(max_length=4)] | None = None
    language: _Language | None = None
    languages: list[_Language] | None = None
    prompt: str | None = None
    response_format: _Format | Literal["diarized_json"] = "json"
    stream: bool | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    timestamp_granularities: list[Literal["word", "segment"]] | None = None


class Clip(msgspec.Struct, frozen=True):
    """What is to be written down."""

    data: bytes
    kind: str
    length_ms: int


def audio_clip(form: Form) -> Clip:
    """Raises: Refusal for no file, or one that cannot be heard."""
    for name in form.files:
        if name != "file":
            raise refuse(f"Unknown parameter: '{name}'.", code="unknown_parameter", param=name)
    if not form.files:
        raise refuse("Missing required parameter: 'file'.", code="missing_required_parameter", param="file")
    part: Part = form.files["file"][0]
    if len(part.data) > _MOST_BYTES:
        raise refuse(f"Maximum content size limit ({_MOST_BYTES}) exceeded ({len(part.data)} bytes read)", status=413)
    extension = (part.filename or "").rpartition(".")[2].lower()
    if extension not in SUPPORTED and part.content_type.partition("/")[0] not in {"audio", "video"}:
        raise refuse(f"Unrecognized file format. Supported formats: {list(SUPPORTED)}", param="file")
    kind = audio_kind(part.data)
    if kind is None:
        raise refuse("The audio file could not be decoded or its format is not supported.", param="file")
    length_ms = duration_ms(part.data)
    if kind == "wav" and length_ms < _LEAST_MS:
        raise refuse(
            "Audio file is too short. Minimum audio length is 0.1 seconds.", code="audio_too_short", param="file"
        )
    return Clip(part.data, kind, length_ms)


def check(request: TranscriptionRequest, model: str, clip: Clip) -> None:
    """Raises: Refusal."""
    wanted, diarizes = request.response_format, model.endswith("-diarize")
    formats = _formats(model)
    if wanted not in formats:
        others = " or ".join(f"'{each}'" for each in formats)
        raise refuse(
            f"response_format '{wanted}' is not compatible with model '{model}'. Use {others} instead.",
            code="unsupported_value",
            param="response_format",
        )
    scored = model.startswith(("gpt-4o-transcribe", "gpt-4o-mini-transcribe")) and not diarizes
    if request.include and not (scored and wanted == "json"):
        raise refuse(f"'include' is not supported with {model} and {wanted}.", param="include")
    if request.timestamp_granularities and (wanted != "verbose_json" or diarizes):
        raise refuse("'timestamp_granularities' needs response_format 'verbose_json'.", param="timestamp_granularities")
    for name in ("keywords", "languages"):
        if getattr(request, name) and model.startswith(("gpt-4o", "whisper-1")):
            raise _unsupported(name, model)
    if request.language and request.languages:
        raise refuse("'language' and 'languages' cannot be combined.", param="languages")
    if request.prompt and diarizes:
        raise _unsupported("prompt", model)
    if request.known_speaker_names and not diarizes and model.startswith(("gpt-", "whisper-1")):
        raise _unsupported("known_speaker_names", model)
    if len(request.known_speaker_names or ()) != len(request.known_speaker_references or ()):
        raise refuse(
            "'known_speaker_names' and 'known_speaker_references' must have the same length.",
            param="known_speaker_references",
        )
    if diarizes and clip.length_ms > _WHOLE_MS and not (request.chunking_strategy or request.vad_type):
        raise refuse(
            "chunking_strategy is required for diarization models with audio longer than 30 seconds.",
            param="chunking_strategy",
        )


def _formats(model: str) -> tuple[str, ...]:
    if model.endswith("-diarize"):
        return ("json", "text", "diarized_json")
    if model.startswith("gpt-"):
        return ("json", "text")
    if model.startswith("whisper"):
        return ("json", "text", "srt", "verbose_json", "vtt")
    return ("json", "text", "srt", "verbose_json", "vtt", "diarized_json")


def _unsupported(name: str, model: str) -> Exception:
    return refuse(
        f"Unsupported parameter: '{name}' is not supported with {model}.", code="unsupported_parameter", param=name
    )
