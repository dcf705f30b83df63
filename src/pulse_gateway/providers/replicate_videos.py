"""Videos of the models that Replicate runs: predictions, looked at until they are done, or until Replicate calls.

Its models differ in what they take. The names are those that its video models have in common: `prompt`, `duration`, `aspect_ratio`,
`resolution`, `image`; Replicate itself refuses what a model does not know.

Source: https://replicate.com/docs/reference/http and the model pages of google/veo-3.1 (read 2026-11-24)
"""

from __future__ import annotations

import re
from typing import Any, Protocol
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from pulse_gateway.errors import UnsupportedParameter
from pulse_gateway.providers.offer import Download, OfferCall, Steps, ask
from pulse_gateway.providers.video_parts import check_request, host_of, length_of, picture_of, same_origin
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import Headers, HttpRequest
from pulse_gateway.types.videos import VideoFile, VideoRequest, VideoState, aspect_of, resolution_of
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol, to_provider

__all__ = ["ReplicateAddress", "ReplicateVideos"]

_RESOLUTIONS = ("720p", "1080p", "4k")
_VEO_SECONDS = (4, 6, 8)
_DELIVERY = ".replicate.delivery"  # where it puts files, for an hour
_KEPT_S = 3600.0
_MOST_BYTES = 256 * 1024 * 1024
_PERCENT = re.compile(r"(\d{1,3})%")


class _Prediction(msgspec.Struct):
    id: str
    status: str
    output: Any = None
    error: Any = None
    logs: str | None = None


_decode = msgspec.json.Decoder(_Prediction).decode


class ReplicateAddress(Protocol):
    """What such an offer needs of its vendor."""

    def base(self, deployment: Deployment, /) -> str:
        """With its `/v1`."""
        ...

    def own_headers(self, call: OfferCall, /) -> Headers: ...

    def predictions_url(self, deployment: Deployment, /) -> str:
        """Where predictions of the deployment's model are begun."""
        ...

    def version_of(self, deployment: Deployment, /) -> str | None:
        """What to name in the body, for a model that its address does not name."""
        ...


class ReplicateVideos:
    """A `VideoOffer`."""

    dialect = None

    def __init__(self, vendor: ReplicateAddress) -> None:
        self._vendor = vendor

    def check(self, request: VideoRequest, deployment: Deployment, /) -> tuple[str, ...]:
        check_request(request, deployment, _RESOLUTIONS)
        if deployment.model.name.startswith("google/veo-") and request.seconds not in _VEO_SECONDS:
            raise UnsupportedParameter(
                f"{deployment.name} makes 4, 6 or 8 seconds, not {request.seconds}", param="seconds"
            )
        return () if request.user is None else ("user",)

    def steps(self, request: VideoRequest, call: OfferCall, /) -> Steps[VideoState]:
        asked: dict[str, Any] = {
            "prompt": request.prompt,
            "duration": request.seconds,
            "aspect_ratio": aspect_of(request.size),
            "resolution": resolution_of(request.size),
        }
        if request.image is not None:
            media_type, data = yield from picture_of(request.image)
            asked["image"] = f"data:{media_type};base64,{data}"
        body: dict[str, Any] = {"input": asked}
        if (version := self._vendor.version_of(call.deployment)) is not None:
            body["version"] = version
        if call.webhook is not None:
            body |= {"webhook": call.webhook, "webhook_events_filter": ["completed"]}
        answer = yield from ask(
            self._request(call, "POST", self._vendor.predictions_url(call.deployment), to_provider(body))
        )
        return replace(_state(from_provider(_decode, answer.body)), usage=length_of(request))

    def look(self, job_id: str, call: OfferCall, /) -> Steps[VideoState]:
        answer = yield from ask(self._request(call, "GET", self._prediction(job_id, call)))
        return _state(from_provider(_decode, answer.body))

    def fetch(self, state: VideoState, call: OfferCall, /) -> Steps[VideoFile | HttpRequest]:
        if not state.file:
            raise not_of_protocol("a prediction that succeeded without a file")
        host = host_of(state.file)
        if same_origin(state.file, self._vendor.base(call.deployment)) or (
            state.file.startswith("https://") and f".{host}".endswith(_DELIVERY)
        ):
            return HttpRequest("GET", state.file, ())  # its files need no key
        downloaded = yield from ask(Download(state.file, max_bytes=_MOST_BYTES))
        return VideoFile(downloaded.body)

    def cancel(self, job_id: str, call: OfferCall, /) -> Steps[None]:
        yield from ask(self._request(call, "POST", f"{self._prediction(job_id, call)}/cancel"))

    def _prediction(self, job_id: str, call: OfferCall) -> str:
        return f"{self._vendor.base(call.deployment)}/predictions/{quote(job_id, safe='')}"

    def _request(self, call: OfferCall, method: str, url: str, body: bytes = b"") -> HttpRequest:
        headers = (("content-type", "application/json"), *self._vendor.own_headers(call))
        return HttpRequest(method, url, headers, body)


def _state(seen: _Prediction) -> VideoState:
    match seen.status:
        case "succeeded":
            if (file := _file(seen.output)) is None:
                return VideoState(
                    id=seen.id, status="failed", error_code="no_video", error_message="the job ended without a video"
                )
            return VideoState(id=seen.id, status="completed", file=file)
        case "failed" | "canceled" | "aborted":
            message = seen.error if isinstance(seen.error, str) else f"the provider's job is {seen.status}"
            return VideoState(id=seen.id, status="failed", error_code=seen.status, error_message=message)
        case "starting":
            return VideoState(id=seen.id, status="queued")
        case _:
            said = _PERCENT.findall(seen.logs or "")
            return VideoState(id=seen.id, status="in_progress", progress=min(99, int(said[-1])) if said else None)


def _file(output: Any) -> str | None:
    """The models give an address, a list of them, or an object that holds one."""
    if isinstance(output, list):
        output = output[0] if output else None
    if isinstance(output, dict):
        output = output.get("video") or output.get("url")
    return output if isinstance(output, str) and output.startswith(("https://", "http://")) else None
