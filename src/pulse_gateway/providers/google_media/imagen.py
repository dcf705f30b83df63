"""Imagen's images on Vertex: `:predict`, up to four a call.

Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/imagen-api and the converters of google-genai 3.4
(read 2026-11-24)
"""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.errors import UpstreamRefusedContent
from pulse_gateway.providers.google_media.answer import GoogleAddress, call_method
from pulse_gateway.providers.image_parts import check_images, made_of, only_bytes, pixels_of, ratio_of
from pulse_gateway.providers.offer import OfferCall, Steps, ask
from pulse_gateway.providers.tab import Tab
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.images import ImageReply, ImageRequest, MadeImage
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.foreign_json import from_provider
from pulse_gateway.wire.refusals import unsupported

__all__ = ["ImagenImages"]

_RATIOS = ("1:1", "3:4", "4:3", "9:16", "16:9")
_MOST_A_CALL = 4
_LARGE = 1536  # the side of a square from which on the larger of the two classes is nearer
_LACKS = ("quality", "style", "mask", "input_fidelity", "images")
_FORMATS = ("png", "jpeg")


class _Prediction(msgspec.Struct, rename="camel"):
    bytes_base64_encoded: str | None = None
    mime_type: str | None = None
    rai_filtered_reason: str | None = None
    prompt: str | None = None


class _Answer(msgspec.Struct):
    predictions: list[_Prediction] = []


_decode = msgspec.json.Decoder(_Answer).decode


class ImagenImages:
    """An `Offer` of `images`; its models that edit are gone."""

    dialect = None

    def __init__(self, vendor: GoogleAddress) -> None:
        self._vendor = vendor

    def check(self, request: ImageRequest, deployment: Deployment, /) -> tuple[str, ...]:
        dropped = check_images(request, deployment, lacks=_LACKS)
        only_bytes(request, deployment)
        if request.output_format not in (None, *_FORMATS):
            raise unsupported(deployment.model, "output_format", f"makes {' and '.join(_FORMATS)} files")
        _parameters(request, deployment)
        exact = request.size in (None, "1024x1024", "2048x2048")
        return dropped if exact else (*dropped, "size")

    def steps(self, request: ImageRequest, call: OfferCall, /) -> Steps[ImageReply]:
        parameters = _parameters(request, call.deployment)
        tab, images, asked = Tab(), list[MadeImage](), 0
        while asked < request.n:
            parameters["sampleCount"] = min(_MOST_A_CALL, request.n - asked)
            if request.seed is not None:
                parameters["seed"] = request.seed + asked
            body = {"instances": [{"prompt": request.prompt}], "parameters": parameters}
            answer = yield from ask(call_method(self._vendor, call, "predict", body))
            asked += parameters["sampleCount"]
            predictions = from_provider(_decode, answer.body).predictions
            made = [
                MadeImage(data=each.bytes_base64_encoded, media_type=each.mime_type, revised_prompt=each.prompt)
                for each in predictions
                if each.bytes_base64_encoded
            ]
            yield tab.add(Usage(images=len(made)))
            if not made:
                reasons = [each.rai_filtered_reason for each in predictions if each.rai_filtered_reason]
                raise UpstreamRefusedContent("; ".join(reasons) or "the provider's filter let no image through")
            images += made
        return made_of(tuple(images), tab.usage)


def _parameters(request: ImageRequest, deployment: Deployment) -> dict[str, Any]:
    """Raises: UnsupportedParameter."""
    parameters: dict[str, Any] = {
        "aspectRatio": ratio_of(request, deployment, _RATIOS),
        "negativePrompt": request.negative_prompt,
        "includeRaiReason": True,
    }
    if request.seed is not None:
        parameters["addWatermark"] = False  # seeds are refused with one
    if (pixels := pixels_of(request, deployment.model)) is not None:
        parameters["sampleImageSize"] = "2K" if (pixels[0] * pixels[1]) ** 0.5 >= _LARGE else "1K"
    options = {
        "mimeType": None if request.output_format is None else f"image/{request.output_format}",
        "compressionQuality": request.output_compression,
    }
    if told := {name: value for name, value in options.items() if value is not None}:
        parameters["outputOptions"] = told
    return {name: value for name, value in parameters.items() if value is not None}
