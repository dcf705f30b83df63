"""Videos through OpenRouter: jobs that are looked at until they are done, and fetched with the same key.

Which sizes and lengths a model makes it answers for. Nothing stops a job. What one has cost it says in dollars once it is done, which
corrections of a job, made in what it used, have no word for: a video is charged by the second.

Source: https://openrouter.ai/docs/api_reference/videos and the types of `openrouter` 1.3 (read 2026-11-24)
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from pulse_gateway.providers.compatible import OPENROUTER
from pulse_gateway.providers.offer import OfferCall, Steps, ask
from pulse_gateway.providers.picture_address import address_of
from pulse_gateway.providers.video_parts import length_of
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import HttpRequest
from pulse_gateway.types.videos import VideoFile, VideoRequest, VideoState
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol, to_provider
from pulse_gateway.wire.refusals import refuse_extra

__all__ = ["VIDEOS", "OpenRouterVideos"]

_OVER = frozenset({"failed", "cancelled", "expired"})


class _Job(msgspec.Struct):
    id: str = ""
    status: str = "pending"
    error: Any = None  # a text


_decode = msgspec.json.Decoder(_Job).decode


class OpenRouterVideos:
    """A `VideoOffer`."""

    dialect: str | None = None

    def check(self, request: VideoRequest, deployment: Deployment, /) -> tuple[str, ...]:
        refuse_extra(request.extra, deployment.model)
        return ()

    def steps(self, request: VideoRequest, call: OfferCall, /) -> Steps[VideoState]:
        body: dict[str, Any] = {
            "model": call.deployment.model.name,
            "prompt": request.prompt,
            "duration": request.seconds,
            "size": request.size,
        }
        if request.image is not None:
            picture = {
                "type": "image_url",
                "image_url": {"url": address_of(request.image)},
                "frame_type": "first_frame",
            }
            body["frame_images"] = [picture]
        if request.user is not None:
            body["user"] = request.user
        answer = yield from ask(_request(call, "POST", "/videos", to_provider(body)))
        job = from_provider(_decode, answer.body)
        if not job.id:
            raise not_of_protocol("a job without an id")
        return VideoState(id=job.id, status="queued", usage=length_of(request))

    def look(self, job_id: str, call: OfferCall, /) -> Steps[VideoState]:
        answer = yield from ask(_request(call, "GET", f"/videos/{quote(job_id, safe='')}"))
        return _state(job_id, from_provider(_decode, answer.body))

    def fetch(self, state: VideoState, call: OfferCall, /) -> Steps[VideoFile | HttpRequest]:
        """The file passes through: its address is OpenRouter's own, and asks for the key."""
        yield from ()
        return _request(call, "GET", f"/videos/{quote(state.id, safe='')}/content")

    def cancel(self, job_id: str, call: OfferCall, /) -> Steps[None]:
        yield from ()


def _request(call: OfferCall, method: str, path: str, body: bytes = b"") -> HttpRequest:
    headers = (("content-type", "application/json"), *OPENROUTER.headers(call)) if body else OPENROUTER.headers(call)
    return HttpRequest(method, OPENROUTER.url(call.deployment, path), headers, body)


def _state(job_id: str, job: _Job) -> VideoState:
    if job.status in _OVER:
        told = job.error if isinstance(job.error, str) else ""
        message = told or f"the provider's job is {job.status}"
        return VideoState(id=job_id, status="failed", error_code=job.status, error_message=message)
    if job.status == "completed":
        return VideoState(id=job_id, status="completed", file=job_id)
    return VideoState(id=job_id, status="queued" if job.status == "pending" else "in_progress")


VIDEOS = OpenRouterVideos()
