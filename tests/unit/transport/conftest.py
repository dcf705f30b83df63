"""The transports, tried under both event loops: the standard library's, and the one that the server runs on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop
from transport_certificates import trusting

from pulse_gateway.transport.http1.client import Http1Transport
from pulse_gateway.transport.httpx_ import HttpxTransport
from pulse_gateway.transport.transport import Transport

_BOTH = ("test_transport_contract", "test_transport_http1")


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if item.path.stem.startswith(_BOTH):
        factories["uvloop"] = uvloop.new_event_loop
    return factories


@pytest.fixture(params=[Http1Transport, HttpxTransport], ids=["http1", "httpx"])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Callable[..., Transport]]:
    """Makes one of either kind, which is closed behind the test."""
    made: list[Transport] = []

    def make(**settings: object) -> Transport:
        made.append(request.param(**settings))
        return made[-1]

    yield make
    for each in made:
        await each.aclose()


@pytest.fixture
def transport(make: Callable[..., Transport]) -> Transport:
    return make(verify=trusting())


@pytest.fixture
async def make_http1() -> AsyncIterator[Callable[..., Http1Transport]]:
    made: list[Http1Transport] = []

    def make(**settings: object) -> Http1Transport:
        made.append(Http1Transport(verify=trusting(), **settings))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        await each.aclose()


@pytest.fixture
def http1(make_http1: Callable[..., Http1Transport]) -> Http1Transport:
    return make_http1()
