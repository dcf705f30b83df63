"""What a connection may do, and for how long: heads, bodies that nobody wants, readers that stall, keep-alives."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from pulse_host import protocol
from pulse_host.cycle import answer, is_stalled
from pulse_host.heartbeat import Heartbeat
from pulse_host.outlet import AsgiOutlet

Application = Callable[[Any, Any, Any], Awaitable[None]]


async def application(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def serving(application: Application = application) -> AsyncIterator[int]:
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


@pytest.mark.parametrize("body", [b"ok", b"x" * 200_000], ids=["short", "long"])
async def test_an_answer_at_once_has_the_same_bytes(body: bytes) -> None:
    headers = [("content-type", "text/plain"), ("x-name", "caf\xe9 \u0633"), ("content-length", str(len(body)))]
    told: list[bool] = []

    async def at_once(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass
        if scope["path"] == "/whole":
            told.append(answer(scope, 200, headers, body))
        if scope["path"] == "/steps" or not told[-1]:
            encoded = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers]
            await send({"type": "http.response.start", "status": 200, "headers": encoded})
            await send({"type": "http.response.body", "body": body})

    async with serving(at_once) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        heard = {}
        for method, path in [("POST", "/whole"), ("POST", "/steps"), ("HEAD", "/whole"), ("POST", "/whole")]:
            writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\ncontent-length: 0\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            content = b"" if method == "HEAD" else await reader.readexactly(len(body))
            heard[method, path] = (b"".join(re.split(rb"date: [^\r]*", head)), content)
        writer.write(b"POST /whole HTTP/1.1\r\nHost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        last = await reader.read()
        writer.close()
    assert heard["POST", "/whole"] == heard["POST", "/steps"]
    assert heard["HEAD", "/whole"][0] == heard["POST", "/whole"][0]
    assert b"connection: close" in last
    assert told == [True, False, True, False]


async def test_what_no_header_can_hold_is_left_to_the_server_below() -> None:
    told: list[bool] = []

    async def odd(scope: Any, receive: Any, send: Any) -> None:
        told.append(answer(scope, 200, [("x-a", "b\r\nx-c: d"), ("content-length", "0")], b""))
        await application(scope, receive, send)

    async with serving(odd) as port:
        assert b"x-c" not in await exchange(port, b"POST / HTTP/1.1\r\nHost: x\r\ncontent-length: 0\r\n\r\n")
    assert told == [False]


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


class Stream:
    """An application whose answer never ends. `left` is set when its client has gone, and says whether that was for being slow."""

    def __init__(self) -> None:
        self.left: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        writing = asyncio.create_task(self._write(send))
        await receive()
        writing.cancel()
        self.left.set_result(is_stalled(scope))

    async def _write(self, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
            await asyncio.sleep(0)


async def whole(scope: Any, receive: Any, send: Any) -> None:
    """More than fits between two sockets, in one piece."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6000000")]})
    await send({"type": "http.response.body", "body": b"x" * 6_000_000})


async def asking(port: int, more: bytes = b"") -> socket.socket:
    """A client with little room of its own, that has sent a request."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", port))
    await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: x\r\n" + more + b"\r\n")
    return client


async def test_a_client_that_reads_nothing_of_a_stream_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "STALL_S", 0.2)
    stream = Stream()
    async with asyncio.timeout(10), serving(stream) as port:
        with await asking(port):
            assert await stream.left is True


async def test_a_client_that_reads_slowly_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "STALL_S", 0.2)
    stream = Stream()
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(10), serving(stream) as port:
        with await asking(port) as client:
            until = loop.time() + 1.5
            while loop.time() < until:
                assert await loop.sock_recv(client, 16_384)
                await asyncio.sleep(0.01)
            assert not stream.left.done()
        assert await stream.left is False


async def test_a_client_that_reads_nothing_of_a_whole_answer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "STALL_S", 0.2)
    async with asyncio.timeout(10), serving(whole) as port:
        with await asking(port) as client:
            loop = asyncio.get_running_loop()
            with pytest.raises(ConnectionResetError):
                # Written to until it is closed: a client that reads nothing learns of it in no other way.
                while True:
                    await loop.sock_sendall(client, b"GET / HTTP/1.1\r\n")
                    await asyncio.sleep(0.05)


async def test_one_that_reads_it_slowly_gets_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "STALL_S", 0.2)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(20), serving(whole) as port:
        with await asking(port, b"connection: close\r\n") as client:
            size = 0
            while piece := await loop.sock_recv(client, 65_536):
                size += len(piece)
                await asyncio.sleep(0.001)
    assert size > 6_000_000


async def test_a_body_that_is_not_wanted_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "LINGER_S", 0.1)
    async with asyncio.timeout(10), serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nbegun")
        assert (await reader.read()).endswith(b"ok")  # and then the end
        writer.close()


async def test_one_that_comes_late_but_whole_keeps_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async with asyncio.timeout(10), serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nbegun")
            await reader.readuntil(b"ok")
            writer.write(b"ended")
        writer.close()


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


async def nothing() -> Any:
    await asyncio.get_running_loop().create_future()


async def test_a_silent_stream_gets_keep_alives() -> None:
    sink = Sink()
    async with asyncio.timeout(10):
        with Heartbeat(AsgiOutlet(nothing, sink), b": ping\n\n", 0.05):
            await sink.arrived.wait()
    assert sink.sent[0] == b": ping\n\n"


async def test_a_stream_that_is_not_silent_gets_none() -> None:
    sink = Sink()
    outlet = AsgiOutlet(nothing, sink)
    loop = asyncio.get_running_loop()
    until = loop.time() + 0.4
    with Heartbeat(outlet, b": ping\n\n", 0.2):
        while loop.time() < until:
            await outlet.write(b"item")
            await asyncio.sleep(0.01)
    assert set(sink.sent) == {b"item"}


async def test_a_keep_alive_waits_for_no_one_who_reads_nothing() -> None:
    sink = Sink()
    sink.open.clear()
    outlet = AsgiOutlet(nothing, sink)
    loop = asyncio.get_running_loop()
    with Heartbeat(outlet, b": ping\n\n", 0.02):
        writing = asyncio.create_task(outlet.write(b"item"))
        await asyncio.sleep(0.1)  # several keep-alives long
        sink.open.set()
        await writing
        assert sink.sent == [b"item"]
        before = loop.time()
        while len(sink.sent) == 1:
            await asyncio.sleep(0.005)
        assert loop.time() - before < 5
    assert sink.sent[1] == b": ping\n\n"


async def test_a_dialect_without_keep_alives_gets_none() -> None:
    sink = Sink()
    outlet = AsgiOutlet(nothing, sink)
    with Heartbeat(outlet, None, 0.001):
        await outlet.write(b"item")
    assert sink.sent == [b"item"]
