"""Images, audio and documents → Converse's blocks. Bytes only, base64 in JSON.

A document needs a name of few characters that no other document of the request has; a title becomes one as nearly as it can.

Source: botocore 1.44, shapes `ImageBlock`, `AudioBlock`, `DocumentBlock`; the characters of a name:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html (read 2026-11-24)
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import AudioPart, DocumentPart, ImagePart
from pulse_gateway.wire.media import media_type_of
from pulse_gateway.wire.refusals import unsupported

__all__ = ["DocumentNames", "audio_block", "document_block", "image_block"]

_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_AUDIO = {
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/aac": "aac",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/mp4": "mp4",
    "audio/m4a": "m4a",
    "audio/webm": "webm",
    "audio/pcm": "pcm",
}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/csv": "csv",
    "text/html": "html",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}
_LONGEST_NAME = 200
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9\s\-()\[\]]+")
_SPACES = re.compile(r"\s+")


class DocumentNames:
    """The names of one request's documents."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def name(self, title: str | None) -> str:
        """One that is not yet given: `title` itself where it may be one."""
        wanted = _SPACES.sub(" ", _NOT_IN_A_NAME.sub("-", title or ""))[:_LONGEST_NAME].strip() or "document"
        name, number = wanted, 1
        while name in self._given:
            number += 1
            ending = f" ({number})"
            name = wanted[: _LONGEST_NAME - len(ending)].rstrip() + ending
        self._given.add(name)
        return name


def image_block(part: ImagePart, model: Model, path: str) -> dict[str, Any]:
    """Raises: UnsupportedParameter with `path`."""
    form = _IMAGES.get(media_type_of(part.media_type) or "")
    if part.data is None:
        raise unsupported(model, path, "takes only the bytes of an image, not its URL")
    if form is None or not part.data:
        raise unsupported(model, path, f"takes JPEG, PNG, GIF and WebP images, not {part.media_type}")
    return {"image": {"format": form, "source": {"bytes": part.data}}}


def audio_block(part: AudioPart, model: Model, path: str) -> dict[str, Any]:
    """Raises: UnsupportedParameter with `path`."""
    form = _AUDIO.get(media_type_of(part.media_type) or "")
    if form is None or not part.data:
        raise unsupported(model, path, f"takes no audio of type {part.media_type}")
    return {"audio": {"format": form, "source": {"bytes": part.data}}}


def document_block(part: DocumentPart, model: Model, path: str, name: str) -> dict[str, Any]:
    """Raises: UnsupportedParameter with `path`."""
    media_type = media_type_of(part.media_type)
    if part.text is not None:
        media_type, data = media_type or "text/plain", b64encode(part.text.encode()).decode()
    elif part.data is not None:
        data = part.data
    else:
        raise unsupported(model, path, "takes only the bytes of a document, not its URL")
    form = _DOCUMENTS.get(media_type or "")
    if form is None or not data:
        raise unsupported(model, path, f"takes no {'empty document' if form else f'document of type {media_type}'}")
    return {"document": {"format": form, "name": name, "source": {"bytes": data}}}
