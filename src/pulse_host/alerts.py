"""Monthly limits that are nearly, or wholly, used up: who is told, and that it is told once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.telemetry.alert import BudgetAlert
from pulse_host.database.alerts import add_alert

__all__ = ["Alerts"]

_log = structlog.get_logger("pulse")
_MOST_WAITING = 10_000  # beyond it the oldest are forgotten; each has been logged by then


class _Waiting(msgspec.Struct):
    alert: BudgetAlert
    told: bool = False


class Alerts:
    """Called with each alert, on the event loop, it never waits: the table `budget_alert` is asked in the background whether it is
    new, and then one line is logged and `count` is called. Servers that notice the same, and counters that were rebuilt, so make
    no second alert.

    While Postgres is away it is told at once, since nobody can say whether it is new; `flush` writes it down later.
    """

    def __init__(self, pool: Any, *, count: Callable[[BudgetAlert], None]) -> None:
        self._pool, self._count = pool, count
        self._waiting: deque[_Waiting] = deque(maxlen=_MOST_WAITING)
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, alert: BudgetAlert) -> None:
        self._waiting.append(_Waiting(alert))
        task = asyncio.get_running_loop().create_task(self._try_now(), name="budget alert")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def flush(self) -> None:
        """Write what waits. Raises: StoreUnavailable."""
        async with self._writing:
            while self._waiting:
                waiting = self._waiting[0]
                try:
                    new = await add_alert(self._pool, waiting.alert)
                except StoreUnavailable:
                    for each in self._waiting:
                        self._tell(each)
                    raise
                if new:
                    self._tell(waiting)
                if self._waiting and self._waiting[0] is waiting:
                    self._waiting.popleft()

    async def aclose(self) -> None:
        """Let what is under way end."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _try_now(self) -> None:
        try:
            await self.flush()
        except StoreUnavailable as error:
            _log.warning("budget alerts wait to be written", waiting=len(self._waiting), reason=error.message)

    def _tell(self, waiting: _Waiting) -> None:
        if not waiting.told:
            waiting.told = True
            _log.warning("budget alert", **msgspec.structs.asdict(waiting.alert))
            self._count(waiting.alert)
