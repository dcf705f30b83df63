"""Which refusals were looked up in the ledger of late, so that a caller who is refused again and again does not ask it each time."""

from __future__ import annotations

from collections.abc import Sequence

from pulse_gateway.clock import Clock
from pulse_gateway.limits.asks import QUOTA, Ask
from pulse_gateway.limits.counters import NEVER, Row

__all__ = ["Doubts"]

_HOLDS_S = 10.0
_MOST = 10_000


class Doubts:
    """A quota that was in the way is doubted at most once in ten seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked: dict[str, float] = {}  # quota → when, by the monotonic clock

    def about(self, asks: Sequence[Ask], rows: Sequence[Row]) -> list[tuple[Ask, int]]:
        """The quotas in the way that have not been asked about of late, with what was used by the counter; from now on they have."""
        now_s = self._clock.monotonic()
        doubted = [
            (ask, row.used)
            for ask, row in zip(asks, rows, strict=True)
            if ask.form == QUOTA
            and row.wait_us not in {0, NEVER}
            and now_s - self._asked.get(ask.key, float("-inf")) >= _HOLDS_S
        ]
        for ask, _ in doubted:
            self._asked.pop(ask.key, None)
            self._asked[ask.key] = now_s
        while len(self._asked) > _MOST:
            del self._asked[next(iter(self._asked))]
        return doubted
