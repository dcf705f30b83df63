"""What models make, and where it can be fetched for an hour.

Source: https://replicate.com/docs/topics/predictions/output-files (read 2026-11-24)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pulse_gateway.testing.simulator.answer import Usage
from pulse_gateway.testing.simulator.config import Answers
from pulse_gateway.testing.simulator.dice import identifier
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.openai.sounds import silence
from pulse_gateway.testing.simulator.replicate.listening import embed, hear, spoken_ms
from pulse_gateway.testing.simulator.replicate.reading import Wanted
from pulse_gateway.testing.simulator.replicate.writing import write
from pulse_gateway.testing.simulator.samples import Colour, clip, colour, picture

__all__ = ["KEPT_S", "Delivered", "Made", "Shelf", "make"]

KEPT_S = 3600
"""How long files can be fetched, in seconds."""
_TYPES = {"webp": "image/webp", "jpg": "image/jpeg", "png": "image/png"}
_SOUNDS = {"mp3": "audio/mpeg", "wav": "audio/wav", "flac": "audio/flac", "pcm": "audio/pcm"}
_ENDINGS = {
    "image/webp": "webp", "image/jpeg": "jpg", "image/png": "png", "video/mp4": "mp4",
    **{media_type: kind for kind, media_type in _SOUNDS.items()},
}  # fmt: skip
_SIZES = {
    "1:1": (1024, 1024), "16:9": (1344, 768), "21:9": (1536, 640), "3:2": (1216, 832), "2:3": (832, 1216),
    "4:5": (896, 1088), "5:4": (1088, 896), "3:4": (896, 1152), "4:3": (1152, 896), "9:16": (768, 1344),
    "9:21": (640, 1536),
}  # fmt: skip
_SCALES = {"2K": 2, "4K": 4}
_CLIP_S = 8
_MOST_CLIP_S = 600
_MOST_PICTURES = 16


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """A file, drawn when it is fetched."""

    media_type: str
    size: tuple[int, int] | None  # of a picture
    duration_ms: int  # of a clip
    paint: Colour
    expires_at: float
    model: str  # that made it, as sent
    spec: str

    @property
    def data(self) -> bytes:
        if self.media_type.startswith("audio/"):
            return silence(_ENDINGS[self.media_type], self.duration_ms)
        if self.size is None:
            return clip(self.duration_ms, self.paint)
        return picture(self.media_type, *self.size, self.paint)


class Shelf:
    """Files by path; nobody asks who fetches them, but after an hour they are gone."""

    def __init__(self) -> None:
        self._files: dict[str, Delivered] = {}

    def put(self, path: str, file: Delivered) -> None:
        self._files[path] = file

    def get(self, path: str, now_s: float) -> Delivered | None:
        file = self._files.get(path)
        return file if file is not None and now_s < file.expires_at else None

    def clear(self) -> None:
        self._files.clear()


class Made(msgspec.Struct, frozen=True, kw_only=True):
    output: Any
    units: dict[str, int]  # what an official model costs
    metrics: dict[str, int] = {}  # beside the times
    usage: Usage | None = None  # what a text costs
    logs: str = ""  # what a model tells of its work


def make(
    wanted: Wanted,
    digest: bytes,
    prediction_id: str,
    faults: Faults,
    answers: Answers,
    put: Callable[[str, str, tuple[int, int] | None, int, Colour], str],
) -> Made:
    """`put` takes a file's name, type, size or duration, and colour, and gives its URL."""
    match wanted.model.shape:
        case "text" | "structured":
            return _written(wanted, digest, faults, answers)
        case "heard" | "transcript" | "chunks" | "segments":
            heard = hear(wanted.model, wanted.input, digest, faults)
            return Made(output=heard.output, units={"audio_ms": heard.length_ms} if wanted.model.official else {})
        case "vectors" | "embeddings":
            return Made(output=embed(wanted.model, wanted.input), units={})
        case "sound":
            text = str(wanted.input.get("text", ""))
            media_type = _SOUNDS.get(str(wanted.input.get("audio_format")), wanted.model.media_type)
            token = identifier("", prediction_id.encode(), "sound", 32)
            length_ms = spoken_ms(text, wanted.input.get("speed"))
            url = put(f"{token}/output.{_ENDINGS[media_type]}", media_type, None, length_ms, colour(digest))
            return Made(output=url, units={"characters": len(text)} if wanted.model.official else {})
        case "video":
            duration_ms = _whole(wanted.input.get("duration"), _CLIP_S, _MOST_CLIP_S) * 1000
            token = identifier("", prediction_id.encode(), "clip", 32)
            url = put(f"{token}/output.mp4", "video/mp4", None, duration_ms, colour(digest))
            return Made(output=url, units={"videos": 1, "video_ms": duration_ms})
    several = wanted.model.shape == "pictures"
    count = _whole(wanted.input.get("num_outputs"), 1, _MOST_PICTURES) if several else 1
    media_type = _TYPES.get(str(wanted.input.get("output_format")), wanted.model.media_type)
    urls = []
    for at in range(count):
        token = identifier("", prediction_id.encode(), f"picture {at}", 32)
        name = f"{token}/out-{at}.{_ENDINGS[media_type]}"
        urls.append(put(name, media_type, _size(wanted), 0, colour(digest, str(at))))
    return Made(output=urls if several else urls[0], units={"images": count})


def _written(wanted: Wanted, digest: bytes, faults: Faults, answers: Answers) -> Made:
    written = write(wanted.model, wanted.input, digest, faults, answers)
    usage = written.usage
    counts = {"input_token_count": usage.input_total, "output_token_count": usage.output + usage.reasoning}
    made: Any = written.pieces
    if wanted.model.shape == "structured":
        made = {"response_id": "resp_simulated", "text": "".join(written.pieces), "json_output": written.value}
    metrics = {} if faults.no_usage else counts
    return Made(output=made, units={}, metrics=metrics, usage=usage, logs=written.logs)


def _whole(value: object, default: int, most: int) -> int:
    """What an input that nobody has checked asks for, within reason."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most else default


def _size(wanted: Wanted) -> tuple[int, int]:
    width, height = wanted.input.get("width"), wanted.input.get("height")
    if isinstance(width, int) and isinstance(height, int) and 0 < width <= 4096 and 0 < height <= 4096:
        return width, height
    width, height = _SIZES.get(str(wanted.input.get("aspect_ratio", "1:1")), (1024, 1024))
    scale = _SCALES.get(str(wanted.input.get("resolution")), 1)
    return width * scale, height * scale
