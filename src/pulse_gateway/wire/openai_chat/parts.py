"""Content parts of a message: text, images, audio and files, from this dialect and back to it."""

from __future__ import annotations

import re
from typing import Any

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import (
    AudioPart,
    DocumentPart,
    ImagePart,
    Message,
    Part,
    RefusalPart,
    TextPart,
)
from pulse_gateway.wire.media import media_type_of, standard_base64, utf8_of
from pulse_gateway.wire.members import Members
from pulse_gateway.wire.refusals import unsupported

__all__ = [
    "audio_object", "audio_part", "decode_assistant_part", "decode_text_part", "decode_user_part", "document_part",
    "encode_user_part", "file_data", "image_part", "image_url",
]  # fmt: skip

_DATA_URL = re.compile(r"data:(?P<media_type>[^;,]+(?:;[^;,=]+=[^;,]*)*);base64,", re.IGNORECASE)
_AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mp3"}
_AUDIO_FORMATS = {media_type: audio_format for audio_format, media_type in _AUDIO_TYPES.items()}
_DETAILS = ("auto", "low", "high", "original")
# Source: https://developers.openai.com/api/docs/guides/images-vision (read 2026-11-24)
_OPENAI_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


def decode_text_part(part: Members) -> TextPart:
    """A part where only text may stand: system and tool messages.

    Raises: InvalidRequest for any other type.
    """
    if part.need_text("type") != "text":
        raise part.wrong("type", "only text parts may stand here")
    return TextPart(part.need_text("text"))


def decode_assistant_part(part: Members) -> TextPart | RefusalPart:
    match part.need_text("type"):
        case "text":
            return TextPart(part.need_text("text"))
        case "refusal":
            return RefusalPart(part.need_text("refusal"))
        case _:
            raise part.wrong("type", "only text and refusal parts may stand here")


def decode_user_part(part: Members) -> Part | None:
    """None for a type or a format nobody here knows and for another vendor's `file_id`: left over, and refused by their path."""
    match part.need_text("type"):
        case "text":
            return TextPart(part.need_text("text"))
        case "image_url":
            return image_part(part.need_child("image_url"), "url")
        case "input_audio":
            return audio_part(part.need_child("input_audio"))
        case "file":
            return document_part(part.need_child("file"))
        case _:
            part.leave()
            return None


def image_part(image: Members, name: str) -> ImagePart:
    """The image at the URL, or in the data URL, that the member `name` holds."""
    url = image.need_text(name)
    detail = image.word("detail", _DETAILS)
    detail = None if detail == "auto" else detail
    if url[:5].lower() == "data:":
        media_type, data = _decode_data_url(url, image.at(name))
        return ImagePart(media_type=media_type, data=data, detail=detail)
    if url[:8].lower() == "https://" or url[:7].lower() == "http://":
        return ImagePart(url=url, detail=detail)
    raise image.wrong(name, "expected an http(s) URL or a base64 data URL")


def audio_part(audio: Members) -> AudioPart | None:
    """None for a format nobody here knows: left over."""
    data = standard_base64(audio.need_text("data"), audio.at("data"))
    audio_format = audio.need_word("format", _AUDIO_TYPES)
    return AudioPart(_AUDIO_TYPES[audio_format], data) if audio_format else None


def document_part(file: Members) -> DocumentPart | None:
    """The file in the data URL `file_data`; None for one of another vendor's: its `file_id` is left over."""
    title = file.text("filename")
    if file.peek("file_id") is not None:
        return None
    path = file.at("file_data")
    media_type, data = _decode_data_url(file.need_text("file_data"), path)
    if media_type != "text/plain":
        return DocumentPart(media_type=media_type, data=data, title=title)
    return DocumentPart(media_type=media_type, text=utf8_of(data, path), title=title)


def _decode_data_url(url: str, path: str) -> tuple[str | None, str]:
    head = _DATA_URL.match(url)
    if head is None:
        raise InvalidRequest(f"{path}: expected a base64 data URL", param=path)
    return media_type_of(head["media_type"]), standard_base64(url[head.end() :], path)


def encode_user_part(part: Part, message: Message, model: Model) -> dict[str, Any]:
    """Raises: UnsupportedParameter naming the message when this dialect or `model` cannot hold the part."""
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case ImagePart():
            url = {"url": image_url(part, message, model)}
            return {"type": "image_url", "image_url": url if part.detail is None else url | {"detail": part.detail}}
        case AudioPart():
            return {"type": "input_audio", "input_audio": audio_object(part, message, model)}
        case DocumentPart(text=str(text)):
            return {"type": "text", "text": text}
        case DocumentPart(data=str(data)):
            return {"type": "file", "file": file_data(part, data)}
        case DocumentPart():
            raise unsupported(model, message.path, "does not take documents by URL")
        case _:
            kind = type(part).__struct_config__.tag
            raise unsupported(model, message.path, f"does not take a {kind} part in a {message.role} message")


def audio_object(audio: AudioPart, message: Message, model: Model) -> dict[str, str]:
    """Raises: UnsupportedParameter for a format without a word."""
    audio_format = _AUDIO_FORMATS.get(media_type_of(audio.media_type) or "")
    if audio_format is None:
        raise unsupported(model, message.path, f"does not take audio of type {audio.media_type}")
    return {"data": audio.data, "format": audio_format}


def file_data(document: DocumentPart, data: str) -> dict[str, str]:
    """A document whose bytes are the base64 `data`, under the name it must have."""
    url = f"data:{document.media_type or 'application/pdf'};base64,{data}"
    return {"file_data": url, "filename": document.title or "document.pdf"}


def image_url(image: ImagePart, message: Message, model: Model) -> str:
    """Raises: UnsupportedParameter for a type that OpenAI does not take, or a URL that `model` does not fetch."""
    if image.data is not None:
        if image.media_type is None or (model.provider == "openai" and image.media_type not in _OPENAI_IMAGES):
            raise unsupported(
                model, message.path, f"does not take an image of type {image.media_type or 'nobody names'}"
            )
        return f"data:{image.media_type};base64,{image.data}"
    if image.url is not None and model.capabilities.image_urls:
        return image.url
    raise unsupported(model, message.path, "does not take images by URL")
