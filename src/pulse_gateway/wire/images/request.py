"""What a client asks for: `POST /v1/images/generations` in JSON, `/v1/images/edits` as a form or in JSON ⇄ the neutral form.

`aspect_ratio`, `seed` and `negative_prompt` are what compatible vendors add; OpenAI itself has none of them.

Source: `image_generate_params.py` and `image_edit_params.py` of openai 3.54.0; https://developers.openai.com/api/reference (read
2026-11-24).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.http import Payload
from pulse_gateway.types.images import ImageFile, ImageRequest, image_variant
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.client_spelling import FieldPaths
from pulse_gateway.wire.codec import Envelope
from pulse_gateway.wire.foreign_json import from_client, to_provider
from pulse_gateway.wire.form_members import FormFile, FormMembers, read_form
from pulse_gateway.wire.media import standard_base64
from pulse_gateway.wire.members import Members
from pulse_gateway.wire.multipart import FormPart, build_form, is_form
from pulse_gateway.wire.picture import image_type
from pulse_gateway.wire.texts_in import texts_in

__all__ = ["FIELD_PATHS", "decode_request", "encode_form", "encode_json", "read_envelope"]

FIELD_PATHS: FieldPaths = MappingProxyType(
    {
        **{
            name: (name,)
            for name in (
                "model", "prompt", "n", "size", "aspect_ratio", "quality", "style", "background", "output_format",
                "output_compression", "moderation", "mask", "input_fidelity", "partial_images", "seed", "negative_prompt",
                "response_format", "stream",
            )
        },
        "images": ("image", "images"),
        "user": ("user", "safety_identifier"),
    }
)  # fmt: skip

_MOST_IMAGES = 10  # of one request
_MOST_FILES = 16
_AUTO = ("auto",)
_TEXTS = (
    "size",
    "aspect_ratio",
    "quality",
    "style",
    "background",
    "output_format",
    "moderation",
    "input_fidelity",
    "negative_prompt",
)
_NUMBERS = ("output_compression", "partial_images", "seed")
_DATA_URL = re.compile(r"data:(image/[\w.+-]+)?(?:;[\w-]+=[^;,]*)*;base64,", re.ASCII)
_SIZE = re.compile(r"([0-9]{2,5})x([0-9]{2,5})", re.ASCII)
_any = msgspec.json.Decoder().decode

# Tokens of a square image of a megapixel, from the price of one and the price of a token.
# Source: https://developers.openai.com/api/docs/pricing (read 2026-11-24)
_TOKENS_PER_MEGAPIXEL = {"low": 281, "medium": 1_062, "high": 4_156, "xhigh": 8_312, "max": 16_624}
_USUAL_TOKENS = _TOKENS_PER_MEGAPIXEL["medium"]
_MEGAPIXEL = 1024 * 1024


def read_envelope(payload: Payload, *, edits: bool) -> Envelope:
    """Raises: InvalidRequest."""
    return _envelope(decode_request(payload, edits=edits))


def _envelope(request: ImageRequest) -> Envelope:
    files = len(request.images) + (request.mask is not None)
    # What a vendor's model takes beside the prompt may hold another one, so it is read by whoever reads the prompt.
    texts = (request.prompt, request.negative_prompt, *texts_in(request.extra))
    return Envelope(
        model=request.model,
        stream=request.stream,
        texts=[text for text in texts if text],
        attachments=files,
        max_output_tokens=0,
        n=request.n,
        expected=Usage(
            images=request.n,
            image_output_tokens=request.n * _tokens_of(request),
            variant=image_variant(request.size, request.quality),
        ),
    )


def _tokens_of(request: ImageRequest) -> int:
    """About as many as one image takes where images are sold by the token."""
    found = _SIZE.fullmatch(request.size or "")
    pixels = int(found[1]) * int(found[2]) if found else _MEGAPIXEL
    return -(-_TOKENS_PER_MEGAPIXEL.get(request.quality or "", _USUAL_TOKENS) * pixels // _MEGAPIXEL)


def decode_request(payload: Payload, *, edits: bool) -> ImageRequest:
    """Raises: InvalidRequest."""
    members: Members = (
        read_form(payload) if edits and is_form(payload.content_type) else Members(from_client(_any, payload.data))
    )
    prompt = members.need_text("prompt")
    if not prompt:
        raise members.wrong("prompt", "is empty")
    model = members.need_text("model")
    if not model:
        raise members.wrong("model", "is required")
    n = members.integer("n", least=1, most=_MOST_IMAGES) or 1
    for name in ("size", "quality", "background", "moderation"):
        members.skip(name, *_AUTO)
    fields: dict[str, Any] = {name: members.text(name) for name in _TEXTS}
    fields |= {name: members.integer(name) for name in _NUMBERS}
    if edits:
        fields |= _files(members)
    user, safety = members.text("user"), members.text("safety_identifier")
    hints = {"safety_identifier": safety} if user and safety else {}
    streamed = members.flag("stream")
    response_format: Any = members.word("response_format", ("b64_json", "url"))
    extra, _ = members.leftovers()
    return ImageRequest(
        model=model,
        prompt=prompt,
        n=n,
        stream=streamed is True,
        response_format=response_format,
        user=user or safety,
        extra=extra,
        hints=hints,
        **fields,
    )


def _files(members: Members) -> dict[str, Any]:
    """The images to work from, and the mask. Raises: InvalidRequest."""
    if isinstance(members, FormMembers):
        images = [_from_form(file, "image") for file in members.files("image")]
        masks = [_from_form(file, "mask") for file in members.files("mask")]
    else:
        images = [file for name in ("image", "images") for file in _from_json(members, name)]
        masks = _from_json(members, "mask")
    if not images and not any(members.peek(name) is not None for name in ("image", "images")):
        raise members.wrong("image", "is required")
    if len(images) > _MOST_FILES:
        raise members.wrong("image", f"expected at most {_MOST_FILES} images")
    if len(masks) > 1:
        raise members.wrong("mask", "occurs twice")
    return {"images": tuple(images), "mask": masks[0] if masks else None}


def _from_form(file: FormFile, path: str) -> ImageFile:
    if not file.data:
        raise InvalidRequest(f"{path}: is empty", param=path)
    return ImageFile(data=file.data, media_type=image_type(file.data) or file.media_type, name=file.name, path=path)


def _from_json(members: Members, name: str) -> list[ImageFile]:
    """A URL or data URL, `{"image_url": …}` or `{"url": …}`, or a list of these. What is none of them, such as an uploaded file's id,
    stays where it is: only its own vendor knows it."""
    value = members.peek(name)
    written = value if isinstance(value, list) else [] if value is None else [value]
    if len(written) > _MOST_FILES:
        raise members.wrong(name, f"expected at most {_MOST_FILES} images")
    files: list[ImageFile] = []
    for place, item in enumerate(written):
        path = f"{name}[{place}]" if isinstance(value, list) else name
        url = item if isinstance(item, str) else _url_of(item)
        if url is None:
            return []
        files.append(_from_url(url, path))
    members.take(name)
    return files


def _url_of(item: Any) -> str | None:
    if isinstance(item, dict) and len(item) - ("type" in item) == 1:
        url = item.get("image_url", item.get("url"))
        return url if isinstance(url, str) else None
    return None


def _from_url(url: str, path: str) -> ImageFile:
    """Raises: InvalidRequest for an address that is none."""
    inline = _DATA_URL.match(url)
    if inline is None:
        if not url.startswith(("https://", "http://")):
            raise InvalidRequest(f"{path}: expected a URL, or a data URL of an image in base64", param=path)
        return ImageFile(url=url, path=path)
    data = base64.b64decode(standard_base64(url[inline.end() :], path))
    if not data:
        raise InvalidRequest(f"{path}: is empty", param=path)
    return ImageFile(data=data, media_type=image_type(data) or inline[1], path=path)


# ── for vendors ───────────────────────────────────────────────────────────────────────────────────────────────────────


def encode_json(request: ImageRequest, model: str) -> Payload:
    """What is in no neutral field goes back where it came from: this dialect is the only one that images are asked for in."""
    body = {**_written(request, model), **request.extra, **request.hints}
    return Payload(to_provider(body))


def encode_form(request: ImageRequest, model: str) -> Payload:
    """Files that are known by their address alone make it a JSON body: forms have no place for them.

    Raises: InvalidRequest where a form would have to hold what JSON says in an object.
    """
    files = [*request.images, *([request.mask] if request.mask else [])]
    if any(file.url is not None for file in files) or any(
        isinstance(value, dict | list) for value in request.extra.values()
    ):
        body = {**_written(request, model), **request.extra, **request.hints}
        if request.images:
            body["images"] = [{"image_url": _address(file)} for file in request.images]
        if request.mask is not None:
            body["mask"] = {"image_url": _address(request.mask)}
        return Payload(to_provider(body))
    parts = [
        FormPart(name=name, data=_text(value).encode())
        for name, value in {**_written(request, model), **request.extra, **request.hints}.items()
    ]
    field = "image" if len(request.images) == 1 else "image[]"
    parts += [_part(field, file, f"image-{place}") for place, file in enumerate(request.images)]
    if request.mask is not None:
        parts.append(_part("mask", request.mask, "mask"))
    return build_form(parts)


def _written(request: ImageRequest, model: str) -> Mapping[str, Any]:
    fields: dict[str, Any] = {"model": model, "prompt": request.prompt, "n": None if request.n == 1 else request.n}
    fields |= {
        name: getattr(request, name) for name in (*_TEXTS, "output_compression", "seed", "response_format", "user")
    }
    return {name: value for name, value in fields.items() if value is not None}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _part(field: str, file: ImageFile, name: str) -> FormPart:
    kind = file.media_type or "application/octet-stream"
    named = file.name or f"{name}.{kind.partition('/')[2].partition('+')[0]}"
    return FormPart(name=field, data=file.data or b"", filename=named, content_type=kind)


def _address(file: ImageFile) -> str:
    if file.url is not None:
        return file.url
    return f"data:{file.media_type or 'image/png'};base64,{base64.b64encode(file.data or b'').decode()}"
