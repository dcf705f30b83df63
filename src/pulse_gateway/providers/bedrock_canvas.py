"""Images of Amazon's own models on Bedrock: Nova Canvas and Titan Image Generator, up to five a call.

An edit is a variation of what was sent (`IMAGE_VARIATION`), or, with a mask or a `mask_prompt`, a picture that is changed there alone
(`INPAINTING`). `similarity_strength`, a further member, says how much of a variation is the picture itself.

Source: https://docs.aws.amazon.com/nova/latest/userguide/image-gen-access.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-image.html (read 2026-11-24)
"""

from __future__ import annotations

import base64
import re
from collections.abc import Generator
from typing import Any

import msgspec

from pulse_gateway.errors import InvalidRequest, UpstreamRefusedContent
from pulse_gateway.providers.bedrock import asked, model_url
from pulse_gateway.providers.bedrock_pictures import checked_picture, mask_of, share, sketch_of
from pulse_gateway.providers.image_parts import check_images, made_of, only_bytes, pixels_of, ratio_of
from pulse_gateway.providers.offer import OfferCall, Step, Steps, ask
from pulse_gateway.providers.tab import Tab
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.images import ImageReply, ImageRequest, MadeImage
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol
from pulse_gateway.wire.refusals import not_taken, unsupported

__all__ = ["EDITS", "IMAGES", "CanvasImages"]

_MOST_A_CALL = 5
_SEEDS = 2_147_483_647
_QUALITIES = {None: None, "low": "standard", "standard": "standard", "high": "premium", "hd": "premium", "premium": "premium"}  # fmt: skip
_STYLES = frozenset(
    (
        "3D_ANIMATED_FAMILY_FILM", "DESIGN_SKETCH", "FLAT_VECTOR_ILLUSTRATION", "GRAPHIC_NOVEL_ILLUSTRATION", "MAXIMALISM",
        "MIDCENTURY_RETRO", "PHOTOREALISM", "SOFT_DIGITAL_PAINTING",
    )
)  # fmt: skip
_SIMILARITY, _MASK_PROMPT = "similarity_strength", "mask_prompt"
_MOST_IMAGES = 5


class _Family(msgspec.Struct, frozen=True):
    """`sizes` are all there are, None: any of `_fits`; `ratios`: a size for each ratio; `classes`: up to how many pixels a price goes."""

    styled: bool
    ratios: dict[str, tuple[int, int]]
    classes: tuple[int, ...]
    sizes: frozenset[tuple[int, int]] | None = None


_CANVAS = _Family(
    styled=True,
    ratios={
        "1:1": (1024, 1024), "16:9": (1280, 720), "9:16": (720, 1280), "3:2": (1248, 832), "2:3": (832, 1248),
        "4:3": (1152, 864), "3:4": (864, 1152), "5:4": (1120, 896), "4:5": (896, 1120), "21:9": (1344, 576),
        "9:21": (576, 1344),
    },
    classes=(1024, 2048),
)  # fmt: skip
_TITAN = _Family(
    styled=False,
    ratios={"1:1": (1024, 1024), "3:2": (1152, 768), "2:3": (768, 1152), "5:3": (1280, 768), "3:5": (768, 1280)},
    classes=(512, 1024),
    sizes=frozenset(
        (
            (1024, 1024), (768, 768), (512, 512), (768, 1152), (384, 576), (1152, 768), (576, 384), (768, 1280), (384, 640),
            (1280, 768), (640, 384), (896, 1152), (448, 576), (1152, 896), (576, 448), (768, 1408), (384, 704), (1408, 768),
            (704, 384), (640, 1408), (320, 704), (1408, 640), (704, 320), (1152, 640), (1173, 640),
        )
    ),
)  # fmt: skip
_NOVA = re.compile(r"amazon\.nova-canvas")


class _Answer(msgspec.Struct):
    images: list[str] | None = None
    error: str | None = None


_decode = msgspec.json.Decoder(_Answer).decode


