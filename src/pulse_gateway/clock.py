"""Time is handed in, so that tests own it."""

import asyncio
import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch, for records."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, for durations."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns once `seconds` have passed, by `monotonic`."""
        ...


class SystemClock:
    """The machine's clocks."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        """Never less than `seconds` by `monotonic`: uvloop's timers count whole milliseconds, and may be early by one."""
        until = time.monotonic() + seconds
        await asyncio.sleep(seconds)
        while (left_s := until - time.monotonic()) > 0:  # noqa: ASYNC110 -- it is time itself that is waited for
            await asyncio.sleep(left_s)
