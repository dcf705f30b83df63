"""What a server sees to once a minute, beside its requests. Any number of them may: what must not be done twice is locked in Postgres."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Self

import structlog

from pulse_gateway.errors import ConfigError, StoreUnavailable

__all__ = ["Chore", "Maintenance"]

_log = structlog.get_logger("pulse")

_EVERY_S = 60.0
_PATIENCE_S = 30.0

Chore = Callable[[], Awaitable[object]]


class Maintenance:
    """Runs each chore about once a minute, and once soon after the start, until left. Use it as an async context manager.

    A chore that fails, or that takes longer than 30 s, is logged and tried again the next time. The moments are spread at random,
    so that servers started together do not meet.
    """

    def __init__(self, chores: Mapping[str, Chore], *, every_s: float = _EVERY_S) -> None:
        self._chores, self._every_s = chores, every_s
        self._failing: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="maintenance")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        await asyncio.sleep(random.uniform(0.0, self._every_s / 10))
        while True:
            for name, chore in self._chores.items():
                await self._do(name, chore)
            await asyncio.sleep(self._every_s * random.uniform(0.9, 1.1))

    async def _do(self, name: str, chore: Chore) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await chore()
        except Exception as error:  # noqa: BLE001 -- whatever is wrong with one chore, the others go on
            if name not in self._failing:
                known = isinstance(error, StoreUnavailable | ConfigError | TimeoutError | OSError)
                _log.warning(
                    "maintenance failed", chore=name, reason=str(error) or type(error).__name__, exc_info=not known
                )
            self._failing.add(name)
        else:
            if name in self._failing:
                _log.info("maintenance works again", chore=name)
            self._failing.discard(name)
