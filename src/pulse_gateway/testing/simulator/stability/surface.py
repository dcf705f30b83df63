"""Stability behind the server's `Surface` face: pictures at once, and pictures one asks for later.

Source: https://platform.stability.ai/docs/api-reference (read 2026-11-24)
"""

from __future__ import annotations

import base64
import re
from functools import partial

import msgspec

from pulse_gateway.testing.simulator.config import Config
from pulse_gateway.testing.simulator.dice import Dice, identifier
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.forms import FormError, read_form
from pulse_gateway.testing.simulator.jobs import POLLS, spec_at, steering
from pulse_gateway.testing.simulator.samples import colour, picture
from pulse_gateway.testing.simulator.stability.errors import injected, refuse
from pulse_gateway.testing.simulator.stability.operations import OPERATIONS
from pulse_gateway.testing.simulator.stability.reading import Order, read_order
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.vendor import Frame, Refusal, Request, Target

__all__ = ["Stability"]

_ENCODE = msgspec.json.encode
_OPERATION = re.compile(r"/v2beta/stable-image/([a-z0-9-]+/[a-z0-9-]+)(?:\+([^/]*))?")
_RESULT = re.compile(r"/v2beta/(?:results|stable-image/upscale/creative/result)/([0-9a-f]+)")
_BLURRED = (128, 128, 128)
_DEFAULT_MODEL = "sd3.5-large"


class _Job(msgspec.Struct, kw_only=True):
    """A picture that takes a while."""

    key: str  # whose it is: nobody else gets to see it
    model: str
    spec: str
    order: Order
    filtered: bool
    polls_left: int
    units: dict[str, int]  # of the request that started it; filled once the picture is there


