"""Invocations that take a while, and the bucket into which their files are put: `StartAsyncInvoke`, and what S3 gives of it.

Steering: `fail` and `refusal` end one without a file, `polls` says how often it is looked at before it is done.
Source: the service model of bedrock-runtime 2023-09-30 in botocore 1.44.8; https://docs.aws.amazon.com/nova/latest/userguide/video-gen-access.html
and https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-luma.html (read 2026-11-24)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pulse_gateway.testing.simulator.bedrock.bodies import StrictBody, malformed
from pulse_gateway.testing.simulator.bedrock.errors import refuse
from pulse_gateway.testing.simulator.bedrock.models import BedrockModel, bedrock_model
from pulse_gateway.testing.simulator.dice import decode_base64, identifier
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.jobs import POLLS, START, spec_at, steering
from pulse_gateway.testing.simulator.media import image_size, image_type
from pulse_gateway.testing.simulator.samples import clip, colour
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.vendor import Frame, Request

__all__ = ["Invocations", "StartRequest"]

_ENCODE = msgspec.json.encode
_JSON = "application/json"
_ACCOUNT, _REGION = "123456789012", "eu-west-1"
_FILTERED = "Generated video has been blocked by our content filters. Please adjust your text prompt or image."
_FAILED = "The video could not be generated because of an internal error. Please try again."


class _S3Output(StrictBody, rename="camel"):
    s3_uri: Annotated[str, Meta(pattern=r"^s3://[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9](/.*)?$", max_length=1024)]
    kms_key_id: str | UnsetType = UNSET
    bucket_owner: Annotated[str, Meta(pattern=r"^[0-9]{12}$")] | UnsetType = UNSET


class _Output(StrictBody, rename="camel"):
    s3_output_data_config: _S3Output


class _Tag(StrictBody):
    key: Annotated[str, Meta(min_length=1, max_length=128)]
    value: Annotated[str, Meta(max_length=256)]


class StartRequest(StrictBody, rename="camel"):
    model_id: Annotated[str, Meta(min_length=1, max_length=256)]
    model_input: dict[str, Any]
    output_data_config: _Output
    client_request_token: Annotated[str, Meta(min_length=1, max_length=256)] | UnsetType = UNSET
    tags: Annotated[list[_Tag], Meta(max_length=200)] | UnsetType = UNSET


class _Bytes(StrictBody):
    bytes: str


class _Frame(StrictBody):
    format: Literal["png", "jpeg"]
    source: _Bytes


class _Shot(StrictBody, rename="camel"):
    text: Annotated[str, Meta(min_length=1, max_length=512)]
    images: Annotated[list[_Frame], Meta(min_length=1, max_length=1)] | UnsetType = UNSET


class _Film(StrictBody, rename="camel"):
    text: Annotated[str, Meta(min_length=1, max_length=4000)]


class _Length(StrictBody, rename="camel"):
    duration_seconds: int
    fps: Literal[24]
    dimension: Literal["1280x720"]
    seed: Annotated[int, Meta(ge=0, le=2_147_483_646)] | UnsetType = UNSET


class _Reel(StrictBody, rename="camel"):
    task_type: Literal["TEXT_VIDEO", "MULTI_SHOT_AUTOMATED"]
    video_generation_config: _Length
    text_to_video_params: _Shot | UnsetType = UNSET
    multi_shot_automated_params: _Film | UnsetType = UNSET


class _Source(StrictBody):
    type: Literal["base64"]
    media_type: Literal["image/png", "image/jpeg"]
    data: str


class _Key(StrictBody):
    type: Literal["image"]
    source: _Source


class _Keyframes(StrictBody):
    frame0: _Key | UnsetType = UNSET
    frame1: _Key | UnsetType = UNSET


class _Ray(StrictBody):
    prompt: Annotated[str, Meta(min_length=1, max_length=5000)]
    aspect_ratio: Literal["1:1", "16:9", "9:16", "4:3", "3:4", "21:9", "9:21"] = "16:9"
    loop: bool = False
    duration: Literal["5s", "9s"] = "5s"
    resolution: Literal["540p", "720p"] = "720p"
    keyframes: _Keyframes | UnsetType = UNSET


class _Job(msgspec.Struct):
    arn: str
    told: dict[str, Any]  # the part of the answer that does not change
    model: str
    spec: str
    ending: str | None  # why it fails; None: it does not
    seconds: int
    units: dict[str, int]  # of the request that started it
    polls_left: int
    place: str  # of its files, `bucket/folder/id`
    status: str = "InProgress"
    ended_at: str = ""


class Invocations:
    """The jobs there are, and their files by `bucket/key`."""

    def __init__(self, seed: int, now: Callable[[], float]) -> None:
        self._seed, self._now = seed, now
        self._jobs: dict[str, _Job] = {}
        self._files: dict[str, bytes] = {}

    def reset(self) -> None:
        self._jobs.clear()
        self._files.clear()

    def start(self, request: Request, asked: StartRequest) -> Work:
        """Raises: Refusal."""
        model_id, spec = split_model(asked.model_id)
        model = bedrock_model(model_id)
        if model is None:
            raise refuse("The provided model identifier is invalid.")
        seconds = _seconds(model, asked.model_input)
        steer = steering(request, spec)
        if steer.blocked is not None:
            raise refuse("This request has been blocked by our content filters.")
        units: dict[str, int] = {}
        place = asked.output_data_config.s3_output_data_config.s3_uri.removeprefix("s3://").rstrip("/")

        def render(_: Faults) -> list[Frame]:
            job_id = identifier("", request.body, f"{self._seed} invocation {len(self._jobs)}", 12)
            arn = f"arn:aws:bedrock:{_REGION}:{_ACCOUNT}:async-invoke/{job_id}"
            told = {
                "invocationArn": arn,
                "modelArn": f"arn:aws:bedrock:{_REGION}::foundation-model/{model_id}",
                "submitTime": self._time(),
                "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": f"s3://{place}/{job_id}"}},
            }
            self._jobs[arn] = _Job(
                arn=arn,
                told=told,
                model=asked.model_id,
                spec=spec,
                ending=_FAILED if steer.fail is not None else _FILTERED if steer.refusal or steer.filtered else None,
                seconds=seconds,
                units=units,
                polls_left=POLLS if steer.polls is None else steer.polls,
                place=f"{place}/{job_id}",
            )
            return [Frame(_ENCODE({"invocationArn": arn}))]

        return Work(
            model=asked.model_id, fault_spec=spec_at(START, spec), content_type=_JSON, render=render, units=units
        )

    def look(self, arn: str) -> Work:
        """Raises: Refusal."""
        job = self._jobs.get(arn)
        if job is None:
            raise refuse(f"The invocation {arn} was not found.")

        def render(_: Faults) -> list[Frame]:
            self._go_on(job)
            return [Frame(_ENCODE(_said(job)))]

        return Work(model=job.model, fault_spec=spec_at("poll", job.spec), content_type=_JSON, render=render)

    def list(self, query: dict[str, str]) -> Work:
        """Raises: Refusal."""
        most = query.get("maxResults", "1000")
        if not most.isdecimal() or not 1 <= int(most) <= 1000:
            raise refuse("1 validation error detected: Value at 'maxResults' failed to satisfy constraint")
        first = query.get("nextToken", "0")
        if not first.isdecimal():
            raise refuse("The next token is invalid.")
        wanted = query.get("statusEquals")
        if wanted not in {None, "InProgress", "Completed", "Failed"}:
            raise refuse("1 validation error detected: Value at 'statusEquals' failed to satisfy constraint")
        jobs = [job for job in self._jobs.values() if wanted in {None, job.status}]
        if query.get("sortOrder", "Descending") == "Descending":
            jobs.reverse()
        start, end = int(first), int(first) + int(most)
        body: dict[str, Any] = {"asyncInvokeSummaries": [_said(job) for job in jobs[start:end]]}
        if end < len(jobs):
            body["nextToken"] = str(end)
        data = _ENCODE(body)
        return Work(model="", content_type=_JSON, render=lambda _: [Frame(data)])

    def file(self, path: str) -> bytes | None:
        """What is at `/bucket/key`; None: nothing."""
        return self._files.get(path.strip("/"))

    def _go_on(self, job: _Job) -> None:
        if job.status != "InProgress":
            return
        if job.polls_left > 0:
            job.polls_left -= 1
            return
        job.ended_at = self._time()
        job.status = "Completed" if job.ending is None else "Failed"
        if job.ending is None:
            self._files[f"{job.place}/output.mp4"] = clip(job.seconds * 1000, colour(job.arn.encode()))
            job.units.update(videos=1, video_ms=job.seconds * 1000)

    def _time(self) -> str:
        return datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _said(job: _Job) -> dict[str, Any]:
    ended = {"endTime": job.ended_at} if job.ended_at else {}
    failed = {"failureMessage": job.ending} if job.status == "Failed" else {}
    return {**job.told, "status": job.status, **ended, **failed}


def _seconds(model: BedrockModel, written: dict[str, Any]) -> int:
    """How long the video will be. Raises: Refusal."""
    try:
        if model.maker == "amazon" and model.name.startswith("nova-reel"):
            return _reel(msgspec.convert(written, _Reel), films="v1:0" not in model.name)
        if model.maker == "luma" and model.name.startswith("ray"):
            return _ray(msgspec.convert(written, _Ray))
    except msgspec.ValidationError as error:
        raise malformed(error) from error
    raise refuse("The provided model does not support asynchronous invocations.")


def _reel(asked: _Reel, *, films: bool) -> int:
    seconds = asked.video_generation_config.duration_seconds
    shot, film = asked.text_to_video_params, asked.multi_shot_automated_params
    if asked.task_type == "TEXT_VIDEO":
        if isinstance(shot, UnsetType) or film is not UNSET:
            raise refuse("TEXT_VIDEO needs textToVideoParams, and no other parameters.")
        if seconds != 6:
            raise refuse("durationSeconds: a single shot is 6 seconds long.")
        for frame in () if isinstance(shot.images, UnsetType) else shot.images:
            data = decode_base64(frame.source.bytes)
            if data is None or image_type(data) != f"image/{frame.format}" or image_size(data) != (1280, 720):
                raise refuse("The input image must be a PNG or JPEG of 1280x720.")
        return seconds
    if film is UNSET or shot is not UNSET:
        raise refuse("MULTI_SHOT_AUTOMATED needs multiShotAutomatedParams, and no other parameters.")
    if not films:
        raise refuse("This version of the model makes single shots alone.")
    if not 12 <= seconds <= 120 or seconds % 6:
        raise refuse("durationSeconds: must be a multiple of 6 from 12 to 120.")
    return seconds


def _ray(asked: _Ray) -> int:
    frames = () if isinstance(asked.keyframes, UnsetType) else (asked.keyframes.frame0, asked.keyframes.frame1)
    for frame in frames:
        if not isinstance(frame, UnsetType):
            data = decode_base64(frame.source.data)
            if data is None or image_type(data) != frame.source.media_type:
                raise refuse(f"keyframes: the image is not {frame.source.media_type}")
    return int(re.sub(r"\D", "", asked.duration))
