"""How answers end where a connection cannot go on: for clients of HTTP/1.0, and before bytes that are no request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from test_host_connections import serving

ASKED = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi"
GARBAGE = b"GARBAGE\r\n\r\n"


class Gate:
    """An application that answers in pieces, the last one when it may."""

    def __init__(self, *, length: bytes | None = None) -> None:
        self.asked, self.may_end = asyncio.Semaphore(0), asyncio.Event()
        self._headers = [] if length is None else [(b"content-length", length)]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        await send({"type": "http.response.body", "body": b"one ", "more_body": True})
        self.asked.release()
        await self.may_end.wait()
        await send({"type": "http.response.body", "body": b"two", "more_body": False})


@asynccontextmanager
async def connected(gate: Gate) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with serving(gate) as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield reader, writer
        finally:
            gate.may_end.set()
            writer.close()


async def test_a_stream_for_http_1_0_has_no_chunks_and_ends_with_the_connection() -> None:
    gate = Gate()
    async with connected(gate) as (reader, writer):
        writer.write(ASKED.replace(b"HTTP/1.1", b"HTTP/1.0"))
        head = await reader.readuntil(b"\r\n\r\n")
        gate.may_end.set()
        assert await reader.read() == b"one two"
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head


async def test_an_answer_for_http_1_0_that_tells_its_length_has_it() -> None:
    gate = Gate(length=b"7")
    async with connected(gate) as (reader, writer):
        writer.write(ASKED.replace(b"HTTP/1.1", b"HTTP/1.0"))
        gate.may_end.set()
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert body == b"one two"
    assert b"content-length: 7" in head


@pytest.mark.parametrize("requests", [1, 2, 3])
async def test_what_is_no_request_does_not_take_away_the_answers_before_it(requests: int) -> None:
    gate = Gate()
    async with connected(gate) as (reader, writer):
        writer.write(ASKED)
        await gate.asked.acquire()
        writer.write(ASKED * (requests - 1) + GARBAGE + ASKED)
        await writer.drain()
        head = await reader.readuntil(b"one \r\n")
        assert head.startswith(b"HTTP/1.1 200")
        gate.may_end.set()
        rest = await reader.read()
    assert rest.count(b"HTTP/1.1 200") == requests - 1
    assert rest.count(b"3\r\ntwo\r\n0\r\n\r\n") == requests
    assert b"400" not in rest


async def test_what_is_no_request_by_itself_is_told_so() -> None:
    async with connected(Gate()) as (reader, writer):
        writer.write(GARBAGE)
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
