"""Images of Fireworks: its workflows and, for older models, its image generation.

| models             | asked for at                                                            | answer                               |
| ------------------ | ----------------------------------------------------------------------- | ------------------------------------ |
| `flux-kontext-…`   | `/workflows/{model}`, then looked at with `…/get_result`                | where the image is                   |
| SDXL and its kin   | `/image_generation/{model}`                                             | the image                            |
| `flux-1-…`, others | `/workflows/{model}/text_to_image`                                      | the image                            |

One image is made a call. Only Kontext works from an image. `Finish-Reason: CONTENT_FILTERED`, `Content Moderated` and `Request Moderated`
are its filters' words. An image that a filter held back after it was made counts as made; a request that was held back, or a job that
failed, counts as none: how they are billed the vendor does not say.

Source: https://docs.fireworks.ai/api-reference/generate-a-new-image-from-a-text-prompt, /generate-or-edit-image-using-flux-kontext and
/get-generated-image-from-flux-kontex; for `/image_generation` the request types of fireworks-ai 0.15.15 (all read 2026-11-24). That
Kontext's `result` holds the address as `sample` is unconfirmed there: so other clients read it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Generator
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from pulse_gateway.errors import UpstreamError, UpstreamFailed, UpstreamRefusedContent
from pulse_gateway.providers.compatible import FIREWORKS
from pulse_gateway.providers.image_parts import check_images, made_of, only_bytes, pixels_of, ratio_of
from pulse_gateway.providers.looks import looked
from pulse_gateway.providers.offer import Download, OfferCall, Pause, Step, Steps, ask
from pulse_gateway.providers.tab import Tab
from pulse_gateway.providers.video_parts import same_origin
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import HttpAnswer, HttpRequest, header
from pulse_gateway.types.images import ImageFile, ImageReply, ImageRequest, MadeImage
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol, to_provider
from pulse_gateway.wire.picture import image_type
from pulse_gateway.wire.refusals import unsupported

__all__ = ["IMAGES", "FireworksImages"]

_RATIOS = ("1:1", "21:9", "16:9", "3:2", "5:4", "4:5", "2:3", "9:16", "9:21", "4:3", "3:4")
_FORMATS = ("png", "jpeg")
_LACKS = ("quality", "style", "input_fidelity", "output_compression", "mask")
_DIFFUSION = re.compile(r"(?:.*/)?(?:stable-diffusion-xl|japanese-stable-diffusion-xl|playground-v2|SSD-1B)[\w.-]*")
_FILTERED = "CONTENT_FILTERED"
_HELD_BACK = {"Request Moderated": 0, "Content Moderated": 1}  # how many images had been made by then
_WAITING = frozenset({"Pending", "Task not found"})  # a task that was just taken may not be known yet
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 3.0
_LOOKS_AT_NOTHING = 5

_Kind = Literal["kontext", "diffusion", "workflow"]


class _Taken(msgspec.Struct):
    request_id: str


class _Result(msgspec.Struct):
    sample: str = ""


class _Looked(msgspec.Struct):
    status: str
    result: _Result | None = None


_taken = msgspec.json.Decoder(_Taken).decode
_looked = msgspec.json.Decoder(_Looked).decode


class FireworksImages:
    """An `Offer` of `images` and of `image_edits`."""

    dialect = None

    def check(self, request: ImageRequest, deployment: Deployment, /) -> tuple[str, ...]:
        model, kind = deployment.model, _kind(deployment)
        own = {"diffusion": ("aspect_ratio",), "kontext": ("negative_prompt",), "workflow": ("negative_prompt",)}
        dropped = check_images(request, deployment, lacks=(*_LACKS, *own[kind]))
        if request.output_format not in (None, *_FORMATS):
            raise unsupported(model, "output_format", "makes png and jpeg files")
        if request.images and kind != "kontext":
            raise unsupported(model, "images", "makes images of a text alone; flux-kontext-pro and -max work from one")
        if len(request.images) > 1:
            raise unsupported(model, "images", "works from one image")
        if request.seed == 0 and kind != "kontext":
            raise unsupported(model, "seed", "takes 0 for a seed of its own choice")
        if kind == "diffusion":
            only_bytes(request, deployment)
            pixels_of(request, model)
            return dropped
        if kind == "workflow":
            only_bytes(request, deployment)
        ratio_of(request, deployment, _RATIOS)
        return dropped if request.size is None else (*dropped, "size")

    def steps(self, request: ImageRequest, call: OfferCall, /) -> Steps[ImageReply]:
        kind = _kind(call.deployment)
        asked: dict[str, Any] = {"prompt": request.prompt, "negative_prompt": request.negative_prompt}
        if kind == "diffusion":
            asked["width"], asked["height"] = pixels_of(request, call.deployment.model) or (None, None)
        else:
            asked["aspect_ratio"] = ratio_of(request, call.deployment, _RATIOS)
        if kind == "kontext":
            asked["output_format"] = request.output_format
            asked["input_image"] = _link(request.images[0]) if request.images else None
        tab, images = Tab(), list[MadeImage]()
        while len(images) < request.n:
            if request.seed is not None:
                asked["seed"] = request.seed + len(images)  # the same one would make the same image
            body = {name: value for name, value in asked.items() if value is not None}
            if kind == "kontext":
                images.append((yield from self._job(request, body, call, tab)))
            else:
                images.append((yield from self._at_once(request, body, call, tab)))
        return made_of(tuple(images), tab.usage)

    def _at_once(
        self, request: ImageRequest, body: dict[str, Any], call: OfferCall, tab: Tab
    ) -> Generator[Step, Any, MadeImage]:
        name, older = quote(call.deployment.model.name), _kind(call.deployment) == "diffusion"
        path = f"/image_generation/{name}" if older else f"/workflows/{name}/text_to_image"
        answer = yield from ask(_post(call, path, body, accept=f"image/{request.output_format or 'png'}"))
        yield tab.add(Usage(images=1))
        if header(answer.headers, "finish-reason") == _FILTERED:
            raise _refused(_FILTERED)
        return _picture(answer.body)

    def _job(
        self, request: ImageRequest, body: dict[str, Any], call: OfferCall, tab: Tab
    ) -> Generator[Step, Any, MadeImage]:
        path = f"/workflows/{quote(call.deployment.model.name)}"
        answer = yield from ask(_post(call, path, body))
        look = _post(call, f"{path}/get_result", {"id": from_provider(_taken, answer.body).request_id})
        pause_s, unknown = _FIRST_PAUSE_S, 0
        while True:
            yield Pause(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
            seen = from_provider(_looked, (yield from looked(look, pause_s=pause_s)).body)
            unknown += seen.status == "Task not found"
            if seen.status not in _WAITING or unknown > _LOOKS_AT_NOTHING:
                break
        yield tab.add(Usage(images=_HELD_BACK.get(seen.status, 1 if seen.status == "Ready" else 0)))
        if seen.status in _HELD_BACK:
            raise _refused(seen.status)
        if seen.status != "Ready":
            kind = UpstreamFailed if unknown > _LOOKS_AT_NOTHING else UpstreamError
            raise kind(f"the provider's job is {seen.status}", upstream_code=seen.status)
        if seen.result is None or not seen.result.sample:
            raise not_of_protocol("a job that is ready without an image")
        if request.response_format == "url":
            return MadeImage(url=seen.result.sample)
        return _picture((yield from _fetched(seen.result.sample, call)).body)


def _kind(deployment: Deployment) -> _Kind:
    name = deployment.model.name
    if "flux-kontext" in name:
        return "kontext"
    return "diffusion" if _DIFFUSION.fullmatch(name) else "workflow"


def _link(file: ImageFile) -> str:
    """Itself in base64, or its address."""
    if file.url is not None or file.data is None:
        return file.url or ""
    kind = image_type(file.data) or file.media_type or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(file.data).decode()}"


def _post(call: OfferCall, path: str, body: dict[str, Any], *, accept: str = "application/json") -> HttpRequest:
    headers = (("content-type", "application/json"), ("accept", accept), *FIREWORKS.headers(call))
    return HttpRequest("POST", FIREWORKS.url(call.deployment, path), headers, to_provider(body))


def _fetched(url: str, call: OfferCall) -> Generator[Step, Any, HttpAnswer]:
    """The key is shown to the configured address alone; who else is asked is asked with care."""
    if same_origin(url, call.deployment.base_url or FIREWORKS.base_url):
        return (yield from looked(HttpRequest("GET", url, FIREWORKS.headers(call))))
    return (yield from ask(Download(url)))


def _picture(data: bytes) -> MadeImage:
    if (kind := image_type(data)) is None:  # whatever its head says
        raise not_of_protocol("it is no image")
    return MadeImage(data=base64.b64encode(data).decode(), media_type=kind)


def _refused(code: str) -> UpstreamRefusedContent:
    return UpstreamRefusedContent("the provider's filter let no image through", upstream_code=code)


IMAGES = FireworksImages()
