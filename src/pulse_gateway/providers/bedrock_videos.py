"""Videos on Bedrock, of Amazon's Nova Reel and of Luma's Ray: an invocation that is begun and looked at; its file is put into a bucket.

The bucket is the operator's (`providers.NAME.bucket`), and what is in it stays there. Bedrock knows no way to stop an invocation.

Source: https://docs.aws.amazon.com/nova/latest/userguide/video-gen-access.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-luma.html (read 2026-11-24); botocore 1.44, shapes
`StartAsyncInvokeRequest` and `GetAsyncInvokeResponse`. That Ray's file is called `output.mp4` as well is not said there.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any, Protocol
from urllib.parse import quote

import msgspec

from pulse_gateway.errors import UnsupportedParameter, UpstreamModelNotFound, UpstreamRejected, UpstreamUnauthorized
from pulse_gateway.providers.bedrock import asked, region_of, service_url
from pulse_gateway.providers.bedrock_pictures import sketch_of
from pulse_gateway.providers.offer import OfferCall, Step, Steps, ask
from pulse_gateway.providers.s3 import bucket_of
from pulse_gateway.providers.video_parts import picture_of
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import HttpRequest
from pulse_gateway.types.usage import Usage
from pulse_gateway.types.videos import VideoFile, VideoRequest, VideoState, aspect_of
from pulse_gateway.wire.foreign_json import from_provider, not_of_protocol
from pulse_gateway.wire.refusals import refuse_extra

__all__ = ["RAY", "REEL", "BedrockVideos", "Ray", "Reel"]

_FILE = "output.mp4"
# What clients know nothing of: where the files go, and who may put them there.
_OURS = re.compile(r"\b(?:s3|iam|sts|kms)\b|s3uri|bucket|output ?(?:data ?)?config", re.IGNORECASE)
_UNWRITABLE = "the provider cannot write to the gateway's bucket"
_FILTERED = re.compile(r"content filter|content moderation|responsible ai|\bAUP\b", re.IGNORECASE)


class _Begun(msgspec.Struct, rename="camel"):
    invocation_arn: str


class _S3(msgspec.Struct, rename="camel"):
    s3_uri: str = ""


class _Output(msgspec.Struct, rename="camel"):
    s3_output_data_config: _S3 | None = None


class _Invocation(msgspec.Struct, rename="camel"):
    status: str
    failure_message: str | None = None
    output_data_config: _Output | None = None


_begun = msgspec.json.Decoder(_Begun).decode
_invocation = msgspec.json.Decoder(_Invocation).decode


class Maker(Protocol):
    """What one maker's models are told, and what they make."""

    def check(self, request: VideoRequest, deployment: Deployment, /) -> None:
        """Raises: UnsupportedParameter."""
        ...

    def resolution(self, request: VideoRequest, /) -> str:
        """What the price goes by."""
        ...

    def told(self, request: VideoRequest, deployment: Deployment, /) -> Generator[Step, Any, dict[str, Any]]: ...


class BedrockVideos:
    """A `VideoOffer`."""

    dialect = None

    def __init__(self, maker: Maker) -> None:
        self._maker = maker

    def check(self, request: VideoRequest, deployment: Deployment, /) -> tuple[str, ...]:
        refuse_extra(request.extra, deployment.model)
        self._maker.check(request, deployment)
        if deployment.bucket is None:
            key = f"providers.{deployment.provider}.bucket"
            raise _unsupported(deployment, "model", f"puts its videos into a bucket of S3, and {key} names none")
        return () if request.user is None else ("user",)

    def steps(self, request: VideoRequest, call: OfferCall, /) -> Steps[VideoState]:
        deployment = call.deployment
        assert deployment.bucket is not None  # checked before
        told = yield from self._maker.told(request, deployment)
        output = {"s3OutputDataConfig": {"s3Uri": bucket_of(deployment.bucket, "").uri}}
        body = {"modelId": deployment.model.name, "modelInput": told, "outputDataConfig": output}
        try:
            answer = yield from ask(asked(call, "POST", service_url(deployment, "/async-invoke"), body))
        except (UpstreamRejected, UpstreamModelNotFound) as error:
            if not _OURS.search(error.message):
                raise
            raise UpstreamUnauthorized(
                _UNWRITABLE,
                upstream_status=error.upstream_status,
                upstream_code=error.upstream_code,
            ) from error
        if not (arn := from_provider(_begun, answer.body).invocation_arn):
            raise not_of_protocol("an invocation without an address")
        return VideoState(
            id=arn,
            status="queued",
            usage=Usage(video_ms=request.seconds * 1000, variant=self._maker.resolution(request)),
        )

    def look(self, job_id: str, call: OfferCall, /) -> Steps[VideoState]:
        url = service_url(call.deployment, f"/async-invoke/{quote(job_id, safe='')}")
        answer = yield from ask(asked(call, "GET", url))
        return _state(job_id, from_provider(_invocation, answer.body))

    def fetch(self, state: VideoState, call: OfferCall, /) -> Steps[VideoFile | HttpRequest]:
        yield from ()
        deployment = call.deployment
        bucket = bucket_of(deployment.bucket or "", region_of(deployment.base_url))
        return bucket.read(state.file or "")

    def cancel(self, job_id: str, call: OfferCall, /) -> Steps[None]:
        yield from ()


