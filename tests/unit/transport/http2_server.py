"""A provider that speaks HTTP/2 over TLS and nothing else, on a real socket in the test's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from transport_certificates import server_tls

__all__ = ["Asked", "Http2Server", "http2_server"]


class Asked:
    """A request, whole, and what may be answered to it."""

    def __init__(self, connection: _Connection, stream: int, headers: list[tuple[str, str]]) -> None:
        self._connection, self._stream, self.headers = connection, stream, headers
        self.body = b""
        self.was_reset = asyncio.Event()
        self.room = asyncio.Event()

    def head(self, status: int, *headers: tuple[str, str], end: bool = False) -> None:
        self._connection.h2.send_headers(self._stream, [(":status", str(status)), *headers], end_stream=end)
        self._connection.flush()

    async def write(self, data: bytes) -> None:
        """As the client's window allows."""
        h2 = self._connection.h2
        while data:
            size = min(h2.local_flow_control_window(self._stream), h2.max_outbound_frame_size, len(data))
            if size:
                h2.send_data(self._stream, data[:size])
                data = data[size:]
                self._connection.flush()
            else:
                self.room.clear()
                await self.room.wait()

    def whole(self, body: bytes) -> None:
        """Write all of it, and end, while the test does something else."""
        self._connection.writing.append(asyncio.ensure_future(self._all(body)))

    async def _all(self, body: bytes) -> None:
        await self.write(body)
        self.end()

    def end(self) -> None:
        self._connection.h2.end_stream(self._stream)
        self._connection.flush()

    def reset(self) -> None:
        self._connection.h2.reset_stream(self._stream, ErrorCodes.INTERNAL_ERROR)
        self._connection.flush()

    def hang_up(self) -> None:
        self._connection.transport.close()


class Http2Server:
    def __init__(self) -> None:
        self.url = ""
        self.accepted = 0
        self.asked: list[Asked] = []
        self.lost = asyncio.Event()


class _Connection(asyncio.Protocol):
    def __init__(self, served: Http2Server, serve: Callable[[Asked], None]) -> None:
        self._served, self._serve = served, serve
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._streams: dict[int, Asked] = {}
        self.writing: list[asyncio.Task[None]] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self._served.accepted += 1
        self.h2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.transport.write(self.h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            self._take(event)
        self.flush()

    def _take(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            assert event.stream_id is not None and event.headers is not None
            headers = [(str(name), str(value)) for name, value in event.headers]
            self._streams[event.stream_id] = Asked(self, event.stream_id, headers)
        elif isinstance(event, DataReceived):
            assert event.stream_id is not None and event.data is not None
            self._streams[event.stream_id].body += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
        elif isinstance(event, StreamEnded):
            assert event.stream_id is not None
            asked = self._streams[event.stream_id]
            self._served.asked.append(asked)
            self._serve(asked)
        elif isinstance(event, WindowUpdated):
            for asked in self._streams.values():
                asked.room.set()
        elif isinstance(event, StreamReset):
            self._streams[event.stream_id].was_reset.set()
        elif isinstance(event, ConnectionTerminated):
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._served.lost.set()
        for task in self.writing:
            task.cancel()


@asynccontextmanager
async def http2_server(serve: Callable[[Asked], None]) -> AsyncIterator[Http2Server]:
    """`serve` gets each request once it is whole."""
    told, tls = Http2Server(), server_tls("http2")
    tls.set_alpn_protocols(["h2"])
    listening = await asyncio.get_running_loop().create_server(
        lambda: _Connection(told, serve), "127.0.0.1", 0, ssl=tls
    )
    told.url = f"https://localhost:{listening.sockets[0].getsockname()[1]}"
    try:
        yield told
    finally:
        listening.close()
