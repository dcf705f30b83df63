"""The reference transport against servers that behave and servers that do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from pulse_gateway.errors import (
    StreamInterrupted,
    UpstreamDisconnected,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from pulse_gateway.transport.httpx_ import HttpxTransport
from pulse_gateway.types.http import HttpRequest, Timeouts, header

QUICK = Timeouts(connect_s=2.0, first_byte_s=0.3, idle_s=0.3)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[str]:
    """`serve` gets each connection; the address is yielded."""
    running: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        finally:
            running.discard(task)
            writer.close()

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        for task in tuple(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@pytest.fixture
async def transport() -> AsyncIterator[HttpxTransport]:
    made = HttpxTransport()
    yield made
    await made.aclose()


def request(url: str, body: bytes = b"{}") -> HttpRequest:
    return HttpRequest("POST", f"{url}/x", (("content-type", "application/json"), ("x-one", "1"), ("x-one", "2")), body)


def answering(*pieces: bytes, then_wait: bool = False) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if then_wait:
            await asyncio.Event().wait()

    return serve


async def collected(transport: HttpxTransport, url: str, timeouts: Timeouts = QUICK) -> tuple[int, bytes]:
    response = await transport.send(request(url), timeouts)
    try:
        return response.status, b"".join([piece async for piece in response])
    finally:
        await response.aclose()


async def test_an_answer_comes_with_status_headers_and_body(transport: HttpxTransport) -> None:
    head = (
        b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\nX-Request-Id: r1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n"
    )
    async with server(answering(head + b"hello")) as url:
        response = await transport.send(request(url), QUICK)
        assert response.status == 201
        assert header(response.headers, "x-request-id") == "r1"
        assert [value for name, value in response.headers if name == "set-cookie"] == ["a=1", "b=2"]
        assert b"".join([piece async for piece in response]) == b"hello"
        await response.aclose()


async def test_the_request_arrives_as_it_was_written(transport: HttpxTransport) -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head + await reader.readexactly(11))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with server(serve) as url:
        response = await transport.send(request(url, '{"a": "é"}'.encode()), QUICK)
        await response.aclose()
    text = seen[0].decode()
    assert text.startswith("POST /x HTTP/1.1\r\n")
    assert text.endswith('{"a": "é"}')
    assert text.lower().count("x-one: ") == 2
    assert "accept-encoding: identity" in text.lower()
    assert "cookie" not in text.lower()


async def test_redirects_are_not_followed(transport: HttpxTransport) -> None:
    async with server(
        answering(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    ) as url:
        assert (await collected(transport, url))[0] == 302


async def test_pieces_arrive_as_they_are_sent(transport: HttpxTransport) -> None:
    gate = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await gate.wait()
        writer.write(b"3\r\ntwo\r\n0\r\n\r\n")

    async with server(serve) as url:
        response = await transport.send(request(url), QUICK)
        pieces = aiter(response)
        assert await anext(pieces) == b"one"  # while the rest is not even written
        gate.set()
        assert [piece async for piece in pieces] == [b"two"]
        await response.aclose()


async def test_a_connection_is_used_again(transport: HttpxTransport) -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(2)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with server(serve) as url:
        for _ in range(5):
            assert await collected(transport, url) == (200, b"ok")
    assert connections == 1


async def test_a_half_read_answer_is_not_handed_to_the_next_request(transport: HttpxTransport) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
        await asyncio.Event().wait()

    async with server(serve) as url:
        response = await transport.send(request(url), QUICK)
        assert await anext(aiter(response)) == b"first"
        await response.aclose()
        response = await transport.send(request(url), QUICK)
        assert await anext(aiter(response)) == b"first"
        await response.aclose()


@pytest.mark.parametrize(
    ("pieces", "then_wait", "error"),
    [
        ([], False, UpstreamDisconnected),
        ([b"not http at all\r\n\r\n"], False, UpstreamProtocolError),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!"], False, StreamInterrupted),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfive!\r\n"], False, StreamInterrupted),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nfive!\r\n"], False, StreamInterrupted),
        ([], True, UpstreamTimeout),
        ([b"HTTP/1.1 200 OK\r\n"], True, UpstreamTimeout),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!"], True, UpstreamTimeout),
    ],
)
async def test_every_way_of_breaking_off_is_an_error_of_ours(
    transport: HttpxTransport, pieces: list[bytes], then_wait: bool, error: type[UpstreamError]
) -> None:
    async with server(answering(*pieces, then_wait=then_wait)) as url:
        with pytest.raises(error):
            await collected(transport, url)


async def test_a_head_that_drips_in_does_not_keep_the_request_for_ever(transport: HttpxTransport) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n")
        number = 0
        while True:
            number += 1
            writer.write(b"x-%d: 1\r\n" % number)
            await writer.drain()
            await asyncio.sleep(0)

    dripping = Timeouts(connect_s=0.2, first_byte_s=0.3, idle_s=5.0)
    async with server(serve) as url:
        with pytest.raises(UpstreamError):
            await transport.send(request(url), dripping)


async def test_nobody_listening_is_unreachable(transport: HttpxTransport) -> None:
    async with server(answering()) as url:
        pass
    with pytest.raises(UpstreamUnreachable):
        await transport.send(request(url), QUICK)


async def test_a_name_that_does_not_resolve_is_unreachable(transport: HttpxTransport) -> None:
    with pytest.raises(UpstreamUnreachable):
        await transport.send(request("http://no-such-host.invalid"), QUICK)


async def test_cancelling_leaves_no_connection_behind(transport: HttpxTransport) -> None:
    arrived, closed = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(2)
        arrived.set()
        await reader.read()  # returns when the client closes
        closed.set()

    async with server(serve) as url:
        sending = asyncio.create_task(transport.send(request(url), Timeouts()))
        await arrived.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        async with asyncio.timeout(5):
            await closed.wait()


async def test_a_proxy_is_used_where_one_is_named(transport: HttpxTransport) -> None:
    seen: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with server(proxy) as address:
        response = await transport.send(request("http://vendor.example"), QUICK, proxy=address)
        await response.aclose()
    assert seen[0].startswith(b"POST http://vendor.example/x HTTP/1.1")


@pytest.mark.parametrize("steps", range(6))
async def test_cancelled_twice_a_connection_is_never_used_again_and_is_closed(
    transport: HttpxTransport, steps: int
) -> None:
    """The client leaves just as its deadline passes: two cancellations, a few steps of the loop apart."""
    closed, arrived = 0, asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal closed
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(2)
            if b"POST /slow" in head:
                arrived.set()
                await reader.read()  # returns when the client closes
                closed += 1
                return
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with server(serve) as url:
        slow = HttpRequest("POST", f"{url}/slow", (), b"{}")
        sending = asyncio.create_task(transport.send(slow, Timeouts()))
        async with asyncio.timeout(5):
            while not arrived.is_set():
                await asyncio.sleep(0)
        sending.cancel()
        for _ in range(steps):
            await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        for _ in range(3):
            assert await collected(transport, url) == (200, b"ok")
        async with asyncio.timeout(5):
            while not closed:
                await asyncio.sleep(0)


async def test_when_every_connection_is_busy_the_wait_is_bounded() -> None:
    transport = HttpxTransport(max_connections=1)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with server(answering(head, then_wait=True)) as url:
        held = await transport.send(request(url), QUICK)
        with pytest.raises(UpstreamUnreachable, match="busy"):
            await transport.send(request(url), Timeouts(connect_s=0.05, first_byte_s=0.3))
        await held.aclose()
        again = await transport.send(request(url), QUICK)  # the place is free at once
        await again.aclose()
    await transport.aclose()


@pytest.mark.parametrize(
    ("address", "value"),
    [
        ("https://x.replicate.delivery\t/", "a"),
        ("http://[::1/", "a"),
        ("https://xn--.replicate.delivery/", "a"),
        ("", "\u00e9"),
        ("", "a\r\nb: c"),
        ("", "a\x0bb"),
    ],
    ids=["tab", "bracket", "punycode", "not ascii", "line break", "control"],
)
async def test_what_http_cannot_carry_is_an_error_of_the_gateways_own_kind(
    transport: HttpxTransport, address: str, value: str
) -> None:
    """Vendors name addresses, too: of what they have made."""

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    async with server(never) as url:
        with pytest.raises(UpstreamProtocolError):
            await transport.send(HttpRequest("GET", address or url, (("x", value),)), QUICK)
