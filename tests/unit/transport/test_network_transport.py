"""Who carries what: our own client everything, httpx what goes through a proxy or was set to it."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from misbehaving import QUICK, collected, read_request, request, server, serving_ok

from pulse_gateway import Gateway
from pulse_gateway.config import Config, NetworkConfig, ProviderConfig
from pulse_gateway.errors import ConfigError, UpstreamUnreachable
from pulse_gateway.routing.targets import ProviderRow
from pulse_gateway.transport.network import NetworkTransport
from pulse_gateway.transport.transport import DIRECT
from pulse_gateway.types.http import Timeouts


async def test_a_proxy_takes_httpx_and_everything_else_does_not() -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await read_request(reader))[0])
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")

    transport = NetworkTransport()
    async with server(serve) as served:
        for url, proxy in ((served.url, None), (served.url, DIRECT), ("http://vendor.example", served.url)):
            response = await transport.send(request(url), QUICK, proxy=proxy)
            assert b"".join([piece async for piece in response]) == b"ok"
            await response.aclose()
        await transport.aclose()
    ours, directly, through = seen
    assert ours.startswith(b"POST /x HTTP/1.1\r\nhost: ")  # as our own writes it
    assert directly.startswith(b"POST /x HTTP/1.1\r\nHost: ")  # and as httpx does
    assert through.startswith(b"POST http://vendor.example/x HTTP/1.1\r\n")


async def test_it_serves_on_after_it_was_closed() -> None:
    transport = NetworkTransport()
    transport.prepare([ProviderRow(name="a", kind="openai", base_url="", proxy=each) for each in (None, DIRECT)])
    async with server(serving_ok) as served:
        for _ in range(2):
            assert await collected(transport, request(served.url)) == (200, b"ok")
            await transport.aclose()


@pytest.mark.parametrize(
    ("transport", "proxy", "carried"),
    [
        (None, None, None),
        ("http1", None, None),
        ("httpx", None, DIRECT),
        (None, "http://proxy.example:3128", "http://proxy.example:3128"),
        ("httpx", "http://proxy.example:3128", "http://proxy.example:3128"),
    ],
)
def test_the_configuration_says_which(transport: str | None, proxy: str | None, carried: str | None) -> None:
    row = ProviderConfig(key="sk-1", transport=transport, proxy=proxy)  # type: ignore[arg-type]
    gateway = Gateway(Config(providers={"openai": row}))
    assert [each.proxy for each in gateway.router.providers() if each.name == "openai"] == [carried]
    assert gateway.router.candidates("openai:gpt-5.2")[0].proxy == carried


def test_our_own_client_goes_through_no_proxy() -> None:
    row = ProviderConfig(key="sk-1", transport="http1", proxy="http://proxy.example:3128")
    with pytest.raises(ConfigError, match=r"providers\.openai\.transport"):
        Gateway(Config(providers={"openai": row}))


def test_a_gateway_without_proxies_does_not_load_httpx() -> None:
    code = (
        "import asyncio, sys; from pulse_gateway import Gateway\n"
        "async def main():\n"
        "    async with Gateway(): print('httpx' in sys.modules, 'httptools' in sys.modules)\n"
        "asyncio.run(main())"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()[-1] == "False True"


@pytest.mark.parametrize("proxy", [None, DIRECT], ids=["http1", "httpx"])
async def test_the_configuration_says_how_many_may_be_under_way_to_one_address(proxy: str | None) -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        await reader.read()

    config, hurried = Config(network=NetworkConfig(max_connections=2)), Timeouts(connect_s=0.05)
    async with server(hold) as served, Gateway(config) as gateway:
        transport = gateway._transport
        assert transport is not None
        held = [await transport.send(request(served.url), QUICK, proxy=proxy) for _ in range(2)]
        with pytest.raises(UpstreamUnreachable, match=r"every connection was busy for 0\.05 s"):
            await transport.send(request(served.url), hurried, proxy=proxy)
        await held[0].aclose()
        held[0] = await transport.send(request(served.url), QUICK, proxy=proxy)
        for each in held:
            await each.aclose()
