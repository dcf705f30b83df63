"""OpenRouter's `POST /images`: one path for every maker's models, strict about the request, billed in tokens and told in dollars.

Models of Google's make one picture a call and refuse `n`; those of others make as many as are asked for. Pixels and a ratio that do not
fit each other are refused.
Source: https://openrouter.ai/docs/api/api-reference/images/generate-an-image and the types of `openrouter` 1.3 (read 2026-11-24)
"""

from __future__ import annotations

import base64
import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pulse_gateway.testing.simulator.answer import Usage
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.openai.body import Strict, converted, json_body
from pulse_gateway.testing.simulator.openai.errors import refuse
from pulse_gateway.testing.simulator.samples import PICTURES, colour, picture
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.tokens import Tally, count_text
from pulse_gateway.testing.simulator.vendor import Frame, Request

__all__ = ["openrouter_images"]

_CREATED = 1_767_225_600
_TOKENS_PER_IMAGE = 1290
_NANO_USD_PER_TOKEN = 30_000
_TIERS = {"512": 512, "768": 768, "1K": 1024, "1.5K": 1536, "2K": 2048, "4K": 4096}
_PIXELS = re.compile(r"([1-9]\d{1,3})x([1-9]\d{1,3})")
_DATA_URL = re.compile(r"data:(image/(?:png|jpeg|webp));base64,(.+)", re.DOTALL)
_RATIOS = frozenset(
    (
        "1:1", "1:2", "1:4", "1:8", "2:1", "2:3", "2.35:1", "3:2", "3:4", "4:1", "4:3", "4:5", "5:2", "5:4", "5:7", "7:5",
        "8:1", "9:16", "16:9", "9:19.5", "19.5:9", "9:20", "20:9", "9:21", "21:9", "auto",
    )
)  # fmt: skip


class ImageAddress(Strict):
    url: str


class Reference(Strict):
    type: Literal["image_url"]
    image_url: ImageAddress


class ImagesRequest(Strict):
    model: str
    prompt: Annotated[str, Meta(min_length=1)]
    aspect_ratio: str | None = None
    background: Literal["auto", "transparent", "opaque"] | None = None
    input_references: Annotated[list[Reference], Meta(max_length=16)] | None = None
    n: Annotated[int, Meta(ge=1, le=10)] = 1
    output_compression: Annotated[int, Meta(ge=0, le=100)] | None = None
    output_format: Literal["png", "jpeg", "webp", "svg"] = "png"
    provider: dict[str, Any] | None = None
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max"] | None = None
    resolution: Literal["512", "768", "1K", "1.5K", "2K", "4K"] | None = None
    seed: int | None = None
    session_id: Annotated[str, Meta(max_length=256)] | None = None
    size: str | None = None
    stream: bool | None = None
    trace: dict[str, Any] | None = None
    user: str | None = None


def openrouter_images(request: Request, seed: int) -> Work:
    """Raises: Refusal."""
    wanted = converted(json_body(request, ""), ImagesRequest)
    model, spec = split_model(wanted.model)
    if "/" not in model:
        raise refuse(f"{model} is not a valid model ID", param="model")
    if wanted.n > 1 and model.startswith("google/"):
        raise refuse(f"{model} generates one image per request; n must be 1", param="n")
    if wanted.background == "transparent" and wanted.output_format not in {"png", "webp"}:
        raise refuse("background: transparent requires output_format png or webp", param="background")
    size = _size(wanted)
    tally = Tally(seed, "openrouter images", model)
    references = [_reference(each) for each in wanted.input_references or ()]
    for text in (wanted.prompt, *references):
        tally.text(text)
    media_type = f"image/{wanted.output_format}"
    kind = media_type if media_type in PICTURES else "image/png"
    sent = count_text(wanted.prompt) + 258 * len(references)
    made = _TOKENS_PER_IMAGE * wanted.n

    def render(faults: Faults) -> list[Frame]:
        data = [picture(kind, *size, colour(tally.digest, f"{wanted.seed or 0} {at}")) for at in range(wanted.n)]
        shown = [{"b64_json": base64.b64encode(each).decode(), "media_type": kind} for each in data]
        body: dict[str, Any] = {"created": _CREATED, "data": [] if faults.blocked else shown}
        if not faults.no_usage:
            body["usage"] = {
                "prompt_tokens": sent,
                "completion_tokens": made,
                "total_tokens": sent + made,
                "completion_tokens_details": {"image_tokens": made, "reasoning_tokens": 0},
                "cost": (sent + made) * _NANO_USD_PER_TOKEN / 1_000_000_000,
                "is_byok": False,
            }
        return [Frame(msgspec.json.encode(body), made)]

    return Work(
        model=wanted.model,
        fault_spec=spec,
        content_type="application/json",
        render=render,
        usage=Usage(input=sent),
        units={"images": wanted.n},
    )


def _size(wanted: ImagesRequest) -> tuple[int, int]:
    if wanted.aspect_ratio is not None and wanted.aspect_ratio not in _RATIOS:
        raise refuse(f"Invalid aspect_ratio: {wanted.aspect_ratio}", param="aspect_ratio")
    ratio = "1:1" if wanted.aspect_ratio in {None, "auto"} else str(wanted.aspect_ratio)
    wide, high = map(float, ratio.split(":"))
    found = _PIXELS.fullmatch(wanted.size or "")
    if found is None:
        tier = wanted.size or wanted.resolution or "1K"
        if tier not in _TIERS or (wanted.resolution or tier) != tier:
            raise refuse(f"Invalid size: {wanted.size}", param="size")
        longest = max(wide, high)
        return int(_TIERS[tier] * wide / longest), int(_TIERS[tier] * high / longest)
    width, height = int(found[1]), int(found[2])
    if wanted.resolution is not None or (
        wanted.aspect_ratio not in {None, "auto"} and abs(width / height - wide / high) > 0.02
    ):
        raise refuse("size conflicts with resolution or aspect_ratio", param="size")
    return width, height


def _reference(reference: Reference) -> str:
    """What is read of a picture."""
    url = reference.image_url.url
    if url.startswith(("https://", "http://")):
        return url
    found = _DATA_URL.fullmatch(url)
    try:
        data = base64.b64decode(found[2], validate=True) if found else b""
    except ValueError:
        data = b""
    if not data:
        raise refuse("input_references: expected a URL or a base64 data URL of an image", param="input_references")
    return f"[image {len(data)} bytes]"
