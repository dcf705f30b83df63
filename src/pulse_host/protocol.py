"""HTTP/1.1 connections with a bound on what a slow client may take: on the head of a request, on a body that nobody wants any more,
on an answer that it does not read."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import socket
import struct
import sys
import termios
from collections import deque
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from pulse_host.cycle import EXTENSION, Cycle
from pulse_host.offered_upgrade import behind_head, has_body
from pulse_host.remembered_head import RememberedHead, remember

__all__ = ["BoundedHttp"]

MAX_HEAD_BYTES = 64 * 1024
HEAD_S = 30.0
LINGER_S = 2.0  # closing at once would reset the connection, and the client might not get to read the answer
UNREAD_BYTES = 16 * 1024  # here, beside what the kernel takes; beyond it nothing more is fetched for the client
STALL_S = 30.0
LEAST_READ_BYTES = 8 * 1024  # in that time, or all that is left

_log = logging.getLogger("uvicorn.error")
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time
_MOST_IN_VAIN = 8  # heads remembered that did not come again; then the connection's client is one that changes them
_defaults: tuple[object, bytes | None] = (None, None)  # headers of every answer, which hold the time, and their lines


class BoundedHttp(asyncio.Protocol):
    """A connection for uvicorn's server, as its `http` class. uvicorn's own waits for ever (for a request to begin, for the rest of a
    body after it was answered, for a client to read), keeps as much of a head as a client cares to send, and costs more."""

    __slots__ = (
        "_answering", "_app", "_app_state", "_client", "_cycle", "_deaf", "_drained", "_expects_continue", "_head_bytes", "_head_timer", "_headers",
        "_idle_since", "_idle_timer", "_in_body", "_in_head", "_in_vain", "_keep_alive_s", "_linger_timer", "_parser", "_queued",
        "_reading_paused", "_remembered", "_root_path", "_scheme", "_server", "_unread_timer", "_url", "gone", "loop", "server_state",
        "stalled", "tasks", "transport", "write_paused",
    )  # fmt: skip

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self.loop = _loop or asyncio.get_event_loop()
        self.server_state, self.tasks = server_state, server_state.tasks
        self.transport: asyncio.Transport  # from `connection_made` on
        self.gone = self.stalled = self.write_paused = False
        self._app = getattr(
            config.loaded_app, "entry", config.loaded_app
        )  # one that is no coroutine function is cheaper
        self._app_state, self._root_path, self._keep_alive_s = app_state, config.root_path, config.timeout_keep_alive
        self._parser: Any = httptools.HttpRequestParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_data_after_close=True
        )  # else the last of several requests at once is an error
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._in_head, self._in_body = True, False
        self._expects_continue = self._reading_paused = False
        self._deaf = False  # what comes is not understood any more, and dropped until the answer under way has ended
        self._cycle: Cycle | None = None  # of the last request that came
        self._answering: Cycle | None = None  # of the last one that was begun with
        self._queued: deque[Cycle] | None = None  # which few clients make use of
        self._drained: asyncio.Event | None = None
        self._remembered: RememberedHead | None = None
        self._in_vain = 0
        self._idle_since = 0.0
        self._head_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._linger_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self.server_state.connections.add(self)  # type: ignore[arg-type]  # it names its own classes
        self._server, self._client = get_local_addr(transport), get_remote_addr(transport)
        self._scheme = "https" if is_ssl(transport) else "http"
        transport.set_write_buffer_limits(UNREAD_BYTES)
        self._head_timer = self.loop.call_later(HEAD_S, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self.server_state.connections.discard(self)
        for timer in (self._head_timer, self._idle_timer, self._linger_timer, self._unread_timer):
            if timer is not None:
                timer.cancel()
        self.gone = True
        self._let_write()
        if self._answering is not None:
            self._answering.disconnect()
        if exc is None:
            self.transport.close()
        self._parser = self._queued = self._remembered = None

    def shutdown(self) -> None:
        """Called by the server when it ends: closes the connection, once the request under way is answered."""
        if self._cycle is None or self._cycle.response_complete:
            self.transport.close()
        else:
            self._cycle.keep_alive = False

    # ── what comes ────────────────────────────────────────────────────────────────────────────────────────────────────

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        last, at_start = self._cycle, False
        if last is not None and last.response_complete and not self._in_head and not self._in_body:
            at_start, remembered = True, self._remembered
            if remembered is not None and (body_at := remembered.body_at(data)):
                self._in_vain = 0
                self._begin_remembered(remembered, data[body_at:])
                return
        if (
            self._in_head or self._in_body
        ):  # beside what is its content, which begins anew to count, a body has trailers
            self._head_bytes += len(data)
            # A body may come in the same slice as its head; beyond the bound the slice alone says nothing yet.
            if self._head_bytes > MAX_HEAD_BYTES + len(data):
                self._refuse(b"431 Request Header Fields Too Large")
                return
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._invalid()
            return
        if self._in_head:
            if self._head_timer is None and not self.transport.is_closing():
                self._head_timer = self.loop.call_later(HEAD_S, self._head_is_late)
        elif at_start and not self._in_body and self._in_vain < _MOST_IN_VAIN:
            self._remember(data)

    def _feed(self, data: bytes) -> None:
        """Raises: HttpParserError."""
        while data:
            try:
                self._parser.feed_data(data)
                data = b""
            except httptools.HttpParserUpgrade as offered:
                data = data[offered.args[0] :] if self._goes_on() else b""

    def _goes_on(self) -> bool:
        """Whether what follows a head that offers an upgrade is read: its body, and other requests. None of it may be lost, nor a body be
        taken for a request. Raises: HttpParserError."""
        cycle = self._cycle
        assert cycle is not None
        if cycle.scope["method"] == "CONNECT":  # in the tunnel that was asked for nobody speaks HTTP
            cycle.keep_alive = False
            return False
        if self._in_body:
            self._parser = behind_head(self, self._headers)
        return True

    def _begin_remembered(self, remembered: RememberedHead, body: bytes) -> None:
        """As all callbacks of the parser do it for a request that is whole."""
        if self._unread_timer is not None and not self.transport.get_write_buffer_size():
            self._stop_watching()
        scope = remembered.scope_of(len(body))
        scope["state"] = self._app_state.copy()
        self._cycle = self._answering = cycle = Cycle(self, scope, remembered, keep_alive=True)
        scope["extensions"] = {EXTENSION: cycle}
        cycle.has_come_whole(body)
        cycle.start(self._app)

    def _remember(self, data: bytes) -> None:
        """What `data`, read from the start of a request to the end of it, has in its head."""
        cycle = self._cycle
        if cycle is None or cycle.response_complete or self._queued or not cycle.keep_alive:
            return
        scope = cycle.scope
        if scope["method"] == "POST" and scope["http_version"] == "1.1" and not self._parser.should_upgrade():
            self._in_vain += 1
            self._remembered = cycle.remembered = remember(data, scope)

    def on_message_begin(self) -> None:
        self._in_head = True
        self._url, self._headers, self._expects_continue = b"", [], False

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:  # a trailer, which may change nothing of what was read
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects_continue = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_head, self._head_bytes, self._in_body = False, 0, True
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        if self._unread_timer is not None and not self.transport.get_write_buffer_size():
            self._stop_watching()
        version = self._parser.get_http_version()
        url = httptools.parse_url(self._url)
        path = url.path.decode("ascii")
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "server": self._server,
            "client": self._client,
            "scheme": self._scheme,
            "method": self._parser.get_method().decode("ascii"),
            "root_path": self._root_path,
            "path": self._root_path + (unquote(path) if "%" in path else path),
            "raw_path": self._root_path.encode("ascii") + url.path,
            "query_string": url.query or b"",
            "headers": self._headers,
            "state": self._app_state.copy(),
        }
        keep_alive = version != "1.0" and self._parser.should_keep_alive()
        before, self._cycle = self._cycle, Cycle(self, scope, None, keep_alive=keep_alive)
        cycle = self._cycle
        cycle.expects_continue = self._expects_continue
        scope["extensions"] = {EXTENSION: cycle}
        if before is None or before.response_complete:
            self._answering = cycle
            cycle.start(self._app)
        else:  # several requests at once are answered one after the other
            self.pause_reading()
            self._queued = self._queued or deque()
            self._queued.append(cycle)

    def on_body(self, body: bytes) -> None:
        assert self._cycle is not None
        self._head_bytes = 0
        if not self._cycle.response_complete:
            self._cycle.feed(body)

    def on_message_complete(self) -> None:
        if self._parser.should_upgrade() and has_body(self._headers):
            return  # the end of the head, as who takes the offer would see it
        self._in_body, self._head_bytes = False, 0
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._linger_timer = None
        assert self._cycle is not None
        if not self._cycle.response_complete:
            self._cycle.end_of_body()

    def pause_reading(self) -> None:
        if not self._reading_paused:
            self._reading_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self._reading_paused and not self._queued:  # else each answer lets in more requests than it makes place for
            self._reading_paused = False
            self.transport.resume_reading()

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._in_head:
            self._refuse(b"408 Request Timeout")

    def _refuse(self, status: bytes) -> None:
        if self.transport.is_closing():
            return
        if not self._may_say():
            self._close_after_answer()
            return
        if self._head_bytes:  # to a connection that has said nothing there is nothing to answer
            self.transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self._close()

    def _may_say(self) -> bool:
        """Whether an answer of our own would be taken for that of the request which cannot be read."""
        cycle, answering = self._cycle, self._answering
        if self._in_body and cycle is not None:
            return cycle is answering and not cycle.response_started
        return answering is None or answering.response_complete

    def _close_after_answer(self) -> None:
        """The requests that came before what cannot be read are answered; one in whose body it stands cannot be."""
        cycle = self._cycle
        if self._in_body or cycle is None or cycle.response_complete:
            self._close()
        else:
            cycle.keep_alive, self._deaf = False, True

    def _invalid(self) -> None:
        said = b"Invalid HTTP request received."
        _log.warning(said.decode())
        if not self._may_say():
            self._close_after_answer()
            return
        lines = [b"%b: %b\r\n" % pair for pair in self.server_state.default_headers]
        lines += (
            b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(said),
            said,
        )
        self.write(STATUS_LINE[400] + b"".join(lines))
        self.transport.close()

    # ── the answer ────────────────────────────────────────────────────────────────────────────────────────────────────

    def write(self, data: bytes) -> None:
        """uvloop raises for what is written between the end of a connection and the moment at which its protocol is told of it."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def default_lines(self) -> bytes | None:
        """The headers that every answer has, as lines. None: they say something of the connection."""
        global _defaults  # noqa: PLW0603 -- one for all connections, as the list is
        headers = self.server_state.default_headers  # a list of its own in each second
        made_of, lines = _defaults
        if made_of is not headers:
            says_more = any(name == b"connection" for name, _ in headers)
            lines = None if says_more else b"".join([b"%b: %b\r\n" % pair for pair in headers])
            _defaults = headers, lines
        return lines

    async def drain(self) -> None:
        """Wait until the client has read, or is gone."""
        if self.write_paused and not self.gone:
            self._drained = self._drained or asyncio.Event()
            await self._drained.wait()

    def answered(self) -> None:
        """Called by the cycle whose answer has been written to its end."""
        self.server_state.total_requests += 1
        answered_early = self._in_body and not self._queued  # of several requests at once, the last is not this one
        if self.transport.is_closing():
            self.loop.call_soon(self._watch_reading)  # in this turn uvloop has not written anything yet
            return
        if self._queued:
            self._answering = self._queued.popleft()
            self._answering.start(self._app)
            self.resume_reading()
            return
        self.resume_reading()
        self._idle_since = self.loop.time()
        if (
            self._idle_timer is None
        ):  # one that runs is looked at when its time has come: mostly another request has come by then
            self._idle_timer = self.loop.call_later(min(STALL_S, self._keep_alive_s), self._look_at_idling)
        if answered_early:
            self._linger_timer = self.loop.call_later(LINGER_S, self._close)

    def _look_at_idling(self) -> None:
        """Nothing may have come since the last answer for as long as a connection is kept, nor its end be left unread."""
        self._idle_timer = None
        if self._in_head or self._cycle is None or not self._cycle.response_complete or self.transport.is_closing():
            return  # the next answer sets it again
        if self._unread_timer is None:
            self._watch_reading()
        left_s = self._idle_since + self._keep_alive_s - self.loop.time()
        if left_s > 0:
            self._idle_timer = self.loop.call_later(min(STALL_S, left_s), self._look_at_idling)
        else:
            self.transport.close()

    def pause_writing(self) -> None:
        self.write_paused = True
        self._watch_reading()

    def resume_writing(self) -> None:
        self._let_write()
        self._stop_watching()
        if self._cycle is None or self._cycle.response_complete or self.transport.is_closing():
            self._watch_reading()  # the rest; before that, more is written to it, and its size says nothing

    def _let_write(self) -> None:
        self.write_paused = False
        if self._drained is not None:
            self._drained.set()
            self._drained = None

    def _close(self) -> None:
        self.transport.close()  # once all is read that was written
        self._watch_reading()

    def _watch_reading(self) -> None:
        self._stop_watching()
        if self.transport.get_write_buffer_size():
            self._unread_timer = self.loop.call_later(STALL_S, self._look_at_reading, self._unread_bytes())

    def _stop_watching(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _look_at_reading(self, unread_before: int) -> None:
        self._unread_timer = None
        unread = self._unread_bytes()
        if unread > max(0, unread_before - LEAST_READ_BYTES):
            self.stalled = True
            if (connection := self._socket()) is not None:  # else the kernel goes on trying to get rid of what it holds
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.transport.abort()
        else:
            self._watch_reading()

    def break_off(self) -> None:
        """What was written arrives; the chunk that ends an answer does not."""
        self._close()

    def _unread_bytes(self) -> int:
        """Here and in the kernel, which lets us write on only once much of what it holds has gone: our own part alone would not move
        for minutes while a slow client reads."""
        unread = self.transport.get_write_buffer_size()
        if (connection := self._socket()) is not None:
            try:
                told = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
            except OSError:
                return unread  # not of this kind of socket, or not on this system
            unread += int.from_bytes(told, sys.byteorder)
        return unread

    def _socket(self) -> socket.socket | None:
        connection: socket.socket | None = self.transport.get_extra_info("socket")
        return None if connection is None or connection.fileno() < 0 else connection
