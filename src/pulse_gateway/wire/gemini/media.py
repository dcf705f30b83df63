"""Images, audio and documents: `inlineData` and `fileData` ⇄ neutral parts.

Source: https://ai.google.dev/gemini-api/docs/image-understanding and …/document-processing (read 2026-11-24).
"""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import SplitResult, urlsplit

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import AudioPart, DocumentPart, ImagePart
from pulse_gateway.wire.gemini.fields import Fields
from pulse_gateway.wire.media import media_type_of, standard_base64, utf8_of
from pulse_gateway.wire.refusals import unsupported

__all__ = ["MediaPart", "encode_media", "file_part", "inline_part"]

MediaPart = ImagePart | AudioPart | DocumentPart

_IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"})
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


def inline_part(blob: Fields) -> MediaPart | None:
    """The neutral part for an `inlineData`. None, and the whole left over, for a kind of media that has none."""
    media_type = media_type_of(blob.need_text("mimeType"))
    title = blob.text("displayName")
    data = standard_base64(blob.need_text("data"), blob.at("data"))
    match (media_type or "").partition("/")[0]:
        case "image":
            return ImagePart(media_type=media_type, data=data)
        case "audio":
            return AudioPart(media_type or "", data)
        case "text":
            return DocumentPart(media_type=media_type, text=utf8_of(data, blob.at("data")), title=title)
    if media_type == "application/pdf":
        return DocumentPart(media_type=media_type, data=data, title=title)
    blob.leave()
    return None


def file_part(file: Fields) -> ImagePart | DocumentPart | None:
    """The neutral part for a `fileData` that anybody can fetch. None, and the whole left over, for any other."""
    uri = file.need_text("fileUri")
    media_type = media_type_of(file.text("mimeType")) or _type_by_extension(uri)
    title = file.text("displayName")
    address = _split(uri)
    if address.scheme in ("http", "https") and address.hostname != _FILES_HOST and media_type is not None:
        if media_type.startswith("image/"):
            return ImagePart(media_type=media_type, url=uri)
        if media_type == "application/pdf" or media_type.startswith("text/"):
            return DocumentPart(media_type=media_type, url=uri, title=title)
    file.leave()
    return None


def encode_media(part: MediaPart, model: Model, path: str) -> dict[str, Any]:
    """The wire part for `part`.

    Raises: UnsupportedParameter with `path` for what the vendor or the model does not take.
    """
    if isinstance(part, AudioPart):
        return _inline(media_type_of(part.media_type), part.data)
    url = part.url
    media_type = media_type_of(part.media_type) or (_type_by_extension(url) if url else None)
    if isinstance(part, DocumentPart):
        if part.text is not None:
            if not part.text:
                raise unsupported(model, path, "takes no empty document")
            return _inline(media_type or "text/plain", base64.b64encode(part.text.encode()).decode())
        media_type = media_type or "application/pdf"
        if media_type != "application/pdf" and not media_type.startswith("text/"):
            raise unsupported(model, path, f"takes no document of type {media_type}")
    elif media_type not in _IMAGE_TYPES and not (media_type is None and url):
        raise unsupported(
            model, path, f"takes png, jpeg, webp, heic and heif images, not {media_type or 'one of unknown type'}"
        )
    if part.data is not None:
        return _inline(media_type, part.data)
    if url is None:
        raise unsupported(model, path, "takes no file without its bytes or a URL")
    if not model.capabilities.image_urls:
        raise unsupported(model, path, "takes only the bytes of a file, not its URL")
    return {"fileData": {"fileUri": url} if media_type is None else {"fileUri": url, "mimeType": media_type}}


def _inline(media_type: str | None, data: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": media_type, "data": data}}


def _type_by_extension(url: str) -> str | None:
    return _TYPES_BY_EXTENSION.get(_split(url).path.rpartition(".")[2].lower())


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # brackets that hold no address
        return SplitResult("", "", "", "", "")
