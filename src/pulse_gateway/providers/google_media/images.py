"""Images of Gemini's image models ("Nano Banana"): `:generateContent` that answers with pictures.

A call makes one image, so several are several calls. Sizes are a ratio and a class of pixels.

Source: https://ai.google.dev/gemini-api/docs/image-generation; `types.ImageConfig` of google-genai 3.4 (read 2026-11-24)
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pulse_gateway.providers.google_media.answer import Blob, GoogleAddress, Said, call_method, read_answer
from pulse_gateway.providers.image_parts import check_images, made_of, only_bytes, pixels_of, ratio_of
from pulse_gateway.providers.offer import OfferCall, Steps, ask
from pulse_gateway.providers.tab import Tab
from pulse_gateway.providers.video_parts import picture_of
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.images import ImageReply, ImageRequest, MadeImage
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.media import media_type_of
from pulse_gateway.wire.refusals import unsupported

__all__ = ["GoogleImages"]

_RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9", "1:4", "4:1", "1:8", "8:1")
_CLASSES = (("512", 512), ("1K", 1024), ("2K", 2048), ("4K", 4096))  # the side of a square
_USUAL = "1K"
_ONE_CLASS = re.compile(r"gemini-2\.5-flash-image")  # makes images of the usual class alone
_LACKS = ("quality", "style", "mask", "input_fidelity", "negative_prompt")
_FORMATS = ("png", "jpeg")


class GoogleImages:
    """An `Offer` of `images` and of `image_edits`. `vertex`: the file's format can be chosen."""

    dialect = None

    def __init__(self, vendor: GoogleAddress, *, vertex: bool = False) -> None:
        self._vendor, self._vertex = vendor, vertex

    def check(self, request: ImageRequest, deployment: Deployment, /) -> tuple[str, ...]:
        files = () if self._vertex else ("output_format", "output_compression")
        dropped = check_images(request, deployment, lacks=(*_LACKS, *files))
        only_bytes(request, deployment)
        if request.output_format not in (None, *_FORMATS):
            raise unsupported(deployment.model, "output_format", f"makes {' and '.join(_FORMATS)} files")
        config = _image_config(request, deployment, vertex=self._vertex)
        exact = request.size is None or request.size in {f"{side}x{side}" for _, side in _CLASSES}
        return dropped if exact or not config else (*dropped, "size")

    def steps(self, request: ImageRequest, call: OfferCall, /) -> Steps[ImageReply]:
        parts: list[dict[str, Any]] = []
        for file in request.images:
            media_type, data = yield from picture_of(file)
            parts.append({"inlineData": {"mimeType": media_type, "data": data}})
        parts.append({"text": request.prompt})
        config: dict[str, Any] = {"responseModalities": ["TEXT", "IMAGE"]}
        if image_config := _image_config(request, call.deployment, vertex=self._vertex):
            config["imageConfig"] = image_config
        tab, images, calls = Tab(), list[MadeImage](), 0
        while len(images) < request.n:
            if request.seed is not None:
                config["seed"] = request.seed + calls  # the same one would make the same image
            body = {"contents": [{"role": "user", "parts": parts}], "generationConfig": config}
            answer = yield from ask(call_method(self._vendor, call, "generateContent", body))
            said = read_answer(answer.body)
            made = [_made(blob) for blob in said.blobs if blob.mime_type.startswith("image/")][
                : request.n - len(images)
            ]
            yield tab.add(_counted(said, len(made)))
            if not made:
                raise said.refusal("image")
            images += made
            calls += 1
        return made_of(tuple(images), tab.usage)


def _image_config(request: ImageRequest, deployment: Deployment, *, vertex: bool) -> dict[str, Any]:
    """Raises: UnsupportedParameter."""
    config: dict[str, Any] = {}
    if (ratio := ratio_of(request, deployment, _RATIOS)) is not None:
        config["aspectRatio"] = ratio
    pixels = pixels_of(request, deployment.model)
    if pixels is not None:
        side = (pixels[0] * pixels[1]) ** 0.5
        name = min(_CLASSES, key=lambda each: abs(each[1] - side) / each[1])[0]
        if name != _USUAL and _ONE_CLASS.match(deployment.model.name):
            raise unsupported(deployment.model, "size", f"makes images of about a megapixel, not {request.size}")
        if name != _USUAL:
            config["imageSize"] = name
    if vertex and request.output_format is not None:
        options: dict[str, Any] = {"mimeType": f"image/{request.output_format}"}
        if request.output_compression is not None:
            options["compressionQuality"] = request.output_compression
        config["imageOutputOptions"] = options
    return config


def _made(blob: Blob) -> MadeImage:
    return MadeImage(data=blob.data.translate(_TO_STANDARD), media_type=media_type_of(blob.mime_type))


_TO_STANDARD = str.maketrans("-_", "+/")


def _counted(said: Said, images: int) -> Usage:
    """Where the modalities are not told apart, what was written with an image is the image."""
    usage = said.usage
    if images and usage.image_output_tokens is None and usage.output_tokens is not None:
        usage = msgspec.structs.replace(usage, image_output_tokens=usage.output_tokens, output_tokens=0)
    return msgspec.structs.replace(usage, images=images)
