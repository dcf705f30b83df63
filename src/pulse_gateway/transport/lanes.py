"""A bounded pool of lanes per origin: whoever holds a lane has a connection to itself."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from pulse_gateway.errors import UpstreamUnreachable

__all__ = ["Lanes"]

_log = logging.getLogger(__name__)


class Closable(Protocol):
    async def aclose(self) -> None: ...


T = TypeVar("T", bound=Closable)


class Lanes(Generic[T]):
    """Lanes to one origin: the one used last is used next, so that the rest grow old and are closed.

    `open_lane` makes one; it connects by itself when first used. At most `limit` are in use at once.
    """

    def __init__(self, open_lane: Callable[[], T], *, limit: int, idle_s: float) -> None:
        self._open_lane, self._idle_s = open_lane, idle_s
        self._free = asyncio.Semaphore(limit)
        self._idle: deque[tuple[T, float]] = deque()  # with the loop's time of its last use, oldest first
        self._closing: set[asyncio.Task[None]] = set()

    async def take(self, wait_s: float) -> T:
        """A lane, at once or after waiting for one.

        Raises: UpstreamUnreachable when none comes free within `wait_s`.
        """
        if self._free.locked():
            try:
                async with asyncio.timeout(wait_s):
                    await self._free.acquire()
            except TimeoutError as error:
                raise UpstreamUnreachable(f"every connection was busy for {wait_s:g} s") from error
        else:
            await self._free.acquire()
        return self._idle.pop()[0] if self._idle else self._open_lane()

    async def give_back(self, lane: T) -> None:
        """End the use of `lane`, whose last answer was read to its end; close one that nobody has used for long."""
        now = asyncio.get_running_loop().time()
        self._idle.append((lane, now))
        self._free.release()
        if now - self._idle[0][1] > self._idle_s:
            await self._idle.popleft()[0].aclose()

    def drop(self, lane: T) -> None:
        """End the use of `lane` in the middle of something: it is closed, never used again. Waits for nothing, so it is safe
        in a task that is being cancelled."""
        self._free.release()
        closing = asyncio.get_running_loop().create_task(lane.aclose())
        self._closing.add(closing)
        closing.add_done_callback(self._closed)

    async def aclose(self) -> None:
        """Close the lanes that are not in use."""
        while self._idle:
            await self._idle.popleft()[0].aclose()
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _closed(self, closing: asyncio.Task[None]) -> None:
        self._closing.discard(closing)
        if not closing.cancelled() and (error := closing.exception()) is not None:
            _log.debug("a connection did not close well: %s", type(error).__name__)
