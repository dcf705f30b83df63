"""Keep-alives on a slow stream."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from litestar.types import Send

__all__ = ["Heartbeat"]


class Heartbeat:
    """Sends `keep_alive` whenever nothing was sent for `seconds`; with None it sends nothing of its own.

    Items and keep-alives never overlap: a keep-alive goes out only while no send is under way.
    """

    def __init__(self, send: Send, keep_alive: bytes | None, seconds: float) -> None:
        self._send, self._keep_alive, self._seconds = send, keep_alive, seconds
        self._lock = asyncio.Lock()
        self._sent_at = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._keep_alive is not None:
            self._sent_at = asyncio.get_running_loop().time()
            self._task = asyncio.create_task(self._beat(self._keep_alive))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()

    async def send(self, item: bytes) -> None:
        """Send `item`, once the client has read what came before. Nothing is not sent, and does not count as a sign of life."""
        if not item:
            return
        async with self._lock:
            await self._send({"type": "http.response.body", "body": item, "more_body": True})
        self._sent_at = asyncio.get_running_loop().time()

    async def _beat(self, keep_alive: bytes) -> None:
        loop = asyncio.get_running_loop()
        while True:
            wait_s = self._sent_at + self._seconds - loop.time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            elif self._lock.locked():
                await asyncio.sleep(self._seconds)
            else:
                await self.send(keep_alive)
