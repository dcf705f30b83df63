"""Images of Stability's: `generate/{core, ultra, sd3}`, from an image too where a model can, and `edit/inpaint`.

A call makes one image, so several are several calls. An image that the filter blurred comes with status 200.

Source: https://platform.stability.ai/docs/api-reference (read 2026-11-24)
"""

from __future__ import annotations

import base64
from typing import Any, Protocol

import msgspec

from pulse_gateway.errors import InvalidRequest, UpstreamRefusedContent
from pulse_gateway.providers.image_parts import check_images, made_of, only_bytes, ratio_of
from pulse_gateway.providers.offer import OfferCall, Steps, ask
from pulse_gateway.providers.tab import Tab
from pulse_gateway.providers.video_parts import picture_of
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import Headers, HttpRequest, header
from pulse_gateway.types.images import ImageFile, ImageReply, ImageRequest, MadeImage
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.foreign_json import not_of_protocol
from pulse_gateway.wire.multipart import FormPart, build_form
from pulse_gateway.wire.picture import image_type
from pulse_gateway.wire.refusals import unsupported

__all__ = ["StabilityAddress", "StabilityImages", "endpoint_of"]

_RATIOS = ("21:9", "16:9", "3:2", "5:4", "1:1", "4:5", "2:3", "9:16", "9:21")
_STYLES = frozenset(
    (
        "enhance", "anime", "photographic", "digital-art", "comic-book", "fantasy-art", "line-art", "analog-film",
        "neon-punk", "isometric", "low-poly", "origami", "modeling-compound", "cinematic", "3d-model", "pixel-art",
        "tile-texture",
    )
)  # fmt: skip
_LACKS = ("quality", "input_fidelity", "output_compression")
_SEEDS = 4_294_967_295
_STRENGTH = "strength"  # how little of the image is kept, 0 to 1
_USUAL_STRENGTH = 0.7
_FILTERED = "CONTENT_FILTERED"


class StabilityAddress(Protocol):
    """What such an offer needs of its vendor."""

    def address(self, deployment: Deployment, path: str, /) -> str: ...

    def own_headers(self, call: OfferCall, /) -> Headers: ...


def endpoint_of(model: str, *, edits: bool) -> str | None:
    """Below `/v2beta/stable-image/`; None: the model does not do that."""
    name = model.removeprefix("stable-image-")
    if name == "inpaint":
        return "edit/inpaint" if edits else None
    if name == "core":
        return None if edits else "generate/core"
    if name == "ultra":
        return "generate/ultra"
    return "generate/sd3" if name.startswith("sd3") else None


class StabilityImages:
    """An `Offer` of `images`, or, with `edits`, of `image_edits`."""

    dialect = None

    def __init__(self, vendor: StabilityAddress, *, edits: bool) -> None:
        self._vendor, self._edits = vendor, edits

    def check(self, request: ImageRequest, deployment: Deployment, /) -> tuple[str, ...]:
        model, path = deployment.model, self._path(deployment)
        given = {name: value for name, value in request.extra.items() if not (self._edits and name == _STRENGTH)}
        lacks = (*_LACKS, *(("size", "aspect_ratio") if self._edits else ()))
        if path != "edit/inpaint":
            lacks = (*lacks, "mask")
        dropped = check_images(msgspec.structs.replace(request, extra=given), deployment, lacks=lacks)
        only_bytes(request, deployment)
        formats = ("png", "jpeg") if path == "generate/sd3" else ("png", "jpeg", "webp")
        if request.output_format not in (None, *formats):
            raise unsupported(model, "output_format", f"makes {', '.join(formats)} files")
        if request.style is not None and request.style not in _STYLES:
            raise unsupported(model, "style", f"knows the styles {', '.join(sorted(_STYLES))}")
        if len(request.images) > 1:
            raise unsupported(model, "images", "works from one image")
        _strength(request)
        ratio_of(request, deployment, _RATIOS)
        return dropped if request.size is None else (*dropped, "size")

    def steps(self, request: ImageRequest, call: OfferCall, /) -> Steps[ImageReply]:
        path = self._path(call.deployment)
        fields: dict[str, Any] = {
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt,
            "output_format": request.output_format,
            "style_preset": request.style,
            "aspect_ratio": ratio_of(request, call.deployment, _RATIOS),
            "model": call.deployment.model.name if path == "generate/sd3" else None,
        }
        if self._edits and path != "edit/inpaint":
            fields["strength"] = _strength(request)
            fields["mode"] = "image-to-image" if path == "generate/sd3" else None
        parts = [FormPart(name=name, data=str(value).encode()) for name, value in fields.items() if value is not None]
        for name, file in (("image", request.images[:1]), ("mask", (request.mask,) if request.mask else ())):
            for each in file:
                parts.append((yield from _file(name, each)))  # noqa: PERF401 -- a comprehension cannot yield
        tab, images = Tab(), list[MadeImage]()
        while len(images) < request.n:
            seed = [] if request.seed is None else [_seed(request.seed + len(images))]
            form = build_form([*parts, *seed])
            headers = (("content-type", form.content_type), ("accept", "image/*"), *self._vendor.own_headers(call))
            answer = yield from ask(
                HttpRequest("POST", self._vendor.address(call.deployment, path), headers, form.data)
            )
            filtered = header(answer.headers, "finish-reason") == _FILTERED
            yield tab.add(Usage(images=0 if filtered else 1))
            if filtered:
                raise UpstreamRefusedContent("the provider's filter let no image through", upstream_code=_FILTERED)
            if (kind := image_type(answer.body)) is None:  # whatever its head says
                raise not_of_protocol("it is no image")
            images.append(MadeImage(data=base64.b64encode(answer.body).decode(), media_type=kind))
        return made_of(tuple(images), tab.usage)

    def _path(self, deployment: Deployment) -> str:
        path = endpoint_of(deployment.model.name, edits=self._edits)
        assert path is not None  # the vendor offers nothing for any other model
        return path


def _file(name: str, file: ImageFile) -> Any:
    kind, data = yield from picture_of(file)
    return FormPart(name=name, data=base64.b64decode(data), filename=file.name or name, content_type=kind)


def _seed(seed: int) -> FormPart:
    return FormPart(name="seed", data=str(seed % _SEEDS).encode())


def _strength(request: ImageRequest) -> float:
    """Raises: InvalidRequest."""
    written = request.extra.get(_STRENGTH, _USUAL_STRENGTH)
    try:
        strength = float(written)
    except (TypeError, ValueError):
        strength = -1.0
    if isinstance(written, bool) or not 0 <= strength <= 1:
        raise InvalidRequest(f"{_STRENGTH}: expected a number from 0 to 1", param=_STRENGTH)
    return strength
