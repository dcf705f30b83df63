"""What our own HTTP client promises beyond the contract: reuse, addresses, early answers, consent, and what is here already."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from misbehaving import CHUNKED, OK, QUICK, answering, collected, read_request, request, server, serving_ok
from transport_certificates import server_tls

from pulse_gateway.errors import (
    StoreUnavailable,
    StreamInterrupted,
    UpstreamDisconnected,
    UpstreamProtocolError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from pulse_gateway.transport.http1.client import Http1Transport
from pulse_gateway.types.http import HttpRequest, Timeouts

LARGE = bytes(range(256)) * 2000
Make = Callable[..., Http1Transport]


async def holding(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(CHUNKED)
    await reader.read()


# ── what is here already ──


async def test_a_small_answer_is_whole_when_its_head_is_here(http1: Http1Transport) -> None:
    async with server(serving_ok) as served:
        for _ in range(3):
            response = await http1.send(request(served.url), QUICK)
            assert response.read_now() == b"ok"
            assert response.read_now() == b""
            assert [piece async for piece in response] == []
            await response.aclose()
    assert served.accepted == 1


async def test_what_has_arrived_together_is_one_slice_and_a_lone_one_is_not_delayed(http1: Http1Transport) -> None:
    gate = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(CHUNKED + b"3\r\none\r\n")
        await gate.wait()
        writer.write(b"3\r\ntwo\r\n5\r\nthree\r\n4\r\nfour\r\n")
        gate.clear()
        await gate.wait()
        writer.write(b"4\r\nfive\r\n0\r\nx-after: said\r\n\r\n")

    async with server(serve) as served:
        response = await http1.send(request(served.url), QUICK)
        assert await anext(response) == b"one"
        assert response.buffered() == b""
        gate.set()
        assert await anext(response) == b"twothreefour"
        assert response.read_now() is None
        gate.set()
        assert [piece async for piece in response] == [b"five"]
        assert response.trailers == (("x-after", "said"),)


async def test_a_reader_that_was_cancelled_may_read_on(http1: Http1Transport) -> None:
    gate = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(CHUNKED)
        await gate.wait()
        writer.write(b"3\r\none\r\n0\r\n\r\n")

    async with server(serve) as served:
        response = await http1.send(request(served.url), QUICK)
        reading = asyncio.ensure_future(anext(response))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        gate.set()
        assert [piece async for piece in response] == [b"one"]


async def test_little_is_held_for_a_slow_reader(http1: Http1Transport) -> None:
    block = bytes(100_000)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n")
        for _ in range(100):
            writer.write(block)
            await writer.drain()

    async with server(serve) as served:
        response = await http1.send(request(served.url), QUICK)
        for _ in range(200):
            await asyncio.sleep(0)
        assert 0 < response.unread <= (64 + 256) * 1024
        assert sum([len(piece) async for piece in response]) == 10_000_000
        assert await collected(http1, HttpRequest("GET", served.url, ())) is not None


async def test_a_small_request_leaves_no_task_and_sets_no_timer_anew(http1: Http1Transport) -> None:
    loop, set_at = asyncio.get_running_loop(), []
    async with server(serving_ok) as served:
        for _ in range(3):
            await collected(http1, request(served.url), Timeouts())
        call_at = loop.call_at
        loop.call_at = lambda *args, **more: (set_at.append(args), call_at(*args, **more))[1]  # type: ignore[method-assign]
        try:
            before = asyncio.all_tasks()
            for _ in range(3):
                await collected(http1, request(served.url), Timeouts())
            assert asyncio.all_tasks() == before
            assert set_at == []
        finally:
            del loop.call_at


# ── used again ──


@pytest.mark.parametrize(("method", "repeated"), [("GET", True), ("DELETE", True), ("POST", False), ("PATCH", False)])
async def test_on_a_connection_that_dies_only_what_may_be_done_twice_is_asked_twice(
    http1: Http1Transport, method: str, repeated: bool
) -> None:
    seen = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        await read_request(reader)
        seen += 1
        writer.write(OK)
        await read_request(reader)  # and hangs up
        seen += 1

    sent: list[int] = []
    async with server(serve) as served:
        asked = request(served.url, method=method)
        assert await collected(http1, asked) == (200, b"ok")
        if repeated:
            assert await collected(http1, asked, on_send=lambda: sent.append(1)) == (200, b"ok")
        else:
            with pytest.raises(UpstreamDisconnected):
                await collected(http1, asked, on_send=lambda: sent.append(1))
    assert seen == (3 if repeated else 2)
    assert sent == [1]


async def test_on_a_new_connection_nothing_is_asked_twice(http1: Http1Transport) -> None:
    async with server(answering()) as served:
        with pytest.raises(UpstreamDisconnected):
            await collected(http1, request(served.url, method="GET"))
    assert served.accepted == 1


async def test_a_ledger_that_refuses_costs_no_connection(http1: Http1Transport) -> None:
    def refuse() -> None:
        raise StoreUnavailable("full")

    async with server(serving_ok) as served:
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await http1.send(request(served.url), QUICK, on_send=refuse)
        assert await collected(http1, request(served.url)) == (200, b"ok")
    assert served.accepted == 1


async def test_an_idle_connection_is_closed_after_its_time(make_http1: Make) -> None:
    http1 = make_http1(keepalive_expiry_s=0.02)
    async with server(serving_ok) as served:
        assert await collected(http1, request(served.url)) == (200, b"ok")
        await served.when(lambda: served.open == 0)
        assert http1.open_connections(served.url) == 0
        assert await collected(http1, request(served.url)) == (200, b"ok")


async def test_an_old_connection_is_not_used_again(make_http1: Make) -> None:
    http1 = make_http1(max_age_s=0.0)
    async with server(serving_ok) as served:
        for _ in range(3):
            assert await collected(http1, request(served.url)) == (200, b"ok")
    assert served.accepted == 3


async def test_connections_may_be_opened_ahead(make_http1: Make) -> None:
    http1 = make_http1(max_connections=5)
    async with server(serving_ok) as served:
        await http1.warm(served.url, 3, QUICK)
        assert http1.open_connections(served.url) == served.accepted == 3
        await asyncio.gather(*(collected(http1, request(served.url)) for _ in range(3)))
        assert served.accepted == 3
        await http1.warm(served.url, 50, QUICK)
        assert served.accepted == 5
    with pytest.raises(UpstreamUnreachable):
        await make_http1().warm(served.url, 2, QUICK)


async def test_closing_breaks_off_what_is_under_way_and_lets_nobody_wait(make_http1: Make) -> None:
    http1 = make_http1(max_connections=1)
    async with server(holding) as served:
        held = await http1.send(request(served.url), QUICK)
        waiting = asyncio.create_task(http1.send(request(served.url), QUICK))
        await asyncio.sleep(0)
        await http1.aclose()
        with pytest.raises(StreamInterrupted):
            await anext(held)
        with pytest.raises(UpstreamUnreachable):
            await waiting
        await served.when(lambda: served.open == 0)


async def test_the_time_for_all_of_it_counts_while_waiting_for_a_connection(make_http1: Make) -> None:
    http1 = make_http1(max_connections=1)
    async with server(holding) as served:
        held = await http1.send(request(served.url), QUICK)
        with pytest.raises(UpstreamTimeout, match=r"not whole within 0\.05 s"):
            await http1.send(request(served.url), Timeouts(total_s=0.05))
        await held.aclose()


@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
async def test_cancelled_at_any_step_over_tls_no_place_is_lost(make_http1: Make, large: bool) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, body = await read_request(reader)
            writer.write(CHUNKED + b"%x\r\n" % len(body) + body)
            await asyncio.sleep(0)
            writer.write(b"\r\n3\r\nend\r\n0\r\n\r\n")

    body = LARGE if large else b"cancelled"
    http1 = make_http1(max_connections=1)
    async with server(serve, tls=server_tls()) as served:
        for steps in range(0, 600, 5 if large else 3):
            task = asyncio.create_task(collected(http1, request(served.url, body), Timeouts()))
            for _ in range(steps):
                await asyncio.sleep(0)
            if task.done():
                break
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            if steps % 4 == 0:
                assert await collected(http1, request(served.url, b"mine"), Timeouts()) == (200, b"mineend")
            await http1.aclose()
        assert await task == (200, body + b"end")
        await served.when(lambda: served.open <= 1)


# ── what must not be believed ──


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 4, 4\r\n\r\ntrue",
        b"HTTP/1.1 200 OK\r\ncontent-length : 4\r\n\r\ntrue",
        b"HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 4\r\n\r\ntrue",
        b"HTTP/1.1 200 OK\rcontent-length: 4\r\n\r\ntrue",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
    ],
    ids=["both", "both, turned", "list", "space", "folded", "lone CR", "HTTP/2", "status"],
)
async def test_a_head_that_can_be_read_in_two_ways_is_not_read(http1: Http1Transport, answer: bytes) -> None:
    async with server(answering(answer, then_wait=True)) as served:
        with pytest.raises(UpstreamProtocolError):
            await collected(http1, request(served.url))
        await served.when(lambda: served.open == 0)


async def test_interim_answers_have_an_end(http1: Http1Transport) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for _ in range(100):
            writer.write(b"HTTP/1.1 103 Early Hints\r\nx: " + b"x" * 8000 + b"\r\n\r\n")
            await writer.drain()

    async with server(serve) as served:
        with pytest.raises(UpstreamProtocolError):
            await collected(http1, request(served.url))


async def test_it_goes_through_no_proxy(http1: Http1Transport) -> None:
    """Rather nowhere than past it."""
    async with server(serving_ok) as served:
        with pytest.raises(UpstreamUnreachable):
            await http1.send(request(served.url), QUICK, proxy="http://127.0.0.1:1")
    assert served.accepted == 0


# ── large bodies, and answers that come before their end ──


async def test_a_refusal_is_read_although_the_body_is_not_taken(http1: Http1Transport) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno")
        await gate.wait()

    gate = asyncio.Event()
    async with server(serve) as served:
        assert await collected(http1, request(served.url, bytes(20_000_000)), Timeouts()) == (413, b"no")
        gate.set()
        await served.when(lambda: served.open == 0)  # half a request has gone over it
    assert served.accepted == 1


async def test_both_sides_may_speak_at_once(http1: Http1Transport) -> None:
    """Each piece of the body is made only when the one before has come back."""
    heard = asyncio.Queue[bytes]()

    async def body() -> AsyncIterator[bytes]:
        for number in range(5):
            yield b"%d" % number
            assert await heard.get() == b"%d" % number

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED)
        while size := int(await reader.readuntil(b"\r\n"), 16):
            writer.write(b"%x\r\n" % size + await reader.readexactly(size + 2))
        await reader.readexactly(2)
        writer.write(b"0\r\n\r\n")
        await serving_ok(reader, writer)

    async with server(serve) as served:
        response = await http1.send(HttpRequest("POST", served.url, (), stream=body()), QUICK)
        async for piece in response:
            heard.put_nowait(piece)
        assert await collected(http1, request(served.url)) == (200, b"ok")
    assert served.accepted == 1


@pytest.mark.parametrize("said", [None, "5", "7"], ids=["raises", "is too long", "is too short"])
async def test_a_body_that_goes_wrong_ends_the_request(http1: Http1Transport, said: str | None) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"six by"
        if said is None:
            raise RuntimeError("no more of it")

    headers = () if said is None else (("content-length", said),)
    async with server(serving_ok) as served:
        with pytest.raises(RuntimeError if said is None else UpstreamProtocolError):
            await collected(http1, HttpRequest("POST", served.url, headers, stream=body()))
        await served.when(lambda: served.open == 0)


@pytest.mark.parametrize(
    "says", [b"HTTP/1.1 100 Continue\r\n\r\n", b"", b"HTTP/1.1 417 No\r\ncontent-length: 2\r\n\r\nno"]
)
async def test_a_body_may_wait_for_consent(make_http1: Make, says: bytes) -> None:
    bodies: list[bytes] = []
    sent: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        assert not sent
        writer.write(says)
        if b"417" in says:
            bodies.append(await reader.read())
        else:
            bodies.append(await reader.readexactly(2))
            writer.write(OK)

    http1 = make_http1(expect_s=0.02 if not says else 5.0)
    async with server(serve) as served:
        found = await collected(
            http1, request(served.url, expect="100-continue"), Timeouts(), on_send=lambda: sent.append(1)
        )
        await served.when(lambda: served.open == 0)
    refused = b"417" in says
    assert found == ((417, b"no") if refused else (200, b"ok"))
    assert bodies == [b"" if refused else b"{}"]
    assert sent == ([] if refused else [1])
