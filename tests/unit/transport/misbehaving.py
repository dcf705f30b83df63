"""Servers of a test's own, on real sockets in the test's own loop, and how they are asked."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from pulse_gateway.transport.transport import HttpResponse, OnSend, Transport
from pulse_gateway.types.http import HttpRequest, Timeouts

__all__ = [
    "CHUNKED",
    "OK",
    "QUICK",
    "Serve",
    "Server",
    "answering",
    "collected",
    "read_request",
    "request",
    "reset",
    "server",
    "serving_ok",
    "whole",
]

QUICK = Timeouts(connect_s=2.0, tls_s=0.5, write_s=0.5, first_byte_s=0.2, idle_s=0.2)
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Server:
    """What a test may ask about its server."""

    def __init__(self) -> None:
        self.url = ""
        self.port = 0
        self.accepted = 0
        self.open = 0
        self.most_open = 0
        self.local_addresses: list[str] = []
        self._changed = asyncio.Event()

    async def when(self, condition: Callable[[], bool]) -> None:
        """Returns once it holds."""
        async with asyncio.timeout(5):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def changed(self) -> None:
        self.most_open = max(self.most_open, self.open)
        self._changed.set()


@asynccontextmanager
async def server(serve: Serve, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Server]:
    """`serve` gets each connection, which is closed behind it."""
    running: set[asyncio.Task[None]] = set()
    told = Server()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        told.accepted += 1
        told.open += 1
        told.local_addresses.append(writer.get_extra_info("sockname")[0])
        told.changed()
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            pass  # the client has gone, or the test is over
        finally:
            running.discard(task)
            writer.close()
            told.open -= 1
            told.changed()

    listening = await asyncio.start_server(accept, host, 0, ssl=tls)
    told.port = listening.sockets[0].getsockname()[1]
    told.url = f"{'https' if tls else 'http'}://{'localhost' if tls else '127.0.0.1'}:{told.port}"
    try:
        yield told
    finally:
        listening.close()
        for task in tuple(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def request(url: str, body: bytes = b"{}", method: str = "POST", **headers: str) -> HttpRequest:
    more = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return HttpRequest(
        method, f"{url}/x", (("content-type", "application/json"), ("x-one", "1"), ("x-one", "2"), *more), body
    )


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of the next request, whichever way its length is said.

    Raises: asyncio.IncompleteReadError when there is none.
    """
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    if fields.get(b"transfer-encoding") == b"chunked":
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
        return head, body
    return head, await reader.readexactly(int(fields.get(b"content-length", b"0")))


def answering(*pieces: bytes, then_wait: bool = False) -> Serve:
    """To the first request of each connection, these bytes; then the end of it, or silence."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if then_wait:
            await reader.read()

    return serve


async def serving_ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await read_request(reader)
        writer.write(OK)


async def whole(response: HttpResponse) -> bytes:
    try:
        return b"".join([piece async for piece in response])
    finally:
        await response.aclose()


async def collected(
    transport: Transport, asked: HttpRequest, timeouts: Timeouts = QUICK, on_send: OnSend | None = None
) -> tuple[int, bytes]:
    response = await transport.send(asked, timeouts, on_send=on_send)
    return response.status, await whole(response)


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with RST."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
