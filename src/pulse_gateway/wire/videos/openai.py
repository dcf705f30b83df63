"""The dialect `openai.videos`: jobs in the shape that OpenAI-compatible clients know, although OpenAI itself makes none any more.

Source: the type definitions of openai 3.54 (`types/video.py`, `video_create_params.py`), read 2026-11-24.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any

import msgspec

from pulse_gateway.errors import InvalidRequest, PulseError
from pulse_gateway.types.http import Payload
from pulse_gateway.types.images import ImageFile
from pulse_gateway.types.usage import Usage
from pulse_gateway.types.videos import VideoJobView, VideoRequest, resolution_of
from pulse_gateway.wire.client_spelling import FieldPaths
from pulse_gateway.wire.codec import Envelope
from pulse_gateway.wire.multipart import Part, is_form, parse_form
from pulse_gateway.wire.openai_chat.errors import encode_error
from pulse_gateway.wire.whole_answer import WholeAnswer

__all__ = ["OpenAIVideosCodec", "video_object"]

_DEFAULT_SECONDS, _DEFAULT_SIZE = 4, "720x1280"  # OpenAI's
_MOST_SECONDS = 3_600
_TOKENS_A_SECOND = 6_000  # nobody tells: at the rate of the one who sells by the token, what a second costs elsewhere
_LONGEST_PROMPT = 32_000  # characters
_SIZE = re.compile(r"[1-9][0-9]{1,4}x[1-9][0-9]{1,4}")
_REFERENCE = "input_reference"
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class OpenAIVideosCodec(WholeAnswer):
    """`OperationFace` for `POST /v1/videos`, as a form and as JSON. No vendor speaks it upstream."""

    dialect = "openai.videos"
    operation = "videos"
    field_paths: FieldPaths = MappingProxyType(
        {"model": ("model",), "prompt": ("prompt",), "seconds": ("seconds",), "size": ("size",), "image": (_REFERENCE,)}
    )

    def read_envelope(self, body: Payload, *, model: str | None = None, stream: bool | None = None) -> Envelope:
        request = self.decode_request(body)
        expected = Usage(
            video_ms=request.seconds * 1000,
            video_output_tokens=request.seconds * _TOKENS_A_SECOND,
            variant=resolution_of(request.size),
        )
        return Envelope(
            model=request.model,
            stream=False,
            texts=(request.prompt,),
            attachments=request.image is not None,
            max_output_tokens=0,
            expected=expected,
        )

    def decode_request(self, body: Payload, *, model: str | None = None, stream: bool | None = None) -> VideoRequest:
        fields = _of_form(parse_form(body)) if is_form(body.content_type) else _of_json(body.data)
        size = _text(fields, "size") or _DEFAULT_SIZE
        if not _SIZE.fullmatch(size):
            raise InvalidRequest("size: expected WIDTHxHEIGHT in pixels", param="size")
        prompt = _needed(fields, "prompt")
        if len(prompt) > _LONGEST_PROMPT:
            raise InvalidRequest(f"prompt: has more than {_LONGEST_PROMPT} characters", param="prompt")
        name = _needed(fields, "model")
        seconds, image = _seconds(fields.pop("seconds", None)), fields.pop(_REFERENCE, None)
        user = _text(fields, "user")
        return VideoRequest(model=name, prompt=prompt, seconds=seconds, size=size, image=image, user=user, extra=fields)

    def encode_reply(self, reply: VideoJobView, request: VideoRequest) -> Payload:
        return Payload(msgspec.json.encode(video_object(reply)))

    def encode_error(self, error: PulseError, request_id: str) -> bytes:
        return encode_error(error, request_id)


def video_object(job: VideoJobView) -> dict[str, Any]:
    """A job as clients know it."""
    state = job.state
    progress = {"queued": 0, "in_progress": state.progress or 0, "completed": 100, "failed": state.progress or 0}
    error = None
    if state.status == "failed":
        error = {"code": _code(state.error_code), "message": state.error_message or "the job failed"}
    return {
        "id": job.id,
        "object": "video",
        "model": job.model,
        "status": state.status,
        "progress": progress[state.status],
        "created_at": int(job.created_at),
        "completed_at": None if job.completed_at is None else int(job.completed_at),
        "expires_at": None if state.expires_at is None else int(state.expires_at),
        "prompt": job.prompt,
        "seconds": str(job.seconds),
        "size": job.size,
        "remixed_from_video_id": None,
        "error": error,
    }


def _of_json(data: bytes) -> dict[str, Any]:
    """By name. Raises: InvalidRequest."""
    try:
        fields = _decode(data)
    except (ValueError, RecursionError) as error:  # msgspec's errors and invalid UTF-8 are ValueErrors
        raise InvalidRequest("the body is neither a form nor a JSON object") from error
    fields = {name: value for name, value in fields.items() if value is not None}
    if (reference := fields.pop(_REFERENCE, None)) is not None:
        if not isinstance(reference, dict):
            raise InvalidRequest(f"{_REFERENCE}: expected an object", param=_REFERENCE)
        fields[_REFERENCE] = _referred(reference)
    return fields


def _of_form(parts: list[Part]) -> dict[str, Any]:
    """By name. Raises: InvalidRequest."""
    fields: dict[str, Any] = {}
    reference: dict[str, Any] = {}
    for part in parts:
        if part.name in fields:
            raise InvalidRequest(f"{part.name}: occurs twice", param=part.name)
        if part.name == _REFERENCE and part.is_file:
            media_type = part.content_type or "application/octet-stream"
            fields[_REFERENCE] = ImageFile(
                data=bytes(part.data), media_type=media_type, name=part.filename, path=_REFERENCE
            )
        elif part.is_file:
            raise InvalidRequest(f"{part.name}: no file is expected here", param=part.name)
        elif part.name.startswith(f"{_REFERENCE}["):
            reference[part.name[len(_REFERENCE) + 1 : -1]] = part.text()
        else:
            fields[part.name] = part.text()
    if reference:
        if _REFERENCE in fields:
            raise InvalidRequest(f"{_REFERENCE}: occurs twice", param=_REFERENCE)
        fields[_REFERENCE] = _referred(reference)
    return fields


def _referred(reference: dict[str, Any]) -> ImageFile:
    url = reference.get("image_url")
    unknown = sorted(name for name in reference if name != "image_url")
    if unknown:
        path = f"{_REFERENCE}.{unknown[0]}"
        raise InvalidRequest(f"{path}: only image_url is taken here; files of a vendor are not", param=path)
    if not isinstance(url, str) or not url:
        raise InvalidRequest(f"{_REFERENCE}.image_url: expected an address", param=f"{_REFERENCE}.image_url")
    return ImageFile(url=url, path=f"{_REFERENCE}.image_url")


def _text(fields: dict[str, Any], name: str) -> str | None:
    value = fields.pop(name, None)
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"{name}: expected a string", param=name)
    return value


def _needed(fields: dict[str, Any], name: str) -> str:
    value = _text(fields, name)
    if not value:
        raise InvalidRequest(f"{name}: is required", param=name)
    return value


def _seconds(value: Any) -> int:
    """OpenAI's clients write it as a string."""
    if value is None:
        return _DEFAULT_SECONDS
    digits = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(digits, str) or not re.fullmatch(r"[1-9][0-9]{0,3}", digits) or int(digits) > _MOST_SECONDS:
        raise InvalidRequest(f"seconds: expected a number of seconds up to {_MOST_SECONDS}", param="seconds")
    return int(digits)


_STABLE = frozenset({"content_blocked", "cancelled", "expired", "generation_timeout", "no_video", "not_found"})
_CANCELLED = frozenset({"canceled", "aborted"})


def _code(word: str | None) -> str:
    """The code that clients may rely on, for a word of ours or the vendor's own. `docs/errors.md` lists them."""
    if word in _CANCELLED:
        return "cancelled"
    return word if word in _STABLE else "upstream_error"
