"""Images of the models that Replicate runs: a prediction that is waited for, then looked at until it is done.

Its models differ in what they take. The names are those that image models there have in common: `prompt`, `aspect_ratio`,
`output_format`, `seed`, `negative_prompt`, and for images to work from those of `_FAMILIES`. Replicate itself refuses what a model does
not know. Whatever else a model takes can be given in an object `input` of the request. Several images are several predictions, since
few models make more than one.

Source: https://replicate.com/docs/reference/http, https://replicate.com/docs/topics/predictions and the models' pages (read 2026-11-24)
"""

from __future__ import annotations

import base64
from collections.abc import Generator
from typing import Any

import msgspec

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.providers.image_parts import check_images, made_of, pixels_of, ratio_of
from pulse_gateway.providers.offer import OfferCall, Step, Steps
from pulse_gateway.providers.replicate_runs import Runs, addresses, inline_data
from pulse_gateway.providers.replicate_videos import ReplicateAddress
from pulse_gateway.providers.tab import Tab
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.images import ImageFile, ImageReply, ImageRequest, MadeImage
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.foreign_json import not_of_protocol
from pulse_gateway.wire.picture import image_type
from pulse_gateway.wire.refusals import unsupported

__all__ = ["ReplicateImages"]

_RATIOS = ("1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21")
_FORMATS = {None: None, "png": "png", "jpeg": "jpg", "webp": "webp"}
_LACKS = ("quality", "style", "input_fidelity", "output_compression")
_INPUT = "input"
_MOST_IMAGES = 10  # of one prediction; its model's author decides how many there are


class _Family(msgspec.Struct, frozen=True):
    """`image` is what its models call an image to work from, `several` a list of them; `sized`: they take width and height.
    `masked`: part of an image can be named.
    """

    prefix: str
    image: str = "image"
    several: bool = False
    sized: bool = False
    masked: bool = True


_FAMILIES = (
    _Family("google/nano-banana", "image_input", several=True, masked=False),
    _Family("bytedance/seedream", "image_input", several=True),
    _Family("black-forest-labs/flux-kontext", "input_image"),
    _Family("stability-ai/sdxl", sized=True),
    _Family("stability-ai/stable-diffusion", sized=True),
    _Family(""),
)


class ReplicateImages:
    """An `Offer` of `images` and of `image_edits`."""

    dialect = None

    def __init__(self, vendor: ReplicateAddress) -> None:
        self._runs = Runs(vendor)

    def check(self, request: ImageRequest, deployment: Deployment, /) -> tuple[str, ...]:
        model, family = deployment.model, _family(deployment)
        given = {path: value for path, value in request.extra.items() if path != _INPUT}
        lacks = _LACKS if family.masked else (*_LACKS, "mask")
        dropped = check_images(msgspec.structs.replace(request, extra=given), deployment, lacks=lacks)
        if request.output_format not in _FORMATS:
            raise unsupported(model, "output_format", "makes png, jpeg and webp files")
        if len(request.images) > 1 and not family.several:
            raise unsupported(model, "images", "works from one image")
        if not isinstance(request.extra.get(_INPUT, {}), dict):
            raise InvalidRequest(f"{_INPUT}: expected an object", param=_INPUT)
        if family.sized:
            if request.aspect_ratio is not None:
                raise unsupported(model, "aspect_ratio", "is told the pixels of an image: name a size")
            pixels_of(request, model)
            return dropped
        ratio_of(request, deployment, _RATIOS)
        return dropped if request.size is None else (*dropped, "size")

    def steps(self, request: ImageRequest, call: OfferCall, /) -> Steps[ImageReply]:
        asked = yield from self._input(request, call)
        tab, images = Tab(), list[MadeImage]()
        while len(images) < request.n:
            if request.seed is not None:
                asked["seed"] = request.seed + len(images)  # the same one would make the same image
            prediction = yield from self._runs.ended(asked, call)
            urls = addresses(prediction.output, "images", "image", "url") if prediction.succeeded else []
            yield tab.add(Usage(images=len(urls)))
            if not prediction.succeeded:
                raise prediction.failure("image")
            if not urls:
                raise not_of_protocol("a prediction that succeeded without an image")
            for url in urls[:_MOST_IMAGES]:  # more than were asked for, perhaps: all of them are billed
                if request.response_format == "url":
                    images.append(MadeImage(url=url))
                else:
                    images.append((yield from self._fetched(url, call)))
        return made_of(tuple(images), tab.usage)

    # ── what is asked for ─────────────────────────────────────────────────────────────────────────────────────────────

    def _input(self, request: ImageRequest, call: OfferCall) -> Generator[Step, Any, dict[str, Any]]:
        deployment, family = call.deployment, _family(call.deployment)
        asked: dict[str, Any] = {
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt,
            "output_format": _FORMATS[request.output_format],
        }
        if not family.sized:
            asked["aspect_ratio"] = ratio_of(request, deployment, _RATIOS)
        elif (pixels := pixels_of(request, deployment.model)) is not None:
            asked["width"], asked["height"] = pixels
        links = []
        for file in request.images:
            links.append((yield from self._link(file, call)))  # noqa: PERF401 -- a comprehension cannot yield
        if links:
            asked[family.image] = links if family.several else links[0]
        if request.mask is not None:
            asked["mask"] = yield from self._link(request.mask, call)
        known = {name: value for name, value in asked.items() if value is not None}
        return {**known, **request.extra.get(_INPUT, {})}

    def _link(self, file: ImageFile, call: OfferCall) -> Generator[Step, Any, str]:
        """Where Replicate finds it: its own address, or what becomes of its bytes."""
        if file.url is not None or file.data is None:
            return file.url or ""
        return (yield from self._runs.link(file.data, file.media_type, file.name or "image", call))

    def _fetched(self, url: str, call: OfferCall) -> Generator[Step, Any, MadeImage]:
        if (data := inline_data(url)) is not None:
            return _picture(base64.b64decode(data))
        return _picture((yield from self._runs.fetched(url, call)))


def _picture(data: bytes) -> MadeImage:
    if (kind := image_type(data)) is None:
        raise not_of_protocol("a file that is no image")
    return MadeImage(data=base64.b64encode(data).decode(), media_type=kind)


def _family(deployment: Deployment) -> _Family:
    return next(family for family in _FAMILIES if deployment.model.name.startswith(family.prefix))
