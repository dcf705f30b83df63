"""The client of the comparison: `python -m benchmarks.comparison.load`, told what to do by one line of JSON; prints one line of JSON.

`closed`: so many connections, each asks again as soon as it was answered. `open`: so many requests a second, whoever still waits.
`idle`: opens streams, says so, and after a line on stdin says how many are still open. Every answer is looked at: its status, and
that it came to its end. Times are counted from the write of the request; `added` is what is left of them without the time for which the
upstream says it held the request.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import cast

import httptools
import msgspec
import uvloop

from benchmarks.comparison.answers import HELD, HELD_MARK

__all__ = ["Ask", "Found", "Times", "main"]

_MOST_CONNECTIONS = 1_000
_GRACE_S = 15.0


class Ask(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What to ask of whom, and how."""

    host: str
    port: int
    path: str
    headers: dict[str, str]
    body: str
    ends_with: str = ""
    """What the last bytes of a whole answer hold; empty: only the status is looked at."""

    mode: str = "closed"
    connections: int = 32
    seconds: float = 3.0
    requests: int = 0
    """Stop after so many; 0: stop by time."""

    rate: float = 0.0

    def bytes(self) -> bytes:
        body = self.body.encode()
        lines = [f"{name}: {value}\r\n" for name, value in self.headers.items()]
        head = f"POST {self.path} HTTP/1.1\r\nhost: {self.host}:{self.port}\r\n{''.join(lines)}content-length: {len(body)}\r\n\r\n"
        return head.encode() + body


class Times(msgspec.Struct):
    """Of a distribution, in milliseconds."""

    p50: float
    p90: float
    p99: float
    most: float

    @classmethod
    def of(cls, values: list[float]) -> Times | None:
        if not values:
            return None
        ordered = sorted(values)
        at = [ordered[min(len(ordered) - 1, int(len(ordered) * part))] for part in (0.5, 0.9, 0.99)]
        return cls(*[round(value, 4) for value in (*at, ordered[-1])])


class Found(msgspec.Struct, kw_only=True):
    """What came of it."""

    done: int
    failed: int
    errors: dict[str, int]
    seconds: float
    whole: Times | None
    """From the request to the end of its answer."""

    added: Times | None
    """To the first word, without the time that the upstream held the request."""


class _Books:
    def __init__(self) -> None:
        self.done = 0
        self.errors: Counter[str] = Counter()
        self.whole_ms: list[float] = []
        self.added_ms: list[float] = []

    def found(self, seconds: float) -> Found:
        return Found(
            done=self.done,
            failed=sum(self.errors.values()),
            errors=dict(self.errors),
            seconds=seconds,
            whole=Times.of(self.whole_ms),
            added=Times.of(self.added_ms),
        )


class Connection(asyncio.Protocol):
    """One connection to the gateway; calls `free` whenever it could ask again."""

    def __init__(self, ask: Ask, request: bytes, books: _Books, free: Callable[[Connection], None]) -> None:
        self._request, self._books, self._free = request, books, free
        self._ends_with = ask.ends_with.encode()
        self._parser = httptools.HttpResponseParser(self)
        self._asked = 0.0
        self._tail = b""
        self._held = False
        self._last = False
        self.busy = False
        self.open = False
        self.retired = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.open = True

    def send(self) -> None:
        self.busy, self._held, self._last, self._tail = True, False, False, b""
        self._asked = time.perf_counter()
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"unreadable: {error}")
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        if self.busy:
            self._fail("cut")
        self._free(self)

    # ── what httptools calls ──

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"connection" and value.lower() == b"close":
            self._last = True

    def on_body(self, piece: bytes) -> None:
        if not self._held:
            self._read_held(self._tail + piece)
        self._tail = piece if len(piece) > 64 else (self._tail + piece)[-256:]

    def _read_held(self, text: bytes) -> None:
        """The first word of the answer says how long the upstream held the request."""
        at = text.find(HELD_MARK)
        if at >= 0 and len(text) >= at + len(HELD_MARK) + len(HELD):
            self._held = True
            since_ms = (time.perf_counter() - self._asked) * 1e3
            at += len(HELD_MARK)
            self._books.added_ms.append(since_ms - int(text[at : at + len(HELD)]) / 1e3)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status == 100:
            return
        if status != 200:
            self._fail(f"status {status}")
        elif self._ends_with not in self._tail:
            self._fail("not whole")
        else:
            self.busy = False
            self._books.done += 1
            self._books.whole_ms.append((time.perf_counter() - self._asked) * 1e3)
        if self._last or not self._parser.should_keep_alive():
            self.transport.close()
        else:
            self._free(self)

    def _fail(self, why: str) -> None:
        self.busy = False
        self._books.errors[why] += 1


