"""Replicate behind the server's `Surface` face.

Source: https://replicate.com/docs/reference/http (read 2026-11-24) and replicate 1.0.7
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from typing import Any

import msgspec

from pulse_gateway.testing.simulator.config import Config
from pulse_gateway.testing.simulator.dice import decode_base64, identifier
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.jobs import POLLS, spec_at, steering
from pulse_gateway.testing.simulator.replicate import catalog
from pulse_gateway.testing.simulator.replicate.errors import injected, refuse
from pulse_gateway.testing.simulator.replicate.models import MODELS
from pulse_gateway.testing.simulator.replicate.outputs import KEPT_S, Delivered, Shelf, make
from pulse_gateway.testing.simulator.replicate.predictions import Prediction, Status
from pulse_gateway.testing.simulator.replicate.reading import Wanted, read_create
from pulse_gateway.testing.simulator.replicate.streaming import render_stream
from pulse_gateway.testing.simulator.replicate.uploads import Uploads
from pulse_gateway.testing.simulator.replicate.webhooks import Webhooks
from pulse_gateway.testing.simulator.samples import Colour
from pulse_gateway.testing.simulator.stats import Tab
from pulse_gateway.testing.simulator.surface import Work
from pulse_gateway.testing.simulator.vendor import Frame, Refusal, Request, Target

__all__ = ["Replicate"]

_ENCODE = msgspec.json.encode
_JSON = "application/json"
_NAME = r"([\w.-]+/[^/:]+)"
_ROUTES: tuple[tuple[re.Pattern[str], dict[str, str]], ...] = tuple(
    (re.compile(path), operations)
    for path, operations in (
        (r"/v1/predictions", {"POST": "create", "GET": "predictions"}),
        (r"/v1/predictions/(\w+)", {"GET": "poll"}),
        (r"/v1/predictions/(\w+)/cancel", {"POST": "cancel"}),
        (rf"/v1/models/{_NAME}/predictions", {"POST": "create"}),
        (rf"/v1/models/{_NAME}/versions", {"GET": "versions"}),
        (rf"/v1/models/{_NAME}/versions/\w+", {"GET": "version"}),
        (rf"/v1/deployments/{_NAME}/predictions", {"POST": "create"}),
        (rf"/v1/deployments/{_NAME}", {"GET": "deployment"}),
        (r"/v1/deployments", {"GET": "deployments"}),
        (r"/v1/webhooks/default/secret", {"GET": "secret"}),
        (r"/v1/account", {"GET": "account"}),
        (r"/stream/(\w+)", {"GET": "stream"}),
        (r"/delivery/(\w+/[\w.-]+)", {"GET": "deliver"}),
    )
)
# Other vendors have these paths too: they are Replicate's for its own tokens.
_SHARED: tuple[tuple[re.Pattern[str], dict[str, str]], ...] = tuple(
    (re.compile(path), operations)
    for path, operations in (
        (rf"/v1/models/{_NAME}", {"GET": "model"}),
        (r"/v1/models", {"GET": "models", "QUERY": "search"}),
        (r"/v1/files", {"POST": "upload", "GET": "files"}),
        (r"/v1/files/(\w+)", {"GET": "file", "DELETE": "delete"}),
        (r"/v1/files/(\w+)/download", {"GET": "download"}),
    )
)
_SHARED_BEGINNINGS = ("/v1/models", "/v1/files")
_BEGINNINGS = (
    *_SHARED_BEGINNINGS, "/v1/predictions", "/v1/deployments", "/v1/webhooks/", "/v1/account", "/stream/", "/delivery/",
)  # fmt: skip
_PUBLIC = frozenset({"deliver", "stream"})
_TOKEN = "r8_"  # noqa: S105 - how tokens begin
_PAGE = 100
_FLAGGED = "The input or output was flagged as sensitive. Please try again with different inputs. (E005)"
_FAILED = "Prediction failed."


class Replicate:
    """`now` gives seconds since the epoch. Predictions are looked at `polls` times before they are done."""

    name = "replicate"

    def __init__(self, seed: int, config: Config, now: Callable[[], float] = time.time) -> None:
        self._seed = seed
        self._now = now
        self._accepted = frozenset(config.keys.accepted)
        self._answers = config.answers
        self._predictions: dict[str, Prediction] = {}
        self._created = 0
        self._shelf = Shelf()
        self._uploads = Uploads(seed)
        self._webhooks = Webhooks(seed, now)

    def route(self, request: Request) -> Target | None:
        if not request.path.startswith(_BEGINNINGS):
            return None
        routes = _ROUTES
        if request.path.startswith(_SHARED_BEGINNINGS) and _token(request).startswith(_TOKEN):
            routes += _SHARED
        for path, operations in routes:
            if found := path.fullmatch(request.path):
                name = found.group(1) if found.groups() else ""
                return Target(operations.get(request.method, "wrong method"), name)
        return None

    def admit(self, request: Request, target: Target) -> None:
        if target.operation == "wrong method":
            raise refuse(status=405)
        token = _token(request)
        if target.operation in _PUBLIC:
            return
        if not token or token == "wrong" or (self._accepted and token not in self._accepted):  # noqa: S105
            raise refuse(status=401)

    def work(self, request: Request, target: Target) -> Work:
        name, base_url = target.model, f"http://{request.headers.get('host', 'localhost')}"
        match target.operation:
            case "create":
                return self._create(request, name, base_url)
            case "predictions":
                return _json(self._page(request.query.get("cursor"), base_url))
            case "poll" | "cancel" | "stream":
                return self._look(target.operation, name)
            case "deliver":
                return self._deliver(name)
            case "upload":
                upload = self._uploads.receive(request, base_url, self._now())
                return _json(upload.document(), status=201)
            case "files":
                results = [upload.document() for upload in self._uploads.all()]
                return _json({"previous": None, "next": None, "results": results})
            case "file":
                return _json(self._uploads.get(name).document())
            case "download":
                upload = self._uploads.get(name)
                return Work(model="", content_type=upload.content_type, render=lambda _: [Frame(upload.data)])
            case "delete":
                self._uploads.delete(name)
                return Work(model="", content_type=_JSON, status=204, render=lambda _: [])
            case "secret":
                return _json({"key": self._webhooks.secret})
            case _:
                return _json(_known(target.operation, name, request))

    def _create(self, request: Request, name: str, base_url: str) -> Work:
        place = request.path.split("/")[2]
        wanted = read_create(request, place, name)
        steer = steering(request, wanted.spec)
        # Deeper than it is ever shown, so that what is nested too deeply is refused here.
        sent = _ENCODE([[[self._seed, wanted.model.name, wanted.input]]], order="deterministic")
        digest = blake2b(sent, digest_size=16).digest()
        units: dict[str, int] = {}
        tab = Tab()
        headers = (("preference-applied", "wait"),) if wanted.waits else ()

        def render(faults: Faults) -> list[Frame]:
            prediction = self._begin(wanted, digest, steer, base_url, units, tab)
            return [Frame(_ENCODE(prediction.document(self._now())))]

        return Work(
            model=wanted.sent_name,
            content_type=_JSON,
            fault_spec=spec_at("start", wanted.spec),
            status=201,
            headers=headers,
            units=units,
            tab=tab,
            render=render,
        )

    def _begin(
        self, wanted: Wanted, digest: bytes, steer: Faults, base_url: str, units: dict[str, int], tab: Tab
    ) -> Prediction:
        self._created += 1
        now_s = self._now()
        prediction_id = identifier("", f"{self._seed} {self._created}".encode(), "prediction", 26)

        def put(path: str, media_type: str, size: tuple[int, int] | None, duration_ms: int, paint: Colour) -> str:
            file = Delivered(
                media_type=media_type,
                size=size,
                duration_ms=duration_ms,
                paint=paint,
                expires_at=now_s + KEPT_S,
                spec=wanted.spec,
                model=wanted.sent_name,
            )
            self._shelf.put(path, file)
            return f"{base_url}/delivery/{path}"

        prediction = Prediction(
            id=prediction_id,
            wanted=wanted,
            base_url=base_url,
            digest=digest,
            made=make(wanted, digest, prediction_id, steer, self._answers, put),
            ending=_ending(steer),
            failure=_FLAGGED if steer.refusal else steer.fail or _FAILED,
            polls=POLLS if steer.polls is None else steer.polls,
            units=units,
            tab=tab,
            created_s=now_s,
        )
        self._predictions[prediction_id] = prediction
        if wanted.waits and not steer.polls:
            prediction.finish(now_s)
        if wanted.webhook is not None:
            self._webhooks.follow(prediction, steer)
        return prediction

    def _look(self, operation: str, prediction_id: str) -> Work:
        prediction = self._predictions.get(prediction_id)
        if prediction is None:
            raise refuse(status=404)
        spec = spec_at(operation, prediction.wanted.spec)
        if operation == "stream":
            if not prediction.wanted.streams:
                raise refuse(status=404)
            return Work(
                model=prediction.wanted.sent_name,
                content_type="text/event-stream",
                fault_spec=spec,
                stream=True,
                usage=None if prediction.is_done or prediction.is_streamed else prediction.made.usage,
                render=partial(render_stream, prediction, self._now),
            )

        def render(faults: Faults) -> list[Frame]:
            if operation == "cancel":
                prediction.cancel(self._now())
            else:
                prediction.look(self._now())
            return [Frame(_ENCODE(prediction.document(self._now())))]

        return Work(model=prediction.wanted.sent_name, content_type=_JSON, fault_spec=spec, render=render)

    def _deliver(self, path: str) -> Work:
        file = self._shelf.get(path, self._now())
        if file is None:
            raise refuse(status=404)
        return Work(
            model=file.model,
            content_type=file.media_type,
            fault_spec=spec_at("deliver", file.spec),
            render=lambda _: [Frame(file.data)],
        )

    def _page(self, cursor: str | None, base_url: str) -> dict[str, Any]:
        """Newest first, a hundred at a time; a cursor names the first one of a page."""
        ids = list(reversed(self._predictions))
        start = 0
        if cursor is not None:
            first = (decode_base64(cursor, url_safe=True) or b"").decode(errors="replace")
            if first not in self._predictions:
                raise refuse("Invalid cursor", status=400)
            start = ids.index(first)

        def link(at: int) -> str:
            word = base64.urlsafe_b64encode(ids[at].encode()).decode().rstrip("=")
            return f"{base_url}/v1/predictions?cursor={word}"

        shown = [self._predictions[each].document(self._now()) for each in ids[start : start + _PAGE]]
        return {
            "previous": link(max(0, start - _PAGE)) if start else None,
            "next": link(start + _PAGE) if start + _PAGE < len(ids) else None,
            "results": shown,
        }

    def head(self, request_id: str) -> tuple[tuple[str, str], ...]:
        return (("x-request-id", request_id),)

    def invalid(self, message: str) -> Refusal:
        return refuse(message, status=400)

    def injected(self, faults: Faults) -> Refusal:
        return injected(faults)

    def envelope(self, refusal: Refusal, request_id: str, target: Target) -> bytes:
        return _ENCODE(refusal.error)

    def error_frame(self, refusal: Refusal, request_id: str, target: Target, *, is_first: bool) -> bytes:
        detail = _ENCODE({"detail": refusal.error["detail"]})
        return b"event: error\nid: " + request_id.encode() + b"\ndata: " + detail + b"\n\n"

    def break_frame(self, frame: bytes) -> bytes:
        return frame[: len(frame) // 2]

    def reset(self) -> None:
        self._predictions.clear()
        self._shelf.clear()
        self._uploads.reset()
        self._webhooks.reset()
        self._created = 0


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() in {"bearer", "token"} else ""


def _ending(steer: Faults) -> Status:
    if steer.refusal or steer.fail is not None:
        return "failed"
    match steer.finish:
        case "failed" | "canceled" | "aborted":
            return steer.finish
        case _:
            return "succeeded"


def _json(value: object, status: int = 200) -> Work:
    return Work(model="", content_type=_JSON, status=status, render=lambda _: [Frame(_ENCODE(value))])


def _known(operation: str, name: str, request: Request) -> dict[str, Any]:
    """What is the same for everybody.

    Raises: Refusal for a version that the model does not have.
    """
    results: list[dict[str, Any]]
    match operation:
        case "account":
            return catalog.ACCOUNT
        case "model":
            return catalog.model_document(name)
        case "deployment":
            return catalog.deployment_document(name)
        case "version":
            version = catalog.version_document(name)
            if not request.path.endswith(f"/{version['id']}"):
                raise refuse(status=404)
            return version
        case "versions":
            results = [catalog.version_document(name)]
        case "deployments":
            results = [catalog.deployment_document("simulated/flux")]
        case "search":
            results = catalog.search(request.body.decode(errors="replace"))
        case _:
            results = [catalog.model_document(model) for model in MODELS]
    return {"previous": None, "next": None, "results": results}