class Reel:
    """Nova Reel: one shot of six seconds, from a picture too; or, from version 1.1 on, a film of several that the model plans itself."""

    def check(self, request: VideoRequest, deployment: Deployment, /) -> None:
        if request.size != "1280x720":
            raise _unsupported(deployment, "size", f"makes videos of 1280x720, not {request.size}")
        films = "nova-reel-v1:0" not in deployment.model.name
        if request.seconds == 6:
            return
        if not films or request.seconds not in range(12, 121, 6):
            lengths = "6 seconds, or 12 to 120 by sixes" if films else "6 seconds"
            raise _unsupported(deployment, "seconds", f"makes {lengths}, not {request.seconds}")
        if request.image is not None:
            raise _unsupported(deployment, "image", "begins with a picture only what is 6 seconds long")

    def resolution(self, request: VideoRequest, /) -> str:
        return "720p"

    def told(self, request: VideoRequest, deployment: Deployment, /) -> Generator[Step, Any, dict[str, Any]]:
        config = {"durationSeconds": request.seconds, "fps": 24, "dimension": request.size}
        if request.seconds != 6:
            film = {"text": request.prompt}
            return {
                "taskType": "MULTI_SHOT_AUTOMATED",
                "multiShotAutomatedParams": film,
                "videoGenerationConfig": config,
            }
        shot: dict[str, Any] = {"text": request.prompt}
        if request.image is not None:
            data = yield from sketch_of(request.image, deployment)
            kind = "png" if data.startswith("iVBOR") else "jpeg"
            shot["images"] = [{"format": kind, "source": {"bytes": data}}]
        return {"taskType": "TEXT_VIDEO", "textToVideoParams": shot, "videoGenerationConfig": config}


class Ray:
    """Luma's Ray 2."""

    _ASPECTS = ("1:1", "16:9", "9:16", "4:3", "3:4", "21:9", "9:21")
    _LINES = (540, 720)

    def check(self, request: VideoRequest, deployment: Deployment, /) -> None:
        if request.seconds not in (5, 9):
            raise _unsupported(deployment, "seconds", f"makes 5 or 9 seconds, not {request.seconds}")
        if _ratio(request.size) not in self._ASPECTS or _lines(request.size) not in self._LINES:
            raise _unsupported(
                deployment, "size", f"makes videos of {', '.join(self._ASPECTS)} in 540p and 720p, not {request.size}"
            )

    def resolution(self, request: VideoRequest, /) -> str:
        return f"{_lines(request.size)}p"

    def told(self, request: VideoRequest, deployment: Deployment, /) -> Generator[Step, Any, dict[str, Any]]:
        told: dict[str, Any] = {
            "prompt": request.prompt,
            "aspect_ratio": _ratio(request.size),
            "duration": f"{request.seconds}s",
            "resolution": self.resolution(request),
        }
        if request.image is not None:
            kind, data = yield from picture_of(request.image)
            source = {"type": "base64", "media_type": kind, "data": data}
            told["keyframes"] = {"frame0": {"type": "image", "source": source}}
        return told


def _ratio(size: str) -> str:
    """As vendors write it: the cinema's 21:9 is not reduced."""
    ratio = aspect_of(size)
    return {"7:3": "21:9", "3:7": "9:21"}.get(ratio, ratio)


def _lines(size: str) -> int:
    return min(int(side) for side in size.split("x"))


def _state(job_id: str, seen: _Invocation) -> VideoState:
    match seen.status:
        case "Completed":
            place = seen.output_data_config.s3_output_data_config if seen.output_data_config is not None else None
            if place is None or not place.s3_uri:
                raise not_of_protocol("an invocation that is done, and no word of where its file is")
            return VideoState(id=job_id, status="completed", file=f"{place.s3_uri.rstrip('/')}/{_FILE}")
        case "Failed":
            message = seen.failure_message or "the provider's job failed"
            code = "content_blocked" if _FILTERED.search(message) else "upstream_error"
            if _OURS.search(message):
                message = _UNWRITABLE
            return VideoState(id=job_id, status="failed", error_code=code, error_message=message)
        case _:
            return VideoState(id=job_id, status="in_progress")


def _unsupported(deployment: Deployment, param: str, reason: str) -> UnsupportedParameter:
    return UnsupportedParameter(f"{deployment.name} {reason}", param=param)


REEL, RAY = BedrockVideos(Reel()), BedrockVideos(Ray())
