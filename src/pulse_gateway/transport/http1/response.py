"""An answer, as whoever asked sees it: the head, and a body that is read as it arrives."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from pulse_gateway.errors import UpstreamTimeout
from pulse_gateway.types.http import Headers, Timeouts

if TYPE_CHECKING:
    from pulse_gateway.transport.http1.connection import Connection

__all__ = ["Http1Response"]

RawHeaders = list[tuple[bytes, bytes]]


class Http1Response:
    """An `HttpResponse`. What has arrived belongs to it, not to the connection, which serves others as soon as the last byte is here.

    One reader at a time. A reader that is cancelled may read on. After an error every further read raises it again.
    """

    __slots__ = (
        "_connection", "_ended", "_error", "_headers", "_pieces", "_raw_headers", "_raw_trailers", "_waiter", "began", "loop",
        "status", "timeouts", "total_at", "unread",
    )  # fmt: skip

    def __init__(
        self, connection: Connection, loop: asyncio.AbstractEventLoop, timeouts: Timeouts, total_at: float
    ) -> None:
        self.loop, self.timeouts, self.total_at = loop, timeouts, total_at
        self.status = 0
        self.began = False  # the head is here
        self.unread = 0  # bytes
        self._connection: Connection | None = connection
        self._raw_headers: RawHeaders = []
        self._raw_trailers: RawHeaders = []
        self._headers: Headers | None = None
        self._pieces: list[bytes] = []
        self._ended = False
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None

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
            await self.arrival()
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
        return self._waiter is not None

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

    async def arrival(self) -> None:
        """Wait until something has arrived: the head, bytes, the end or an error."""
        waiter = self._waiter = self.loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def begin(self, status: int, headers: RawHeaders) -> None:
        self.status, self._raw_headers, self.began = status, headers, True
        self._wake()

    def add(self, data: bytes) -> None:
        self._pieces.append(data)
        self.unread += len(data)
        self._wake()

    def end(self, trailers: RawHeaders) -> None:
        self._connection = None
        self._raw_trailers = trailers
        self._ended = True
        self._wake()

    def fail(self, error: BaseException) -> None:
        """What has arrived before may still be read."""
        self._connection = None
        self._error, self._ended = error, True
        self._wake()

    def overdue(self, now: float) -> UpstreamTimeout:
        timeouts = self.timeouts
        if now >= self.total_at:
            return UpstreamTimeout(f"the answer was not whole within {timeouts.total_s:g} s")
        if not self.began:
            return UpstreamTimeout(f"no answer within {timeouts.first_byte_s:g} s")
        return UpstreamTimeout(f"the provider sent nothing for {timeouts.idle_s:g} s")

    def _taken(self) -> bytes:
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.unread = 0
        if self._connection is not None:
            self._connection.resume()
        return data

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


def _decoded(raw: RawHeaders) -> Headers:
    return tuple((name.decode("latin-1").lower(), value.decode("latin-1").strip()) for name, value in raw)
