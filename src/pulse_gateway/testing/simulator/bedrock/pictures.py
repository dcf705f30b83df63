"""Models that make pictures: Amazon's Nova Canvas and Titan Image Generator, and Stability's.

Steering: `refusal` holds every picture back, `filtered=N` so many; `blocked` refuses the prompt.
Source: https://docs.aws.amazon.com/nova/latest/userguide/image-gen-access.html,
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-image.html,
/model-parameters-diffusion-3-5-large.html, /model-parameters-diffusion-stable-ultra-text-image-request-response.html,
/model-parameters-diffusion-stable-image-core-text-image-request-response.html and /stable-image-services.html (read 2026-11-24)
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import blake2b
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import UNSET, Meta, UnsetType

from pulse_gateway.testing.simulator.bedrock.bodies import StrictBody, read_body
from pulse_gateway.testing.simulator.bedrock.errors import refuse
from pulse_gateway.testing.simulator.bedrock.models import BedrockModel
from pulse_gateway.testing.simulator.dice import Dice, decode_base64
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.media import image_size, image_type
from pulse_gateway.testing.simulator.samples import colour, picture

__all__ = ["BLOCKED", "Pictures", "makes_pictures", "paint"]

BLOCKED = (
    "This request has been blocked by our content filters. Our filters automatically flagged this prompt because it may "
    "conflict our AUP or AWS Responsible AI Policy. Please adjust your text prompt to submit a new request."
)
_HELD_BACK = "Some or all of the generated images have been blocked by our content filters."
_SEED_OF_STABILITY = 4_294_967_295
_RATIOS = {
    "16:9": (1344, 768), "1:1": (1024, 1024), "21:9": (1536, 640), "2:3": (832, 1216), "3:2": (1216, 832), "4:5": (896, 1152),
    "5:4": (1152, 896), "9:16": (768, 1344), "9:21": (640, 1536),
}  # fmt: skip
_TITANS_SIZES = frozenset(
    re.findall(
        r"\d+x\d+",
        "1024x1024 768x768 512x512 768x1152 384x576 1152x768 576x384 768x1280 384x640 1280x768 640x384 896x1152 448x576 "
        "1152x896 576x448 768x1408 384x704 1408x768 704x384 640x1408 320x704 1408x640 704x320 1152x640 1173x640",
    )
)

_Similarity = Annotated[float, Meta(ge=0.2, le=1)]
_Share = Annotated[float, Meta(ge=0, le=1)]
_Words = Annotated[str, Meta(min_length=1, max_length=1024)]
_Prompt = Annotated[str, Meta(max_length=10_000)]


class Pictures(NamedTuple):
    reply: dict[str, Any]
    made: int


class _Camel(StrictBody, rename="camel"):
    pass


class _Said(_Camel):
    text: _Words | UnsetType = UNSET
    negative_text: _Words | UnsetType = UNSET


class _FromText(_Said, kw_only=True):
    text: _Words
    style: (
        Literal[
            "3D_ANIMATED_FAMILY_FILM", "DESIGN_SKETCH", "FLAT_VECTOR_ILLUSTRATION", "GRAPHIC_NOVEL_ILLUSTRATION",
            "MAXIMALISM", "MIDCENTURY_RETRO", "PHOTOREALISM", "SOFT_DIGITAL_PAINTING",
        ]
        | UnsetType
    ) = UNSET  # fmt: skip
    condition_image: str | UnsetType = UNSET
    control_mode: Literal["CANNY_EDGE", "SEGMENTATION"] | UnsetType = UNSET
    control_strength: _Share | UnsetType = UNSET


class _Variation(_Said, kw_only=True):
    images: Annotated[list[str], Meta(min_length=1, max_length=5)]
    similarity_strength: _Similarity | UnsetType = UNSET


class _Inside(_Said, kw_only=True):
    image: str
    mask_prompt: _Words | UnsetType = UNSET
    mask_image: str | UnsetType = UNSET


class _Outside(_Inside, kw_only=True):
    out_painting_mode: Literal["DEFAULT", "PRECISE"] | UnsetType = UNSET


class _Cut(_Camel):
    image: str


class _Settings(_Camel):
    width: int | UnsetType = UNSET
    height: int | UnsetType = UNSET
    quality: Literal["standard", "premium"] | UnsetType = UNSET
    cfg_scale: Annotated[float, Meta(ge=1.1, le=10)] | UnsetType = UNSET
    seed: Annotated[int, Meta(ge=0, le=2_147_483_646)] | UnsetType = UNSET
    number_of_images: Annotated[int, Meta(ge=1, le=5)] = 1


class _Canvas(_Camel):
    task_type: Literal["TEXT_IMAGE", "IMAGE_VARIATION", "INPAINTING", "OUTPAINTING", "BACKGROUND_REMOVAL"]
    text_to_image_params: _FromText | UnsetType = UNSET
    image_variation_params: _Variation | UnsetType = UNSET
    in_painting_params: _Inside | UnsetType = UNSET
    out_painting_params: _Outside | UnsetType = UNSET
    background_removal_params: _Cut | UnsetType = UNSET
    image_generation_config: _Settings | UnsetType = UNSET


class _Stability(StrictBody):
    prompt: _Prompt
    negative_prompt: _Prompt | UnsetType = UNSET
    seed: Annotated[int, Meta(ge=0, le=_SEED_OF_STABILITY)] = 0
    output_format: Literal["png", "jpeg", "PNG", "JPEG"] = "png"


class _Generated(_Stability, kw_only=True):
    aspect_ratio: str | UnsetType = UNSET
    mode: Literal["text-to-image", "image-to-image"] | UnsetType = UNSET
    image: str | UnsetType = UNSET
    strength: _Share | UnsetType = UNSET


class _Inpainted(_Stability, kw_only=True):
    image: str
    mask: str | UnsetType = UNSET
    grow_mask: Annotated[int, Meta(ge=0, le=20)] | UnsetType = UNSET
    style_preset: str | UnsetType = UNSET


_PARAMS = {
    "TEXT_IMAGE": "text_to_image_params",
    "IMAGE_VARIATION": "image_variation_params",
    "INPAINTING": "in_painting_params",
    "OUTPAINTING": "out_painting_params",
    "BACKGROUND_REMOVAL": "background_removal_params",
}


def makes_pictures(model: BedrockModel) -> bool:
    known = {"amazon": ("nova-canvas", "titan-image-generator"), "stability": ("stable-image-", "sd3")}
    return model.name.startswith(known.get(model.maker, ()))


def paint(model: BedrockModel, body: bytes, seed: int, steer: Faults) -> Pictures:
    """Raises: Refusal for a body that is not this model's."""
    if steer.blocked is not None and model.maker == "amazon":
        raise refuse(BLOCKED)
    digest = blake2b(body, digest_size=16).digest()
    if model.maker == "amazon":
        return _canvas(model, body, digest, seed, steer)
    return _stability(model, body, digest, seed, steer)


