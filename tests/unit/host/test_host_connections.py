"""What a connection may do, and for how long: heads, readers that stall, keep-alives."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from pulse_host import heartbeat, protocol
from pulse_host.heartbeat import ClientStalled, Heartbeat


async def application(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(application, http=protocol.BoundedHttp, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    await_started = asyncio.create_task(server._serve([listener]))
    while not server.started:
        await asyncio.sleep(0)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await await_started


async def exchange(port: int, *pieces: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(10):
            return await reader.read(100)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_requests_on_one_connection_are_answered() -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(2) == b"ok"
        writer.close()


async def test_an_endless_head_is_refused() -> None:
    async with serving() as port:
        answer = await exchange(port, b"GET / HTTP/1.1\r\nHost: x\r\n", *[b"x-a: " + b"a" * 60_000 + b"\r\n"] * 10)
    assert answer.startswith(b"HTTP/1.1 431") or answer == b""  # or the connection was gone while we still wrote


async def test_a_large_body_is_no_large_head() -> None:
    async with serving() as port:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
        assert (await exchange(port, head + b"a" * 500_000, b"a" * 500_000)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(("said", "answer"), [(b"GET / HTTP/1.1\r\nHost:", b"HTTP/1.1 408"), (b"", b"")])
async def test_a_head_that_does_not_arrive_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, said: bytes, answer: bytes
) -> None:
    monkeypatch.setattr(protocol, "HEAD_S", 0.1)
    async with serving() as port:
        assert (await exchange(port, said))[: len(b"HTTP/1.1 408")] == answer


class Sink:
    """An ASGI `send` that can be made to block."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.open = asyncio.Event()
        self.open.set()
        self.arrived = asyncio.Event()

    async def __call__(self, message: Any) -> None:
        await self.open.wait()
        self.sent.append(message["body"])
        self.arrived.set()


async def test_a_reader_that_stalls_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "_STALL_S", 0.05)
    sink = Sink()
    sink.open.clear()
    async with Heartbeat(sink, None, 60) as beating:
        with pytest.raises(ClientStalled):
            await beating.send(b"item")


async def test_a_silent_stream_gets_keep_alives_and_empty_items_do_not_count() -> None:
    sink = Sink()
    async with asyncio.timeout(10), Heartbeat(sink, b": ping\n\n", 0.05) as beating:
        while not sink.sent:
            await beating.send(b"")
            await asyncio.sleep(0)
    assert sink.sent[0] == b": ping\n\n"


async def test_a_dialect_without_keep_alives_gets_none() -> None:
    sink = Sink()
    async with Heartbeat(sink, None, 0.001) as beating:
        await beating.send(b"item")
    assert sink.sent == [b"item"]
