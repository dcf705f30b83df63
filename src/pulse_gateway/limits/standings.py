"""Where the counters of one decision stand, as numbers; as `Standing`s only for who looks at one. Pure.

Most decisions are told in headers, which are written from the numbers, and never looked at otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

from pulse_gateway.limits.asks import QUOTA, Ask
from pulse_gateway.limits.counters import Row
from pulse_gateway.limits.limiter import Standing
from pulse_gateway.limits.periods import Month
from pulse_gateway.limits.tally import Counted

__all__ = ["Standings"]


class Standings(Sequence[Standing]):
    """One for each of `asks`, at `now_s` (seconds since the epoch). `rows` stay as they are from now on.

    `crossed`: which percentages of its cap each has passed, None where none of them has. `counted` is what the asks were made by, if
    they were prepared.
    """

    __slots__ = ("_made", "asks", "counted", "crossed", "month", "now_s", "rows")

    def __init__(
        self,
        asks: Sequence[Ask],
        rows: Sequence[Row],
        month: Month,
        now_s: float,
        counted: Counted | None = None,
        crossed: Sequence[tuple[int, ...]] | None = None,
    ) -> None:
        self.asks, self.rows, self.month, self.now_s = asks, rows, month, now_s
        self.counted, self.crossed = counted, crossed
        self._made: tuple[Standing, ...] | None = None

    def __len__(self) -> int:
        return len(self.asks)

    def __iter__(self) -> Iterator[Standing]:
        return iter(self._all())

    @overload
    def __getitem__(self, at: int) -> Standing: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Standing, ...]: ...
    def __getitem__(self, at: int | slice) -> Standing | tuple[Standing, ...]:
        return self._all()[at]

    def __eq__(self, other: object) -> bool:
        """As the tuple of them."""
        return self._all() == (other._all() if isinstance(other, Standings) else other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Standings{self._all()!r}"

    def _all(self) -> tuple[Standing, ...]:
        if self._made is None:
            crossed = self.crossed or [()] * len(self.asks)
            self._made = tuple(map(self._standing, self.asks, self.rows, crossed))
        return self._made

    def _standing(self, ask: Ask, row: Row, crossed: tuple[int, ...]) -> Standing:
        cap = None if ask.cap < 0 else ask.cap
        if ask.form == QUOTA:
            ends_at, starts_at = self.month.resets_at, self.month.starts_at
            used, left_s = max(0, row.used), max(0.0, ends_at - self.now_s)
            return Standing(ask.kind, cap, used, row.held, left_s, ask.account, None, ends_at, starts_at, crossed)
        reset_s = row.reset_us / 1e6 if row.reset_us > 0 else 0.0
        return Standing(
            ask.kind, cap, row.used, 0, reset_s, ask.account, ask.window_us / 1e6 if ask.window_us else None
        )
