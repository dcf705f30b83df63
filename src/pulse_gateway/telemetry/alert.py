"""A monthly cap that is nearly, or wholly, used up."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

__all__ = ["BudgetAlert", "OnAlert", "log_alert"]

_log = logging.getLogger("pulse_gateway")


class BudgetAlert(msgspec.Struct, frozen=True, kw_only=True):
    """`used` has passed `percent` of `limit`, by the settlement of the request named; 100 also where a request was the first that did
    not fit any more, with more than 80 % used. Amounts are in units of `kind`: tokens,
    images, videos, or nano-USD for `cost_nano_usd`. Each percentage is told once a month (UTC) and account.

    `period` is the month, `202611`; `at` is seconds since the epoch.
    """

    tenant_id: str
    account: str
    kind: str
    period: int
    percent: int
    limit: int
    used: int
    request_id: str
    at: float


OnAlert = Callable[[BudgetAlert], None]
"""Called on the event loop; must not wait."""


def log_alert(alert: BudgetAlert) -> None:
    """One warning a threshold."""
    _log.warning("%d %% of a monthly limit is used", alert.percent, extra={"alert": msgspec.structs.asdict(alert)})
