"""Images of OpenRouter's: `POST /images`, from a text and from pictures, by whichever maker serves the model.

How many come of one call is the maker's affair: `n` is the most there will be, so it is asked again for what is missing. Google's models make
one a call and refuse `n`, so they are asked for each. A quality that a
maker has no word for OpenRouter passes over itself.

Source: https://openrouter.ai/docs/api/api-reference/images/generate-an-image, /docs/guides/overview/multimodal/image-generation and the
types of `openrouter` 1.3 (read 2026-11-24)
"""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.providers.compatible import OPENROUTER
from pulse_gateway.providers.image_parts import check_images, made_of, only_bytes
from pulse_gateway.providers.offer import OfferCall, Steps, ask
from pulse_gateway.providers.picture_address import address_of
from pulse_gateway.providers.tab import Tab
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import HttpAnswer, HttpRequest
from pulse_gateway.types.images import ImageReply, ImageRequest, MadeImage
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol, to_provider
from pulse_gateway.wire.openai_chat.errors import upstream_error
from pulse_gateway.wire.openai_chat.schema import UsageRecord
from pulse_gateway.wire.openai_chat.usage import decode_usage
from pulse_gateway.wire.refusals import unsupported
from pulse_gateway.wire.told_cost import told_nano_usd

__all__ = ["IMAGES", "OpenRouterImages"]

_SAID = ("size", "aspect_ratio", "quality", "background", "output_format", "output_compression", "user")
_LACKS = ("style", "mask", "input_fidelity", "negative_prompt")
_OWN = frozenset({"provider", "resolution", "session_id", "trace"})  # members of OpenRouter's that clients add
_MOST_PICTURES = 16
_ONE_AT_A_TIME = "google/"


class _Image(msgspec.Struct):
    b64_json: str | None = None
    media_type: str | None = None


class _Answer(msgspec.Struct):
    data: list[_Image] | None = None
    created: float | None = None
    usage: UsageRecord | None = None
    error: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Answer).decode


class OpenRouterImages:
    """An `Offer` of `images` and of `image_edits`."""

    dialect: str | None = None

    def check(self, request: ImageRequest, deployment: Deployment, /) -> tuple[str, ...]:
        foreign = {name: value for name, value in request.extra.items() if name not in _OWN}
        rest = msgspec.structs.replace(request, extra=foreign, background=None, user=None)
        dropped = check_images(rest, deployment, lacks=_LACKS)
        only_bytes(request, deployment)
        if len(request.images) > _MOST_PICTURES:
            raise unsupported(deployment.model, "images", f"works from {_MOST_PICTURES} pictures at most")
        return dropped

    def steps(self, request: ImageRequest, call: OfferCall, /) -> Steps[ImageReply]:
        fields: dict[str, Any] = {"model": call.deployment.model.name, "prompt": request.prompt}
        fields |= {name: value for name in _SAID if (value := getattr(request, name)) is not None}
        if request.images:
            fields["input_references"] = [
                {"type": "image_url", "image_url": {"url": address_of(file)}} for file in request.images
            ]
        most = 1 if call.deployment.model.name.startswith(_ONE_AT_A_TIME) else request.n
        tab, images, created = Tab(), list[MadeImage](), None
        while len(images) < request.n:
            body = {**fields, **request.extra}
            missing = request.n - len(images)
            if min(missing, most) > 1:
                body["n"] = missing
            if request.seed is not None:
                body["seed"] = request.seed + len(images)  # the same one would make the same images
            url = OPENROUTER.url(call.deployment, "/images")
            headers = (("content-type", "application/json"), *OPENROUTER.headers(call))
            answer = yield from ask(HttpRequest("POST", url, headers, to_provider(body)))
            read = _read(answer)
            made = [_made(each) for each in read.data or () if each.b64_json][:missing]
            yield tab.add(_counted(read.usage, len(made)), told_nano_usd(read.usage))
            if not made:
                raise not_of_protocol("it holds no picture")
            images += made
            created = created or read.created
        more = {} if created is None else {"created": int(created)}
        return made_of(tuple(images), tab.usage, cost_nano_usd=tab.told_nano_usd, **more)


def _read(answer: HttpAnswer) -> _Answer:
    """Raises: UpstreamError for an error that is told with status 200, once the work had begun."""
    read = from_provider(_decode, answer.body)
    if read.error and read.error != b"null":
        raise upstream_error(200, answer.headers, answer.body)
    return read


def _made(image: _Image) -> MadeImage:
    return MadeImage(
        data=image.b64_json, media_type=image.media_type
    )  # told but where OpenRouter could not find it out


def _counted(record: UsageRecord | None, images: int) -> Usage:
    """As a chat's usage is counted; where what was written is not told apart, it is the image."""
    usage = decode_usage(record) or Usage()
    if images and usage.image_output_tokens is None and usage.output_tokens is not None:
        usage = msgspec.structs.replace(usage, image_output_tokens=usage.output_tokens, output_tokens=0)
    return msgspec.structs.replace(usage, images=images)


IMAGES = OpenRouterImages()
