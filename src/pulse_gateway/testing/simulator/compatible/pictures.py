"""Images of xAI and Together: OpenAI's path, other members, and addresses from which the pictures can be fetched.

Source: https://docs.x.ai/docs/guides/image-generations and https://docs.together.ai/reference/post-images-generations
(read 2026-11-24)
"""

from __future__ import annotations

import base64
import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pulse_gateway.testing.simulator.dice import identifier
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.openai.body import Strict, converted, json_body
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.samples import colour, picture
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.tokens import Tally
from pulse_gateway.testing.simulator.vendor import Frame, Request

__all__ = ["PICTURE_PATH", "picture_work", "together_images", "xai_images"]

PICTURE_PATH = re.compile(r"pictures/([1-9]\d{1,3})x([1-9]\d{1,3})-([0-9a-f]{6})\.(png|jpeg)")
_SIZE = re.compile(r"([1-9]\d{1,3})x([1-9]\d{1,3})")
_RATIOS = {"1:1": (1, 1), "16:9": (16, 9), "9:16": (9, 16), "4:3": (4, 3), "3:4": (3, 4), "3:2": (3, 2), "2:3": (2, 3)}
_Count = Annotated[int, Meta(ge=1, le=10)]
_Edge = Annotated[int, Meta(ge=64, le=2048)]


class XaiRequest(Strict):
    """`size`, `quality` and `style` are not known here."""

    model: str
    prompt: str
    n: _Count | None = None
    response_format: Literal["url", "b64_json"] | None = None
    aspect_ratio: str | None = None
    resolution: Literal["1k", "2k"] | None = None
    user: str | None = None


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
    image_url: str | None = None
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
    wanted = converted(json_body(request, ""), XaiRequest)
    ratio = _RATIOS.get(wanted.aspect_ratio or "1:1")
    if ratio is None:
        raise refuse(f"Invalid aspect_ratio: {wanted.aspect_ratio}", param="aspect_ratio")
    long = 2048 if wanted.resolution == "2k" else 1024
    size = (long * ratio[0] // max(ratio), long * ratio[1] // max(ratio))
    order = _order(request, "xai", wanted, size, "jpeg", seed)
    revised = {"revised_prompt": wanted.prompt}
    return _work(order, lambda: {"data": [{**order.shown(at), **revised} for at in range(order.count)]})


def together_images(request: Request, seed: int) -> Work:
    """Raises: Refusal."""
    wanted = converted(json_body(request, ""), TogetherRequest)
    size = (wanted.width or 1024, wanted.height or 1024)
    if wanted.size is not None:
        found = _SIZE.fullmatch(wanted.size)
        if found is None:
            raise refuse(f"Invalid size: {wanted.size}", param="size")
        size = (int(found.group(1)), int(found.group(2)))
    order = _order(request, "together", wanted, size, wanted.output_format or "jpeg", seed)
    kind = "url" if order.as_url else "b64_json"
    return _work(
        order,
        lambda: {
            "id": identifier("img-", order.digest),
            "model": order.model,
            "object": "list",
            "data": [{"index": at, "type": kind, **order.shown(at)} for at in range(order.count)],
        },
    )


def picture_work(found: re.Match[str]) -> Work:
    """The picture behind an address."""
    width, height, paint, kind = found.groups()
    red, green, blue = bytes.fromhex(paint)
    data = picture(f"image/{kind}", int(width), int(height), (red, green, blue))
    return Work(model="", content_type=f"image/{kind}", render=lambda faults: [Frame(data)])


def _order(
    request: Request, vendor: str, wanted: XaiRequest | TogetherRequest, size: tuple[int, int], kind: str, seed: int
) -> _Order:
    if not wanted.prompt:
        raise refuse("Prompt must not be empty.", param="prompt")
    tally = Tally(seed, f"{vendor} images", split_model(wanted.model)[0])
    tally.text(wanted.prompt)
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


def _work(order: _Order, body: Any) -> Work:
    def render(faults: Faults) -> list[Frame]:
        return [Frame(msgspec.json.encode(body()))]

    return Work(
        model=order.model,
        fault_spec=split_model(order.model)[1],
        content_type="application/json",
        render=render,
        units={"images": order.count},
    )
