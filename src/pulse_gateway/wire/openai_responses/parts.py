"""Content parts: what stands in a user's message or in a tool's result, from this dialect and back to it."""

from __future__ import annotations

from typing import Any

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import AudioPart, DocumentPart, ImagePart, Message, Part, TextPart
from pulse_gateway.wire.members import Members
from pulse_gateway.wire.openai_chat.parts import (
    audio_object,
    audio_part,
    document_part,
    file_data,
    image_part,
    image_url,
)
from pulse_gateway.wire.refusals import unsupported

__all__ = ["decode_content_part", "encode_content_part", "file_detail"]


def decode_content_part(part: Members) -> Part | None:
    """None for a type or a format nobody here knows and for a `file_id`: left over, and refused by their path."""
    match part.need_text("type"):
        case "input_text":
            return TextPart(part.need_text("text"))
        case "input_image":
            if part.peek("file_id") is not None:
                part.skip("detail", "auto")
                return None
            return image_part(part, "image_url")
        case "input_file":
            return _decode_file(part)
        case "input_audio":
            return audio_part(part.need_child("input_audio"))
        case _:
            part.leave()
            return None


def _decode_file(part: Members) -> DocumentPart | None:
    part.skip("detail", "auto")
    if part.peek("file_data") is not None or part.peek("file_id") is not None:
        return document_part(part)
    url = part.need_text("file_url")
    if not url.lower().startswith(("https://", "http://")):
        raise part.wrong("file_url", "expected an http(s) URL")
    return DocumentPart(url=url, title=part.text("filename"))


def file_detail(part: Members) -> str | None:
    """How closely a file is to be looked at: a hint, taken out of `part`, which names it by its path."""
    return part.text("detail") if part.peek("type") == "input_file" and part.peek("detail") != "auto" else None


def encode_content_part(part: Part, message: Message, model: Model) -> dict[str, Any]:
    """Raises: UnsupportedParameter naming the message when this dialect or `model` cannot hold the part."""
    match part:
        case TextPart(text) | DocumentPart(text=str(text)):
            return {"type": "input_text", "text": text}
        case ImagePart():
            url = image_url(part, message, model)
            return {"type": "input_image", "image_url": url, "detail": part.detail or "auto"}
        case DocumentPart(data=str(data)):
            return {"type": "input_file", **file_data(part, data)}
        case DocumentPart(url=str(url)):
            named = {} if part.title is None else {"filename": part.title}
            return {"type": "input_file", "file_url": url, **named}
        case AudioPart():
            return {"type": "input_audio", "input_audio": audio_object(part, message, model)}
        case _:
            kind = type(part).__struct_config__.tag
            raise unsupported(model, message.path, f"does not take a {kind} part in a {message.role} message")
