"""HTTP/1.1 connections with a bound on what a slow client may take: on the head of a request, on a body that nobody wants any more,
on an answer that it does not read."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import sys
import termios
from collections.abc import Mapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

__all__ = ["BoundedHttp", "answer", "break_off", "is_gone", "is_stalled"]

MAX_HEAD_BYTES = 64 * 1024
HEAD_S = 30.0
LINGER_S = 2.0  # closing at once would reset the connection, and the client might not get to read the answer
UNREAD_BYTES = 16 * 1024  # here, beside what the kernel takes; beyond it nothing more is fetched for the client
STALL_S = 30.0
LEAST_READ_BYTES = 8 * 1024  # in that time, or all that is left

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time
_JOINED_BYTES = 64 * 1024  # the longest body that is copied behind its head
_EXTENSION = "pulse.client"  # of the ASGI scope; and what it holds:
_STALLED, _GONE, _BREAK_OFF, _ANSWER = "stalled", "gone", "break_off", "answer"


def is_stalled(scope: Mapping[str, Any]) -> bool:
    """Whether the connection was closed because its client did not read what it had asked for."""
    return bool(scope.get("extensions", {}).get(_EXTENSION, {}).get(_STALLED))


def is_gone(scope: Mapping[str, Any]) -> bool:
    """Whether the connection is closed."""
    return bool(scope.get("extensions", {}).get(_EXTENSION, {}).get(_GONE))


def break_off(scope: Mapping[str, Any]) -> None:
    """Close the connection in the middle of an answer of bytes, in which nothing can be said: nobody shall take it for whole."""
    own = scope.get("extensions", {}).get(_EXTENSION, {}).get(_BREAK_OFF)
    if own is not None:  # another server than ours closes it by itself, since the answer has no end
        own()


def answer(scope: Mapping[str, Any], status: int, headers: list[tuple[str, str]], body: bytes) -> bool:
    """Write a whole answer, whose headers tell its length, at once. False: it is to be sent as ASGI has it, and nothing was written."""
    own = scope.get("extensions", {}).get(_EXTENSION, {}).get(_ANSWER)
    return own is not None and own(status, headers, body)


class _WhileOpen:
    """A transport as an answer is written to it. uvloop raises for what is written between the end of a connection and the moment
    at which the protocol is told of it."""

    __slots__ = ("_transport", "close")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self.close = transport, transport.close

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol waits for ever: for a request to begin, for the rest of a body after it was answered, and for a client to
    read. It also keeps as much of a head as a client cares to send."""

    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None
    _linger_timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None
    _answering: RequestResponseCycle | None = None
    _in_head = True
    _in_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(UNREAD_BYTES)
        self._told: dict[object, object] = {_BREAK_OFF: self._break_off, _ANSWER: self._answer}
        self._while_open = _WhileOpen(transport)
        self._head_timer = self.loop.call_later(HEAD_S, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head_timer, self._linger_timer, self._unread_timer):
            if timer is not None:
                timer.cancel()
        self._told.pop(_BREAK_OFF, None)
        self._told.pop(_ANSWER, None)
        self._told[_GONE] = True
        self._unset_keepalive_if_required()  # which uvicorn leaves to run out when the connection broke
        answering = self._answering
        if answering is not None and not answering.response_complete:  # uvicorn tells the last request that came
            answering.disconnected = True
            answering.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    # ── the head ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
            # A body may come in the same slice as its head; beyond the bound the slice alone says nothing yet.
            if self._head_bytes > MAX_HEAD_BYTES + len(data):
                self._refuse(b"431 Request Header Fields Too Large")
                return
        super().data_received(data)
        if self._in_head and self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(HEAD_S, self._head_is_late)

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()
        self.scope["extensions"] = {_EXTENSION: self._told}

    def on_headers_complete(self) -> None:
        self._in_head, self._head_bytes, self._in_body = False, 0, True
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        if self._unread_timer is not None and not self.transport.get_write_buffer_size():
            self._stop_watching()
        super().on_headers_complete()
        self.cycle.transport = self._while_open  # type: ignore[assignment]

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._in_head:
            self._refuse(b"408 Request Timeout")

    def _refuse(self, status: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._head_bytes:  # to a connection that has said nothing there is nothing to answer
            self.transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self._close()

    # ── the body ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def on_message_complete(self) -> None:
        self._in_body = False
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._linger_timer = None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        answered_early = self._in_body and not self.pipeline  # of several requests at once, the last is not this one
        super().on_response_complete()
        self.loop.call_soon(self._watch_reading)  # in this turn uvloop has not written anything yet
        if answered_early and not self.transport.is_closing():
            self._linger_timer = self.loop.call_later(LINGER_S, self._close)

    # ── the answer ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> bool:
        """As uvicorn does it in two steps and for each header, in what is by far the most usual case."""
        cycle = self._answering
        if (
            cycle is None
            or cycle.response_started
            or cycle.disconnected
            or not cycle.keep_alive
            or cycle.flow.write_paused
            or cycle.scope["method"] != "POST"
        ):
            return False
        fields = [f"{name}: {value}" for name, value in headers]
        if not "".join(fields).isprintable():
            return False  # where uvicorn looks closer
        head = [STATUS_LINE[status]]
        for name, value in cycle.default_headers:
            if name == b"connection":
                return False
            head += name, b": ", value, b"\r\n"
        head += "\r\n".join(fields).encode("latin-1", "replace"), b"\r\n\r\n"
        if len(body) <= _JOINED_BYTES:
            head.append(body)
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(b"".join(head))
        if len(body) > _JOINED_BYTES:
            cycle.transport.write(body)
        cycle.response_complete = True
        cycle.message_event.set()
        cycle.on_response()
        return True

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_watching()
        if self.cycle is None or self.cycle.response_complete or self.transport.is_closing():
            self._watch_reading()  # the rest; before that, more is written to it, and its size says nothing

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
            self._told[_STALLED] = True
            if (connection := self._socket()) is not None:  # else the kernel goes on trying to get rid of what it holds
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.transport.abort()
        else:
            self._watch_reading()

    def _break_off(self) -> None:
        answering = self._answering
        if answering is None or answering.response_complete:
            return
        answering.disconnected = True  # else uvicorn complains of an answer without an end
        self._close()  # what was written arrives; the chunk that ends an answer does not

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
