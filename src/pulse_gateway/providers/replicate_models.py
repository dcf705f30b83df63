"""What models at Replicate call the things that are asked of them, where no two agree: those that speak, listen and embed.

Models that are not official are asked for by version; their name alone stands for the latest.

Source: the models' pages at https://replicate.com/OWNER/NAME/api/schema and /versions/…/api (read 2026-11-24): minimax/speech-02-turbo and
-2.8-turbo, jaaari/kokoro-82m, openai/whisper, vaibhavs10/incredibly-fast-whisper, victor-upmeet/whisperx, nateraw/mpnet-base-v2-batched.
Unconfirmed there, and so as their other users have them: the inputs of openai/gpt-4o-transcribe, the names of languages that
incredibly-fast-whisper takes, and what the models that embed give back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar

import msgspec

from pulse_gateway.errors import UnsupportedParameter
from pulse_gateway.types.catalog import Deployment

__all__ = ["EMBEDS", "HEARS", "SPEAKS", "Embeds", "Hears", "Speaks", "known", "version_name"]


_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)  # a version may follow


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    official: bool = False


class Speaks(_Row, frozen=True, kw_only=True):
    """`format`: its input for the kind of file, with its words for ours; without one it makes `makes`. `more`: inputs of its own that a
    client may give.
    """

    voice: str
    slowest: float
    quickest: float
    format: str | None = None
    formats: Mapping[str, str] = {}
    makes: str = "mp3"
    more: frozenset[str] = frozenset()


class Hears(_Row, frozen=True, kw_only=True):
    """What it calls its inputs; None: it has no such. `english`: inputs that have it translate. `by_words`: inputs that have it say when
    each word is said. `names`: languages by their English names.

    `gives`: `text` (pieces of it), `whisper` (an object), `chunks` (text and chunks), `segments` (nothing but those).
    """

    file: str
    gives: Literal["text", "whisper", "chunks", "segments"]
    language: str | None = "language"
    names: bool = False
    prompt: str | None = None
    temperature: str | None = None
    english: Mapping[str, Any] = {}
    by_words: Mapping[str, Any] = {}


class Embeds(_Row, frozen=True, kw_only=True):
    """`texts`: its input for a list of them, written as JSON. `member`: where a vector is in each object of the output; None: the output
    is the vectors.
    """

    texts: str
    member: str | None = None
    fixed: Mapping[str, Any] = {}


_MINIMAX = Speaks(
    official=True,
    voice="voice_id",
    slowest=0.5,
    quickest=2,
    format="audio_format",
    formats={"mp3": "mp3", "wav": "wav", "flac": "flac", "pcm": "pcm"},
    more=frozenset({"bitrate", "channel", "emotion", "english_normalization", "language_boost", "pitch", "volume"}),
)

SPEAKS = {
    "minimax/speech-02-turbo": _MINIMAX,
    "minimax/speech-02-hd": _MINIMAX,
    "minimax/speech-2.6-turbo": _MINIMAX,
    "minimax/speech-2.6-hd": _MINIMAX,
    "minimax/speech-2.8-turbo": _MINIMAX,
    "minimax/speech-2.8-hd": _MINIMAX,
    "jaaari/kokoro-82m": Speaks(voice="voice", slowest=0.1, quickest=5, makes="wav"),
}

_GPT = Hears(official=True, file="audio_file", gives="text", prompt="prompt", temperature="temperature")

HEARS = {
    "openai/gpt-4o-transcribe": _GPT,
    "openai/gpt-4o-mini-transcribe": _GPT,
    "openai/whisper": Hears(
        file="audio",
        gives="whisper",
        prompt="initial_prompt",
        temperature="temperature",
        english={"translate": True},
    ),
    "vaibhavs10/incredibly-fast-whisper": Hears(
        file="audio", gives="chunks", names=True, english={"task": "translate"}, by_words={"timestamp": "word"}
    ),
    "victor-upmeet/whisperx": Hears(
        file="audio_file",
        gives="segments",
        prompt="initial_prompt",
        temperature="temperature",
        by_words={"align_output": True},
    ),
}

EMBEDS = {
    "beautyyuyanli/multilingual-e5-large": Embeds(texts="texts"),
    "replicate/all-mpnet-base-v2": Embeds(texts="text_batch", member="embedding"),
    "nateraw/bge-large-en-v1.5": Embeds(texts="texts", fixed={"convert_to_numpy": False}),
}

R = TypeVar("R", bound=_Row)


def known(rows: Mapping[str, R], deployment: Deployment, does: str, among: Iterable[str] | None = None) -> R:
    """The row of the deployment's model, whatever version of it is asked for. `among`: those that do it, if not all of `rows` do.

    Raises: UnsupportedParameter that names those that are known: others would run, and be billed, whatever they made of such inputs.
    """
    names = tuple(rows if among is None else among)
    found = _NAME.match(deployment.model.name)
    name = found[0] if found else ""
    if name not in names:
        raise UnsupportedParameter(
            f"{deployment.name} is not known to {does}; known are {', '.join(names)}", param="model"
        )
    return rows[name]


def version_name(row: _Row, deployment: Deployment) -> str | None:
    """What to name as the version of a model that is not official and whose name says none."""
    return None if row.official or ":" in deployment.model.name else deployment.model.name
