"""Monthly caps that were passed without anybody waiting for the answer: by late settlements, by corrections, by balances of the ledger."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from pulse_gateway.limits.limiter import ALERT_AT_PERCENT

__all__ = ["Crossed", "Crossings", "OnCrossed"]

_log = logging.getLogger(__name__)
_MOST_TOLD = 10_000


class Crossed(msgspec.Struct, frozen=True):
    """`used` of a month has passed `percent` of `limit`."""

    tenant: str
    account: str
    kind: str
    period: int
    percent: int
    limit: int
    used: int


OnCrossed = Callable[[Crossed], None]
"""Called on the event loop; must not wait. Several processes may tell of the same."""


class Crossings:
    """Tells `on_crossed` of each once; until somebody has set it, the log."""

    def __init__(self) -> None:
        self.on_crossed: OnCrossed = _log_crossed
        self._told: dict[tuple[str, str, str, int, int], None] = {}

    def look(self, tenant: str, account: str, kind: str, period: int, cap: int, before: int, used: int) -> None:
        """What was used was `before`, and is `used`. A `cap` that is none, or unknown, is -1."""
        if cap <= 0 or used * 100 < ALERT_AT_PERCENT[0] * cap:
            return
        for percent in ALERT_AT_PERCENT:
            name = (tenant, account, kind, period, percent)
            if before * 100 < percent * cap <= used * 100 and name not in self._told:
                self._told[name] = None
                if len(self._told) > _MOST_TOLD:
                    del self._told[next(iter(self._told))]
                self.on_crossed(Crossed(tenant, account, kind, period, percent, cap, used))


def _log_crossed(crossed: Crossed) -> None:
    _log.warning(
        "%s of tenant %s has passed %d %% of its %s in %d",
        crossed.account, crossed.tenant, crossed.percent, crossed.kind, crossed.period,
    )  # fmt: skip
