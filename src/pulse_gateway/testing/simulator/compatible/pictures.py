"""Images of xAI and Together: OpenAI's path, other members, and addresses from which the pictures can be fetched.

Source: https://docs.x.ai/developers/rest-api-reference/inference/images, https://docs.together.ai/reference/post-images-generations and
/docs/inference/images/reference-images (read 2026-11-24)
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pulse_gateway.testing.simulator.dice import decode_base64, identifier
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.media import data_url, image_type
from pulse_gateway.testing.simulator.openai.body import Strict, converted, json_body
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.samples import PICTURES, colour, picture
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.tokens import Tally
from pulse_gateway.testing.simulator.vendor import Frame, Request

__all__ = ["PICTURE_PATH", "picture_work", "read_picture", "together_images", "xai_edits", "xai_images"]

PICTURE_PATH = re.compile(r"pictures/([1-9]\d{1,3})x([1-9]\d{1,3})-([0-9a-f]{6})\.(png|jpeg)")
_SIZE = re.compile(r"([1-9]\d{1,3})x([1-9]\d{1,3})")
_RATIOS = {"1:1": (1, 1), "16:9": (16, 9), "9:16": (9, 16), "4:3": (4, 3), "3:4": (3, 4), "3:2": (3, 2), "2:3": (2, 3)}
_TICKS_A_PICTURE = 200_000_000  # two cents
# Together's models that are shown pictures: one, or several. Others pass over them.
_SHOWN_ONE = re.compile(r"FLUX\.1.*(?:kontext|canny|depth|redux)")
_SHOWN_SEVERAL = re.compile(r"FLUX\.2|gemini.*image|flash-image")
_Count = Annotated[int, Meta(ge=1, le=10)]
_Edge = Annotated[int, Meta(ge=64, le=2048)]


class XaiRequest(Strict):
    """`size` and `style` are not known here."""

    model: str
    prompt: str
    n: _Count | None = None
    response_format: Literal["url", "b64_json"] | None = None
    aspect_ratio: str | None = None
    resolution: Literal["1k", "2k"] | None = None
    quality: Literal["low", "medium", "high"] | None = None
    user: str | None = None


class _Address(Strict):
    url: str
    type: Literal["image_url"] = "image_url"


class XaiEditRequest(XaiRequest):
    image: _Address | None = None
    images: Annotated[list[_Address], Meta(min_length=2, max_length=3)] | None = None


class TogetherRequest(Strict):
    model: str
    prompt: str
    n: _Count | None = None
    width: _Edge | None = None
    height: _Edge | None = None
    size: str | None = None
    steps: Annotated[int, Meta(ge=1, le=100)] | None = None
    seed: int | None = None
    guidance_scale: float | None = None
    negative_prompt: str | None = None
    aspect_ratio: str | None = None
    image_url: str | None = None
    reference_images: Annotated[list[str], Meta(min_length=1, max_length=8)] | None = None
    disable_safety_checker: bool | None = None
    output_format: Literal["jpeg", "png"] | None = None
    response_format: Literal["base64", "b64_json", "url"] | None = None


class _Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is made."""

    vendor: str
    model: str
    prompt: str
    count: int
    size: tuple[int, int]
    kind: str
    as_url: bool
    host: str
    digest: bytes

    def shown(self, at: int) -> dict[str, str]:
        paint = colour(self.digest, str(at))
        width, height = self.size
        if self.as_url:
            name = f"{width}x{height}-{bytes(paint).hex()}.{self.kind}"
            return {"url": f"http://{self.host}/as/{self.vendor}/pictures/{name}"}
        return {"b64_json": base64.b64encode(picture(f"image/{self.kind}", width, height, paint)).decode()}


def xai_images(request: Request, seed: int) -> Work:
    """Raises: Refusal."""
    return _xai(request, converted(json_body(request, ""), XaiRequest), [], seed)


def xai_edits(request: Request, seed: int) -> Work:
    """Raises: Refusal."""
    wanted = converted(json_body(request, ""), XaiEditRequest)
    if (wanted.image is None) == (wanted.images is None):
        raise refuse("One of image and images is required.", param="image")
    given = [wanted.image] if wanted.image is not None else wanted.images or []
    return _xai(request, wanted, [read_picture(each.url, "image") for each in given], seed)


