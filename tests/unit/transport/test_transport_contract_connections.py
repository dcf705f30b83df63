"""What both transports promise of connections: who uses them, what ends them, what flows over them, and whom they are made to."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable

import pytest
from misbehaving import (
    CHUNKED,
    OK,
    QUICK,
    answering,
    collected,
    read_request,
    request,
    server,
    serving_ok,
    whole,
)
from transport_certificates import server_tls

from pulse_gateway.errors import (
    PulseError,
    StoreUnavailable,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from pulse_gateway.transport.transport import Transport
from pulse_gateway.types.http import HttpRequest, Timeouts

Make = Callable[..., Transport]


# ── connections ──


async def test_a_connection_is_used_again(transport: Transport) -> None:
    async with server(serving_ok) as served:
        for _ in range(5):
            assert await collected(transport, request(served.url)) == (200, b"ok")
    assert served.accepted == 1


async def test_a_connection_that_the_provider_says_it_closes_is_not(transport: Transport) -> None:
    async with server(
        answering(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", then_wait=True)
    ) as served:
        for _ in range(2):
            assert await collected(transport, request(served.url)) == (200, b"ok")
    assert served.accepted == 2


async def test_a_connection_that_was_closed_meanwhile_is_not_used(transport: Transport) -> None:
    async with server(answering(OK)) as served:
        for number in range(5):
            assert await collected(transport, request(served.url)) == (200, b"ok")
            await served.when(lambda number=number: served.open == 0)
    assert served.accepted == 5


async def test_a_half_read_answer_is_not_handed_to_the_next_request(transport: Transport) -> None:
    async with server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst", then_wait=True)) as served:
        for _ in range(2):
            response = await transport.send(request(served.url), QUICK)
            assert await anext(aiter(response)) == b"first"
            await response.aclose()
            await served.when(lambda: served.open == 0)


@pytest.mark.parametrize(
    "rest",
    [b"more", b"\x00" * 70, OK, OK[:12], b"HTTP/1.1 100 Continue\r\n\r\n"],
    ids=["a word", "zeros", "an answer", "part of one", "an interim one"],
)
@pytest.mark.parametrize("late", [False, True], ids=["with it", "after it"])
async def test_what_follows_an_answer_is_nobodys(transport: Transport, rest: bytes, late: bool) -> None:
    """Least of all the next request's."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        if late:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ntrue")
            await asyncio.sleep(0)
            writer.write(rest)
        else:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ntrue" + rest)
        said.set()
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ntrue")

    said = asyncio.Event()
    async with server(serve) as served:
        for _ in range(3):
            said.clear()
            assert await collected(transport, request(served.url)) == (200, b"true")
            async with asyncio.timeout(5):
                await said.wait()
    assert served.accepted == 3


async def test_nobody_listening_is_unreachable(transport: Transport) -> None:
    async with server(answering()) as served:
        pass
    with pytest.raises(UpstreamUnreachable):
        await transport.send(request(served.url), QUICK)


async def test_a_name_that_does_not_resolve_is_unreachable(transport: Transport) -> None:
    with pytest.raises(UpstreamUnreachable):
        await transport.send(request("http://no-such-host.invalid"), QUICK)


async def test_when_every_connection_is_busy_the_wait_is_bounded(make: Make) -> None:
    transport = make(max_connections=1)
    async with server(answering(CHUNKED, then_wait=True)) as served:
        held = await transport.send(request(served.url), QUICK)
        with pytest.raises(UpstreamUnreachable, match="busy"):
            await transport.send(request(served.url), Timeouts(connect_s=0.05, first_byte_s=0.3))
        await held.aclose()
        again = await transport.send(request(served.url), QUICK)  # the place is free at once
        await again.aclose()


async def test_no_more_connections_than_allowed_and_everybody_gets_a_turn(make: Make) -> None:
    transport = make(max_connections=3)
    async with server(serving_ok) as served:
        found = await asyncio.gather(*(collected(transport, request(served.url), Timeouts()) for _ in range(40)))
    assert found == [(200, b"ok")] * 40
    assert served.most_open <= 3