class CanvasImages:
    """An `Offer` of `images`, or, with `edits`, of `image_edits`."""

    dialect = None

    def __init__(self, *, edits: bool) -> None:
        self._edits = edits

    def check(self, request: ImageRequest, deployment: Deployment, /) -> tuple[str, ...]:
        model, family = deployment.model, _family(deployment)
        paints = _paints(request)
        own = (_SIMILARITY, _MASK_PROMPT) if self._edits else ()
        given = {name: value for name, value in request.extra.items() if name not in own}
        lacks = ["input_fidelity", "output_compression"]
        if self._edits or not family.styled:
            lacks.append("style")
        if paints:
            lacks += ["size", "aspect_ratio"]  # it stays as it is
        dropped = check_images(msgspec.structs.replace(request, extra=given), deployment, lacks=lacks)
        only_bytes(request, deployment)
        if request.style is not None and request.style not in _STYLES:
            raise unsupported(model, "style", f"knows the styles {', '.join(sorted(_STYLES))}")
        if request.quality not in _QUALITIES:
            raise unsupported(
                model, "quality", f"has no quality between standard and premium, such as {request.quality}"
            )
        if request.output_format not in (None, "png"):
            raise unsupported(model, "output_format", "makes png files")
        if len(request.images) > (1 if paints else _MOST_IMAGES):
            raise unsupported(model, "images", f"works from {'one image' if paints else 'up to five images'}")
        if paints and _SIMILARITY in request.extra:
            raise not_taken(model, _SIMILARITY, " where a part of a picture is changed")
        if request.mask is not None and _MASK_PROMPT in request.extra:
            raise InvalidRequest(f"{_MASK_PROMPT}: there is a mask already", param=_MASK_PROMPT)
        _mask_prompt(request)
        share(request, _SIMILARITY, least=0.2)
        _pixels(request, deployment)
        return dropped

    def steps(self, request: ImageRequest, call: OfferCall, /) -> Steps[ImageReply]:
        deployment = call.deployment
        body = yield from self._task(request, deployment)
        settings: dict[str, Any] = {}
        if (pixels := _pixels(request, deployment)) is not None:
            settings["width"], settings["height"] = pixels
        if (quality := _QUALITIES[request.quality]) is not None:
            settings["quality"] = quality
        tab, images, wanted = Tab(), list[MadeImage](), 0
        while wanted < request.n:
            settings["numberOfImages"] = min(_MOST_A_CALL, request.n - wanted)
            if request.seed is not None:
                settings["seed"] = (request.seed + wanted) % _SEEDS
            answer = yield from ask(
                asked(call, "POST", model_url(deployment, "invoke"), {**body, "imageGenerationConfig": settings})
            )
            wanted += settings["numberOfImages"]
            read = from_provider(_decode, answer.body)
            made = read.images or []
            yield tab.add(Usage(images=len(made), variant=_variant(made, quality, deployment)))
            if not made and read.error is not None:
                raise UpstreamRefusedContent("the provider's filter let no image through", upstream_code="error")
            images += [checked_picture(data) for data in made]
            if not made:
                raise not_of_protocol("it has no image")
        return made_of(tuple(images), tab.usage)

    def _task(self, request: ImageRequest, deployment: Deployment) -> Generator[Step, Any, dict[str, Any]]:
        words: dict[str, Any] = {"text": request.prompt, "negativeText": request.negative_prompt}
        if not self._edits:
            words["style"] = request.style
            return {"taskType": "TEXT_IMAGE", "textToImageParams": _told(words)}
        pictures = []
        for file in request.images:
            pictures.append((yield from sketch_of(file, deployment)))  # noqa: PERF401 -- a comprehension cannot yield
        if _paints(request):
            words["image"] = pictures[0]
            words["maskPrompt"] = _mask_prompt(request)
            if request.mask is not None:
                mask = yield from mask_of(request.mask, changed=b"\0")
                words["maskImage"] = base64.b64encode(mask).decode()
            return {"taskType": "INPAINTING", "inPaintingParams": _told(words)}
        words["images"] = pictures
        words["similarityStrength"] = share(request, _SIMILARITY, least=0.2)
        return {"taskType": "IMAGE_VARIATION", "imageVariationParams": _told(words)}


def _told(words: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in words.items() if value is not None}


def _paints(request: ImageRequest) -> bool:
    """Whether a part of a picture is to be changed, and the rest of it not."""
    return request.mask is not None or _MASK_PROMPT in request.extra


def _mask_prompt(request: ImageRequest) -> str | None:
    """Raises: InvalidRequest."""
    written = request.extra.get(_MASK_PROMPT)
    if written is not None and not (isinstance(written, str) and written):
        raise InvalidRequest(f"{_MASK_PROMPT}: expected a text", param=_MASK_PROMPT)
    return written


def _family(deployment: Deployment) -> _Family:
    return _CANVAS if _NOVA.search(deployment.model.name) else _TITAN


def _pixels(request: ImageRequest, deployment: Deployment) -> tuple[int, int] | None:
    """Raises: UnsupportedParameter for a size, or a ratio, in which the model makes nothing."""
    model, family = deployment.model, _family(deployment)
    pixels = pixels_of(request, model)
    if pixels is None:
        ratio = ratio_of(request, deployment, family.ratios)
        return None if ratio is None else family.ratios[ratio]
    if request.aspect_ratio is not None:
        ratio_of(msgspec.structs.replace(request, size=None), deployment, family.ratios)
        width, height = family.ratios[request.aspect_ratio]
        if width * pixels[1] != height * pixels[0]:
            raise unsupported(model, "aspect_ratio", "cannot make an image of two aspect ratios")
    if family.sizes is None:
        if not _fits(*pixels):
            raise unsupported(
                model, "size", "makes images of 320 to 4096 pixels a side, by sixteens, at most 4:1 and 4.19 megapixels"
            )
    elif pixels not in family.sizes:
        known = ", ".join(f"{width}x{height}" for width, height in sorted(family.sizes))
        raise unsupported(model, "size", f"makes images of {known}")
    return pixels


def _fits(width: int, height: int) -> bool:
    sides = sorted((width, height))
    return (
        sides[0] >= 320
        and sides[1] <= 4096
        and not width % 16
        and not height % 16
        and sides[1] <= 4 * sides[0]
        and width * height <= 4_194_304
    )


def _variant(made: list[str], quality: str | None, deployment: Deployment) -> str | None:
    """`1024x1024/standard`: the smallest class of prices that the pictures fit into, by what they are."""
    told = made_of((MadeImage(data=made[0]),), Usage()).size if made else None
    if told is None:
        return None
    width, height = (int(side) for side in told.split("x"))
    classes = _family(deployment).classes
    side = next((each for each in classes if width * height <= each * each), classes[-1])
    return f"{side}x{side}/{quality or 'standard'}"


IMAGES, EDITS = CanvasImages(edits=False), CanvasImages(edits=True)
