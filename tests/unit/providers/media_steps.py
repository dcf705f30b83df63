"""The steps of an offer, run with answers made up beforehand."""

from __future__ import annotations

import json
from typing import Any

from pulse_gateway.providers.offer import Billed, Download, OfferCall
from pulse_gateway.types.catalog import Deployment, Model
from pulse_gateway.types.http import HttpAnswer, HttpRequest
from pulse_gateway.types.images import ImageRequest
from pulse_gateway.types.usage import Usage

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (1024).to_bytes(4) + (768).to_bytes(4) + b"\0" * 20


def deployment(model: str, kind: str = "google", **more: Any) -> Deployment:
    return Deployment(provider=kind, kind=kind, model=Model(provider=kind, name=model), base_url="", key="k", **more)


def run(
    offer: Any, request: Any, model: str, *answers: Any, kind: str = "google", **more: Any
) -> tuple[Any, list[Any]]:
    """What the steps return, and all of them. `answers`: JSON, bytes, or whole answers, in the order they are asked for."""
    call = OfferCall(deployment=deployment(model, kind, **more))
    offer.check(request, call.deployment)
    steps, waiting, seen, answer = offer.steps(request, call), list(answers), [], None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as end:
            return end.value, seen
        seen.append(step)
        answer = None
        if isinstance(step, HttpRequest | Download):
            given = waiting.pop(0)
            if not isinstance(given, HttpAnswer):
                body = given if isinstance(given, bytes) else json.dumps(given).encode()
                given = HttpAnswer(200, (("content-type", "image/png"),), body)
            answer = given


def asked(**fields: Any) -> ImageRequest:
    return ImageRequest(model="alias", prompt="a fox", **fields)


def sent(steps: list[Any]) -> list[dict[str, Any]]:
    return [json.loads(step.body) for step in steps if isinstance(step, HttpRequest) and step.body]


def billed(steps: list[Any]) -> list[Usage]:
    return [step.usage for step in steps if isinstance(step, Billed)]
