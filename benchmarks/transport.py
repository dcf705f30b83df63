"""What a request to a provider costs in the client that carries it: `python -m benchmarks.transport [--json FILE]`.

Our own HTTP client beside httpx, in one process that does nothing else, against a server in another: CPU of a small request and its
answer over a kept connection, one after the other and 32 at once, and of an answer of 100 chunks that come one by one. The rounds of the
two take turns; the ratio is that of the medians.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import uvloop

from benchmarks.command import run, spread
from pulse_gateway.transport.http1.client import Http1Transport
from pulse_gateway.transport.httpx_ import HttpxTransport
from pulse_gateway.transport.transport import Transport
from pulse_gateway.types.http import HttpRequest, Timeouts

CHUNKS = 100
_MESSAGE = {"role": "assistant", "content": "The quick brown fox jumps over the lazy dog. " * 9}
_ANSWER = msgspec.json.encode(
    {"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-5.2", "choices": [_MESSAGE]}
)
_FIELDS = (
    b"content-type: application/json\r\ndate: Tue, 24 Nov 2026 15:00:00 GMT\r\nx-request-id: req_0123456789\r\n"
    b"openai-processing-ms: 412\r\nx-ratelimit-limit-requests: 10000\r\nx-ratelimit-remaining-requests: 9999\r\n"
)
_WHOLE = b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n%b" % (_FIELDS, len(_ANSWER), _ANSWER)
_HEAD = b"HTTP/1.1 200 OK\r\n%btransfer-encoding: chunked\r\n\r\n" % _FIELDS
_EVENT = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"word"}}]}\n\n'
)
_CHUNK = b"%x\r\n%b\r\n" % (len(_EVENT), _EVENT)
_BODY = msgspec.json.encode({"model": "gpt-5.2", "messages": [{"role": "user", "content": "Say hello. " * 20}]})
_HEADERS = (
    ("content-type", "application/json"),
    ("authorization", "Bearer sk-0123456789abcdefghijklmnopqrstuvwxyz"),
    ("user-agent", "pulse-gateway"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
)


class _Provider(asyncio.Protocol):
    """Answers whatever it is sent, which is one small request at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._asked = b""

    def data_received(self, data: bytes) -> None:
        self._asked += data
        if not self._asked.endswith(_BODY):
            return
        asked, self._asked = self._asked, b""
        if asked.startswith(b"POST /whole"):
            self._transport.write(_WHOLE)
        else:
            self._transport.write(_HEAD)
            self._next(CHUNKS)

    def _next(self, left: int) -> None:
        if self._transport.is_closing():
            return
        if not left:
            self._transport.write(b"0\r\n\r\n")
        else:
            self._transport.write(_CHUNK)
            asyncio.get_running_loop().call_later(0.001, self._next, left - 1)


def _serve(listening: socket.socket) -> None:
    async def forever() -> None:
        served = await asyncio.get_running_loop().create_server(_Provider, sock=listening)
        await served.serve_forever()

    uvloop.run(forever())


async def _ask(transport: Transport, url: str) -> None:
    response = await transport.send(HttpRequest("POST", url, _HEADERS, _BODY), Timeouts())
    if response.read_now() is None:
        async for _ in response:
            pass
    await response.aclose()


async def cpu_us(ask: Callable[[], Awaitable[None]], times: int, at_once: int) -> float:
    """µs of CPU each."""

    async def some() -> None:
        for _ in range(times // at_once):
            await ask()

    await ask()
    before = time.process_time()
    await asyncio.gather(*(some() for _ in range(at_once)))
    return (time.process_time() - before) / (times // at_once * at_once) * 1e6


async def _measured(url: str, times: int, rounds: int) -> dict[str, list[float]]:
    transports: dict[str, Transport] = {"http1": Http1Transport(), "httpx": HttpxTransport()}
    found: dict[str, list[float]] = {}
    works = (("small, one by one", "whole", times, 1), ("small, 32 at once", "whole", times, 32))
    for _ in range(rounds):
        for work, path, asked, at_once in (*works, ("100 chunks, 32 at once", "stream", max(64, times // 20), 32)):
            for name, transport in transports.items():
                spent = await cpu_us(
                    lambda transport=transport, path=path: _ask(transport, f"{url}/{path}"), asked, at_once
                )
                found.setdefault(f"{work}, {name}", []).append(spent)
    for transport in transports.values():
        await transport.aclose()
    return found


def measure(times: int, rounds: int) -> dict[str, Any]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = multiprocessing.get_context("fork").Process(target=_serve, args=(listening,), daemon=True)
        server.start()
        try:
            found = uvloop.run(_measured(url, times, rounds))
        finally:
            server.terminate()
            server.join()
    works = dict.fromkeys(name.rpartition(", ")[0] for name in found)
    ratios = {
        work: statistics.median(found[f"{work}, http1"]) / statistics.median(found[f"{work}, httpx"]) for work in works
    }
    return {"cpu_us": found, "ratio": ratios}


def lines(found: dict[str, Any]) -> list[str]:
    told = ["the client that asks providers, µs of CPU each:"]
    told += [f"  {name:<32} {spread(values)}" for name, values in found["cpu_us"].items()]
    return told + [f"  {work:<32} {ratio:>8.3f} of httpx's" for work, ratio in found["ratio"].items()]


if __name__ == "__main__":
    sys.exit(run("transport", __doc__, measure, lines, times=4_000, rounds=5))