def _xai(request: Request, wanted: XaiRequest, given: list[bytes], seed: int) -> Work:
    ratio = _RATIOS.get(wanted.aspect_ratio or "1:1")
    if ratio is None:
        raise refuse(f"Invalid aspect_ratio: {wanted.aspect_ratio}", param="aspect_ratio")
    if wanted.quality is not None and not wanted.model.startswith("grok-imagine-image-2"):
        raise refuse("Argument not supported: quality", param="quality")
    long = 2048 if wanted.resolution == "2k" else 1024
    size = (long * ratio[0] // max(ratio), long * ratio[1] // max(ratio))
    order = _order(request, "xai", wanted, size, "jpeg", seed, given)

    def body(faults: Faults) -> dict[str, Any]:
        held_back = order.count if faults.refusal else min(faults.filtered or 0, order.count)
        common = {"revised_prompt": wanted.prompt, "mime_type": "image/jpeg"}
        data: list[dict[str, Any]] = [
            {**order.shown(at), **common, "respect_moderation": True} for at in range(order.count - held_back)
        ]
        data += [{"revised_prompt": "", "respect_moderation": False}] * held_back
        return {"data": data, "usage": {"cost_in_usd_ticks": (order.count - held_back) * _TICKS_A_PICTURE}}

    return _work(order, body)


def together_images(request: Request, seed: int) -> Work:
    """Raises: Refusal."""
    wanted = converted(json_body(request, ""), TogetherRequest)
    size = (wanted.width or 1024, wanted.height or 1024)
    if wanted.size is not None:
        found = _SIZE.fullmatch(wanted.size)
        if found is None:
            raise refuse(f"Invalid size: {wanted.size}", param="size")
        size = (int(found.group(1)), int(found.group(2)))
    given = _together_pictures(wanted)
    order = _order(request, "together", wanted, size, wanted.output_format or "jpeg", seed, given)
    kind = "url" if order.as_url else "b64_json"
    return _work(
        order,
        lambda faults: {
            "id": identifier("img-", order.digest),
            "model": order.model,
            "object": "list",
            "data": [{"index": at, "type": kind, **order.shown(at)} for at in range(order.count)],
        },
    )


def _together_pictures(wanted: TogetherRequest) -> list[bytes]:
    """Raises: Refusal."""
    if wanted.image_url is not None and not _SHOWN_ONE.search(wanted.model):
        raise refuse("image_url is not supported by this model.", param="image_url")
    if wanted.reference_images is not None and not _SHOWN_SEVERAL.search(wanted.model):
        raise refuse("reference_images is not supported by this model.", param="reference_images")
    if wanted.aspect_ratio is not None and wanted.aspect_ratio not in _RATIOS:
        raise refuse(f"Invalid aspect_ratio: {wanted.aspect_ratio}", param="aspect_ratio")
    given = [] if wanted.image_url is None else [wanted.image_url]
    return [read_picture(each, "image_url") for each in (*given, *(wanted.reference_images or ()))]


def read_picture(url: str, name: str) -> bytes:
    """The bytes of a data URL, or the address itself as bytes, since nothing is fetched here. Raises: Refusal for what is neither."""
    if url.startswith(("https://", "http://")):
        return url.encode()
    inline = data_url(url)
    data = None if inline is None else decode_base64(inline[1])
    if inline is None or data is None:
        raise refuse(f"{name}: expected a URL, or a data URL of an image.", param=name)
    if image_type(data) != inline[0] or inline[0] not in PICTURES:
        raise refuse(f"{name}: it is no {inline[0] or 'image'}.", param=name)
    return data


def picture_work(found: re.Match[str]) -> Work:
    """The picture behind an address."""
    width, height, paint, kind = found.groups()
    red, green, blue = bytes.fromhex(paint)
    data = picture(f"image/{kind}", int(width), int(height), (red, green, blue))
    return Work(model="", content_type=f"image/{kind}", render=lambda faults: [Frame(data)])


def _order(
    request: Request,
    vendor: str,
    wanted: XaiRequest | TogetherRequest,
    size: tuple[int, int],
    kind: str,
    seed: int,
    given: list[bytes],
) -> _Order:
    if not wanted.prompt:
        raise refuse("Prompt must not be empty.", param="prompt")
    tally = Tally(seed, f"{vendor} images", split_model(wanted.model)[0])
    tally.text(wanted.prompt)
    for each in given:
        tally.media(each)
    return _Order(
        vendor=vendor,
        model=wanted.model,
        prompt=wanted.prompt,
        count=wanted.n or 1,
        size=size,
        kind=kind,
        as_url=wanted.response_format in {None, "url"},
        host=request.headers.get("host", "localhost"),
        digest=tally.digest,
    )


def _work(order: _Order, body: Callable[[Faults], dict[str, Any]]) -> Work:
    def render(faults: Faults) -> list[Frame]:
        return [Frame(msgspec.json.encode(body(faults)))]

    return Work(
        model=order.model,
        fault_spec=split_model(order.model)[1],
        content_type="application/json",
        render=render,
        units={"images": order.count},
    )
