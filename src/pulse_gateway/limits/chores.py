"""Work that repeats in the background until its owner closes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from pulse_gateway.clock import Clock
from pulse_gateway.errors import StoreUnavailable

__all__ = ["Chore"]

_log = logging.getLogger(__name__)
_AGAIN_S = 1.0


class Chore:
    """Calls `work` every `every_s`, and soon after each `wake`. Where a store is away it tries again a second later, if not sooner."""

    def __init__(self, name: str, work: Callable[[], Awaitable[object]], *, every_s: float, clock: Clock) -> None:
        self._name, self._work, self._every_s, self._clock = name, work, every_s, clock
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        self._woken.set()

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._repeat(), name=self._name)

    async def stop(self) -> None:
        """Returns when it has ended; what it was doing is cancelled."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _repeat(self) -> None:
        pause_s = self._every_s
        while True:
            await self._pause(pause_s)
            try:
                await self._work()
                pause_s = self._every_s
            except StoreUnavailable:
                pause_s = min(_AGAIN_S, self._every_s)
            except Exception:  # noqa: BLE001 -- a defect must not end what renews leases and settles permits
                _log.exception("%s failed; it goes on", self._name)
                pause_s = _AGAIN_S

    async def _pause(self, seconds: float) -> None:
        waits = [asyncio.ensure_future(self._clock.sleep(seconds)), asyncio.ensure_future(self._woken.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        self._woken.clear()
