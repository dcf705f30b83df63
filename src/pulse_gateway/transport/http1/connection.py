"""One connection to a provider: one request at a time, what comes back of it, and whether another may follow."""

from __future__ import annotations

import asyncio
import math
import select
from collections.abc import Callable
from typing import Any, Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from pulse_gateway.errors import StreamInterrupted, UpstreamDisconnected, UpstreamProtocolError
from pulse_gateway.transport.http1.response import Http1Response, RawHeaders
from pulse_gateway.types.http import Timeouts

__all__ = ["MAX_HEAD_BYTES", "Connection", "Owner"]

MAX_HEAD_BYTES = (
    64 * 1024
)  # of a head, and of whatever else is no body: interim answers, trailers, extensions of chunks
_UNREAD_BYTES = 16 * 1024  # held for a reader that is slower than the provider, beside what one read gives
_NEVER = math.inf


class Owner(Protocol):
    """The pool that a connection belongs to."""

    def free(self, connection: Connection, *, reusable: bool) -> None:
        """Its request is over."""

    def keeps(self) -> bool:
        """Whether one that is idle for long stays open."""

    def lost(self, connection: Connection) -> None:
        """It is closed, in whatever state it was."""


class Connection(asyncio.Protocol):
    """`ask` writes a request and gives its answer, which the bytes that arrive are then put into.

    One timer serves all waiting: it is set to when the current phase is over, and looked at only when it rings, so that a request on
    a connection in use sets none. `served` counts the requests.
    """

    __slots__ = (
        "_answer", "_deadline", "_drained", "_headers", "_in_head", "_is_full", "_is_head_request", "_is_misled", "_is_paused",
        "_keepalive_s", "_loop", "_may_stay", "_on_continue", "_owner", "_parser", "_pieces", "_socket", "_timer", "_timer_at",
        "_too_old_at", "_transport", "_unheard", "_upload", "is_lost", "on_body", "served",
    )  # fmt: skip

    def __init__(self, owner: Owner, *, keepalive_s: float, max_age_s: float) -> None:
        self._owner, self._keepalive_s = owner, keepalive_s
        self._loop = asyncio.get_running_loop()
        self.served = 0
        self.is_lost = False
        self._too_old_at = self._loop.time() + max_age_s
        self._transport: asyncio.Transport
        self._socket: select.poll | None = None  # made when there is a second request
        self._answer: Http1Response | None = None
        self._is_head_request = self._in_head = self._may_stay = self._is_paused = self._is_misled = False
        self._unheard = 0  # bytes since the last of a body
        self._headers: RawHeaders = []
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append  # called by the parser for every chunk
        self._parser: Any = HttpResponseParser(self)
        self._deadline = self._timer_at = _NEVER
        self._timer: asyncio.TimerHandle | None = None
        self._upload: asyncio.Task[None] | None = None
        self._on_continue: Callable[[], None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._is_full = False

    # ── for the pool and the client ───────────────────────────────────────────────────────────────────────────────────

    def is_usable(self) -> bool:
        """Whether a request may be sent now. A provider that has hung up, or says something unasked, is noticed here even where the
        loop has not got round to it: nothing was written yet, so nothing is lost."""
        if self.is_lost or self._transport.is_closing() or self._loop.time() >= self._too_old_at:
            return False
        if self._socket is None:
            self._socket = select.poll()
            self._socket.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not self._socket.poll(0)

    def ask(self, data: bytes, timeouts: Timeouts, total_at: float, is_head: bool, upload: bool, /) -> Http1Response:
        """Write `data`: the whole request, or, with `upload`, its head."""
        loop = self._loop
        answer = self._answer = Http1Response(self, loop, timeouts, total_at)
        self._is_head_request = is_head
        self._in_head = True
        self._unheard = 0
        self.served += 1
        self._transport.write(data)
        deadline, first_byte_s = total_at, timeouts.first_byte_s
        if first_byte_s is not None and not upload:
            deadline = min(loop.time() + first_byte_s, deadline)
        self._deadline = deadline
        if deadline < self._timer_at:
            self._set_timer()
        return answer

    def rest(self) -> None:
        """Nothing is asked for now: it is closed unless something is within the time that connections are kept for."""
        self._deadline = deadline = self._loop.time() + self._keepalive_s
        if deadline < self._timer_at:
            self._set_timer()

    def wait_for_body(self, answer: Http1Response) -> None:
        # Not as soon as all is taken: who is slow with one slice shall not have the next one held for it as well.
        if self._is_paused:
            self.resume()
        deadline, idle_s = answer.total_at, answer.timeouts.idle_s
        if idle_s is not None:
            deadline = self._loop.time() + idle_s
            deadline = min(deadline, answer.total_at)
        self._deadline = deadline
        if deadline < self._timer_at:
            self._set_timer()

    def resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

    def leave(self, answer: Http1Response) -> None:
        """Nobody wants the rest of `answer`: half of it is still in the pipe, so the connection is closed, at once and without waiting."""
        if self._answer is answer:
            self._answer = None
            self._drop()

    def fail(self, answer: Http1Response, error: BaseException) -> None:
        if self._answer is answer:
            self._answer = None
            answer.fail(error)
            self._drop()

    def close(self) -> None:
        """Hang up politely."""
        self._cancel_timer()
        self._transport.close()

    def abort(self) -> None:
        self._cancel_timer()
        self._transport.abort()

    # ── for an upload ─────────────────────────────────────────────────────────────────────────────────────────────────

    def uploads(self, task: asyncio.Task[None], on_continue: Callable[[], None]) -> None:
        """`task` writes the rest of the request; `on_continue` is called when the provider asks for it."""
        self._upload, self._on_continue = task, on_continue

    def write(self, data: bytes | memoryview) -> bool:
        """False: wait for `drained` before the next."""
        if not self._transport.is_closing():
            self._transport.write(data)
        return not self._is_full

    async def drained(self) -> None:
        """Returns when there is room for more, or nobody to take it."""
        if self._is_full and not self.is_lost:
            self._drained = self._loop.create_future()
            try:
                await self._drained
            finally:
                self._drained = None

    def uploaded(self, answer: Http1Response) -> None:
        """All is written: from now on the provider's answer is waited for."""
        self._upload = self._on_continue = None
        first_byte_s = answer.timeouts.first_byte_s
        if self._answer is answer and not answer.began and first_byte_s is not None:
            self._expect_by(min(self._loop.time() + first_byte_s, answer.total_at))

    # ── for the loop ──────────────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:  # nobody has asked
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._is_misled = True
            if self._answer is answer:
                self._misunderstood(answer, error)
                return
        if self._answer is None:
            self._finish()
        elif self._pieces:
            self._unheard = 0
            answer.add(self._joined())
            if answer.unread > _UNREAD_BYTES and not self._is_paused:
                self._is_paused = True
                self._transport.pause_reading()
        else:
            self._unheard += len(data)
            if self._unheard > MAX_HEAD_BYTES:
                self._misunderstood(answer, None)

    def eof_received(self) -> None:
        self._end(None)
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self._cancel_timer()
        self._end(exc)
        self._wake_upload()
        self._parser = None  # it holds this connection
        self._owner.lost(self)

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._wake_upload()

    # ── for the parser ────────────────────────────────────────────────────────────────────────────────────────────────

    def on_message_begin(self) -> None:
        if self._answer is None:  # an answer that nobody has asked for follows the one that was
            self._is_misled = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        answer, headers = self._answer, self._headers
        self._headers = []
        if answer is None:
            return
        status = self._parser.get_status_code()
        if status < 200:
            if status == 101:
                raise HttpParserError("another protocol than was asked for")
            if status == 100 and self._on_continue is not None:
                self._on_continue()
            return
        self._in_head = False
        self._may_stay = self._parser.should_keep_alive()
        answer.begin(status, headers)
        if self._is_head_request:  # the parser does not know, and waits for a body
            self._may_stay = False
            self._complete(answer)

    def on_message_complete(self) -> None:
        answer = self._answer
        if answer is not None and not self._in_head:
            self._complete(answer)

    # ── endings ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _complete(self, answer: Http1Response) -> None:
        self._answer = None
        trailers = self._headers
        if trailers:
            self._headers = []
        answer.end(self._joined() if self._pieces else b"", trailers)

    def _finish(self) -> None:
        """The answer was whole: is there to be another on this connection?"""
        if self._pieces:
            self._pieces.clear()
        if self._is_misled or not self._may_stay or self._upload is not None or self._transport.is_closing():
            self._drop()
            return
        if self._is_paused:
            self.resume()
        self.rest()
        self._owner.free(self, reusable=True)

    def _end(self, exc: Exception | None) -> None:
        """The provider has hung up, or the network has failed."""
        answer = self._answer
        if answer is None:
            return
        self._answer = None
        if not answer.began:
            answer.fail(
                UpstreamDisconnected("the provider closed the connection without an answer")
                if exc is None
                else _from(UpstreamDisconnected("the connection broke before an answer"), exc)
            )
        elif exc is None and answer.ends_with_connection:
            answer.end(b"", [])
        else:
            answer.fail(_from(StreamInterrupted("the connection broke inside the answer"), exc))
        self._drop()

    def _misunderstood(self, answer: Http1Response, error: Exception | None) -> None:
        if answer.began:
            if self._pieces:  # what could be read of it, as it would have been had it come alone
                answer.add(self._joined())
            self.fail(answer, _from(StreamInterrupted("the connection broke inside the answer"), error))
        else:
            self.fail(answer, _from(UpstreamProtocolError("the provider's answer is not HTTP"), error))

    def _drop(self) -> None:
        """Nothing more comes of this connection."""
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.cancel()
        self.abort()
        self._owner.free(self, reusable=False)

    def _joined(self) -> bytes:
        pieces = self._pieces
        if len(pieces) == 1:
            return pieces.pop()
        data = b"".join(pieces)
        pieces.clear()
        return data

    def _wake_upload(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    # ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _expect_by(self, deadline: float) -> None:
        self._deadline = deadline
        if deadline < self._timer_at:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._deadline
        self._timer = self._loop.call_at(self._deadline, self._look_at_clock)

    def _look_at_clock(self) -> None:
        self._timer, self._timer_at = None, _NEVER
        now, answer = self._loop.time(), self._answer
        if self._deadline > now:
            self._expect_by(self._deadline)
        elif answer is None:  # idle for long
            if self._owner.keeps() and now < self._too_old_at:
                self.rest()
            else:
                self.close()
        elif answer.is_waited_for:
            self.fail(answer, answer.overdue(now))

    def _cancel_timer(self) -> None:
        self._deadline = _NEVER
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._timer_at = None, _NEVER


def _from(
    error: UpstreamDisconnected | StreamInterrupted | UpstreamProtocolError, cause: Exception | None
) -> Exception:
    error.__cause__ = cause
    return error