# ── Amazon's own ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _canvas(model: BedrockModel, body: bytes, digest: bytes, seed: int, steer: Faults) -> Pictures:
    asked = read_body(body, _Canvas)
    titan = model.name.startswith("titan")
    told = [name for name in _PARAMS.values() if getattr(asked, name) is not UNSET]
    if told != [_PARAMS[asked.task_type]]:
        raise refuse(
            f"Malformed input request: the parameters of {asked.task_type}, and of no other task, are required"
        )
    params, settings = getattr(asked, told[0]), asked.image_generation_config
    if settings is UNSET:
        settings = _Settings()
    size = _size(settings, titan=titan)
    if isinstance(params, _FromText) and titan and params.style is not UNSET:
        raise refuse("Malformed input request: #/textToImageParams: extraneous key [style] is not permitted")
    for encoded in _encoded(params):
        found = _picture(encoded, titan=titan)
        if isinstance(params, _Inside | _Cut):
            size = found
    if isinstance(params, _Inside):
        if (params.mask_image is UNSET) == (params.mask_prompt is UNSET):
            raise refuse("Exactly one of maskPrompt and maskImage is required.")
        if params.mask_image is not UNSET and _picture(params.mask_image, titan=titan, mask=True) != size:
            raise refuse("The mask image must have the dimensions of the input image.")
        if settings.width is not UNSET or settings.height is not UNSET:
            raise refuse("width and height cannot be set for this task.")
    wanted = settings.number_of_images
    held_back = wanted if steer.refusal else min(steer.filtered or 0, wanted)
    pictures = [
        b64encode(picture("image/png", *size, colour(digest, f"{seed} {at}"))).decode()
        for at in range(wanted - held_back)
    ]
    reply: dict[str, Any] = {"images": pictures, "maskImage": None, "error": _HELD_BACK if held_back else None}
    return Pictures(reply, len(pictures))


