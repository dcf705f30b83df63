"""Videos of xAI's Grok Imagine: asked for, and looked at by the id of the request until they are done.

A request under way is answered with 202 and sometimes with nothing else. Nothing stops it. Files are at addresses of xAI's that ask for no
key and last a day.

Source: https://docs.x.ai/developers/model-capabilities/video/generation, `xai-sdk` 1.21 and `@ai-sdk/xai` 5.0 (read 2026-11-24). Whether
a video that its filter held back is billed is not said there; it is not charged here.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from pulse_gateway.providers.compatible import XAI
from pulse_gateway.providers.offer import Download, OfferCall, Steps, ask
from pulse_gateway.providers.picture_address import address_of
from pulse_gateway.providers.video_parts import host_of, length_of, same_origin
from pulse_gateway.types.catalog import Deployment, Model
from pulse_gateway.types.http import HttpRequest
from pulse_gateway.types.videos import VideoFile, VideoRequest, VideoState, resolution_of
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol, to_provider
from pulse_gateway.wire.refusals import refuse_extra, unsupported

__all__ = ["VIDEOS", "XaiVideos"]

_LONGEST_S = 15
_RATIOS = {"16:9": 16 / 9, "9:16": 9 / 16, "1:1": 1.0, "4:3": 4 / 3, "3:4": 3 / 4, "3:2": 3 / 2, "2:3": 2 / 3}
_ABOUT = 0.01  # 854x480 is 16:9 as nearly as pixels can be
_FILES = ".x.ai"  # where it puts them
_MOST_BYTES = 256 * 1024 * 1024


class _Begun(msgspec.Struct):
    request_id: str


class _Video(msgspec.Struct):
    url: str | None = None
    respect_moderation: bool | None = None


class _Problem(msgspec.Struct):
    code: str | None = None
    message: str | None = None


class _Looked(msgspec.Struct):
    status: str | None = None
    progress: float | None = None
    video: _Video | None = None
    error: _Problem | str | None = None


_begun = msgspec.json.Decoder(_Begun).decode
_looked = msgspec.json.Decoder(_Looked).decode


class XaiVideos:
    """A `VideoOffer`."""

    dialect = None

    def check(self, request: VideoRequest, deployment: Deployment, /) -> tuple[str, ...]:
        model = deployment.model
        refuse_extra(request.extra, model)
        if request.seconds > _LONGEST_S:
            raise unsupported(model, "seconds", f"makes 1 to {_LONGEST_S} seconds, not {request.seconds}")
        resolutions = _resolutions(model)
        if _ratio(request.size) is None or resolution_of(request.size) not in resolutions:
            shapes = f"{', '.join(_RATIOS)} in {', '.join(resolutions)}"
            raise unsupported(model, "size", f"makes videos of {shapes}, not {request.size}")
        return ()

    def steps(self, request: VideoRequest, call: OfferCall, /) -> Steps[VideoState]:
        body: dict[str, Any] = {
            "model": call.deployment.model.name,
            "prompt": request.prompt,
            "duration": request.seconds,
            "aspect_ratio": _ratio(request.size),
            "resolution": resolution_of(request.size),
        }
        if request.image is not None:
            body["image"] = {"url": address_of(request.image)}
        if request.user is not None:
            body["user"] = request.user
        answer = yield from ask(_request(call, "POST", "/videos/generations", to_provider(body)))
        if not (request_id := from_provider(_begun, answer.body).request_id):
            raise not_of_protocol("a request without an id")
        return VideoState(id=request_id, status="queued", usage=length_of(request))

    def look(self, job_id: str, call: OfferCall, /) -> Steps[VideoState]:
        answer = yield from ask(_request(call, "GET", f"/videos/{quote(job_id, safe='')}"))
        if answer.status == 202 and not answer.body.strip():
            return VideoState(id=job_id, status="in_progress")
        return _state(job_id, from_provider(_looked, answer.body))

    def fetch(self, state: VideoState, call: OfferCall, /) -> Steps[VideoFile | HttpRequest]:
        if not state.file:
            raise not_of_protocol("a video that is done, without its address")
        base = call.deployment.base_url or XAI.base_url
        theirs = state.file.startswith("https://") and host_of(state.file).endswith(_FILES)
        if theirs or same_origin(state.file, base):
            return HttpRequest("GET", state.file, ())
        downloaded = yield from ask(Download(state.file, max_bytes=_MOST_BYTES))
        return VideoFile(downloaded.body)

    def cancel(self, job_id: str, call: OfferCall, /) -> Steps[None]:
        yield from ()


def _request(call: OfferCall, method: str, path: str, body: bytes = b"") -> HttpRequest:
    headers = (("content-type", "application/json"), *XAI.headers(call))
    return HttpRequest(method, XAI.url(call.deployment, path), headers, body)


def _resolutions(model: Model) -> tuple[str, ...]:
    """The first generation makes none of 1080p."""
    first = model.name.startswith("grok-imagine-video") and not model.name.startswith("grok-imagine-video-1.5")
    return ("480p", "720p") if first else ("480p", "720p", "1080p")


def _ratio(size: str) -> str | None:
    width, height = (int(part) for part in size.split("x"))
    return next((name for name, ratio in _RATIOS.items() if abs(width / height / ratio - 1) < _ABOUT), None)


def _state(job_id: str, seen: _Looked) -> VideoState:
    video = seen.video or _Video()
    # A text, as in xAI's answers with another status than 200.
    problem = _Problem(message=seen.error) if isinstance(seen.error, str) else seen.error or _Problem()
    if seen.status in {"failed", "expired"}:
        message = problem.message or f"the provider's job is {seen.status}"
        return _failed(job_id, problem.code or seen.status, message)
    if seen.status != "done" and (seen.status is not None or not video.url):
        progress = None if seen.progress is None else max(0, min(99, int(seen.progress)))
        return VideoState(id=job_id, status="in_progress", progress=progress)
    if video.respect_moderation is False:
        return _failed(job_id, "content_blocked", "the provider's filter let no video through")
    if not video.url:
        return _failed(job_id, "no_video", "the job ended without a video")
    return VideoState(id=job_id, status="completed", file=video.url)


def _failed(job_id: str, code: str, message: str) -> VideoState:
    return VideoState(id=job_id, status="failed", error_code=code, error_message=message)


VIDEOS = XaiVideos()