async def test_whoever_gives_up_waiting_takes_no_place_along(make: Make) -> None:
    transport = make(max_connections=1)
    async with server(answering(CHUNKED, then_wait=True)) as served:
        held = await transport.send(request(served.url), Timeouts())
        waiting = [asyncio.create_task(transport.send(request(served.url), Timeouts())) for _ in range(4)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await held.aclose()  # just as the second becomes the first
        waiting[1].cancel()
        answer = await waiting[2]
        waiting[3].cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await answer.aclose()
        again = await transport.send(request(served.url), Timeouts())
        await again.aclose()


async def test_closing_closes_what_is_idle(transport: Transport) -> None:
    async with server(serving_ok) as served:
        assert await collected(transport, request(served.url)) == (200, b"ok")
        await transport.aclose()
        await served.when(lambda: served.open == 0)
        assert await collected(transport, request(served.url)) == (200, b"ok")  # for a gateway that is opened again


# ── giving up ──


@pytest.mark.parametrize("steps", range(6))
async def test_cancelled_twice_a_connection_is_never_used_again_and_is_closed(transport: Transport, steps: int) -> None:
    """The client leaves just as its deadline passes: two cancellations, a few steps of the loop apart."""
    closed, arrived = 0, asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal closed
        while True:
            head, _ = await read_request(reader)
            if b"POST /slow" in head:
                arrived.set()
                await reader.read()  # returns when the client closes
                closed += 1
                return
            writer.write(OK)

    async with server(serve) as served:
        slow = HttpRequest("POST", f"{served.url}/slow", (), b"{}")
        sending = asyncio.create_task(transport.send(slow, Timeouts()))
        await arrived.wait()
        sending.cancel()
        for _ in range(steps):
            await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        for _ in range(3):
            assert await collected(transport, request(served.url)) == (200, b"ok")
        await served.when(lambda: closed == 1)


async def test_cancelled_at_any_step_nothing_of_it_reaches_the_next_request(make: Make) -> None:
    """Two requests on one connection, cancelled after one step of the loop, after two, and so on, until they are through."""
    transport = make(max_connections=2)
    async with server(echoing) as served:
        for steps in range(400):
            task = asyncio.create_task(twice(transport, served.url))
            for _ in range(steps):
                await asyncio.sleep(0)
            if task.done():
                break
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await collected(transport, request(served.url, b"mine"), Timeouts()) == (200, b"mineend")
            await transport.aclose()  # each begins with a new connection
        await task
        await served.when(lambda: served.open <= 1)


async def echoing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        _, body = await read_request(reader)
        writer.write(CHUNKED + b"%x\r\n%b\r\n" % (len(body), body))
        await asyncio.sleep(0)
        writer.write(b"3\r\nend\r\n0\r\n\r\n")


async def twice(transport: Transport, url: str) -> None:
    for _ in range(2):
        assert await collected(transport, request(url, b"cancelled"), Timeouts()) == (200, b"cancelledend")


# ── both ways of flow ──


async def test_a_slow_reader_slows_the_provider_and_loses_nothing(transport: Transport) -> None:
    taken = 0
    block = bytes(range(256)) * 256
    blocks = 200

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        await read_request(reader)
        writer.transport.set_write_buffer_limits(len(block))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (blocks * len(block)))
        for _ in range(blocks):
            writer.write(block)
            await writer.drain()
            taken += len(block)

    async with server(serve) as served:
        response = await transport.send(request(served.url), QUICK)
        before = -1
        while before != taken:  # until nothing moves any more
            before = taken
            for _ in range(50):
                await asyncio.sleep(0)
        assert taken < 8_000_000  # what kernels take at both ends
        read = await whole(response)
    assert hashlib.sha256(read).digest() == hashlib.sha256(block * blocks).digest()


async def test_a_slow_provider_slows_whoever_makes_the_body(transport: Transport) -> None:
    made = 0
    gate = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        nonlocal made
        for _ in range(60):
            yield bytes(500_000)
            made += 500_000

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        _, said = await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n%08d" % len(said))

    async with server(serve) as served:
        asked = HttpRequest("POST", served.url, (), stream=body())
        sending = asyncio.create_task(collected(transport, asked, Timeouts()))
        before = -1
        while before != made or made == 0:
            before = made
            for _ in range(50):
                await asyncio.sleep(0)
        assert made < 12_000_000
        gate.set()
        assert await sending == (200, b"30000000")


async def test_a_provider_that_takes_nothing_is_not_waited_for(transport: Transport) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()
        await gate.wait()

    gate = asyncio.Event()
    async with server(serve) as served:
        with pytest.raises(UpstreamTimeout, match=r"took nothing for 0\.1 s"):
            await collected(transport, request(served.url, bytes(20_000_000)), Timeouts(write_s=0.1))
        gate.set()


# ── TLS ──


async def test_tls_carries_it_all(transport: Transport) -> None:
    body = bytes(range(256)) * 2000

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, said = await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(said) + said)

    async with server(serve, tls=server_tls()) as served:
        for _ in range(3):
            assert await collected(transport, request(served.url, body), Timeouts()) == (200, body)
        assert served.accepted == 1


@pytest.mark.parametrize("certificate", ["wrong host", "expired", "self-signed"])
async def test_who_cannot_prove_who_it_is_gets_no_request(transport: Transport, certificate: str) -> None:
    sent: list[int] = []
    async with server(serving_ok, tls=server_tls(certificate)) as served:
        with pytest.raises(UpstreamUnreachable):
            await collected(transport, request(served.url), on_send=lambda: sent.append(1))
    assert not sent


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", None], ids=["http", "hangs up", "silent"])
async def test_a_server_without_tls_is_unreachable_by_it(transport: Transport, said: bytes | None) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        if said is None:
            await reader.read()
        else:
            writer.write(said)

    async with server(serve) as served:
        with pytest.raises(UpstreamUnreachable):
            await collected(transport, request(served.url.replace("http", "https")), Timeouts(connect_s=0.2, tls_s=0.2))


# ── on_send ──


async def test_the_ledger_hears_of_a_request_once_and_only_when_there_is_a_connection(transport: Transport) -> None:
    sent: list[int] = []
    async with server(serving_ok) as served:
        await collected(transport, request(served.url), on_send=lambda: sent.append(1))
        await collected(transport, request(served.url, bytes(300_000)), Timeouts(), on_send=lambda: sent.append(2))
    with pytest.raises(UpstreamUnreachable):
        await collected(transport, request(served.url), on_send=lambda: sent.append(3))
    assert sent == [1, 2]


@pytest.mark.parametrize("size", [2, 300_000], ids=["small", "large"])
async def test_a_ledger_that_refuses_stops_the_request(make: Make, size: int) -> None:
    bodies: list[bytes] = []

    def refuse() -> None:
        raise StoreUnavailable("full")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            bodies.append((await read_request(reader))[1])
            writer.write(OK)

    transport = make(max_connections=1)
    async with server(serve) as served:
        for _ in range(2):
            with pytest.raises(PulseError, match="full"):
                await collected(transport, request(served.url, bytes(size)), Timeouts(), on_send=refuse)
        assert await collected(transport, request(served.url)) == (200, b"ok")
    assert bodies == [b"{}"]
