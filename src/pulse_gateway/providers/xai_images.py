"""Images edited by xAI: OpenAI's path, but a JSON body with the addresses of up to three pictures in it.

It has aspect ratios and two resolutions, no sizes. What its filter held back comes without bytes, with `respect_moderation: false`, beside
the images that it let through, and those are billed. It says what a call costs, the pictures that were worked from included.

Source: https://docs.x.ai/developers/rest-api-reference/inference/images, /developers/model-capabilities/images/editing and the types of
`xai-sdk` 1.21 (read 2026-11-24). That an edit takes no more than three pictures, and which models know qualities, is theirs; that a
`mask` is unknown is not said in so many words.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.errors import UpstreamRefusedContent
from pulse_gateway.providers.compatible import XAI
from pulse_gateway.providers.image_parts import check_images, first_size, pixels_of, ratio_of
from pulse_gateway.providers.offer import Billed, OfferCall, Steps, ask
from pulse_gateway.providers.picture_address import address_of
from pulse_gateway.types.catalog import Deployment, Model
from pulse_gateway.types.http import HttpRequest
from pulse_gateway.types.images import ImageReply, ImageRequest, MadeImage, image_variant
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.foreign_answers import counted
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol, to_provider
from pulse_gateway.wire.refusals import unsupported
from pulse_gateway.wire.told_cost import ToldCost, told_nano_usd

__all__ = ["EDITS", "XaiEdits"]

_RATIOS = ("1:1", "3:4", "4:3", "9:16", "16:9", "2:3", "3:2", "9:20", "20:9", "1:2", "2:1", "21:9", "5:2")
_LACKS = (
    "mask", "input_fidelity", "style", "output_format", "output_compression", "negative_prompt", "seed",
)  # fmt: skip
_MOST_PICTURES = 3
_QUALITIES = ("low", "medium", "high")
_FINE_PIXELS = 1448 * 1448  # from here on 2k is nearer than 1k


class _Picture(msgspec.Struct):
    url: str | None = None
    b64_json: str | None = None
    mime_type: str | None = None
    revised_prompt: str | None = None
    respect_moderation: bool | None = None


class _Answer(msgspec.Struct):
    data: list[_Picture]
    usage: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Answer).decode
_told = msgspec.json.Decoder(ToldCost | None).decode


class XaiEdits:
    """An `Offer` of `image_edits`."""

    dialect = None

    def check(self, request: ImageRequest, deployment: Deployment, /) -> tuple[str, ...]:
        model = deployment.model
        dropped = check_images(request, deployment, lacks=_LACKS if _knows_qualities(model) else (*_LACKS, "quality"))
        if request.quality not in (None, *_QUALITIES):
            raise unsupported(model, "quality", f"makes images of {', '.join(_QUALITIES)} quality")
        if len(request.images) > _MOST_PICTURES:
            raise unsupported(model, "images", f"works from {_MOST_PICTURES} images at most")
        ratio_of(request, deployment, _RATIOS)
        dropped = tuple(name for name in dropped if name != "user")  # it takes one
        return dropped if request.size is None else (*dropped, "size")

    def steps(self, request: ImageRequest, call: OfferCall, /) -> Steps[ImageReply]:
        wants_address = request.response_format == "url" and not request.stream
        pixels = pixels_of(request, call.deployment.model)
        body: dict[str, Any] = {
            "model": call.deployment.model.name,
            "prompt": request.prompt,
            "n": request.n,
            "response_format": "url" if wants_address else "b64_json",
            "aspect_ratio": ratio_of(request, call.deployment, _RATIOS),
            "resolution": None if pixels is None else "2k" if pixels[0] * pixels[1] >= _FINE_PIXELS else "1k",
            "quality": request.quality,
            "user": request.user,
        }
        body = {name: value for name, value in body.items() if value is not None}
        pictures = [{"url": address_of(image), "type": "image_url"} for image in request.images]
        body |= {"image": pictures[0]} if len(pictures) == 1 else {"images": pictures}
        headers = (("content-type", "application/json"), *XAI.headers(call))
        url = XAI.url(call.deployment, "/images/edits")
        answer = yield from ask(HttpRequest("POST", url, headers, to_provider(body)))
        read = from_provider(_decode, answer.body)
        let_through = [each for each in read.data if each.respect_moderation is not False]
        images = tuple(map(_made, let_through))
        size = first_size(images)
        usage = Usage(images=len(images), variant=image_variant(size, request.quality))
        told = told_nano_usd(counted(_told, read.usage))
        yield Billed(usage, told)
        if not images and read.data:
            raise UpstreamRefusedContent(
                "the provider's filter let no image through", upstream_code="respect_moderation"
            )
        if not images:
            raise not_of_protocol("it holds no images")
        return ImageReply(images=images, usage=usage, size=size, quality=request.quality, cost_nano_usd=told)


def _knows_qualities(model: Model) -> bool:
    """Those of the first generation have none."""
    return model.name.startswith("grok-imagine-image-2") or not model.name.startswith("grok-imagine-image")


def _made(picture: _Picture) -> MadeImage:
    data = picture.b64_json
    if data is not None and data.startswith("data:"):  # as its SDK knows them
        data = data.partition(",")[2]
    if not data and not picture.url:
        raise not_of_protocol("an image without bytes or an address")
    return MadeImage(
        data=data or None, url=picture.url, media_type=picture.mime_type, revised_prompt=picture.revised_prompt
    )


EDITS = XaiEdits()
