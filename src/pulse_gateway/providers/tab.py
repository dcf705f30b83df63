"""What several calls that one request takes come to."""

from __future__ import annotations

import msgspec

from pulse_gateway.providers.offer import Billed
from pulse_gateway.types.usage import Usage

__all__ = ["Tab"]

_COUNTED = Usage.__struct_fields__[:-1]
assert Usage.__struct_fields__[-1] == "variant"  # everything before it is a number


class Tab:
    """`yield tab.add(usage)` after each call: should a later one fail, the earlier ones are billed all the same."""

    def __init__(self) -> None:
        self.usage = Usage()
        self.told_nano_usd: int | None = 0

    def add(self, used: Usage, told_nano_usd: int | None = None) -> Billed:
        """`told_nano_usd`: what the vendor says that this call costs. All of them say it, or it is not known."""
        known = self.told_nano_usd is not None and told_nano_usd is not None
        self.told_nano_usd = (self.told_nano_usd or 0) + (told_nano_usd or 0) if known else None
        sums = {name: _sum(getattr(self.usage, name), getattr(used, name)) for name in _COUNTED}
        self.usage = msgspec.structs.replace(used, **sums)
        return Billed(self.usage, self.told_nano_usd)


def _sum(one: int | None, other: int | None) -> int | None:
    return one if other is None else other if one is None else one + other
