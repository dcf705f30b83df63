"""A vendor has begun something dear, and then fails: nobody is asked to make it once more, since both would be billed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from vendor_stub import Vendor, VendorAnswer

from pulse_gateway import Config, Gateway, Inbound
from pulse_gateway.clock import SystemClock
from pulse_gateway.config import AliasConfig, ProviderConfig
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.transport.transport import OnSend
from pulse_gateway.types.http import HttpRequest, Timeouts

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (1024).to_bytes(4) + (768).to_bytes(4) + b"\0" * 20
KONTEXT = "fireworks:accounts/fireworks/models/flux-kontext-pro"
SCHNELL = "fireworks:accounts/fireworks/models/flux-1-schnell-fp8"
BANANA = "replicate:google/nano-banana"
Answer = tuple[int, Any]


class Impatient(SystemClock):
    async def sleep(self, seconds: float, /) -> None:
        await asyncio.sleep(0)


class Failing(Vendor):
    """`answer` makes a status and a body of a request, and of how many came before it."""

    async def send(
        self, request: HttpRequest, timeouts: Timeouts, /, *, proxy: str | None = None, on_send: OnSend | None = None
    ) -> VendorAnswer:
        answered = await super().send(request, timeouts, proxy=proxy, on_send=on_send)
        status, body = msgspec.json.decode(answered.body)
        said = bytes.fromhex(body) if isinstance(body, str) else msgspec.json.encode(body)
        return VendorAnswer(said, status, answered.headers)


def after(begun: Answer, later: Answer) -> Callable[[HttpRequest], Answer]:
    """The first request is answered with `begun`, whatever comes later with `later`."""
    answers = iter([begun])
    return lambda _: next(answers, later)


def cancelled(vendor: Vendor) -> int:
    return sum(request.url.endswith("/cancel") for request in vendor.requests)


@pytest.mark.parametrize(
    ("model", "n", "begun", "later", "asked", "images"),
    [
        (KONTEXT, 1, (200, {"request_id": "r"}), (503, {"error": {"message": "busy"}}), 5, 1),
        (KONTEXT, 1, (200, {"request_id": "r"}), (429, {"error": {"message": "busy"}}), 5, 1),
        (SCHNELL, 2, (200, PNG.hex()), (429, {"error": {"message": "busy"}}), 2, 1),
        (BANANA, 1, (201, {"id": "p", "status": "processing"}), (503, {"title": "x"}), 6, 1),
        (BANANA, 1, (201, {"id": "p", "status": "processing"}), (404, {"title": "x"}), 6, 1),
        (BANANA, 1, (201, {"id": "p", "status": "succeeded", "output": "https://a.replicate.delivery/b.png"}),
         (429, {"title": "x"}), 5, 1),
        (BANANA, 1, (200, b"<html>".hex()), (200, {}), 1, 1),
    ],
    ids=["a look fails", "a look is refused", "the second image", "a prediction", "a prediction that is not there", "a file", "no JSON"],
)  # fmt: skip
async def test_what_was_begun_is_asked_of_nobody_again(
    model: str, n: int, begun: Answer, later: Answer, asked: int, images: int
) -> None:
    vendor, ledger = Failing(after(begun, later)), MemoryLedger()
    config = Config(
        providers={name: ProviderConfig(key="k") for name in ("fireworks", "replicate")},
        models={"made": AliasConfig(targets=[model], fallbacks=[SCHNELL])},
    )
    async with Gateway(config, transport=vendor, ledger=ledger, clock=Impatient(), observers=()) as gateway:
        reply = await gateway.handle(
            Inbound(
                dialect="openai.images.generations",
                operation="images",
                body=msgspec.json.encode({"model": "made", "prompt": "قطة", "n": n}),
                principal=gateway.principal("alice"),
            )
        )
    headers = dict(reply.headers)
    assert reply.status in (429, 502), reply.body
    assert (headers["x-pulse-attempts"], headers["x-should-retry"]) == ("1", "false")
    assert [entry.images for entry in ledger.entries] == [images]
    assert len(vendor.requests) == asked


@pytest.mark.parametrize(
    ("model", "begun"),
    [
        (BANANA, (201, {"id": "p", "status": "failed", "error": "CUDA out of memory"})),
        (SCHNELL, (429, {"error": {"message": "busy"}})),
    ],
    ids=["nothing came of it", "it was not begun"],
)
async def test_where_nothing_was_made_the_next_one_is_asked(model: str, begun: Answer) -> None:
    vendor, ledger = Failing(after(begun, (200, PNG.hex()))), MemoryLedger()
    config = Config(
        providers={name: ProviderConfig(key="k") for name in ("fireworks", "replicate")},
        models={"made": AliasConfig(targets=[model], fallbacks=[SCHNELL])},
    )
    async with Gateway(config, transport=vendor, ledger=ledger, clock=Impatient(), observers=()) as gateway:
        reply = await gateway.handle(
            Inbound(
                dialect="openai.images.generations",
                operation="images",
                body=msgspec.json.encode({"model": "made", "prompt": "قطة"}),
                principal=gateway.principal("alice"),
            )
        )
    assert (reply.status, sum(entry.images for entry in ledger.entries)) == (200, 1), reply.body


async def test_a_voice_that_was_paid_for_is_not_recorded_again_by_the_same_model() -> None:
    ready = {"id": "p", "status": "succeeded", "output": "https://a.replicate.delivery/b.mp3"}
    vendor, ledger = Failing(after((201, ready), (503, {"title": "x"}))), MemoryLedger()
    config = Config(providers={"replicate": ProviderConfig(key="k")})
    async with Gateway(config, transport=vendor, ledger=ledger, clock=Impatient(), observers=()) as gateway:
        body = {"model": "replicate:minimax/speech-02-turbo", "input": "مرحبا", "voice": "v"}
        reply = await gateway.handle(
            Inbound(
                dialect="openai.speech",
                operation="speech",
                body=msgspec.json.encode(body),
                principal=gateway.principal("alice"),
            )
        )
    assert reply.status == 502
    assert [entry.usage.characters for entry in ledger.entries] == [5]
    assert (len(vendor.requests), cancelled(vendor)) == (5, 0)  # what has ended is not stopped either
