"""Endings of permits that the store has not taken yet: sent again until it has."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pulse_gateway.limits.asks import QUOTA
from pulse_gateway.limits.counters import UNKNOWN, Row
from pulse_gateway.limits.scripts import Grant, Mode, Scripts
from pulse_gateway.transport.redis import RedisUnavailable

__all__ = ["Ending", "Endings"]

_log = logging.getLogger(__name__)
_MOST_WAITING = 10_000
_AT_ONCE = 64
_IN_LEDGER_AFTER_S = 1.0
_LOOKED_FOR = 3  # how often a permit whose grant nobody heard of is looked for: its grant may still be on its way


class Ending(NamedTuple):
    """`actual` has one amount for each ask. `at_s` is when the call ended, by the monotonic clock. `tries` is how often the store
    knew nothing of it.
    """

    grant: Grant
    mode: Mode
    actual: Sequence[int]
    at_s: float
    tries: int = 0


class Endings:
    """`left_to_the_ledger` is called with a grant whose settlement is given up here, since too many wait: the ledger knows what was used,
    and reconciliation puts it right. `ended` hears of the others, with what the store answered. `lag_s` is how far this process is
    behind with the ledger.

    What had to wait is in the ledger as well, and may have come back from there: a counter that was set by a look at the ledger a second
    or more after the call had ended is not added to.
    """

    def __init__(
        self,
        scripts: Scripts,
        *,
        ended: Callable[[Ending, int, list[Row]], None],
        left_to_the_ledger: Callable[[Grant], None],
        lag_s: Callable[[], float],
    ) -> None:
        self._scripts, self._ended, self._left_to_the_ledger = scripts, ended, left_to_the_ledger
        self._lag_s = lag_s
        self._waiting: deque[Ending] = deque()
        self._sought: deque[Ending] = deque()
        self._under_way = 0
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """How many endings the store has not taken."""
        return len(self._waiting) + self._under_way

    def postpone(self, ending: Ending, *, maybe_done: bool) -> None:
        """Send `ending` later. `maybe_done`: it was sent, and nobody knows whether it counted."""
        if maybe_done:
            ending.grant.doubted = True
            if ending.mode == "settle":
                ending = ending._replace(mode="again")  # counts only where the store still knows the permit
        if len(self._waiting) >= _MOST_WAITING:
            self._drop(self._waiting.popleft())
        self._waiting.append(ending)

    def seek(self, grant: Grant) -> None:
        """Take back a grant whose answer was lost, should there be one: its holds would stay for as long as a lease."""
        self._sought.append(Ending(grant, "cancel", [0] * len(grant.asks), 0.0))
        if len(self._sought) > _MOST_WAITING:
            self._sought.popleft()

    async def send(self) -> None:
        """Send what waits, until the store has taken it all.

        Raises: RedisUnavailable when it does not answer; what it has not taken waits on.
        """
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
            await self._send(batch)

    async def look_for_lost_grants(self) -> None:
        """Once more for each.

        Raises: RedisUnavailable.
        """
        left = len(self._sought)
        while left:
            batch = [self._sought.popleft() for _ in range(min(_AT_ONCE, left))]
            left -= len(batch)
            await self._send(batch)

    async def _send(self, batch: Sequence[Ending]) -> None:
        self._under_way += len(batch)
        try:
            results = await asyncio.gather(*[self._send_one(ending) for ending in batch])
        finally:
            self._under_way -= len(batch)
        for error in results:
            if error is not None:
                raise error

    async def _send_one(self, ending: Ending) -> RedisUnavailable | None:
        try:
            in_ledger_us = self._scripts.moment_us(ending.at_s + _IN_LEDGER_AFTER_S + self._lag_s())
            code, rows = await self._scripts.end(ending.grant, ending.mode, ending.actual, in_ledger_us=in_ledger_us)
        except RedisUnavailable as error:
            self._put_back(ending, maybe_done=error.maybe_done)
            return error
        except asyncio.CancelledError:
            self._put_back(ending, maybe_done=True)
            raise
        if ending.mode == "cancel" and code == UNKNOWN and ending.tries + 1 < _LOOKED_FOR and not ending.grant.known:
            self._sought.append(ending._replace(tries=ending.tries + 1))
        self._ended(ending, code, rows)
        return None

    def _put_back(self, ending: Ending, *, maybe_done: bool) -> None:
        if ending.mode == "cancel" and not ending.grant.known:
            self._sought.append(ending)
        else:
            self.postpone(ending, maybe_done=maybe_done)

    def _drop(self, ending: Ending) -> None:
        if self.dropped == 0:
            _log.warning(
                "more than %d settlements wait for redis; the ledger has them, and the rest is left to it",
                _MOST_WAITING,
            )
        self.dropped += 1
        if any(ask.form == QUOTA for ask in ending.grant.asks):
            self._left_to_the_ledger(ending.grant)
