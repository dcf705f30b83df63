"""Text spoken and speech written down, in no vendor's dialect."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from pulse_gateway.types.usage import Usage

__all__ = ["AudioFile", "Segment", "SpeechReply", "SpeechRequest", "TranscriptionReply", "TranscriptionRequest"]

SpeechFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
TranscriptFormat = Literal["json", "text", "srt", "verbose_json", "vtt", "diarized_json"]


class SpeechRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A text to be read aloud. `stream`: as events, not as plain bytes. Field names are the neutral ones."""

    model: str
    input: str
    voice: str
    instructions: str | None = None
    response_format: str | None = None  # of `SpeechFormat`
    speed: float | None = None
    stream: bool = False
    extra: dict[str, Any] = {}
    hints: dict[str, Any] = {}


class SpeechReply(msgspec.Struct, frozen=True, kw_only=True):
    """`media_type` says what the bytes are; raw samples (`audio/pcm`) are 16 bit, little-endian, one channel, 24 kHz.

    `cost_nano_usd` is set by the gateway; None: no known price.
    """

    audio: bytes
    media_type: str
    usage: Usage | None = None
    cost_nano_usd: int | None = None

    @property
    def cost(self) -> int | None:
        """Nano-dollars (1 USD = 1_000_000_000); None when the model has no known price."""
        return self.cost_nano_usd


class AudioFile(msgspec.Struct, frozen=True, kw_only=True):
    """A recording as it was sent; `media_type` is None where nothing tells it."""

    data: bytes
    media_type: str | None = None
    name: str | None = None


class TranscriptionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Speech to be written down in its own language, or, as the operation `translation`, in English.

    Field names are the neutral ones. `chunking_strategy` is `auto`, or an object of the vendor's.
    """

    model: str
    file: AudioFile
    language: str | None = None  # ISO 639-1
    languages: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    prompt: str | None = None
    response_format: str | None = None  # of `TranscriptFormat`; None: json
    temperature: float | None = None
    timestamp_granularities: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    chunking_strategy: str | dict[str, Any] | None = None
    known_speaker_names: tuple[str, ...] = ()
    known_speaker_references: tuple[str, ...] = ()
    stream: bool = False
    extra: dict[str, Any] = {}
    hints: dict[str, Any] = {}


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of the recording. `more` is what else the vendor says of it, by its own names."""

    text: str
    start_s: float
    end_s: float
    speaker: str | None = None
    more: dict[str, Any] = {}


class TranscriptionReply(msgspec.Struct, frozen=True, kw_only=True):
    """`text` is the words, or subtitles where those were asked for. `words` and `logprobs` are as the vendor gave them.

    `cost_nano_usd` is set by the gateway; None: no known price.
    """

    text: str
    language: str | None = None
    languages: tuple[str, ...] | None = None
    duration_s: float | None = None
    segments: tuple[Segment, ...] | None = None
    words: tuple[dict[str, Any], ...] | None = None
    logprobs: tuple[dict[str, Any], ...] | None = None
    usage: Usage | None = None
    cost_nano_usd: int | None = None

    @property
    def cost(self) -> int | None:
        """Nano-dollars (1 USD = 1_000_000_000); None when the model has no known price."""
        return self.cost_nano_usd
