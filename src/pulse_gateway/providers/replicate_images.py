"""Images of the models that Replicate runs: a prediction that is waited for, then looked at until it is done.

Its models differ in what they take. The names are those that image models there have in common: `prompt`, `aspect_ratio`,
`output_format`, `seed`, `negative_prompt`, and for images to work from those of `_FAMILIES`. Replicate itself refuses what a model does
not know. Whatever else a model takes can be given in an object `input` of the request. Several images are several predictions, since
few models make more than one.

Source: https://replicate.com/docs/reference/http, https://replicate.com/docs/topics/predictions and the models' pages (read 2026-11-24)
"""

from __future__ import annotations

import base64
import re
from collections.abc import Generator
from typing import Any
from urllib.parse import quote

import msgspec

from pulse_gateway.errors import InvalidRequest, UpstreamError, UpstreamRefusedContent
from pulse_gateway.providers.image_parts import check_images, made_of, pixels_of, ratio_of
from pulse_gateway.providers.offer import Billed, Download, OfferCall, OnAbandon, Pause, Step, Steps, ask
from pulse_gateway.providers.replicate_videos import ReplicateAddress
from pulse_gateway.providers.tab import Tab
from pulse_gateway.providers.video_parts import host_of, same_origin
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import HttpAnswer, HttpRequest, Payload
from pulse_gateway.types.images import ImageFile, ImageReply, ImageRequest, MadeImage
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol, to_provider
from pulse_gateway.wire.multipart import FormPart, build_form
from pulse_gateway.wire.picture import image_type
from pulse_gateway.wire.refusals import unsupported

__all__ = ["ReplicateImages"]

_RATIOS = ("1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21")
_FORMATS = {None: None, "png": "png", "jpeg": "jpg", "webp": "webp"}
_LACKS = ("quality", "style", "input_fidelity", "output_compression")
_INPUT = "input"
_INLINE_BYTES = 256 * 1000  # larger files are uploaded
_WAIT_S, _MARGIN_S = 60, 5.0  # for the first answer: at most, and less than we wait for a byte
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 3.0
_FLAGGED = re.compile(r"nsfw|sensitive|safety|E005", re.IGNORECASE)
_DELIVERY = ".replicate.delivery"  # where it puts files, for an hour
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w-]+=[^;,]*)*;base64,", re.ASCII)


class _Family(msgspec.Struct, frozen=True):
    """`image` is what its models call an image to work from, `several` a list of them; `sized`: they take width and height.
    `masked`: part of an image can be named.
    """

    prefix: str
    image: str = "image"
    several: bool = False
    sized: bool = False
    masked: bool = True


_FAMILIES = (
    _Family("google/nano-banana", "image_input", several=True, masked=False),
    _Family("bytedance/seedream", "image_input", several=True),
    _Family("black-forest-labs/flux-kontext", "input_image"),
    _Family("stability-ai/sdxl", sized=True),
    _Family("stability-ai/stable-diffusion", sized=True),
    _Family(""),
)


class _Prediction(msgspec.Struct):
    id: str
    status: str
    output: Any = None
    error: Any = None


class _Urls(msgspec.Struct):
    get: str


class _File(msgspec.Struct):
    urls: _Urls


_prediction = msgspec.json.Decoder(_Prediction).decode
_file = msgspec.json.Decoder(_File).decode


