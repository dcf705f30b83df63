"""What `Counters` keeps of a month and of a permit."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pulse_gateway.limits.asks import Ask

__all__ = ["Held", "Quota"]


class Quota:
    __slots__ = ("held", "settled_us", "used")

    def __init__(self) -> None:
        self.used: int | None = None  # None: cold, nobody has said yet what was used before
        self.held = 0
        self.settled_us = 0


class Held(msgspec.Struct, gc=False):
    """What one permit holds: the amounts of quotas and running calls among its asks. `expired` once it was taken back; `ended`, and then
    expired as well, once a settlement or a cancellation has said so.
    """

    asks: Sequence[Ask]
    until_us: int
    expired: bool = False
    ended: bool = False
