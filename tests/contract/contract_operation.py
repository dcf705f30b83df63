"""Checks of everything beside chat: each request of an operation, what its answers come to, and what a client is told of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from contract_cases import Case, payload_of
from contract_meaning import error_meaning
from contract_requests import check_request

from pulse_gateway import Config, Gateway
from pulse_gateway.catalog.settings import ModelConfig
from pulse_gateway.config import ProviderConfig
from pulse_gateway.errors import UnsupportedParameter, UpstreamError
from pulse_gateway.providers import registry
from pulse_gateway.providers.offer import Download, OfferCall
from pulse_gateway.types.http import HttpAnswer, HttpRequest, Payload, header
from pulse_gateway.types.videos import VideoFile
from pulse_gateway.wire import registry as wire
from pulse_gateway.wire.operation_relay import WatchedRelay
from pulse_gateway.wire.reading import Reading

__all__ = ["check_operation"]


async def check_operation(case: Case) -> None:
    vendor, said, expected = case.vendor, case.client, case.expected
    settings = ProviderConfig(kind=vendor.kind, key=vendor.key or None, base_url=vendor.base_url, bucket=vendor.bucket)
    still = ModelConfig(shutdown="9999-12-31")  # what was written down holds also of a model that is gone by now
    config = Config(providers={vendor.name: settings}, catalog={case.asked.replace("/", ":", 1): still})
    [deployment] = Gateway(config).router.candidates(case.asked)
    provider, face = registry.provider(vendor.kind), wire.operation_codec(said["dialect"])
    offer: Any = provider.offer(face.dialect, deployment) or provider.offer(face.operation, deployment)
    call = OfferCall(deployment=deployment, stream=said.get("stream", False))
    payload, script = payload_of(said), _Script(case, provider, deployment)
    request = face.decode_request(payload, model=case.asked)
    if "refused" in expected:
        try:
            offer.check(request, deployment)
        except UnsupportedParameter as error:
            assert error.param == expected["refused"]
            return
        raise AssertionError("it was not refused")
    if face.dialect == offer.dialect:
        answer = await script.answer(offer.forward(face.rewrite_request(payload, model=deployment.model.name), call))
        script.check_end()
        _check_forwarded(face, answer, request, expected)
        return
    assert sorted(offer.check(request, deployment)) == expected.get("dropped", [])
    try:
        reply = await script.run(offer.steps(request, call))
        if face.operation == "videos":
            await _check_video(offer, reply, call, script, expected)
            return
    except UpstreamError as error:
        assert error_meaning(error) == expected["error"]
        return
    finally:
        script.check_end()
    _check_reply(reply, expected)
    _check_client(face.encode_reply(reply, request), expected)


def _check_forwarded(face: Any, answer: HttpAnswer, request: Any, expected: dict[str, Any]) -> None:
    """The answer goes on as it is; what it comes to is read on the way."""
    kind = header(answer.headers, "content-type") or ""
    reading = Reading()
    if kind.startswith("text/event-stream"):
        relay = WatchedRelay(face)
        told = [relay.join(items) for at in range(len(answer.body)) if (items := relay.feed(answer.body[at : at + 1]))]
        told += [piece.item for piece in relay.finish()]
        assert b"".join(told) == answer.body
        assert relay.reading.ended
        reading = relay.reading
    else:
        if kind.startswith(("application/json", "text/")):
            face.read_reply(Payload(answer.body, kind), reading)
        _within(expected["reply"], msgspec.to_builtins(face.decode_reply(Payload(answer.body, kind), request)))
    if "usage" in expected:
        assert msgspec.to_builtins(reading.usage) == expected["usage"]


def _check_reply(reply: Any, expected: dict[str, Any]) -> None:
    told = msgspec.to_builtins(reply)
    if "usage" in expected:
        assert told["usage"] == expected["usage"]
    _within(expected["reply"], told)


def _check_client(said: Payload, expected: dict[str, Any]) -> None:
    if "client" in expected:
        _within(expected["client"], msgspec.json.decode(said.data))


async def _check_video(offer: Any, begun: Any, call: OfferCall, script: _Script, expected: dict[str, Any]) -> None:
    _within(expected["begun"], msgspec.to_builtins(begun))
    seen = await script.run(offer.look(begun.id, call))
    _within(expected["seen"], msgspec.to_builtins(seen))
    if "file" in expected:
        file = await script.run(offer.fetch(seen, call))
        if isinstance(file, HttpRequest):
            file = VideoFile((await script.answer(file)).body)
        _within(expected["file"], msgspec.to_builtins(file))


class _Script:
    """Gives the answers of a case to its requests, in order, each of which must be the one that was written down."""

    def __init__(self, case: Case, provider: Any, deployment: Any) -> None:
        self._waiting: Iterator[Any] = iter(zip(case.requests, case.answers, strict=True))
        self._provider, self._deployment = provider, deployment

    async def run(self, steps: Any) -> Any:
        answer: Any = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                return end.value
            answer = await self.answer(step) if isinstance(step, HttpRequest | Download) else None

    async def answer(self, step: HttpRequest | Download) -> HttpAnswer:
        wanted, answer = next(self._waiting)
        if isinstance(step, Download):
            assert step.url == wanted["download"]
        else:
            if self._provider.authorize is not None:
                step = await self._provider.authorize(step, self._deployment, _nobody)
            check_request(step, wanted)
        if not 200 <= answer.status < 300:
            raise self._provider.error(answer.status, answer.headers, answer.body)
        checked: HttpAnswer = answer
        return checked

    def check_end(self) -> None:
        assert next(self._waiting, None) is None, "not everything was asked"


async def _nobody(request: HttpRequest) -> HttpAnswer:
    raise AssertionError("a key is all the proof that these cases have")


def _within(expected: Any, told: Any, path: str = "") -> None:
    """Everything that is expected is there; more may be."""
    if isinstance(expected, dict) and isinstance(told, dict):
        for name, value in expected.items():
            assert name in told, f"{path}.{name} is missing"
            _within(value, told[name], f"{path}.{name}")
    elif isinstance(expected, list) and isinstance(told, list | tuple):
        assert len(expected) == len(told), path
        for at, (one, other) in enumerate(zip(expected, told, strict=True)):
            _within(one, other, f"{path}[{at}]")
    else:
        assert told == expected, path
