"""How a model of Replicate is described: what it takes, and what it gives."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Literal

import msgspec

__all__ = ["Input", "Model", "Shape", "version_id"]

Shape = Literal[
    "pictures", "picture", "video", "sound", "text", "structured", "heard", "transcript", "chunks", "segments", "vectors", "embeddings",
]  # fmt: skip
"""What `output` is: a list of URLs, one URL, one URL of a video, one of a sound, a list of pieces of text, an object with a text or JSON;
pieces of what was heard, and three objects that hold it, each in its own way; a list of vectors, a list of objects with a vector each."""


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """One field. `uri` is a string that leads to a file; bounds are of numbers."""

    type: Literal["string", "integer", "number", "boolean", "uri", "uris", "array", "object"] = "string"
    required: bool = False
    choices: tuple[Any, ...] = ()
    least: float | None = None
    most: float | None = None


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """`official` models are called by name and billed by what they make; others by version and by time.

    `reasons`: it thinks, and its logs count that; `thinks_aloud`: it thinks in its text, within `<think>`.
    """

    name: str  # owner/name
    shape: Shape
    inputs: dict[str, Input] | None = None  # None: anything goes
    official: bool = True
    media_type: str = "image/webp"  # of files, unless `output_format` says otherwise
    reasons: bool = False
    thinks_aloud: bool = False

    @property
    def version(self) -> str:
        return version_id(self.name)


def version_id(name: str) -> str:
    """64 hex digits."""
    return blake2b(name.encode(), key=b"version", digest_size=32).hexdigest()
