"""Images, audio and documents: `inlineData` and `fileData` ⇄ neutral parts.

Source: https://ai.google.dev/gemini-api/docs/image-understanding and …/document-processing (read 2026-11-24).
"""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import SplitResult, urlsplit

from pulse_gateway.errors import InvalidRequest, UnsupportedParameter
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import AudioPart, DocumentPart, ImagePart
from pulse_gateway.wire.gemini.fields import Fields

__all__ = ["MediaPart", "encode_media", "file_part", "inline_part", "standard_base64"]

MediaPart = ImagePart | AudioPart | DocumentPart

_IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"})
_SYNONYMS = {"image/jpg": "image/jpeg"}
_TYPES_BY_EXTENSION = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "gif": "image/gif",
    "svg": "image/svg+xml",
    "bmp": "image/bmp",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
}
_FILES_HOST = "generativelanguage.googleapis.com"  # of the vendor's Files API: nobody else can fetch from it
_TO_STANDARD = str.maketrans("-_", "+/")


def standard_base64(data: str, path: str) -> str:
    """`data` in the standard alphabet, padded. The vendor's servers take both alphabets, its SDK sends the URL-safe one.

    Raises: InvalidRequest when it is no base64.
    """
    if "-" in data or "_" in data:
        data = data.translate(_TO_STANDARD)
    if missing := -len(data) % 4:
        data += "=" * missing
    try:
        binascii.a2b_base64(data, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"{path} is not base64", param=path) from error
    return data


def inline_part(blob: Fields) -> MediaPart | None:
    """The neutral part for an `inlineData`; None for a kind of media that has none."""
    media_type = _media_type(blob.text("mimeType"))
    if media_type is None:
        raise InvalidRequest(f"{blob.at('mimeType')} is missing", param=blob.at("mimeType"))
    data = blob.text("data")
    if data is None:
        raise InvalidRequest(f"{blob.at('data')} is missing", param=blob.at("data"))
    title = blob.text("displayName")
    data = standard_base64(data, blob.at("data"))
    if media_type.startswith("image/"):
        return ImagePart(media_type=media_type, data=data)
    if media_type.startswith("audio/"):
        return AudioPart(media_type=media_type, data=data)
    if media_type == "application/pdf":
        return DocumentPart(media_type=media_type, data=data, title=title)
    if media_type.startswith("text/"):
        try:
            text = base64.b64decode(data).decode()
        except UnicodeDecodeError as error:
            raise InvalidRequest(f"{blob.at('data')} is not UTF-8 text", param=blob.at("data")) from error
        return DocumentPart(media_type=media_type, text=text, title=title)
    return None


def file_part(file: Fields) -> ImagePart | DocumentPart | None:
    """The neutral part for a `fileData` that anybody can fetch; None for one that only the vendor can, or of another kind."""
    uri = file.text("fileUri")
    if not uri:
        raise InvalidRequest(f"{file.at('fileUri')} is missing", param=file.at("fileUri"))
    media_type = _media_type(file.text("mimeType")) or _type_by_extension(uri)
    title = file.text("displayName")
    address = _split(uri)
    if address.scheme not in ("http", "https") or address.hostname == _FILES_HOST or media_type is None:
        return None
    if media_type.startswith("image/"):
        return ImagePart(media_type=media_type, url=uri)
    if media_type == "application/pdf" or media_type.startswith("text/"):
        return DocumentPart(media_type=media_type, url=uri, title=title)
    return None


def encode_media(part: MediaPart, model: Model, path: str) -> dict[str, Any]:
    """The wire part for `part`.

    Raises: UnsupportedParameter with `path` for what the vendor or the model does not take.
    """
    if isinstance(part, AudioPart):
        return _inline(part.media_type, part.data)
    url = part.url
    media_type = _media_type(part.media_type) or (_type_by_extension(url) if url else None)
    if isinstance(part, DocumentPart):
        if part.text is not None:
            return _inline(media_type or "text/plain", base64.b64encode(part.text.encode()).decode())
        media_type = media_type or "application/pdf"
        if media_type != "application/pdf" and not media_type.startswith("text/"):
            raise UnsupportedParameter(f"{model.name} takes no document of type {media_type}", param=path)
    elif media_type not in _IMAGE_TYPES and not (media_type is None and url):
        raise UnsupportedParameter(
            f"{model.name} takes png, jpeg, webp, heic and heif images, not {media_type or 'one of unknown type'}",
            param=path,
        )
    if part.data is not None:
        return _inline(media_type, part.data)
    if url is None:
        raise InvalidRequest(f"{path} has neither data nor a URL", param=path)
    if not model.capabilities.image_urls:
        raise UnsupportedParameter(f"{model.name} takes only the bytes of a file, not its URL", param=path)
    return {"fileData": {"fileUri": url} if media_type is None else {"fileUri": url, "mimeType": media_type}}


def _inline(media_type: str | None, data: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": media_type, "data": data}}


def _media_type(written: str | None) -> str | None:
    """Lower case, without parameters."""
    if not written:
        return None
    bare = written.partition(";")[0].strip().lower()
    return _SYNONYMS.get(bare, bare) or None


def _type_by_extension(url: str) -> str | None:
    return _TYPES_BY_EXTENSION.get(_split(url).path.rpartition(".")[2].lower())


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # brackets that hold no address
        return SplitResult("", "", "", "", "")
