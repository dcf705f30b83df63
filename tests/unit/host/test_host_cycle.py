"""A request and its answer on our own connection, for an application that knows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from pulse_host.cycle import Cycle, cycle_of
from pulse_host.protocol import BoundedHttp

Headers = list[tuple[str, str]]


@asynccontextmanager
async def asked(app: Callable[[Cycle], Awaitable[None]]) -> AsyncIterator[int]:
    async def entry(scope: Any, receive: Any, send: Any) -> None:
        cycle = cycle_of(scope)
        assert cycle is not None
        await app(cycle)

    config = uvicorn.Config(entry, http=BoundedHttp, lifespan="off", log_config=None, access_log=False, port=0)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0)
    try:
        async with asyncio.timeout(20):
            yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


async def whole_body(cycle: Cycle) -> bytes:
    """At once where all of it is here, as ASGI has it where it is not."""
    body = cycle.whole_body()
    if body is not None:
        return body
    body, more = b"", True
    while more:
        message = await cycle.receive()
        body, more = body + message["body"], message["more_body"]
    return body


@pytest.mark.parametrize("before", [0, 3])  # parsed, and known by its head
async def test_a_large_body_that_is_taken_whole_leaves_the_connection_listening(before: int) -> None:
    left = asyncio.Event()
    answered = 0

    async def app(cycle: Cycle) -> None:
        nonlocal answered
        assert len(await whole_body(cycle)) == 100_000
        answered += 1
        if answered > before:
            cycle.watch(left.set)
            await left.wait()
            assert cycle.is_gone()
        else:
            assert cycle.answer(200, [("content-length", "2")], b"ok")

    async with asked(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
        for _ in range(before):
            writer.write(request)
            await reader.readuntil(b"ok")
        writer.write(request)
        while answered <= before:
            await asyncio.sleep(0)
        writer.close()
        await left.wait()


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ([("x-a", "b")], b"transfer-encoding: chunked\r\n"),
        ([("content-length", "8")], b"content-length: 8\r\n"),
        ([("transfer-encoding", "chunked")], b"transfer-encoding: chunked\r\n"),
    ],
)
async def test_a_stream_in_plain_writes_has_the_bytes_of_one_in_messages(headers: Headers, says: bytes) -> None:
    async def app(cycle: Cycle) -> None:
        await whole_body(cycle)
        if cycle.scope["path"] == "/plain":
            if (waiting := cycle.begin(200, headers)) is not None:
                await waiting
            for chunk in (b"one,", b"two,"):
                if (waiting := cycle.write(chunk)) is not None:
                    await waiting
            if (waiting := cycle.end()) is not None:
                await waiting
            return
        encoded = [(name.encode(), value.encode()) for name, value in headers]
        await cycle.send({"type": "http.response.start", "status": 200, "headers": encoded})
        await cycle.send({"type": "http.response.body", "body": b"one,", "more_body": True})
        await cycle.send({"type": "http.response.body", "body": b"two,", "more_body": True})
        await cycle.send({"type": "http.response.body", "body": b""})

    async with asked(app) as port:
        for closes in (b"", b"connection: close\r\n"):
            heard = []
            for path in (b"/plain", b"/messages"):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"POST %b HTTP/1.1\r\nHost: x\r\n%bContent-Length: 0\r\n\r\n" % (path, closes))
                end = b"two," if headers[0][0] == "content-length" else b"0\r\n\r\n"
                said = (await reader.readuntil(end)).split(b"\r\n")
                heard.append(sorted(line for line in said if not line.startswith((b"date", b"server"))))
                if closes:
                    assert await reader.read() == b""
                writer.close()
            assert heard[0] == heard[1]
            assert says.strip() in heard[0]


async def test_who_watches_a_client_that_has_left_is_told_at_once() -> None:
    told: list[bool] = []
    done = asyncio.Event()

    async def app(cycle: Cycle) -> None:
        while not cycle.is_gone():
            await asyncio.sleep(0)
        cycle.watch(lambda: told.append(True))
        assert cycle.write(b"nobody reads it") is None
        assert not cycle.answer(200, [("content-length", "0")], b"")
        done.set()

    async with asked(app) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nbe")
        await writer.drain()
        writer.close()
        await done.wait()
    assert told == [True]


@pytest.mark.parametrize("byte", [0x00, 0x09, 0x0A, 0x0D, 0x1B, 0x7F])
async def test_no_control_character_leaves_in_a_header(byte: int) -> None:
    answers: list[bool] = []

    async def app(cycle: Cycle) -> None:
        await whole_body(cycle)
        answers.append(cycle.answer(200, [("x-a", f"b{chr(byte)}c"), ("content-length", "0")], b""))
        answers.append(cycle.answer(200, [("x-a", "caf\xe9 \xa0\x80"), ("content-length", "0")], b""))

    async with asked(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
    assert answers == [False, True]
    assert b"x-a: caf\xe9 \xa0\x80\r\n" in head
