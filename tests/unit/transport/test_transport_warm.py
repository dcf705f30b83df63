"""Connections that are opened before anybody asks for them."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest
from misbehaving import QUICK, server, serving_ok

from pulse_gateway import Gateway
from pulse_gateway.config import Config, ProviderConfig
from pulse_gateway.errors import ConfigError
from pulse_gateway.transport.http1.client import Http1Transport
from pulse_gateway.transport.http1.warmth import Warm, Warmth
from pulse_gateway.transport.network import NetworkTransport
from pulse_gateway.types.http import Timeouts


def _config(url: str, connections: int) -> Config:
    return Config(providers={"openai": ProviderConfig(key="sk-1", base_url=url, warm_connections=connections)})


async def test_a_gateway_opens_what_its_configuration_says() -> None:
    async with server(serving_ok) as served:
        async with Gateway(_config(f"{served.url}/v1", 3)) as gateway:
            await served.when(lambda: served.open == 3)
            gateway.reload(_config(f"{served.url}/v1", 4))
            await served.when(lambda: served.open == 4)
        await served.when(lambda: served.open == 0)
        assert served.accepted == 4


async def test_a_transport_that_a_program_hands_in_is_told_too() -> None:
    async with server(serving_ok) as served:
        async with Gateway(_config(served.url, 2), transport=NetworkTransport()):
            await served.when(lambda: served.open == 2)
        await served.when(lambda: served.open == 0)


async def test_what_the_provider_closes_is_opened_again_and_what_idles_stays() -> None:
    closing = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if closing.is_set():
            await reader.read()
        await closing.wait()

    transport = Http1Transport(keepalive_expiry_s=0.01)
    warmth = Warmth(transport, every_s=0.02)
    async with server(serve) as served:
        warmth.keep([Warm("a", served.url, 2, QUICK)])
        await served.when(lambda: served.open == 2)
        await _idle(transport, served.url)
        assert served.accepted == 2  # far longer than one is kept that nobody wants
        closing.set()
        await served.when(lambda: served.accepted == 4 and served.open == 2)
        warmth.keep([])
        await served.when(lambda: served.open == 0)
        await warmth.aclose()
        await transport.aclose()
        assert served.accepted == 4


async def _idle(transport: Http1Transport, url: str) -> None:
    """Several times as long as a connection is kept otherwise."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    loop.call_later(0.1, over.set_result, None)
    await over
    assert transport.open_connections(url) == 2


async def test_a_provider_that_is_not_there_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    tried = asyncio.Semaphore(0)

    class Counted(Http1Transport):
        async def warm(self, url: str, connections: int, timeouts: Timeouts) -> None:
            tried.release()
            await super().warm(url, connections, timeouts)

    transport = Counted()
    warmth = Warmth(transport, every_s=0.01)
    with caplog.at_level(logging.WARNING):
        warmth.keep([Warm("openai", f"http://127.0.0.1:{port}/v1", 2, QUICK)])
        for _ in range(4):
            await tried.acquire()
        await warmth.aclose()
    assert caplog.messages == ["openai: no connection could be opened ahead: no connection to the provider"]
    await transport.aclose()


@pytest.mark.parametrize(
    "row",
    [
        ProviderConfig(key="sk-1", transport="httpx", warm_connections=1),
        ProviderConfig(key="sk-1", transport="http2", warm_connections=1),
        ProviderConfig(key="sk-1", proxy="http://proxy.example:3128", warm_connections=1),
    ],
)
def test_only_our_own_client_opens_any_ahead(row: ProviderConfig) -> None:
    with pytest.raises(ConfigError, match=r"providers\.openai\.warm_connections"):
        Gateway(Config(providers={"openai": row}))
