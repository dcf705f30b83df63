"""HTTP/2, for providers that are set to it: against a server on TLS that speaks nothing else."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import httpx
import pytest
from http2_server import Asked, http2_server
from misbehaving import QUICK, answering, collected, request, server, whole
from transport_certificates import server_tls, trusting

from pulse_gateway import Gateway
from pulse_gateway.config import Config, ProviderConfig
from pulse_gateway.errors import ConfigError, StreamInterrupted, UpstreamDisconnected, UpstreamTimeout
from pulse_gateway.transport.httpx_ import HttpxTransport
from pulse_gateway.transport.network import NetworkTransport
from pulse_gateway.transport.transport import DIRECT, HTTP2
from pulse_gateway.types.http import HttpRequest, header

_WAY = HTTP2 + DIRECT


def _ok(asked: Asked) -> None:
    asked.head(200, ("content-length", "2"), ("x-request-id", "r1"))
    asked.whole(b"ok")


@pytest.fixture
async def by_http2() -> AsyncIterator[HttpxTransport]:
    transport = HttpxTransport(verify=trusting())
    yield transport
    await transport.aclose()


async def test_a_whole_answer_comes_by_http2_and_the_next_on_the_same_connection(by_http2: HttpxTransport) -> None:
    said: list[str] = []
    async with http2_server(_ok) as served:
        for count in (1, 2, 3):
            response = await by_http2.send(
                request(served.url, b"what?"), QUICK, proxy=_WAY, on_send=lambda: said.append("sent")
            )
            assert (response.status, header(response.headers, "x-request-id")) == (200, "r1")
            assert await whole(response) == b"ok"
            assert said == ["sent"] * count and served.accepted == 1 and len(served.asked) == count
    asked = served.asked[0]
    assert asked.body == b"what?"
    assert (":method", "POST") in asked.headers and (":path", "/x") in asked.headers
    assert [value for name, value in asked.headers if name == "x-one"] == ["1", "2"]


async def test_a_stream_comes_piece_by_piece(by_http2: HttpxTransport) -> None:
    heard: asyncio.Queue[Asked] = asyncio.Queue()
    async with http2_server(heard.put_nowait) as served:
        sending = asyncio.ensure_future(by_http2.send(request(served.url), QUICK, proxy=_WAY))
        asked = await heard.get()
        asked.head(200, ("content-type", "text/event-stream"))
        response = await sending
        pieces = aiter(response)
        for piece in (b"data: 1\n\n", b"data: 2\n\n"):
            await asked.write(piece)
            assert await anext(pieces) == piece
        asked.end()
        assert [piece async for piece in pieces] == []
        await response.aclose()


async def test_megabytes_go_both_ways_within_the_windows(by_http2: HttpxTransport) -> None:
    body = bytes(range(256)) * 12_000

    def echo(asked: Asked) -> None:
        asked.head(200)
        asked.whole(asked.body)

    async with http2_server(echo) as served:
        response = await by_http2.send(request(served.url, body), QUICK, proxy=_WAY)
        assert await whole(response) == body


async def test_a_request_without_a_body_is_announced_too(by_http2: HttpxTransport) -> None:
    said: list[str] = []
    async with http2_server(_ok) as served:
        asked = HttpRequest("GET", f"{served.url}/x", ())
        response = await by_http2.send(asked, QUICK, proxy=_WAY, on_send=lambda: said.append("sent"))
        assert await whole(response) == b"ok"
    assert said == ["sent"]


async def test_requests_at_once_have_connections_of_their_own_so_that_one_given_up_takes_no_other_with_it(
    by_http2: HttpxTransport,
) -> None:
    heard: asyncio.Queue[Asked] = asyncio.Queue()
    async with http2_server(heard.put_nowait) as served:
        sending = [asyncio.ensure_future(by_http2.send(request(served.url), QUICK, proxy=_WAY)) for _ in range(2)]
        for asked in (first := await heard.get(), second := await heard.get()):
            asked.head(200)
        responses = await asyncio.gather(*sending)
        left, kept = responses
        assert served.accepted == 2
        pieces = aiter(kept)
        await left.aclose()  # in the middle of it
        await served.lost.wait()
        for asked in (first, second):
            await asked.write(b"more")
        assert await anext(pieces) == b"more"
        for asked in (first, second):
            asked.end()
        assert [piece async for piece in pieces] == []
        await kept.aclose()


async def test_what_breaks_is_told_as_it_is_by_http1(by_http2: HttpxTransport) -> None:
    async with http2_server(Asked.reset) as served:
        with pytest.raises(UpstreamDisconnected):
            await by_http2.send(request(served.url), QUICK, proxy=_WAY)
    async with http2_server(Asked.hang_up) as served:
        with pytest.raises(UpstreamDisconnected):
            await by_http2.send(request(served.url), QUICK, proxy=_WAY)
    async with http2_server(lambda asked: None) as served:
        with pytest.raises(UpstreamTimeout, match="no answer within"):
            await by_http2.send(request(served.url), QUICK, proxy=_WAY)

    def half(asked: Asked) -> None:
        asked.head(200)
        asked.reset()

    async with http2_server(half) as served:
        response = await by_http2.send(request(served.url), QUICK, proxy=_WAY)
        with pytest.raises(StreamInterrupted):
            await whole(response)
        await response.aclose()

    async with http2_server(lambda asked: asked.head(200)) as served:
        response = await by_http2.send(request(served.url), QUICK, proxy=_WAY)
        with pytest.raises(UpstreamTimeout, match="sent nothing for"):
            await whole(response)
        await response.aclose()


async def test_a_provider_that_knows_no_http2_is_spoken_to_as_it_can(by_http2: HttpxTransport) -> None:
    async with server(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"), tls=server_tls()) as served:
        response = await by_http2.send(request(served.url), QUICK, proxy=_WAY)
        assert await whole(response) == b"ok"


async def test_a_tunnel_through_a_proxy_carries_http2(by_http2: HttpxTransport) -> None:
    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1]
        there, away = await asyncio.open_connection("127.0.0.1", int(line.rpartition(b":")[2]))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
            sink.close()

        try:
            await asyncio.gather(copy(reader, away), copy(there, writer))
        finally:
            away.close()
            await away.wait_closed()

    async with http2_server(_ok) as served, server(tunnel) as proxy:
        response = await by_http2.send(request(served.url), QUICK, proxy=HTTP2 + proxy.url)
        assert await whole(response) == b"ok"
        assert len(served.asked) == 1
        await by_http2.aclose()
        await proxy.when(lambda: proxy.open == 0)


@pytest.mark.parametrize(
    ("proxy", "way"), [(None, _WAY), ("http://proxy.example:3128", f"{HTTP2}http://proxy.example:3128")]
)
def test_it_is_chosen_per_provider(proxy: str | None, way: str) -> None:
    rows = {"openai": ProviderConfig(key="sk-1", transport="http2", proxy=proxy), "groq": ProviderConfig(key="sk-2")}
    gateway = Gateway(Config(providers=rows))
    ways = {each.name: each.proxy for each in gateway.router.providers()}
    assert (ways["openai"], ways["groq"]) == (way, None)


def test_without_what_it_needs_the_configuration_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pulse_gateway.composition.find_spec", lambda name: None)
    rows = {"openai": ProviderConfig(key="sk-1", transport="http2")}
    with pytest.raises(ConfigError, match=r"providers\.openai\.transport: http2 needs .*\[http2\]"):
        Gateway(Config(providers=rows))


async def test_a_client_of_ones_own_carries_what_goes_through_httpx(trusted: ssl.SSLContext) -> None:
    asked: list[str] = []

    async def hook(request: httpx.Request) -> None:
        asked.append(request.headers["x-one"])

    async with httpx.AsyncClient(verify=trusted, http2=True, event_hooks={"request": [hook]}) as client:
        transport = NetworkTransport(httpx=HttpxTransport(client=client))
        async with http2_server(_ok) as served:
            for _ in range(2):
                response = await transport.send(request(served.url), QUICK, proxy=DIRECT)
                assert await whole(response) == b"ok"
            left = await transport.send(request(served.url), QUICK, proxy=DIRECT)
            await left.aclose()  # not read
            assert served.accepted == 1
        assert asked == ["1, 2"] * 3
        async with server(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")) as plain:
            assert await collected(transport, request(plain.url)) == (200, b"ok")  # our own client's
        await transport.aclose()
        assert len(asked) == 3 and not client.is_closed


@pytest.fixture
def trusted() -> ssl.SSLContext:
    return trusting()