async def _closed(ask: Ask, books: _Books) -> float:
    loop = asyncio.get_running_loop()
    request = ask.bytes()
    asked, running = 0, ask.connections
    ended = asyncio.Event()
    opening: set[asyncio.Task[None]] = set()
    started = time.perf_counter()
    deadline = started + ask.seconds

    def free(connection: Connection) -> None:
        nonlocal asked
        if connection.retired:
            return
        if asked >= ask.requests if ask.requests else time.perf_counter() >= deadline:
            connection.retired = True
            connection.transport.abort()
            leave()
        elif not connection.open:
            connection.retired = True
            task = loop.create_task(connect())
            opening.add(task)
            task.add_done_callback(opening.discard)
        elif not connection.transport.is_closing():
            asked += 1
            connection.send()

    def leave() -> None:
        nonlocal running
        running -= 1
        if not running:
            ended.set()

    async def connect() -> None:
        try:
            _, made = await loop.create_connection(lambda: Connection(ask, request, books, free), ask.host, ask.port)
        except OSError as error:
            books.errors[f"no connection: {error.strerror}"] += 1
            leave()
        else:
            free(made)

    await asyncio.gather(*(connect() for _ in range(ask.connections)))
    try:
        async with asyncio.timeout(3_600.0 if ask.requests else ask.seconds + 60.0):
            await ended.wait()
    except TimeoutError:
        books.errors["never answered"] += running
    return time.perf_counter() - started


async def _open(ask: Ask, books: _Books) -> float:
    loop = asyncio.get_running_loop()
    request = ask.bytes()
    idle: list[Connection] = []
    all_of_them: set[Connection] = set()

    def free(connection: Connection) -> None:
        if connection.open and not connection.transport.is_closing():
            idle.append(connection)
        elif not connection.open:
            all_of_them.discard(connection)

    async def connect() -> None:
        _, made = await loop.create_connection(lambda: Connection(ask, request, books, free), ask.host, ask.port)
        all_of_them.add(made)
        idle.append(made)

    await asyncio.gather(*(connect() for _ in range(ask.connections)))
    started = time.perf_counter()
    total = int(ask.rate * ask.seconds)
    sent = 0
    opening: set[asyncio.Task[None]] = set()
    while sent < total:
        due = min(total, int((time.perf_counter() - started) * ask.rate) + 1)
        while sent < due:
            sent += 1
            while idle and not idle[-1].open:
                idle.pop()
            if idle:
                idle.pop().send()
            else:
                books.errors["no connection was free"] += 1
            if len(idle) < 8 and len(all_of_them) + len(opening) < _MOST_CONNECTIONS:
                task = loop.create_task(connect())
                opening.add(task)
                task.add_done_callback(opening.discard)
        await asyncio.sleep(max(0.0, started + sent / ask.rate - time.perf_counter()))
    took = time.perf_counter() - started
    deadline = time.perf_counter() + _GRACE_S
    while any(each.busy for each in all_of_them) and time.perf_counter() < deadline:
        await asyncio.sleep(0.02)
    late = sum(each.busy for each in all_of_them)
    if late:
        books.errors[f"not answered {_GRACE_S:g} s after the end"] += late
    return took


async def _idle(ask: Ask, books: _Books) -> float:
    """Open streams a few at a time, until one is refused; each counts once its first word is there."""
    loop = asyncio.get_running_loop()
    request = ask.bytes()
    started = time.perf_counter()
    made: list[Connection] = []
    for _ in range(0, ask.connections, 25):
        if books.errors:
            break  # it takes no more
        before = len(books.added_ms) + sum(books.errors.values())
        for _ in range(25):
            _, one = await loop.create_connection(
                lambda: Connection(ask, request, books, lambda _: None), ask.host, ask.port
            )
            made.append(one)
            one.send()
        deadline = time.perf_counter() + _GRACE_S
        while (
            come := len(books.added_ms) + sum(books.errors.values()) - before
        ) < 25 and time.perf_counter() < deadline:
            await asyncio.sleep(0.001)
        if come < 25:
            books.errors[f"no first word within {_GRACE_S:g} s"] += 25 - come
    print(json.dumps({"open": sum(each.open and each.busy for each in made)}), flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    books.done = sum(each.open and each.busy for each in made)
    for each in made:
        each.busy = False
        each.transport.abort()
    return time.perf_counter() - started


def main() -> None:
    ask = msgspec.json.decode(sys.stdin.readline(), type=Ask)
    books = _Books()
    run = {"closed": _closed, "open": _open, "idle": _idle}[ask.mode]
    seconds = uvloop.run(run(ask, books))
    print(msgspec.json.encode(books.found(seconds)).decode(), flush=True)


if __name__ == "__main__":
    main()
