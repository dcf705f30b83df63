"""One client connection: HTTP/1.1 over a bare socket, so that it can also misbehave."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import cast
from urllib.parse import parse_qsl, unquote

import httptools

from pulse_gateway.testing.simulator.delivery import Delivery
from pulse_gateway.testing.simulator.vendor import Frame, Request

__all__ = ["Connection", "Connections"]

MAX_BODY_BYTES = 64 * 1024 * 1024
_BATCH_BYTES = 32 * 1024  # frames without a pause between them are written together, up to here
_PIPELINED = 16  # requests waiting behind one that is being answered, before we stop reading
_READ_BEFORE_RESET_S = 0.05  # a reset overtakes bytes that the client has not read yet
_ODD_SIZES = (1, 2, 3, 5, 7, 11, 13, 3, 1, 17)
_ABORTIVE_CLOSE = struct.pack("ii", 1, 0)
_LAST_CHUNK = b"0\r\n\r\n"
_REASONS = {status.value: status.phrase for status in HTTPStatus} | {499: "Client Closed Request", 529: "Overloaded"}


class Connections:
    """Whoever is connected."""

    def __init__(self) -> None:
        self._open: set[Connection] = set()
        self.empty = asyncio.Event()
        self.empty.set()

    def __iter__(self) -> Iterator[Connection]:
        return iter(tuple(self._open))

    def add(self, connection: Connection) -> None:
        self._open.add(connection)
        self.empty.clear()

    def discard(self, connection: Connection) -> None:
        self._open.discard(connection)
        if not self._open:
            self.empty.set()


class Connection(asyncio.Protocol):
    """Reads requests one after another and writes what `answer` says.

    `answer` is called once per request; it may return a delivery that takes for ever.
    """

    def __init__(self, answer: Callable[[Request], Delivery], connections: Connections) -> None:
        self._answer = answer
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._current: Delivery | None = None
        self._may_write: asyncio.Future[None] | None = None
        self._closing = False

    # ── asyncio.Protocol ──────────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # which uvloop's is without being a subclass
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._connections.discard(self)
        if self._current is not None:
            self._current.tracker.end("aborted")
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, "upgrades are not spoken here")
        except httptools.HttpParserError as error:
            self._refuse(400, f"not HTTP/1.1: {error}")
        if self._current is None:
            self._next()
        elif len(self._waiting) > _PIPELINED:
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        self._may_write = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._may_write is not None and not self._may_write.done():
            self._may_write.set_result(None)
        self._may_write = None

    # ── httptools ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._body_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > MAX_BODY_BYTES:
            self._refuse(413, f"a body of more than {MAX_BODY_BYTES} bytes")
            return
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._closing:
            return
        parser = self._parser
        path, _, query = self._url.decode("latin-1").partition("?")
        request = Request(
            method=parser.get_method().decode("latin-1"),
            path=unquote(path),
            query=dict(parse_qsl(query, keep_blank_values=True)) if query else {},
            headers=self._headers,
            body=self._body[0] if len(self._body) == 1 else b"".join(self._body),
            raw_path=path,
        )
        self._waiting.append((request, parser.should_keep_alive()))

    # ── answering ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def close(self) -> None:
        """Close as soon as nothing is being answered."""
        self._closing = True
        if self._current is None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once; a stalled answer ends here too."""
        self._transport.abort()

    def _next(self) -> None:
        while self._waiting and not self._transport.is_closing():
            request, keep_alive = self._waiting.popleft()
            delivery = self._answer(request)
            self._current = delivery
            if not delivery.is_simple:
                self._task = asyncio.get_running_loop().create_task(self._deliver(delivery, keep_alive))
                return
            body = b"".join([frame.data for frame in delivery.frames])
            self._transport.write(_head(delivery, keep_alive, len(body)) + body)
            delivery.tracker.head(delivery.status, delivery.usage)
            if delivery.frames:
                _count(delivery, delivery.frames)
            self._finish(keep_alive)
            if not keep_alive:
                return

    def _finish(self, keep_alive: bool) -> None:
        """The current answer is out."""
        if self._current is not None:
            self._current.tracker.end(self._current.outcome)
        self._current = None
        self._task = None
        if not keep_alive or self._closing:
            self._closing = True
            self._transport.close()

    async def _deliver(self, delivery: Delivery, keep_alive: bool) -> None:
        """Write an answer that takes time, or that goes wrong. Cancelled when the client leaves."""
        if delivery.delay_s:
            await asyncio.sleep(delivery.delay_s)
        size = sum(len(frame.data) for frame in delivery.frames)
        await self._write(_head(delivery, keep_alive, size), delivery)
        delivery.tracker.head(delivery.status, delivery.usage)
        await self._write_frames(delivery)
        if delivery.ending == "stall":
            await asyncio.get_running_loop().create_future()
        if delivery.ending == "reset":
            await self._reset(delivery)
            return
        if delivery.chunked and delivery.ending != "drop":
            await self._write(_LAST_CHUNK, delivery)
        self._finish(keep_alive and delivery.ending != "drop" and delivery.claimed_bytes is None)
        if not self._closing:
            self._transport.resume_reading()
            self._next()

    async def _write_frames(self, delivery: Delivery) -> None:
        batch: list[Frame] = []
        size = 0
        before = 0
        for frame in delivery.frames:
            if pause := _pause(delivery, frame, before):
                await self._write_batch(batch, delivery)
                batch, size = [], 0
                await asyncio.sleep(pause)
            before = frame.output_tokens + frame.reasoning_tokens
            batch.append(frame)
            size += len(frame.data)
            if size >= _BATCH_BYTES:
                await self._write_batch(batch, delivery)
                batch, size = [], 0
                await asyncio.sleep(0)  # a client that left is noticed between batches
        await self._write_batch(batch, delivery)

    async def _write_batch(self, batch: list[Frame], delivery: Delivery) -> None:
        if not batch:
            return
        if delivery.chunked:
            data = b"".join([b"%x\r\n%b\r\n" % (len(frame.data), frame.data) for frame in batch if frame.data])
        else:
            data = b"".join([frame.data for frame in batch])
        await self._write(data, delivery)
        _count(delivery, batch)

    async def _write(self, data: bytes, delivery: Delivery) -> None:
        if delivery.slicing == "whole":
            self._transport.write(data)
            if self._may_write is not None:
                await self._may_write
            return
        at = turn = 0
        while at < len(data):
            size = 1 if delivery.slicing == "one-byte" else _ODD_SIZES[turn % len(_ODD_SIZES)]
            self._transport.write(data[at : at + size])
            at += size
            turn += 1
            if self._may_write is not None:
                await self._may_write
            await asyncio.sleep(0)  # let the loop send this piece on its own

    async def _reset(self, delivery: Delivery) -> None:
        await asyncio.sleep(_READ_BEFORE_RESET_S)
        delivery.tracker.end(delivery.outcome)
        self._closing = True
        endpoint: socket.socket = self._transport.get_extra_info("socket")
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORTIVE_CLOSE)
        self._transport.abort()

    def _refuse(self, status: int, why: str) -> None:
        """Answer a request that never became one, and hang up."""
        if self._closing:
            return
        self._closing = True
        if self._current is None:
            body = f"{why}\n".encode()
            head = f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: text/plain\r\nconnection: close\r\n"
            self._transport.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            self._transport.close()


def _head(delivery: Delivery, keep_alive: bool, body_bytes: int) -> bytes:
    lines = [f"HTTP/1.1 {delivery.status} {_REASONS.get(delivery.status, 'Unknown')}"]
    lines.append(f"content-type: {delivery.content_type}")
    if delivery.chunked:
        lines.append("transfer-encoding: chunked")
    else:
        lines.append(f"content-length: {body_bytes if delivery.claimed_bytes is None else delivery.claimed_bytes}")
    lines += [f"{name}: {value}" for name, value in delivery.headers]
    if not keep_alive or delivery.ending == "drop":
        lines.append("connection: close")
    lines.append("\r\n")
    return "\r\n".join(lines).encode("latin-1")


def _count(delivery: Delivery, frames: list[Frame]) -> None:
    last = frames[-1]
    delivery.tracker.produced(len(frames), last.output_tokens, last.reasoning_tokens)


def _pause(delivery: Delivery, frame: Frame, tokens_before: int) -> float:
    """Seconds to wait before `frame`."""
    pause = delivery.chunk_delay_s
    if delivery.tokens_per_second is not None:
        tokens = frame.output_tokens + frame.reasoning_tokens - tokens_before
        pause = max(pause, tokens / delivery.tokens_per_second)
    return pause
