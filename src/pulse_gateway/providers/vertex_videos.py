"""Veo's videos on Vertex: an operation that is begun and looked at. The bytes come in the answer; nothing is put into a bucket.

Source: https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/veo-video-generation and the converters of
google-genai 3.4 (read 2026-11-24)
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from pulse_gateway.errors import UnsupportedParameter
from pulse_gateway.providers.offer import OfferCall, Steps, ask
from pulse_gateway.providers.vertex import VERTEX
from pulse_gateway.providers.video_parts import check_request, length_of, picture_of
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import HttpRequest
from pulse_gateway.types.videos import VideoFile, VideoRequest, VideoState, aspect_of, resolution_of
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol, to_provider

__all__ = ["VEO", "VeoVideos"]

_SECONDS = (4, 6, 8)
_RESOLUTIONS = ("720p", "1080p", "4k")


class _Video(msgspec.Struct, rename="camel"):
    bytes_base64_encoded: str | None = None
    gcs_uri: str | None = None
    mime_type: str | None = None


class _Made(msgspec.Struct, rename="camel"):
    videos: list[_Video] | None = None
    rai_media_filtered_count: int | None = None
    rai_media_filtered_reasons: list[str] | None = None


class _Problem(msgspec.Struct):
    code: int | None = None
    message: str | None = None


class _Operation(msgspec.Struct):
    name: str
    done: bool | None = None
    response: _Made | None = None
    error: _Problem | None = None


_decode = msgspec.json.Decoder(_Operation).decode


class VeoVideos:
    """A `VideoOffer`. Google knows no way to stop such an operation."""

    dialect = None

    def check(self, request: VideoRequest, deployment: Deployment, /) -> tuple[str, ...]:
        if request.seconds not in _SECONDS:
            raise UnsupportedParameter(
                f"{deployment.name} makes 4, 6 or 8 seconds, not {request.seconds}", param="seconds"
            )
        check_request(request, deployment, _RESOLUTIONS)
        return () if request.user is None else ("user",)

    def steps(self, request: VideoRequest, call: OfferCall, /) -> Steps[VideoState]:
        instance: dict[str, Any] = {"prompt": request.prompt}
        if request.image is not None:
            media_type, data = yield from picture_of(request.image)
            instance["image"] = {"bytesBase64Encoded": data, "mimeType": media_type}
        parameters = {
            "sampleCount": 1,
            "durationSeconds": request.seconds,
            "aspectRatio": aspect_of(request.size),
            "resolution": resolution_of(request.size),
        }
        body = to_provider({"instances": [instance], "parameters": parameters})
        answer = yield from ask(self._request(call, "predictLongRunning", body))
        return VideoState(id=from_provider(_decode, answer.body).name, status="queued", usage=length_of(request))

    def look(self, job_id: str, call: OfferCall, /) -> Steps[VideoState]:
        return _state((yield from self._operation(job_id, call)))

    def fetch(self, state: VideoState, call: OfferCall, /) -> Steps[VideoFile | HttpRequest]:
        made = (yield from self._operation(state.id, call)).response
        video = made.videos[0] if made is not None and made.videos else None
        if video is None or video.bytes_base64_encoded is None:
            raise not_of_protocol("an operation that is done, without the bytes of its video")
        try:
            data = base64.b64decode(video.bytes_base64_encoded, validate=True)
        except ValueError as error:
            raise not_of_protocol("a video that is no base64") from error
        return VideoFile(data, video.mime_type or "video/mp4")

    def cancel(self, job_id: str, call: OfferCall, /) -> Steps[None]:
        yield from ()

    def _operation(self, job_id: str, call: OfferCall) -> Steps[_Operation]:
        answer = yield from ask(self._request(call, "fetchPredictOperation", to_provider({"operationName": job_id})))
        return from_provider(_decode, answer.body)

    def _request(self, call: OfferCall, method: str, body: bytes) -> HttpRequest:
        headers = (("content-type", "application/json"), *VERTEX.own_headers(call))
        return HttpRequest("POST", VERTEX.method_url(call.deployment, method), headers, body)


def _state(seen: _Operation) -> VideoState:
    if not seen.done:
        return VideoState(id=seen.name, status="in_progress")
    if seen.error is not None:
        message = seen.error.message or "the provider's job failed"
        return VideoState(id=seen.name, status="failed", error_code="upstream_error", error_message=message)
    made = seen.response
    if made is None or not made.videos:
        reasons = made.rai_media_filtered_reasons if made is not None else None
        message = "; ".join(reasons or ()) or "the provider's filter let no video through"
        return VideoState(id=seen.name, status="failed", error_code="content_blocked", error_message=message)
    return VideoState(id=seen.name, status="completed", file="inline")


VEO = VeoVideos()
