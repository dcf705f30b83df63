"""A clock that moves only when a test says so."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count

__all__ = ["FakeClock"]


class FakeClock:
    """Stands in for `SystemClock`; `advance` moves both readings and wakes whoever has slept long enough.

    Sleepers are woken in the order of their deadlines; they run at the test's next `await`.
    """

    def __init__(self, now: float = 1_790_000_000.0, monotonic: float = 1_000.0) -> None:
        self._now = now
        self._monotonic = monotonic
        self._order = count()  # equal deadlines wake first come, first served
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._now

    def monotonic(self) -> float:
        """Seconds from an arbitrary start."""
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        """Returns once the clock was advanced by `seconds`; at once, after yielding, for zero or less."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + seconds, next(self._order), waker))
        await waker

    def advance(self, seconds: float) -> None:
        """Move time forward, in seconds.

        Raises: ValueError for a step back, which no monotonic clock takes.
        """
        if seconds < 0:
            raise ValueError("a clock does not run backwards")
        self._now += seconds
        self._monotonic += seconds
        while self._sleepers and self._sleepers[0][0] <= self._monotonic:
            _, _, waker = heapq.heappop(self._sleepers)
            if not waker.done():  # a cancelled sleeper stays in the heap until its time comes
                waker.set_result(None)

    @property
    def sleepers(self) -> int:
        """How many are asleep now: what a test waits for before it advances."""
        return sum(not waker.done() for _, _, waker in self._sleepers)
