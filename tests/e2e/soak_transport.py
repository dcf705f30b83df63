"""Very many requests through our own HTTP client, to servers that answer in every way there is; not one byte is another's.

Each request draws, from its number and PULSE_SOAK_SEED, what it asks, how it is answered and what becomes of it: in chunks or with a
length, split anywhere, with interim answers, with something behind it, cut, reset; read at once, slowly, half or not at all, cancelled at
any time. Both sides know the draw and compare every byte. PULSE_SOAK_EXCHANGES says how many.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
import psutil
import pytest
import uvloop

from pulse_gateway.errors import StreamInterrupted, UpstreamDisconnected, UpstreamError
from pulse_gateway.transport.http1.client import Http1Transport
from pulse_gateway.types.http import HttpRequest, Timeouts

EXCHANGES = int(os.environ.get("PULSE_SOAK_EXCHANGES", "200000"))
SEED = os.environ.get("PULSE_SOAK_SEED", "1")
AT_ONCE = 60
CONNECTIONS = 40
HELD_MIB = 30.0  # by how much the process may grow after the first tenth
TIMEOUTS = Timeouts(connect_s=30.0)
BYTES = random.Random(SEED).randbytes(4_000_000)
BROKEN = ("cut", "reset")
UNASKED = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Draw(msgspec.Struct, frozen=True):
    """What is to become of one request."""

    asked: bytes
    is_streamed: bool
    answered: bytes
    framing: str
    splits: int
    interim: int
    behind: str
    ending: str  # cut and reset come within the answer
    reader: str
    patience: int  # turns of the loop until it is cancelled


def drawn(number: int) -> Draw:
    draw = random.Random(f"{SEED} {number}")

    def some(most: int) -> bytes:
        size = draw.choice((0, draw.randrange(200), draw.randrange(5_000), draw.randrange(most)))
        start = draw.randrange(len(BYTES) - most)
        return BYTES[start : start + size]

    return Draw(
        asked=some(300_000),
        is_streamed=draw.random() < 0.2,
        answered=some(500_000),
        framing=draw.choices(("length", "chunks", "close"), (5, 5, 1))[0],
        splits=draw.choice((0, 0, 1, 5, 30)),
        interim=draw.choices((0, 1, 2), (8, 1, 1))[0],
        behind=draw.choices(("nothing", "an answer", "rubbish"), (12, 1, 1))[0],
        ending=draw.choices(("stays", "closes", "cut", "reset"), (16, 1, 1, 1))[0],
        reader=draw.choices(("all", "slow", "half", "cancelled"), (10, 2, 1, 2))[0],
        patience=draw.randrange(120),
    )


class Provider:
    """Answers by the draw, and looks whether what it was asked is what was drawn."""

    def __init__(self) -> None:
        self.whole = Counter[int]()  # requests that came whole, by number
        self.wrong: list[int] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # it has left
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        number = int(head.split(b" ", 2)[1][1:])
        plan = drawn(number)
        if await _body(head, reader) == plan.asked:
            self.whole[number] += 1
        else:
            self.wrong.append(number)
        said = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" * plan.interim + _framed(plan)
        draw = random.Random(number)
        if plan.ending in BROKEN:
            said = said[: len(said) - 1 - draw.randrange(min(len(said) - 1, 5_000))]
        elif plan.framing != "close" and not plan.splits and len(said) < 20_000:
            # In the same packet: an answer that nobody has asked for, and that comes when somebody has, is the next one to any client.
            said += {"nothing": b"", "an answer": UNASKED, "rubbish": b"\0?"}[plan.behind]
        edges = sorted({0, len(said), *(draw.randrange(len(said) + 1) for _ in range(plan.splits))})
        for start, end in pairwise(edges):
            writer.write(said[start:end])
            await writer.drain()
            await asyncio.sleep(0)
        if plan.ending == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            writer.transport.abort()
        return plan.ending == "stays" and plan.framing != "close"


async def _body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    if b"transfer-encoding" not in fields:
        return await reader.readexactly(int(fields[b"content-length"]))
    found = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        found += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return found


def _framed(plan: Draw) -> bytes:
    said = plan.answered
    if plan.framing == "length":
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(said) + said
    if plan.framing == "close":
        return b"HTTP/1.1 200 OK\r\n\r\n" + said
    pieces = [said[start : start + 3_000] for start in range(0, len(said), 3_000)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\nx-after: 1\r\n\r\n"


class Caller:
    def __init__(self, transport: Http1Transport, url: str) -> None:
        self._transport, self._url = transport, url
        self.outcomes = Counter[str]()

    async def ask(self, number: int) -> None:
        plan = drawn(number)
        task = asyncio.ensure_future(self._read(number, plan))
        if plan.reader == "cancelled":
            for _ in range(plan.patience):
                await asyncio.sleep(0)
            task.cancel()
        try:
            self.outcomes[await task] += 1
        except asyncio.CancelledError:
            assert plan.reader == "cancelled"
            self.outcomes["cancelled"] += 1

    async def _read(self, number: int, plan: Draw) -> str:
        headers = (("content-type", "application/octet-stream"),)
        request = HttpRequest(
            "POST", f"{self._url}/{number}", headers,
            b"" if plan.is_streamed else plan.asked, _pieces(plan.asked) if plan.is_streamed else None,
        )  # fmt: skip
        read = bytearray()
        try:
            response = await self._transport.send(request, TIMEOUTS)
        except UpstreamError as error:
            # A connection that ended under the request: the draw's own, or the one before it on the same connection.
            assert isinstance(error, UpstreamDisconnected), (number, error)
            return "disconnected, as drawn" if plan.ending in BROKEN else "disconnected"
        try:
            assert response.status == 200
            async for piece in response:
                read += piece
                if plan.reader == "slow":
                    await asyncio.sleep(0.0005)
                elif plan.reader == "half" and len(read) * 2 >= len(plan.answered):
                    break
            else:
                # Without a length, an end that was only closed looks like the right one.
                assert read == plan.answered or (plan.framing == "close" and plan.ending == "cut"), number
                return "whole"
        except StreamInterrupted:
            assert plan.ending in BROKEN, number
            return "interrupted"
        finally:
            assert plan.answered.startswith(read), number
            await response.aclose()
        return "left"


class Found(NamedTuple):
    provider: Provider
    outcomes: Counter[str]
    errors: list[BaseException]
    rss_bytes: list[int]
    open_at_end: int
    open_when_closed: int


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 10_000):
        yield body[start : start + 10_000]


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_every_byte_is_the_one_that_was_meant(run: Callable[[Coroutine[Any, Any, Found]], Found]) -> None:
    found = run(_everything())
    assert found.errors == []
    assert found.provider.wrong == []
    assert max(found.provider.whole.values()) == 1  # nothing was asked twice
    assert found.outcomes.total() == EXCHANGES
    # One in nineteen answers is the last of its connection, and does not say so.
    assert found.outcomes["disconnected"] < EXCHANGES / 15
    assert found.open_at_end <= CONNECTIONS
    assert found.open_when_closed == 0
    assert (max(found.rss_bytes[2:]) - found.rss_bytes[1]) / 2**20 < HELD_MIB


async def _everything() -> Found:
    provider = Provider()
    listening = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
    transport = Http1Transport(max_connections=CONNECTIONS)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    caller = Caller(transport, url)
    numbers, process, began = iter(range(EXCHANGES)), psutil.Process(), time.monotonic()
    sizes: list[int] = []

    async def one_after_the_other() -> None:
        for number in numbers:
            await caller.ask(number)
            if number % max(1, EXCHANGES // 10) == 0:
                sizes.append(process.memory_info().rss)

    ended = await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)), return_exceptions=True)
    print(
        f"\n{EXCHANGES} exchanges in {time.monotonic() - began:.0f} s: {dict(caller.outcomes)}, "
        f"RSS {[size >> 20 for size in sizes]} MiB"
    )
    open_at_end = transport.open_connections(url)
    await transport.aclose()
    listening.close()
    errors = [each for each in ended if each is not None]
    return Found(provider, caller.outcomes, errors, sizes, open_at_end, transport.open_connections(url))
