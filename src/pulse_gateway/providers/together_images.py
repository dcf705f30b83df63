"""Images edited by Together: its own `/images/generations`, told which pictures to work from.

FLUX.1's models that edit take one, by `image_url`; FLUX.2's and Google's several, by `reference_images`. Others would make an image of the
text alone, and so are not asked.

Source: https://docs.together.ai/docs/inference/images/reference-images and /docs/inference/images/parameters, and the types of
`together` 3.1 (read 2026-11-24). That Qwen's and ByteDance's models that edit take `reference_images` too is not said there.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pulse_gateway.providers.compatible import TOGETHER
from pulse_gateway.providers.image_parts import check_images, made_of, pixels_of, ratio_of
from pulse_gateway.providers.offer import OfferCall, Steps, ask
from pulse_gateway.providers.picture_address import address_of
from pulse_gateway.types.catalog import Deployment, Model
from pulse_gateway.types.http import HttpRequest, Payload
from pulse_gateway.types.images import ImageReply, ImageRequest
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.foreign_json import to_provider
from pulse_gateway.wire.images import ImageGenerations
from pulse_gateway.wire.refusals import unsupported

__all__ = ["EDITS", "TogetherEdits"]

_CODEC = ImageGenerations()
_FROM_ONE = re.compile(r"FLUX\.1[-.].*(?:kontext|canny|depth|redux)", re.IGNORECASE)
_FROM_SEVERAL = re.compile(r"FLUX\.2|gemini-.*image|flash-image|Qwen-Image-Edit|Seedream", re.IGNORECASE)
_BY_RATIO = re.compile("kontext", re.IGNORECASE)
_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "4:5", "5:4", "21:9", "9:21")
_LACKS = ("mask", "input_fidelity", "quality", "style", "output_compression")
_FORMATS = (None, "jpeg", "png")
# Members of its own, which it answers for.
_ITS_OWN = frozenset({"steps", "guidance_scale", "disable_safety_checker", "image_loras"})


class TogetherEdits:
    """An `Offer` of `image_edits`."""

    dialect = None

    def check(self, request: ImageRequest, deployment: Deployment, /) -> tuple[str, ...]:
        model = deployment.model
        if not _FROM_ONE.search(model.name) and not _FROM_SEVERAL.search(model.name):
            raise unsupported(model, "model", "makes images of texts alone")
        given = {name: value for name, value in request.extra.items() if name not in _ITS_OWN}
        dropped = check_images(msgspec.structs.replace(request, extra=given), deployment, lacks=_LACKS)
        if request.output_format not in _FORMATS:
            raise unsupported(model, "output_format", "makes jpeg and png files")
        if len(request.images) > 1 and _FROM_ONE.search(model.name):
            raise unsupported(model, "images", "works from one image")
        if _by_ratio(model):
            ratio_of(request, deployment, _RATIOS)
            return dropped if request.size is None else (*dropped, "size")
        if request.aspect_ratio is not None:
            raise unsupported(model, "aspect_ratio", "makes images of WIDTHxHEIGHT pixels")
        pixels_of(request, model)
        return dropped

    def steps(self, request: ImageRequest, call: OfferCall, /) -> Steps[ImageReply]:
        deployment, model = call.deployment, call.deployment.model
        wants_address = request.response_format == "url" and not request.stream
        width, height = (None if _by_ratio(model) else pixels_of(request, model)) or (None, None)
        body: dict[str, Any] = {
            "model": model.name,
            "prompt": request.prompt,
            "n": None if request.n == 1 else request.n,
            "width": width,
            "height": height,
            "aspect_ratio": ratio_of(request, deployment, _RATIOS) if _by_ratio(model) else None,
            "seed": request.seed,
            "negative_prompt": request.negative_prompt,
            "output_format": request.output_format,
            "response_format": "url" if wants_address else "base64",
        }
        body = {name: value for name, value in body.items() if value is not None} | request.extra
        addresses = [address_of(image) for image in request.images]
        body |= {"image_url": addresses[0]} if _FROM_ONE.search(model.name) else {"reference_images": addresses}
        headers = (("content-type", "application/json"), *TOGETHER.headers(call))
        url = TOGETHER.url(deployment, "/images/generations")
        answer = yield from ask(HttpRequest("POST", url, headers, to_provider(body)))
        read = _CODEC.decode_reply(Payload(answer.body), request)
        return made_of(read.images, Usage(images=len(read.images)))


def _by_ratio(model: Model) -> bool:
    return _BY_RATIO.search(model.name) is not None


EDITS = TogetherEdits()