def _encoded(params: _Camel) -> list[str]:
    if isinstance(params, _Variation):
        return params.images
    if isinstance(params, _FromText):
        return [] if isinstance(params.condition_image, UnsetType) else [params.condition_image]
    return [params.image] if isinstance(params, _Inside | _Cut) else []


def _size(settings: _Settings, *, titan: bool) -> tuple[int, int]:
    if isinstance(settings.width, UnsetType) or isinstance(settings.height, UnsetType):
        if settings.width is not settings.height:
            raise refuse("width and height must be set together.")
        return 1024, 1024
    width, height = settings.width, settings.height
    if titan:
        if f"{width}x{height}" not in _TITANS_SIZES:
            raise refuse(f"Invalid dimensions: {width}x{height} is not a supported size.")
        return width, height
    if not all(320 <= side <= 4096 and side % 16 == 0 for side in (width, height)):
        raise refuse("Each side must be between 320 and 4096 pixels and evenly divisible by 16.")
    if max(width, height) > 4 * min(width, height) or width * height > 4_194_304:
        raise refuse("The aspect ratio must be between 1:4 and 4:1, and the total below 4,194,304 pixels.")
    return width, height


def _picture(encoded: str, *, titan: bool, mask: bool = False) -> tuple[int, int]:
    data = decode_base64(encoded)
    if data is None or image_type(data) not in {"image/png", "image/jpeg"} or (size := image_size(data)) is None:
        raise refuse("The input image must be a base64 encoded PNG or JPEG.")
    if mask and data.startswith(b"\x89PNG") and data[25] in {4, 6}:
        raise refuse("The mask image must contain only pure black and pure white pixels.")
    if min(size) < (256 if titan else 320) or max(size) > (1408 if titan else 4096):
        raise refuse("The dimensions of the input image are not supported.")
    return size


# ── Stability's ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _stability(model: BedrockModel, body: bytes, digest: bytes, seed: int, steer: Faults) -> Pictures:
    asked: _Inpainted | _Generated
    if model.name.startswith("stable-image-inpaint"):
        asked = read_body(body, _Inpainted)
        size = _picture_of(asked.image)
        if asked.mask is not UNSET and _picture_of(asked.mask) != size:
            raise refuse("mask: must have the dimensions of the image")
    elif model.name.startswith(("stable-image-core", "stable-image-ultra", "sd3")):
        asked = read_body(body, _Generated)
        size = _generated(model, asked)
    else:
        raise refuse(f"{model.name} has no body of its own here")
    reason = "Filter reason: prompt" if steer.blocked is not None else None
    if steer.refusal or steer.filtered:
        reason = "Filter reason: output image"
    if steer.fail is not None:
        reason = "Inference error"
    if reason is not None:
        return Pictures({"finish_reasons": [reason]}, 0)
    data = picture(f"image/{asked.output_format.lower()}", *size, colour(digest, str(seed)))
    used = asked.seed or 1 + Dice(digest, str(seed)).below(_SEED_OF_STABILITY)
    return Pictures({"seeds": [used], "finish_reasons": [None], "images": [b64encode(data).decode()]}, 1)


def _generated(model: BedrockModel, asked: _Generated) -> tuple[int, int]:
    if not isinstance(asked.image, UnsetType):
        if model.name.startswith("stable-image-core"):
            raise refuse("Malformed input request: #: extraneous key [image] is not permitted")
        if asked.aspect_ratio is not UNSET:
            raise refuse("aspect_ratio: is valid for text-to-image requests alone")
        if asked.strength is UNSET:
            raise refuse("strength: is required with an image")
        if model.name.startswith("sd3") and asked.mode != "image-to-image":
            raise refuse("mode: must be image-to-image with an image")
        return _picture_of(asked.image)
    if asked.mode == "image-to-image" or asked.strength is not UNSET:
        raise refuse("image: is required for image-to-image requests")
    ratio = "1:1" if isinstance(asked.aspect_ratio, UnsetType) else asked.aspect_ratio
    if ratio not in _RATIOS:
        raise refuse(f"aspect_ratio: must be one of {', '.join(_RATIOS)}")
    return _RATIOS[ratio]


def _picture_of(encoded: str) -> tuple[int, int]:
    data = decode_base64(encoded)
    size = None if data is None else image_size(data)
    if size is None or min(size) < 64:
        raise refuse("image: must be a base64 encoded picture of 64 pixels a side at least")
    return size
