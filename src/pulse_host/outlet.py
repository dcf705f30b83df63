"""Where a streamed answer is written to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from litestar.types import Receive, Send

from pulse_host.heartbeat import Written

__all__ = ["AsgiOutlet", "Outlet"]

Headers = list[tuple[str, str]]


class Outlet(Written, Protocol):
    """`begin`, `write` what is not empty, `end`. Each returns what is to be awaited before the next, or None.

    `watch` has a function called as soon as the client is gone, until `unwatch`.
    """

    def begin(self, status: int, headers: Headers) -> Awaitable[None] | None: ...

    def end(self, last: bytes = b"") -> Awaitable[None] | None: ...

    def watch(self, on_disconnect: Callable[[], None]) -> None: ...

    def unwatch(self) -> None: ...


class AsgiOutlet:
    """On another server than ours."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._lock = asyncio.Lock()
        self._listening: asyncio.Task[None] | None = None
        self.wrote_at = 0.0

    @property
    def is_held(self) -> bool:
        return self._lock.locked()

    def begin(self, status: int, headers: Headers) -> Awaitable[None]:
        encoded = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]
        return self._send({"type": "http.response.start", "status": status, "headers": encoded})

    async def write(self, chunk: bytes) -> None:
        async with self._lock:  # a keep-alive may be under way
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        self.wrote_at = asyncio.get_running_loop().time()

    def end(self, last: bytes = b"") -> Awaitable[None]:
        return self._send({"type": "http.response.body", "body": last, "more_body": False})

    def watch(self, on_disconnect: Callable[[], None]) -> None:
        self._listening = asyncio.create_task(self._listen(on_disconnect))

    def unwatch(self) -> None:
        if self._listening is not None:
            self._listening.cancel()

    async def _listen(self, on_disconnect: Callable[[], None]) -> None:
        message: Any = None
        while message is None or message["type"] != "http.disconnect":
            message = await self._receive()
        on_disconnect()
