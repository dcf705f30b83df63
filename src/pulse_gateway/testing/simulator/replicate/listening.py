"""What models that speak, listen and embed give: a file of silence, words that tell what was heard, unit vectors.

Source: the models' pages at https://replicate.com (read 2026-11-24)
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec

from pulse_gateway.testing.simulator.answer import fragments
from pulse_gateway.testing.simulator.dice import Dice, decode_base64
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.media import data_url
from pulse_gateway.testing.simulator.openai.embeddings import unit_vector
from pulse_gateway.testing.simulator.openai.sounds import audio_kind, duration_ms
from pulse_gateway.testing.simulator.replicate.errors import invalid_input
from pulse_gateway.testing.simulator.replicate.inputs import Model
from pulse_gateway.testing.simulator.scripts import ARABIC, LATIN, filler

__all__ = ["Heard", "embed", "hear", "spoken_ms", "texts_of"]

_FILES = ("audio", "audio_file")
_UNSEEN_MS = 2000  # of a file that is elsewhere
_MS_PER_CHARACTER = 10
_MOST_TEXT_TOKENS = 600
_WORDS_A_SEGMENT = 8
_DIMENSIONS = {"replicate/all-mpnet-base-v2": 768}
_ANY_DIMENSIONS = 1024


class Heard(NamedTuple):
    """`output` in the model's own shape."""

    output: Any
    length_ms: int


def spoken_ms(text: str, speed: object) -> int:
    """How long it takes to say `text`."""
    quickness = speed if isinstance(speed, int | float) and speed else 1
    return max(1, round(len(text) * _MS_PER_CHARACTER / quickness))


def hear(model: Model, sent: dict[str, Any], digest: bytes, faults: Faults) -> Heard:
    mark, length_ms = _recording(sent)
    arabic = str(sent.get("language") or "") in {"ar", "arabic"}
    translates = bool(sent.get("translate")) or sent.get("task") == "translate"
    tokens = faults.tokens or min(_MOST_TEXT_TOKENS, 12 + length_ms * 5 // 1000)
    text = filler(ARABIC if arabic and not translates else LATIN, Dice(digest, "text"), tokens, mark)
    language = "ar" if arabic else "en"
    timed = list(_words(text, length_ms))
    phrases = [timed[at : at + _WORDS_A_SEGMENT] for at in range(0, len(timed), _WORDS_A_SEGMENT)]
    stretches = [(" " + " ".join(word for word, _, _ in group), group[0][1], group[-1][2]) for group in phrases]
    match model.shape:
        case "heard":
            return Heard(fragments(text, digest, "pieces", faults.chunks), length_ms)
        case "chunks":
            shown = (
                [(f" {word}", start, end) for word, start, end in timed]
                if sent.get("timestamp") == "word"
                else stretches
            )
            chunks = [{"text": said, "timestamp": [start, end]} for said, start, end in shown]
            return Heard({"text": f" {text}", "chunks": chunks}, length_ms)
        case "segments":
            segments: list[dict[str, Any]] = [
                {"start": start, "end": end, "text": said} for said, start, end in stretches
            ]
            if sent.get("align_output"):
                for segment, group in zip(segments, phrases, strict=True):
                    segment["words"] = [{"word": w, "start": s, "end": e, "score": 0.9} for w, s, e in group]
            return Heard({"segments": segments, "detected_language": language}, length_ms)
        case _:
            whole = {
                "segments": [
                    {"id": at, "seek": 0, "start": start, "end": end, "text": said, "temperature": 0.0}
                    for at, (said, start, end) in enumerate(stretches)
                ],
                "detected_language": "arabic" if arabic else "english",
                "transcription": f" {text}",
                "translation": f" {text}" if translates else None,
                "txt_file": None,
                "srt_file": None,
            }
            return Heard(whole, length_ms)


def texts_of(sent: dict[str, Any]) -> list[str]:
    """What a model is to embed. Raises: Refusal for what is no JSON list of strings."""
    name = "text_batch" if "text_batch" in sent else "texts"
    if name not in sent:
        return [str(sent.get("text", ""))]
    try:
        return msgspec.json.decode(str(sent[name]), type=list[str])
    except msgspec.DecodeError as error:
        raise invalid_input([("invalid", f"input.{name}", "expected a JSON list of strings")]) from error


def embed(model: Model, sent: dict[str, Any]) -> Any:
    size = _DIMENSIONS.get(model.name, _ANY_DIMENSIONS)
    vectors = [unit_vector(0, model.name, text, size).tolist() for text in texts_of(sent)]
    return [{"embedding": each} for each in vectors] if model.shape == "embeddings" else vectors


def _recording(sent: dict[str, Any]) -> tuple[str, int]:
    """What begins the text, and how long the recording is."""
    link = str(next((sent[name] for name in _FILES if name in sent), ""))
    inline = data_url(link)
    data = decode_base64(inline[1]) if inline else None
    if data is None:
        return "[audio:1 elsewhere]", _UNSEEN_MS
    return f"[audio:1 {audio_kind(data) or 'unknown'} {len(data)} bytes]", max(1, duration_ms(data))


def _words(text: str, length_ms: int) -> Iterator[tuple[str, float, float]]:
    """Every word and when it is said, in seconds; each takes as long as the other."""
    words = text.split()
    edges = [round(at * length_ms / len(words)) / 1000 for at in range(len(words) + 1)]
    for word, (start, end) in zip(words, pairwise(edges), strict=True):
        yield word, start, end