class ReplicateImages:
    """An `Offer` of `images` and of `image_edits`."""

    dialect = None

    def __init__(self, vendor: ReplicateAddress) -> None:
        self._vendor = vendor

    def check(self, request: ImageRequest, deployment: Deployment, /) -> tuple[str, ...]:
        model, family = deployment.model, _family(deployment)
        given = {path: value for path, value in request.extra.items() if path != _INPUT}
        lacks = _LACKS if family.masked else (*_LACKS, "mask")
        dropped = check_images(msgspec.structs.replace(request, extra=given), deployment, lacks=lacks)
        if request.output_format not in _FORMATS:
            raise unsupported(model, "output_format", "makes png, jpeg and webp files")
        if len(request.images) > 1 and not family.several:
            raise unsupported(model, "images", "works from one image")
        if not isinstance(request.extra.get(_INPUT, {}), dict):
            raise InvalidRequest(f"{_INPUT}: expected an object", param=_INPUT)
        if family.sized:
            pixels_of(request, model)
            return dropped
        ratio_of(request, deployment, _RATIOS)
        return dropped if request.size is None else (*dropped, "size")

    def steps(self, request: ImageRequest, call: OfferCall, /) -> Steps[ImageReply]:
        asked = yield from self._input(request, call)
        tab, images = Tab(), list[MadeImage]()
        while len(images) < request.n:
            if request.seed is not None:
                asked["seed"] = request.seed + len(images)  # the same one would make the same image
            prediction = yield from self._predicted(asked, call)
            urls = _urls(prediction.output) if prediction.status == "succeeded" else []
            yield tab.add(Usage(images=len(urls)))
            if prediction.status != "succeeded":
                raise _failure(prediction)
            if not urls:
                raise not_of_protocol("a prediction that succeeded without an image")
            for url in urls[: request.n - len(images)]:
                if request.response_format == "url":
                    images.append(MadeImage(url=url))
                else:
                    images.append((yield from self._fetched(url, call)))
        return made_of(tuple(images), tab.usage)

    # ── what is asked for ─────────────────────────────────────────────────────────────────────────────────────────────

    def _input(self, request: ImageRequest, call: OfferCall) -> Generator[Step, Any, dict[str, Any]]:
        deployment, family = call.deployment, _family(call.deployment)
        asked: dict[str, Any] = {
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt,
            "output_format": _FORMATS[request.output_format],
        }
        if not family.sized:
            asked["aspect_ratio"] = ratio_of(request, deployment, _RATIOS)
        elif (pixels := pixels_of(request, deployment.model)) is not None:
            asked["width"], asked["height"] = pixels
        links = []
        for file in request.images:
            links.append((yield from self._link(file, call)))  # noqa: PERF401 -- a comprehension cannot yield
        if links:
            asked[family.image] = links if family.several else links[0]
        if request.mask is not None:
            asked["mask"] = yield from self._link(request.mask, call)
        known = {name: value for name, value in asked.items() if value is not None}
        return {**known, **request.extra.get(_INPUT, {})}

    def _link(self, file: ImageFile, call: OfferCall) -> Generator[Step, Any, str]:
        """Where Replicate finds it: its own address, itself in a data URL, or, if it is large, an upload."""
        if file.url is not None or file.data is None:
            return file.url or ""
        kind = file.media_type or "application/octet-stream"
        if len(file.data) <= _INLINE_BYTES:
            return f"data:{kind};base64,{base64.b64encode(file.data).decode()}"
        form = build_form([FormPart(name="content", data=file.data, filename=file.name or "image", content_type=kind)])
        answer = yield from ask(self._request(call, "POST", f"{self._vendor.base(call.deployment)}/files", form))
        yield Billed(Usage())  # files are free
        return from_provider(_file, answer.body).urls.get

    # ── the prediction ────────────────────────────────────────────────────────────────────────────────────────────────

    def _predicted(self, asked: dict[str, Any], call: OfferCall) -> Generator[Step, Any, _Prediction]:
        """The prediction once it has ended, in whatever way."""
        deployment = call.deployment
        body: dict[str, Any] = {"input": asked}
        if (version := self._vendor.version_of(deployment)) is not None:
            body["version"] = version
        patience_s = deployment.timeouts.first_byte_s
        wait_s = _WAIT_S if patience_s is None else max(1, min(_WAIT_S, int(patience_s - _MARGIN_S)))
        create = self._request(
            call,
            "POST",
            self._vendor.predictions_url(deployment),
            Payload(to_provider(body)),
            ("prefer", f"wait={wait_s}"),
        )
        prediction = from_provider(_prediction, (yield from ask(create)).body)
        here = f"{self._vendor.base(deployment)}/predictions/{quote(prediction.id, safe='')}"
        yield OnAbandon(self._request(call, "POST", f"{here}/cancel"))
        pause_s = _FIRST_PAUSE_S
        while prediction.status in {"starting", "processing"}:
            yield Pause(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
            prediction = from_provider(_prediction, (yield from ask(self._request(call, "GET", here))).body)
        return prediction

    def _fetched(self, url: str, call: OfferCall) -> Generator[Step, Any, MadeImage]:
        if inline := _DATA_URL.match(url):
            return _inline(url[inline.end() :])
        answer: HttpAnswer
        if same_origin(url, self._vendor.base(call.deployment)):
            answer = yield from ask(self._request(call, "GET", url))
        elif url.startswith("https://") and f".{host_of(url)}".endswith(_DELIVERY):
            answer = yield from ask(HttpRequest("GET", url, ()))  # such files need no key
        else:
            answer = yield from ask(Download(url))
        if (kind := image_type(answer.body)) is None:
            raise not_of_protocol("a file that is no image")
        return MadeImage(data=base64.b64encode(answer.body).decode(), media_type=kind)

    def _request(
        self, call: OfferCall, method: str, url: str, body: Payload | None = None, *more: tuple[str, str]
    ) -> HttpRequest:
        kind = () if body is None else (("content-type", body.content_type),)
        headers = (*kind, *more, *self._vendor.own_headers(call))
        return HttpRequest(method, url, headers, b"" if body is None else body.data)


def _inline(data: str) -> MadeImage:
    """Whoever made the model decides what is in it."""
    try:
        kind = image_type(base64.b64decode(data, validate=True))
    except ValueError:
        kind = None
    if kind is None:
        raise not_of_protocol("a data URL of no image")
    return MadeImage(data=data, media_type=kind)


def _family(deployment: Deployment) -> _Family:
    return next(family for family in _FAMILIES if deployment.model.name.startswith(family.prefix))


def _urls(output: Any) -> list[str]:
    """The models give an address, a list of them, or an object that holds either."""
    if isinstance(output, dict):
        output = output.get("images") or output.get("image") or output.get("url")
    found = output if isinstance(output, list) else [output]
    return [url for url in found if isinstance(url, str) and url.startswith(("https://", "http://", "data:"))]


def _failure(prediction: _Prediction) -> UpstreamError:
    """Of a prediction that ended without an image. Asking the same model again would mostly fail again, and be billed again."""
    words = prediction.error if isinstance(prediction.error, str) else ""
    if _FLAGGED.search(words):
        return UpstreamRefusedContent("the provider's filter let no image through", upstream_code=prediction.status)
    return UpstreamError(f"the provider's prediction is {prediction.status}", upstream_code=prediction.status)
