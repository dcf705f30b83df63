"""Videos of the models that Together runs: jobs in its second API, looked at until they are done.

Its models differ in sizes and lengths, and it answers for what one of them does not make. Nothing stops a job. Files are at short addresses
of Together's, which lead on to where they are kept for a while.

Source: https://docs.together.ai/reference/create-videos, /reference/get-videos-id and the types of `together` 3.1 (read 2026-11-24); that
pictures may be sent as base64 is said in https://docs.together.ai/docs/videos-overview.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from pulse_gateway.providers.compatible import TOGETHER
from pulse_gateway.providers.offer import Download, OfferCall, Steps, ask
from pulse_gateway.providers.picture_address import typed_base64
from pulse_gateway.providers.video_parts import length_of, same_origin
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import HttpRequest
from pulse_gateway.types.videos import VideoFile, VideoRequest, VideoState
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol, to_provider
from pulse_gateway.wire.refusals import refuse_extra

__all__ = ["VIDEOS", "TogetherVideos"]

_MOST_BYTES = 256 * 1024 * 1024
_OVER = frozenset({"failed", "cancelled", "canceled", "expired"})


class _Problem(msgspec.Struct):
    message: str | None = None
    code: str | None = None


class _Outputs(msgspec.Struct):
    video_url: str | None = None


class _Job(msgspec.Struct):
    id: str = ""
    status: str = "queued"
    error: _Problem | str | None = None
    outputs: _Outputs | None = None


_decode = msgspec.json.Decoder(_Job).decode


class TogetherVideos:
    """A `VideoOffer`."""

    dialect = None

    def check(self, request: VideoRequest, deployment: Deployment, /) -> tuple[str, ...]:
        refuse_extra(request.extra, deployment.model)
        return () if request.user is None else ("user",)

    def steps(self, request: VideoRequest, call: OfferCall, /) -> Steps[VideoState]:
        width, height = map(int, request.size.split("x"))
        body: dict[str, Any] = {
            "model": call.deployment.model.name,
            "prompt": request.prompt,
            "seconds": str(request.seconds),
            "width": width,
            "height": height,
        }
        if request.image is not None:
            picture = request.image.url or typed_base64(request.image)[1]
            body["media"] = {"frame_images": [{"input_image": picture, "frame": "first"}]}
        answer = yield from ask(_request(call, "POST", "/videos", to_provider(body)))
        job = from_provider(_decode, answer.body)
        if not job.id:
            raise not_of_protocol("a job without an id")
        return VideoState(id=job.id, status="queued", usage=length_of(request))

    def look(self, job_id: str, call: OfferCall, /) -> Steps[VideoState]:
        answer = yield from ask(_request(call, "GET", f"/videos/{quote(job_id, safe='')}"))
        return _state(job_id, from_provider(_decode, answer.body))

    def fetch(self, state: VideoState, call: OfferCall, /) -> Steps[VideoFile | HttpRequest]:
        """A short address of the vendor's own has to be followed; at an address of the operator's own there is the file itself."""
        if not state.file:
            raise not_of_protocol("a video that is completed, without its address")
        base = call.deployment.base_url or TOGETHER.base_url
        if same_origin(state.file, base) and not same_origin(base, TOGETHER.base_url):
            return HttpRequest("GET", state.file, ())
        downloaded = yield from ask(Download(state.file, max_bytes=_MOST_BYTES))
        return VideoFile(downloaded.body)

    def cancel(self, job_id: str, call: OfferCall, /) -> Steps[None]:
        yield from ()


def _request(call: OfferCall, method: str, path: str, body: bytes = b"") -> HttpRequest:
    """In the second API, which stands beside the first."""
    base, mark, query = (call.deployment.base_url or TOGETHER.base_url).partition("?")
    root = base.rstrip("/").removesuffix("/v1")
    headers = (("content-type", "application/json"), *TOGETHER.headers(call))
    return HttpRequest(method, f"{root}/v2{path}{mark}{query}", headers, body)


def _state(job_id: str, job: _Job) -> VideoState:
    problem = _Problem(job.error) if isinstance(job.error, str) else job.error or _Problem()
    if job.status in _OVER:
        message = problem.message or f"the provider's job is {job.status}"
        return VideoState(id=job_id, status="failed", error_code=problem.code or job.status, error_message=message)
    if job.status == "queued":
        return VideoState(id=job_id, status="queued")
    if job.status != "completed":
        return VideoState(id=job_id, status="in_progress")
    if job.outputs is None or not job.outputs.video_url:
        return VideoState(
            id=job_id, status="failed", error_code="no_video", error_message="the job ended without a video"
        )
    return VideoState(id=job_id, status="completed", file=job.outputs.video_url)


VIDEOS = TogetherVideos()