class Stability:
    """One image a call. `refusal` makes it a blurred one, `finish-reason: CONTENT_FILTERED`; `blocked` a 403."""

    name = "stability"

    def __init__(self, seed: int, config: Config) -> None:
        self._seed = str(seed)
        self._accepted = frozenset(config.keys.accepted)
        self._jobs: dict[str, _Job] = {}
        self._started = 0

    def route(self, request: Request) -> Target | None:
        path = request.path
        if path == "/v1/user/balance":
            return Target("balance")
        if found := _RESULT.fullmatch(path):
            return Target("result", found.group(1))
        if not path.startswith("/v2beta/"):
            return None
        found = _OPERATION.fullmatch(path)
        if found and found.group(1) in OPERATIONS:
            return Target(found.group(1), found.group(1).rpartition("/")[2])
        return Target("unknown path")

    def admit(self, request: Request, target: Target) -> None:
        if target.operation == "unknown path":
            raise refuse(status=404)
        if request.method != ("GET" if target.operation in {"balance", "result"} else "POST"):
            raise refuse("method not allowed", status=405, name="method_not_allowed")
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise refuse("authorization: is required", status=401)
        if key == "wrong" or (self._accepted and key not in self._accepted):
            raise refuse(status=401)
        for name in ("stability-client-id", "stability-client-user-id", "stability-client-version"):
            if len(request.headers.get(name, "")) > 256:
                raise refuse(f"{name}: must be at most 256 characters")

    def work(self, request: Request, target: Target) -> Work:
        if target.operation == "balance":
            return Work(model="", content_type="application/json", render=partial(_body, b'{"credits":1000.0}'))
        as_json = _wants_json(request, anything=target.operation == "result")
        if target.operation == "result":
            return self._result(request, target.model, as_json)
        model, spec = _model(request, target)
        order = read_order(target.operation, request, model if target.operation == "generate/sd3" else "")
        steer = steering(request, spec)
        if steer.blocked is not None:
            raise refuse(status=403)
        filtered = steer.refusal or steer.finish == "CONTENT_FILTERED"
        if not OPERATIONS[target.operation].waits:
            return self._picture(order, model, spec_at("start", spec), as_json, filtered, {"images": 1})
        job = _Job(
            key=request.headers["authorization"],
            model=model,
            spec=spec,
            order=order,
            filtered=filtered,
            polls_left=POLLS if steer.polls is None else steer.polls,
            units={},
        )
        return Work(
            model=model,
            content_type="application/json",
            fault_spec=spec_at("start", spec),
            units=job.units,
            render=partial(self._start, job),
        )

    def _start(self, job: _Job, faults: Faults) -> list[Frame]:
        self._started += 1
        job_id = identifier("", f"{self._seed} {self._started}".encode(), "stability job", 64)
        self._jobs[job_id] = job
        return [Frame(_ENCODE({"id": job_id}))]

    def _result(self, request: Request, job_id: str, as_json: bool) -> Work:
        job = self._jobs.get(job_id)
        if job is None or job.key != request.headers["authorization"]:
            raise refuse(f"id: no generation with the id {job_id}", status=404)
        spec = spec_at("poll", job.spec)
        if job.polls_left > 0:
            answer = _ENCODE({"id": job_id, "status": "in-progress"})
            return Work(
                model=job.model,
                content_type="application/json",
                fault_spec=spec,
                status=202,
                render=partial(self._look, job, answer),
            )
        job.units["images"] = 1
        return self._picture(job.order, job.model, spec, as_json, job.filtered, {})

    def _look(self, job: _Job, answer: bytes, faults: Faults) -> list[Frame]:
        job.polls_left -= 1
        return [Frame(answer)]

    def _picture(
        self, order: Order, model: str, spec: str, as_json: bool, filtered: bool, units: dict[str, int]
    ) -> Work:
        paint = _BLURRED if filtered else colour(order.digest, self._seed)
        seed = order.seed or 1 + Dice(order.digest, self._seed).below(4_294_967_293)
        reason = "CONTENT_FILTERED" if filtered else "SUCCESS"
        content_type = f"application/json; type={order.media_type}" if as_json else order.media_type
        headers = () if as_json else (("finish-reason", reason), ("seed", str(seed)))

        def render(faults: Faults) -> list[Frame]:
            data = picture(order.media_type, *order.size, paint)
            if as_json:
                answer = {"image": base64.b64encode(data).decode(), "finish_reason": reason, "seed": seed}
                data = _ENCODE(answer)
            return [Frame(data)]

        return Work(
            model=model, content_type=content_type, fault_spec=spec, headers=headers, units=units, render=render
        )

    def head(self, request_id: str) -> tuple[tuple[str, str], ...]:
        return (("x-request-id", request_id),)

    def invalid(self, message: str) -> Refusal:
        return refuse(message)

    def injected(self, faults: Faults) -> Refusal:
        return injected(faults)

    def envelope(self, refusal: Refusal, request_id: str, target: Target) -> bytes:
        return _ENCODE({"id": identifier("", request_id.encode(), "error", 32), **refusal.error})

    def error_frame(self, refusal: Refusal, request_id: str, target: Target, *, is_first: bool) -> bytes:
        return b""

    def break_frame(self, frame: bytes) -> bytes:
        return frame[: len(frame) // 2]

    def reset(self) -> None:
        self._jobs.clear()
        self._started = 0


def _body(data: bytes, faults: Faults) -> list[Frame]:
    return [Frame(data)]


def _wants_json(request: Request, *, anything: bool) -> bool:
    accept = request.headers.get("accept", "*/*").strip().lower()
    if accept == "application/json":
        return True
    if accept not in {"image/*", "*/*"}:
        words = "image/*, application/json" + (" or */*" if anything else "")
        raise refuse(f"accept: must be one of {words}")
    return False


def _model(request: Request, target: Target) -> tuple[str, str]:
    """The model and its faults: the last step of the path, or of `generate/sd3` the field `model`."""
    found = _OPERATION.fullmatch(request.path)
    spec = found.group(2) or "" if found else ""
    if target.operation != "generate/sd3":
        return target.model, spec
    try:
        sent = next((part.text for part in read_form(request) if part.name == "model"), _DEFAULT_MODEL)
    except FormError as error:
        raise refuse(str(error)) from error
    model, own = split_model(sent)
    return model, own or spec
