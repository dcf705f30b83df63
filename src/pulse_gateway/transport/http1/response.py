"""An answer, as whoever asked sees it: the head, and a body that is read as it arrives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

import msgspec

from pulse_gateway.errors import UpstreamTimeout
from pulse_gateway.types.http import Headers, Timeouts

if TYPE_CHECKING:
    from pulse_gateway.transport.http1.connection import Connection

__all__ = ["Http1Response"]

RawHeaders = list[tuple[bytes, bytes]]


class Http1Response(msgspec.Struct, eq=False):
    """An `HttpResponse`. What has arrived belongs to it, not to the connection, which serves others as soon as the last byte is here.

    One reader at a time. A reader that is cancelled may read on. After an error every further read raises it again. It is a struct
    because one is made per request, and a struct fills its fields in without running any code of ours.
    """

    _connection: Connection | None
    loop: asyncio.AbstractEventLoop
    timeouts: Timeouts
    total_at: float
    status: int = 0
    began: bool = False  # the head is here
    unread: int = 0  # bytes
    _raw_headers: RawHeaders = []
    _raw_trailers: RawHeaders = []
    _headers: Headers | None = None
    _pieces: list[bytes] = []
    _ended: bool = False
    _error: BaseException | None = None
    _waiter: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        """Without headers and body."""
        return f"<Http1Response {self.status}>"

    # ── for whoever asked ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def headers(self) -> Headers:
        if self._headers is None:
            self._headers = _decoded(self._raw_headers)
        return self._headers

    @property
    def trailers(self) -> Headers:
        """What was said after a chunked body; empty until it has been read to its end, and mostly then."""
        return _decoded(self._raw_trailers)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """All that has arrived since the last slice, at once; waits only when that is nothing.

        Raises: StreamInterrupted, UpstreamTimeout, UpstreamProtocolError.
        """
        while not self._pieces:
            if self._ended:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            assert self._connection is not None  # until the end
            self._connection.wait_for_body(self)
            self._waiter = self.loop.create_future()
            await self._waiter
        return self._taken()

    def read_now(self) -> bytes | None:
        """The rest of the body, if it is here to its end; None otherwise, and then nothing is taken."""
        if self._ended and self._error is None:
            return self._taken() if self._pieces else b""
        return None

    def buffered(self) -> bytes:
        """What is here and has not been read, without waiting; empty when that is nothing."""
        return self._taken() if self._pieces else b""

    def abandon(self) -> None:
        """`aclose` for those who cannot wait: it never does."""
        connection, self._connection = self._connection, None
        self._pieces.clear()
        if connection is not None:
            self._ended = True
            connection.leave(self)

    async def aclose(self) -> None:
        self.abandon()

    # ── for the connection ────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def is_waited_for(self) -> bool:
        return self._waiter is not None and not self._waiter.done()  # done: cancelled, and nothing has arrived since

    @property
    def error(self) -> BaseException | None:
        return self._error

    @property
    def ends_with_connection(self) -> bool:
        """Whether the end of the body is the end of the connection.

        Source: RFC 9112 §6.3.
        """
        coding = b""
        for name, value in self._raw_headers:
            lower = name.lower()
            if lower == b"content-length":
                return False
            if lower == b"transfer-encoding":
                coding = value
        return coding.rpartition(b",")[2].strip().lower() != b"chunked"

    def arrival(self) -> asyncio.Future[None]:
        """Done when something has arrived: the head, bytes, the end or an error."""
        waiter = self._waiter = self.loop.create_future()
        return waiter

    def begin(self, status: int, headers: RawHeaders) -> None:
        self.status = status
        self._raw_headers = headers
        self.began = True
        if self._waiter is not None:
            self._wake(self._waiter)

    def add(self, data: bytes) -> None:
        self._pieces.append(data)
        self.unread += len(data)
        if self._waiter is not None:
            self._wake(self._waiter)

    def end(self, data: bytes, trailers: RawHeaders) -> None:
        """`data`: the last of it."""
        if data:
            self._pieces.append(data)
            self.unread += len(data)
        self._connection = None
        self._ended = True
        if trailers:
            self._raw_trailers = trailers
        if self._waiter is not None:
            self._wake(self._waiter)

    def fail(self, error: BaseException) -> None:
        """What has arrived before may still be read."""
        self._connection = None
        self._error, self._ended = error, True
        if self._waiter is not None:
            self._wake(self._waiter)

    def overdue(self, now: float) -> UpstreamTimeout:
        timeouts = self.timeouts
        if now >= self.total_at:
            return UpstreamTimeout(f"the answer was not whole within {timeouts.total_s:g} s")
        if not self.began:
            return UpstreamTimeout(f"no answer within {timeouts.first_byte_s:g} s")
        return UpstreamTimeout(f"the provider sent nothing for {timeouts.idle_s:g} s")

    def _taken(self) -> bytes:
        pieces = self._pieces
        if len(pieces) == 1:
            data = pieces.pop()
        else:
            data = b"".join(pieces)
            pieces.clear()
        self.unread = 0
        return data

    def _wake(self, waiter: asyncio.Future[None]) -> None:
        self._waiter = None
        if not waiter.done():  # as it is when whoever waited was cancelled
            waiter.set_result(None)


def _decoded(raw: RawHeaders) -> Headers:
    return tuple((name.decode("latin-1").lower(), value.decode("latin-1").strip()) for name, value in raw)
