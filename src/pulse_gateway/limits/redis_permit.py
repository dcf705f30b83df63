"""A grant of the limits in Redis, as its holder sees it."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Protocol

from pulse_gateway.limits.limiter import Standing
from pulse_gateway.limits.scripts import Grant, rows_of
from pulse_gateway.limits.standings import Standings

__all__ = ["Ender", "RedisPermit"]


class Ender(Protocol):
    """The limiter, which ends its permits."""

    def settle(self, permit: RedisPermit, used: Mapping[str, int], /) -> Coroutine[Any, Any, Sequence[Standing]]: ...
    def cancel(self, permit: RedisPermit, /) -> Coroutine[Any, Any, None]: ...


class RedisPermit(Grant, kw_only=True):
    """A grant of a `RedisLimiter`."""

    limiter: Ender
    period: int
    reply: Sequence[int] = ()  # to its acquire
    degraded: str | None = None
    stand: Sequence[Standing] | None = None

    def granted(self, now_us: int, reply: Sequence[int]) -> None:
        self.granted_us, self.reply, self.known = now_us, reply, True

    @property
    def standings(self) -> Sequence[Standing]:
        if self.stand is None:
            rows, granted_s = rows_of(self.reply), self.granted_us / 1e6
            self.stand = Standings(self.asks, rows, self.month, granted_s, self.counted)
        return self.stand

    def stands(self, found: Sequence[Standing]) -> None:
        """`found` are the standings from now on."""
        self.stand, self.reply = found, ()

    def settle(self, used: Mapping[str, int], /) -> Coroutine[Any, Any, Sequence[Standing]]:
        """Replace the hold by what was used, in the month of the grant. Places in windows stay taken. Where Redis does not answer,
        it is told later, and the standings stay those of the grant.
        """
        return self.limiter.settle(self, used)

    def cancel(self) -> Coroutine[Any, Any, None]:
        """Give everything back; where Redis does not answer, it is told later."""
        return self.limiter.cancel(self)
