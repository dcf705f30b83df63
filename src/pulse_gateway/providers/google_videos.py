"""Gemini Omni's videos through Google's Interactions API, the only one of the Developer API that makes them.

Source: https://ai.google.dev/api/interactions and `types/interactions` of google-genai 3.4 (read 2026-11-24)
"""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import msgspec

from pulse_gateway.errors import UnsupportedParameter
from pulse_gateway.providers.google import GOOGLE
from pulse_gateway.providers.offer import Download, OfferCall, Steps, ask
from pulse_gateway.providers.video_parts import check_request, picture_of, same_origin
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import HttpRequest
from pulse_gateway.types.usage import Usage
from pulse_gateway.types.videos import VideoFile, VideoRequest, VideoState, aspect_of, resolution_of
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol, to_provider

__all__ = ["OMNI", "OmniVideos"]

_SHORTEST_S, _LONGEST_S = 3, 15
_RESOLUTIONS = ("720p", "1080p", "4k")
_INLINE = "inline"
_MOST_BYTES = 256 * 1024 * 1024
_STATUS = {
    "queued": "queued",
    "in_progress": "in_progress",
    "requires_continuation": "in_progress",
    "completed": "completed",
}


class _Modality(msgspec.Struct):
    modality: str | None = None
    tokens: int | None = None


class _Usage(msgspec.Struct):
    total_input_tokens: int | None = None
    total_output_tokens: int | None = None
    total_thought_tokens: int | None = None
    total_cached_tokens: int | None = None
    total_tool_use_tokens: int | None = None
    output_tokens_by_modality: list[_Modality] | None = None


class _Video(msgspec.Struct):
    data: str | None = None
    uri: str | None = None
    mime_type: str | None = None


class _Problem(msgspec.Struct):
    code: str | int | None = None
    message: str | None = None


class _Interaction(msgspec.Struct):
    id: str
    status: str
    output_video: _Video | None = None
    usage: _Usage | None = None
    errors: list[_Problem] | None = None


_decode = msgspec.json.Decoder(_Interaction).decode


class OmniVideos:
    """A `VideoOffer`. Jobs run in the background, and their files are fetched from Google with the key."""

    dialect = None

    def check(self, request: VideoRequest, deployment: Deployment, /) -> tuple[str, ...]:
        if not _SHORTEST_S <= request.seconds <= _LONGEST_S:
            raise UnsupportedParameter(
                f"{deployment.name} makes {_SHORTEST_S} to {_LONGEST_S} seconds, not {request.seconds}", param="seconds"
            )
        check_request(request, deployment, _RESOLUTIONS)
        return () if request.user is None else ("user",)

    def steps(self, request: VideoRequest, call: OfferCall, /) -> Steps[VideoState]:
        prompt: dict[str, Any] = {"type": "text", "text": request.prompt}
        body: dict[str, Any] = {
            "model": call.deployment.model.name,
            "input": [prompt],
            "response_format": {
                "type": "video",
                "aspect_ratio": aspect_of(request.size),
                "resolution": resolution_of(request.size),
                "duration": f"{request.seconds}s",
                "delivery": "uri",
            },
            "background": True,
            "store": True,
        }
        task = "text_to_video"
        if request.image is not None:
            media_type, data = yield from picture_of(request.image)
            body["input"].append({"type": "image", "data": data, "mime_type": media_type})
            task = "image_to_video"
        body["generation_config"] = {"video_config": {"task": task}}
        answer = yield from ask(_request(call, "POST", "interactions", to_provider(body)))
        return _state(from_provider(_decode, answer.body))

    def look(self, job_id: str, call: OfferCall, /) -> Steps[VideoState]:
        return _state((yield from _interaction(job_id, call)))

    def fetch(self, state: VideoState, call: OfferCall, /) -> Steps[VideoFile | HttpRequest]:
        if state.file and state.file != _INLINE:
            base = call.deployment.base_url or GOOGLE.base_url
            if same_origin(state.file, base):
                return HttpRequest("GET", state.file, GOOGLE.own_headers(call))
            downloaded = yield from ask(Download(state.file, max_bytes=_MOST_BYTES))
            return VideoFile(downloaded.body)
        video = (yield from _interaction(state.id, call)).output_video
        if video is None or video.data is None:
            raise not_of_protocol("a completed interaction without its video")
        try:
            return VideoFile(base64.b64decode(video.data, validate=True), video.mime_type or "video/mp4")
        except ValueError as error:
            raise not_of_protocol("a video that is no base64") from error

    def cancel(self, job_id: str, call: OfferCall, /) -> Steps[None]:
        yield from ask(_request(call, "POST", f"interactions/{quote(job_id, safe='')}/cancel"))


def _interaction(job_id: str, call: OfferCall) -> Steps[_Interaction]:
    answer = yield from ask(_request(call, "GET", f"interactions/{quote(job_id, safe='')}"))
    return from_provider(_decode, answer.body)


def _request(call: OfferCall, method: str, path: str, body: bytes = b"") -> HttpRequest:
    headers = (("content-type", "application/json"), *GOOGLE.own_headers(call))
    return HttpRequest(method, GOOGLE.address(call.deployment, path), headers, body)


def _state(seen: _Interaction) -> VideoState:
    status = _STATUS.get(seen.status)
    if status is None:  # failed, cancelled, incomplete, budget_exceeded, requires_action: no video comes of it
        problem = seen.errors[0] if seen.errors else _Problem()
        return VideoState(
            id=seen.id,
            status="failed",
            error_code=seen.status if problem.code is None else str(problem.code),
            error_message=problem.message or f"the provider's job is {seen.status}",
            usage=_usage(seen.usage),
        )
    if status != "completed":
        return VideoState(id=seen.id, status=status)  # type: ignore[arg-type]
    video = seen.output_video
    if video is None:
        return VideoState(
            id=seen.id, status="failed", error_code="no_video", error_message="the job ended without a video",
            usage=_usage(seen.usage),
        )  # fmt: skip
    return VideoState(id=seen.id, status="completed", file=video.uri or _INLINE, usage=_usage(seen.usage))


def _usage(counts: _Usage | None) -> Usage | None:
    """Disjoint classes: what is cached is a part of the input, what is video a part of the output."""
    if counts is None:
        return None
    by_modality = counts.output_tokens_by_modality or []
    video = sum(each.tokens or 0 for each in by_modality if (each.modality or "").lower() == "video")
    cached = counts.total_cached_tokens or 0
    given = (counts.total_input_tokens or 0) + (counts.total_tool_use_tokens or 0)
    return Usage(
        input_tokens=max(0, given - cached),
        cached_input_tokens=counts.total_cached_tokens,
        output_tokens=max(0, (counts.total_output_tokens or 0) - video),
        reasoning_tokens=counts.total_thought_tokens,
        video_output_tokens=video,
    )


OMNI = OmniVideos()
