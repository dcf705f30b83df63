"""One request on a connection, and its answer: as ASGI has them, and in fewer steps for who knows more than ASGI tells."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE

if TYPE_CHECKING:
    from pulse_host.protocol import BoundedHttp
    from pulse_host.remembered_head import RememberedHead

__all__ = ["EXTENSION", "Cycle", "answer", "break_off", "cycle_of", "is_stalled"]

EXTENSION = "pulse.client"  # of the ASGI scope: the cycle

_log = logging.getLogger("uvicorn.error")
_JOINED_BYTES = 64 * 1024  # the longest body that is copied behind its head
_MOST_UNREAD_BYTES = 64 * 1024  # of a body that the application has not asked for
_UNFIT = bytes(each if each == 0x0A else each < 0x20 or each == 0x7F for each in range(0x100))
"""Of the bytes of headers: a line feed stays what it is, what may stand there becomes 0, and all else 1."""
_SAY_HOW_IT_ENDS = frozenset({"content-length", "transfer-encoding", "connection"})
_FAILED = b"Internal Server Error"
Headers = list[tuple[str, str]]


class Cycle:
    """`receive` and `send` are ASGI's, and do what uvicorn's do. The rest is for applications of ours: what waits for nothing is a plain
    function there, and what may have to wait returns what is to be awaited, or None."""

    __slots__ = (
        "_body",
        "_chunked",
        "_event",
        "_left_bytes",
        "_more_body",
        "_news",
        "_on_disconnect",
        "_task",
        "connection",
        "disconnected",
        "expects_continue",
        "keep_alive",
        "remembered",
        "response_complete",
        "response_started",
        "scope",
        "wrote_at",
    )

    def __init__(
        self, connection: BoundedHttp, scope: dict[str, Any], remembered: RememberedHead | None, *, keep_alive: bool
    ) -> None:
        self.connection, self.scope, self.remembered, self.keep_alive = connection, scope, remembered, keep_alive
        self.expects_continue = self.disconnected = self.response_started = self.response_complete = False
        self.wrote_at = 0.0  # by the loop's time: the last chunk
        self._body: bytes | bytearray = b""
        self._more_body = True
        self._news = False  # something came, or ended, that `receive` has not told yet
        self._event: asyncio.Event | None = None  # only where `receive` has to wait, which it mostly has not
        self._chunked: bool | None = None
        self._left_bytes: int | None = 0  # None: as many as come until the connection ends
        self._on_disconnect: Callable[[], None] | None = None
        self._task: asyncio.Task[None] | None = None

    # ── what the connection tells ─────────────────────────────────────────────────────────────────────────────────────

    def start(self, app: Any) -> None:
        self._task = task = self.connection.loop.create_task(self._run(app))
        self.connection.tasks.add(task)

    def feed(self, piece: bytes) -> None:
        held = self._body
        if not held:
            self._body = piece
        else:
            if not isinstance(held, bytearray):
                self._body = held = bytearray(held)
            held += piece
        if len(self._body) > _MOST_UNREAD_BYTES:
            self.connection.pause_reading()
        self._wake()

    def has_come_whole(self, body: bytes) -> None:
        """In place of `feed` and `end_of_body`, before the cycle is started."""
        self._body, self._more_body, self._news = body, False, True

    def end_of_body(self) -> None:
        self._more_body = False
        self._wake()

    def disconnect(self) -> None:
        """The client is gone, or will get no more of this answer."""
        if self.response_complete:
            return
        self.disconnected = True
        self._wake()
        if self._on_disconnect is not None:
            self._on_disconnect()

    def _wake(self) -> None:
        self._news = True
        if self._event is not None:
            self._event.set()

    # ── ASGI ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _run(self, app: Any) -> None:
        try:
            remembered = self.remembered
            if remembered is not None and remembered.again is not None:
                await remembered.again(self)
                result: object = None
            else:
                result = await app(self.scope, self.receive, self.send)
        except BaseException as error:  # noqa: BLE001 -- whatever it is, the client must not wait for ever
            _log.error("Exception in ASGI application\n", exc_info=error)
            if not self.response_started:
                await self._fail()
            else:
                self.connection.transport.close()
        else:
            if self.response_complete and result is None:
                return
            if result is not None:
                _log.error("ASGI callable should return None, but returned '%s'.", result)
                self.connection.transport.close()
            elif not self.response_started and not self.disconnected:
                _log.error("ASGI callable returned without starting response.")
                await self._fail()
            elif not self.disconnected:
                _log.error("ASGI callable returned without completing response.")
                self.connection.transport.close()
        finally:
            task, self._task = self._task, None
            if task is not None:
                self.connection.tasks.discard(task)

    async def _fail(self) -> None:
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(_FAILED))]
        await self.send(
            {"type": "http.response.start", "status": 500, "headers": [*headers, (b"connection", b"close")]}
        )
        await self.send({"type": "http.response.body", "body": _FAILED})

    async def receive(self) -> dict[str, Any]:
        connection = self.connection
        if self.expects_continue and not connection.transport.is_closing():
            connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.expects_continue = False
        if not self.disconnected and not self.response_complete:
            connection.resume_reading()
            while not self._news:
                if self._event is None:
                    self._event = asyncio.Event()
                self._event.clear()
                await self._event.wait()
            self._news = False
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body, self._body = self._body, b""
        return {"type": "http.request", "body": bytes(body), "more_body": self._more_body}

    async def send(self, message: Any) -> None:
        connection = self.connection
        if connection.write_paused and not self.disconnected:
            await connection.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if not self.response_started:
            if kind != "http.response.start":
                raise RuntimeError(f"Expected ASGI message 'http.response.start', but got '{kind}'.")
            connection.write(self._checked_head(message["status"], message.get("headers", ())))
            self.response_started, self.expects_continue = True, False
        elif self.response_complete:
            raise RuntimeError(f"Unexpected ASGI message '{kind}' sent, after response already completed.")
        elif kind != "http.response.body":
            raise RuntimeError(f"Expected ASGI message 'http.response.body', but got '{kind}'.")
        else:
            self._write_body(message.get("body", b""), more=message.get("more_body", False))

    def _checked_head(self, status: int, headers: Any) -> bytes:
        """Of any answer. What its headers say of its length, and of the connection, is what holds."""
        lines = [STATUS_LINE[status]]
        closes = False
        for name, value in (*self.connection.server_state.default_headers, *headers):
            if HEADER_RE.search(name):
                raise RuntimeError("Invalid HTTP header name.")
            if HEADER_VALUE_RE.search(value):
                raise RuntimeError("Invalid HTTP header value.")
            name = name.lower()  # noqa: PLW2901 -- as it is written
            if name == b"content-length" and self._chunked is None:
                self._left_bytes, self._chunked = int(value), False
            elif name == b"transfer-encoding" and value.lower() == b"chunked":
                self._left_bytes, self._chunked = 0, True
            elif name == b"connection" and b"close" in [token.lower().strip() for token in value.split(b",")]:
                self.keep_alive, closes = False, True
            lines.append(b"%b: %b\r\n" % (name, value))
        if not self.keep_alive and not closes:
            lines.append(b"connection: close\r\n")
        if self._chunked is None and self.scope["method"] != "HEAD" and status not in {204, 304}:
            if self.scope["http_version"] == "1.0":  # which knows no chunks: the answer ends with the connection
                self._chunked, self._left_bytes = False, None
            else:
                self._chunked = True
                lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)

    def _write_body(self, body: bytes, *, more: bool) -> None:
        if self.scope["method"] == "HEAD":
            self._left_bytes = 0
        elif self._chunked:
            written = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            self.connection.write(written if more else written + b"0\r\n\r\n")
        else:
            if self._left_bytes is not None:
                if len(body) > self._left_bytes:
                    raise RuntimeError("Response content longer than Content-Length")
                self._left_bytes -= len(body)
            self.connection.write(body)
        if not more:
            if self._left_bytes:
                raise RuntimeError("Response content shorter than Content-Length")
            self._complete()

    def _complete(self) -> None:
        self.response_complete = True
        self._wake()
        if not self.keep_alive:
            self.connection.transport.close()
        self.connection.answered()

    # ── in fewer steps ────────────────────────────────────────────────────────────────────────────────────────────────

    def is_gone(self) -> bool:
        """Whether the connection is closed."""
        return self.connection.gone

    def whole_body(self) -> bytes | None:
        """The body, if all of it is here; None: it is to be received. To be asked before anything is received."""
        if self._more_body or not self._news or self.disconnected:
            return None
        body, self._body, self._news = self._body, b"", False
        self.connection.resume_reading()  # else the client's leaving would not be noticed
        return bytes(body)

    def answer(self, status: int, headers: Headers, body: bytes) -> bool:
        """Write a whole answer, whose headers tell its length, at once. False: it is to be sent as ASGI has it, and nothing was written."""
        head = self._plain_head(status, headers)
        if head is None or self.scope["method"] == "HEAD":
            return False
        connection = self.connection
        self.response_started, self.expects_continue = True, False
        if len(body) <= _JOINED_BYTES:
            connection.write(b"%b\r\n%b" % (head, body))
        else:
            connection.write(head + b"\r\n")
            connection.write(body)
        self.response_complete = True
        if self._event is not None:  # somebody listens for the client's leaving
            self._wake()
        connection.answered()
        return True

    def begin(self, status: int, headers: Headers) -> Awaitable[None] | None:
        """The head of an answer that comes in chunks."""
        head = self._plain_head(status, headers)
        is_plain = self.scope["method"] != "HEAD" and self.scope["http_version"] != "1.0"
        says_more = not is_plain or not _SAY_HOW_IT_ENDS.isdisjoint([name for name, _ in headers])
        if head is None or says_more:
            encoded = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]
            return self.send({"type": "http.response.start", "status": status, "headers": encoded})
        self.response_started, self.expects_continue, self._chunked = True, False, True
        self.connection.write(head + b"transfer-encoding: chunked\r\n\r\n")
        return None

    def write(self, chunk: bytes) -> Awaitable[None] | None:
        """One more chunk, once the client has read what came before."""
        connection = self.connection
        self.wrote_at = connection.loop.time()
        if self.disconnected:
            return None
        if connection.write_paused or not self._chunked:
            return self.send({"type": "http.response.body", "body": chunk, "more_body": True})
        connection.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        return None

    def end(self, last: bytes = b"") -> Awaitable[None] | None:
        """The end of the answer, after `last`."""
        if self.connection.write_paused:
            return self.send({"type": "http.response.body", "body": last})
        if not self.disconnected:
            self._write_body(last, more=False)
        return None

    @property
    def is_held(self) -> bool:
        """Whether a chunk would have to wait."""
        return self.connection.write_paused

    def watch(self, on_disconnect: Callable[[], None]) -> None:
        """Call this once the client is gone, or now if it is; until `unwatch`."""
        self._on_disconnect = on_disconnect
        if self.disconnected:
            on_disconnect()
        else:
            self.connection.resume_reading()

    def unwatch(self) -> None:
        self._on_disconnect = None

    def break_off(self) -> None:
        """Close the connection in the middle of the answer, in which nothing can be said: nobody shall take it for whole."""
        if not self.response_complete:
            self._on_disconnect = None
            self.disconnected = True  # else an answer without an end would be complained of
            self.connection.break_off()

    def _plain_head(self, status: int, headers: Headers) -> bytes | None:
        """All but the empty line at its end; None where `_checked_head` has to look closer."""
        connection = self.connection
        if (
            self.response_started
            or self.disconnected
            or not self.keep_alive
            or connection.write_paused
            or (defaults := connection.default_lines()) is None
        ):
            return None
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers]).encode("latin-1", "replace")
        seen = lines.translate(_UNFIT)
        if seen.count(b"\n") != len(headers) or seen.count(b"\1") != len(headers):  # of each, those that end the lines
            return None
        return b"%b%b%b" % (STATUS_LINE[status], defaults, lines)


def cycle_of(scope: Mapping[str, Any]) -> Cycle | None:
    """The request as our own connection knows it; None on another server than ours."""
    own: Cycle | None = scope.get("extensions", {}).get(EXTENSION)
    return own


def is_stalled(scope: Mapping[str, Any]) -> bool:
    """Whether the connection was closed because its client did not read what it had asked for."""
    own = cycle_of(scope)
    return own is not None and own.connection.stalled


def break_off(scope: Mapping[str, Any]) -> None:
    """Close the connection in the middle of an answer of bytes, in which nothing can be said: nobody shall take it for whole."""
    own = cycle_of(scope)
    if own is not None:  # another server than ours closes it by itself, since the answer has no end
        own.break_off()


def answer(scope: Mapping[str, Any], status: int, headers: list[tuple[str, str]], body: bytes) -> bool:
    """Write a whole answer, whose headers tell its length, at once. False: it is to be sent as ASGI has it, and nothing was written."""
    own = cycle_of(scope)
    return own is not None and own.answer(status, headers, body)
