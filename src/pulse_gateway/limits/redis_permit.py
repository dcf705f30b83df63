"""A grant of the limits in Redis, as its holder sees it."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Protocol

from pulse_gateway.limits.asks import Ask
from pulse_gateway.limits.limiter import Standing
from pulse_gateway.limits.periods import Month
from pulse_gateway.limits.scripts import Grant, Room, rows_of
from pulse_gateway.limits.standings import Standings
from pulse_gateway.limits.tally import Counted

__all__ = ["Ender", "RedisPermit"]


class Ender(Protocol):
    """The limiter, which ends its permits."""

    def settle(self, permit: RedisPermit, used: Mapping[str, int], /) -> Coroutine[Any, Any, Sequence[Standing]]: ...
    def cancel(self, permit: RedisPermit, /) -> Coroutine[Any, Any, None]: ...


class RedisPermit(Grant):
    """A grant of a `RedisLimiter`."""

    __slots__ = ("_limiter", "_standings", "degraded", "reply")

    def __init__(
        self,
        limiter: Ender,
        room: Room,
        permit_id: str,
        month: Month,
        asks: Sequence[Ask],
        holds: str,
        counted: Counted | None = None,
    ) -> None:
        super().__init__(room, permit_id, month, asks, holds, counted)
        self._limiter = limiter
        self.reply: Sequence[int] = ()  # to its acquire
        self._standings: Sequence[Standing] | None = None
        self.degraded: str | None = None

    def granted(self, now_us: int, reply: Sequence[int]) -> None:
        self.granted_us, self.reply, self.known = now_us, reply, True

    @property
    def period(self) -> int:
        return self.month.period

    @property
    def standings(self) -> Sequence[Standing]:
        if self._standings is None:
            rows, granted_s = rows_of(self.reply), self.granted_us / 1e6
            self._standings = Standings(self.asks, rows, self.month, granted_s, self.counted)
        return self._standings

    @standings.setter
    def standings(self, found: Sequence[Standing]) -> None:
        self._standings, self.reply = found, ()

    def settle(self, used: Mapping[str, int], /) -> Coroutine[Any, Any, Sequence[Standing]]:
        """Replace the hold by what was used, in the month of the grant. Places in windows stay taken. Where Redis does not answer,
        it is told later, and the standings stay those of the grant.
        """
        return self._limiter.settle(self, used)

    def cancel(self) -> Coroutine[Any, Any, None]:
        """Give everything back; where Redis does not answer, it is told later."""
        return self._limiter.cancel(self)
