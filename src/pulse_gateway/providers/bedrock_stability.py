"""Images of Stability's models on Bedrock: Stable Image Core and Ultra, Stable Diffusion 3, and inpainting. One image a call.

An edit is an image to begin with and `strength`, as at Stability itself; a mask is for `stable-image-inpaint`.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-diffusion-3-5-large.html,
/model-parameters-diffusion-stable-ultra-text-image-request-response.html,
/model-parameters-diffusion-stable-image-core-text-image-request-response.html and /stable-image-services.html (read 2026-11-24). Whether
Ultra wants a `mode` beside an image is not said there; Stability's own API has none.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Generator
from typing import Any

import msgspec

from pulse_gateway.errors import UpstreamFailed, UpstreamRefusedContent
from pulse_gateway.providers.bedrock import asked, model_url
from pulse_gateway.providers.bedrock_pictures import checked_picture, mask_of, share, sketch_of
from pulse_gateway.providers.image_parts import check_images, made_of, only_bytes, ratio_of
from pulse_gateway.providers.offer import OfferCall, Step, Steps, ask
from pulse_gateway.providers.tab import Tab
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.images import ImageReply, ImageRequest, MadeImage
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol
from pulse_gateway.wire.refusals import unsupported

__all__ = ["EDITS", "IMAGES", "StabilityOnBedrock"]

_RATIOS = ("16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21")
_LACKS = ("quality", "style", "input_fidelity", "output_compression")
_FORMATS = ("png", "jpeg")
_SEEDS = 4_294_967_295
_STRENGTH = "strength"  # how little of the image is kept, 0 to 1
_USUAL_STRENGTH = 0.7
_FAILED = "Inference error"
_INPAINTS, _SD3 = re.compile(r"stability\.stable-image-inpaint"), re.compile(r"stability\.sd3")


class _Answer(msgspec.Struct):
    images: list[str] | None = None
    finish_reasons: list[str | None] | None = None


_decode = msgspec.json.Decoder(_Answer).decode


class StabilityOnBedrock:
    """An `Offer` of `images`, or, with `edits`, of `image_edits`."""

    dialect = None

    def __init__(self, *, edits: bool) -> None:
        self._edits = edits

    def check(self, request: ImageRequest, deployment: Deployment, /) -> tuple[str, ...]:
        model, inpaints = deployment.model, _INPAINTS.search(deployment.model.name) is not None
        own = (_STRENGTH,) if self._edits and not inpaints else ()
        given = {name: value for name, value in request.extra.items() if name not in own}
        lacks = (*_LACKS, *(("size", "aspect_ratio") if self._edits else ()), *(() if inpaints else ("mask",)))
        dropped = check_images(msgspec.structs.replace(request, extra=given), deployment, lacks=lacks)
        only_bytes(request, deployment)
        if request.output_format not in (None, *_FORMATS):
            raise unsupported(model, "output_format", f"makes {' and '.join(_FORMATS)} files")
        if len(request.images) > 1:
            raise unsupported(model, "images", "works from one image")
        share(request, _STRENGTH)
        ratio_of(request, deployment, _RATIOS)
        return dropped if request.size in (None, "1024x1024") else (*dropped, "size")

    def steps(self, request: ImageRequest, call: OfferCall, /) -> Steps[ImageReply]:
        body = {
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt,
            "aspect_ratio": ratio_of(request, call.deployment, _RATIOS),
            "output_format": request.output_format,
        }
        body = {name: value for name, value in body.items() if value is not None}
        if self._edits:
            body |= yield from self._picture(request, call.deployment)
        tab, images = Tab(), list[MadeImage]()
        while len(images) < request.n:
            seed = {} if request.seed is None else {"seed": (request.seed + len(images)) % _SEEDS}
            answer = yield from ask(asked(call, "POST", model_url(call.deployment, "invoke"), {**body, **seed}))
            read = from_provider(_decode, answer.body)
            reason = next((each for each in read.finish_reasons or () if each is not None), None)
            made = (read.images or [])[:1] if reason is None else []
            yield tab.add(Usage(images=len(made)))
            if reason == _FAILED:
                raise UpstreamFailed("the provider failed to answer", upstream_code=reason)
            if reason is not None:
                raise UpstreamRefusedContent("the provider's filter let no image through", upstream_code=reason)
            if not made:
                raise not_of_protocol("it has no image")
            images.append(checked_picture(made[0]))
        return made_of(tuple(images), tab.usage)

    def _picture(self, request: ImageRequest, deployment: Deployment) -> Generator[Step, Any, dict[str, Any]]:
        more: dict[str, Any] = {"image": (yield from sketch_of(request.images[0], deployment))}
        if _INPAINTS.search(deployment.model.name):
            if request.mask is not None:
                mask = yield from mask_of(request.mask, changed=b"\xff")
                more["mask"] = base64.b64encode(mask).decode()
            return more
        told = share(request, _STRENGTH)
        more["strength"] = _USUAL_STRENGTH if told is None else told
        if _SD3.search(deployment.model.name):
            more["mode"] = "image-to-image"
        return more


IMAGES, EDITS = StabilityOnBedrock(edits=False), StabilityOnBedrock(edits=True)
