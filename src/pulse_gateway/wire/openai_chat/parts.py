"""Content parts of a message: text, images, audio and files, from this dialect and back to it."""

from __future__ import annotations

import binascii
import re
from typing import Any

from pulse_gateway.errors import InvalidRequest, UnsupportedParameter
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
from pulse_gateway.wire.openai_chat.members import Members

__all__ = ["decode_assistant_part", "decode_text_part", "decode_user_part", "encode_user_part", "refused"]

_DATA_URL = re.compile(r"data:(?P<media_type>[^;,]+)(?:;[^;,=]+=[^;,]*)*;base64,", re.IGNORECASE)
_AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mp3"}
_AUDIO_FORMATS = {
    "audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav", "audio/mp3": "mp3", "audio/mpeg": "mp3",
}  # fmt: skip
_DETAILS = ("auto", "low", "high", "original")


def decode_text_part(part: Members) -> TextPart:
    """A part where only text may stand: system and tool messages.

    Raises: InvalidRequest for any other type.
    """
    kind = part.take_required_text("type")
    if kind != "text":
        raise part.wrong("type", "only text parts may stand here")
    return TextPart(part.take_required_text("text"))


def decode_assistant_part(part: Members) -> TextPart | RefusalPart:
    kind = part.take_required_text("type")
    if kind == "text":
        return TextPart(part.take_required_text("text"))
    if kind == "refusal":
        return RefusalPart(part.take_required_text("refusal"))
    raise part.wrong("type", "only text and refusal parts may stand here")


def decode_user_part(part: Members) -> Part | None:
    """None for a type nobody here knows and for another vendor's `file_id`: both are left over, and refused by their path."""
    part.required("type")
    match part.peek("type"):
        case "text":
            part.take("type")
            return TextPart(part.take_required_text("text"))
        case "image_url":
            part.take("type")
            return _decode_image(part.take_required_object("image_url"))
        case "input_audio":
            part.take("type")
            return _decode_audio(part.take_required_object("input_audio"))
        case "file":
            part.take("type")
            return _decode_file(part.take_required_object("file"))
        case str():
            return None
        case _:
            raise part.wrong("type", "expected a string")


def _decode_image(image: Members) -> ImagePart:
    url = image.take_required_text("url")
    detail = image.take_text("detail")
    if detail is not None and detail not in _DETAILS:
        raise image.wrong("detail", "has an unknown value")
    detail = None if detail == "auto" else detail
    if url[:5].lower() == "data:":
        media_type, data = _decode_data_url(url, image.at("url"))
        return ImagePart(media_type=media_type, data=data, detail=detail)
    if url[:8].lower() == "https://" or url[:7].lower() == "http://":
        return ImagePart(url=url, detail=detail)
    raise image.wrong("url", "expected an http(s) URL or a base64 data URL")


def _decode_audio(audio: Members) -> AudioPart:
    media_type = _AUDIO_TYPES.get(audio.take_required_text("format"))
    if media_type is None:
        raise audio.wrong("format", "expected wav or mp3")
    return AudioPart(media_type, _checked_base64(audio.take_required_text("data"), audio.at("data")))


def _decode_file(file: Members) -> DocumentPart | None:
    title = file.take_text("filename")
    if file.peek("file_id") is not None:
        return None
    media_type, data = _decode_data_url(file.take_required_text("file_data"), file.at("file_data"))
    if media_type != "text/plain":
        return DocumentPart(media_type=media_type, data=data, title=title)
    try:
        text = binascii.a2b_base64(data).decode()
    except UnicodeDecodeError:
        raise file.wrong("file_data", "is not UTF-8 text") from None
    return DocumentPart(media_type=media_type, text=text, title=title)


def _decode_data_url(url: str, path: str) -> tuple[str, str]:
    head = _DATA_URL.match(url)
    if head is None:
        raise InvalidRequest(f"{path}: expected a base64 data URL", param=path)
    return head["media_type"].lower(), _checked_base64(url[head.end() :], path)


def _checked_base64(data: str, path: str) -> str:
    try:
        binascii.a2b_base64(data, strict_mode=True)
    except ValueError:  # binascii.Error is one; so is a non-ASCII string
        raise InvalidRequest(f"{path}: is not standard base64", param=path) from None
    return data


def encode_user_part(part: Part, message: Message, model: Model) -> dict[str, Any]:
    """Raises: UnsupportedParameter naming the message when this dialect or `model` cannot hold the part."""
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case ImagePart():
            return {"type": "image_url", "image_url": _encode_image(part, message, model)}
        case AudioPart():
            audio_format = _AUDIO_FORMATS.get(part.media_type.lower())
            if audio_format is None:
                raise refused(message, model, f"audio of type {part.media_type}")
            return {"type": "input_audio", "input_audio": {"data": part.data, "format": audio_format}}
        case DocumentPart(text=str(text)):
            return {"type": "text", "text": text}
        case DocumentPart(data=str(data)):
            url = f"data:{part.media_type or 'application/pdf'};base64,{data}"
            return {"type": "file", "file": {"file_data": url, "filename": part.title or "document.pdf"}}
        case DocumentPart():
            raise refused(message, model, "documents by URL")
        case _:
            raise refused(message, model, f"a {type(part).__struct_config__.tag} part in a {message.role} message")


def _encode_image(image: ImagePart, message: Message, model: Model) -> dict[str, str]:
    if image.data is not None:
        if image.media_type is None:
            raise refused(message, model, "an image without its media type")
        url = f"data:{image.media_type};base64,{image.data}"
    elif image.url is not None and model.capabilities.image_urls:
        url = image.url
    else:
        raise refused(message, model, "images by URL")
    return {"url": url} if image.detail is None else {"url": url, "detail": image.detail}


def refused(message: Message, model: Model, what: str) -> UnsupportedParameter:
    """The error for something inside `message` that has no place at `model`."""
    return UnsupportedParameter(
        f"{message.path}: {model.provider}:{model.name} does not take {what}", param=message.path or None
    )
