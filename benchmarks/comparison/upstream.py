"""The provider of the comparison: `python -m benchmarks.comparison.upstream`; prints `ready URL`.

One process on uvloop and httptools, whose answers are made ahead. The first segment of the path says how it answers:

- `/answer/…`   a chat of some 600 bytes, at once          - `/delayed/…`  the same after 50 ms
- `/stream/…`   100 chunks, each a write of its own; streams that run at the same time take turns
- `/claude/…`   the same in Anthropic's dialect             - `/paced/…`    20 chunks, the first and each other after 50 ms
- `/idle/…`     the first chunk, then nothing               - `/large/…`    a stream of 50 MB, as fast as it is read
"""

from __future__ import annotations

import asyncio
import socket
import time
from typing import ClassVar, cast

import httptools
import uvloop

from benchmarks.comparison.answers import ANSWER, CLAUDE, HELD, HELD_MARK, STREAM, large_chunk

__all__ = ["DELAY_S", "LARGE_BYTES", "PACED_CHUNKS", "main"]

DELAY_S = 0.05
PACED_CHUNKS = 20
LARGE_BYTES = 50_000_000
_LARGE_CHUNK = 4_000

_PLAIN = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_STREAMED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
_END = b"0\r\n\r\n"
_NOT_HELD = HELD_MARK + HELD


def _chunked(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


_ANSWER = _PLAIN % len(ANSWER) + ANSWER
_OPENAI = [_chunked(piece) for piece in STREAM]
_ANTHROPIC = [_chunked(piece) for piece in CLAUDE]
_PACED = [*_OPENAI[: PACED_CHUNKS - 2], *_OPENAI[-2:]]
_LARGE = [_chunked(large_chunk(_LARGE_CHUNK, number)) for number in range(50)]
_LARGE_TIMES = LARGE_BYTES // _LARGE_CHUNK


class Connection(asyncio.Protocol):
    """One connection of a gateway."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._path = b""
        self._came = 0.0
        self._left = 0
        self._writable = True
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        if self._left:
            self._large()

    # ── what httptools calls ──

    def on_url(self, url: bytes) -> None:
        self._path = url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"expect" and value.lower() == b"100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_message_complete(self) -> None:
        self._came = time.perf_counter()
        kind = self._path.split(b"/", 2)[1]
        answer = self._KINDS.get(kind)
        if answer is None:
            self._transport.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        else:
            answer(self)

    # ── how it answers ──

    def _held(self, piece: bytes) -> bytes:
        """With the time that has gone by since the request was whole."""
        return piece.replace(_NOT_HELD, b"%s%09d" % (HELD_MARK, int((time.perf_counter() - self._came) * 1e6)), 1)

    def _answer(self) -> None:
        self._transport.write(_ANSWER)

    def _delayed(self) -> None:
        self._loop.call_later(DELAY_S, lambda: self._transport.write(self._held(_ANSWER)))

    def _stream(self) -> None:
        self._next(_OPENAI, 0, 0.0)

    def _claude(self) -> None:
        self._next(_ANTHROPIC, 0, 0.0)

    def _paced(self) -> None:
        self._loop.call_later(DELAY_S, self._next, _PACED, 0, DELAY_S)

    def _next(self, pieces: list[bytes], at: int, pause_s: float) -> None:
        """One chunk, and the next in the loop's next turn: uvloop would else join what is written within one."""
        if self._transport.is_closing():
            return
        piece = pieces[at] if at > 2 else self._held(pieces[at])
        if at == 0:
            piece = _STREAMED + piece
        last = at == len(pieces) - 1
        self._transport.write(piece + _END if last else piece)
        if last:
            return
        if pause_s and at:
            self._loop.call_later(pause_s, self._next, pieces, at + 1, pause_s)
        else:  # the first word comes with the role
            self._loop.call_soon(self._next, pieces, at + 1, pause_s)

    def _idle(self) -> None:
        self._transport.write(_STREAMED + _OPENAI[0] + _OPENAI[1])

    def _begin_large(self) -> None:
        self._transport.write(_STREAMED + _OPENAI[0])
        self._left = _LARGE_TIMES
        self._large()

    def _large(self) -> None:
        while self._left and self._writable and not self._transport.is_closing():
            self._left -= 1
            self._transport.write(_LARGE[self._left % len(_LARGE)])
            if not self._left:
                self._transport.write(_OPENAI[-2] + _OPENAI[-1] + _END)

    _KINDS: ClassVar = {
        b"answer": _answer,
        b"delayed": _delayed,
        b"stream": _stream,
        b"claude": _claude,
        b"paced": _paced,
        b"idle": _idle,
        b"large": _begin_large,
    }


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=4096)
    print(f"ready http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    uvloop.run(_serve())


if __name__ == "__main__":
    main()
