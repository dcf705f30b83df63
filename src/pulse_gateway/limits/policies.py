"""What a limit does while the store that all replicas share does not answer. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from pulse_gateway.limits.asks import LOG, RUNNING, Ask
from pulse_gateway.limits.limiter import COST

__all__ = ["CLOSED", "LOCAL", "OPEN", "Policies", "Policy"]

Policy = Literal["closed", "open", "local"]
CLOSED: Policy = "closed"
OPEN: Policy = "open"
LOCAL: Policy = "local"
_MEDIA = frozenset({"images", "videos"})


class Policies(msgspec.Struct, frozen=True, kw_only=True):
    """One policy per kind of limit: `closed` refuses, `open` lets through, `local` counts in this process up to its share."""

    requests: Policy = LOCAL
    tokens: Policy = LOCAL
    concurrency: Policy = LOCAL
    quotas: Policy = LOCAL
    media: Policy = CLOSED
    budgets: Policy = LOCAL

    def of(self, ask: Ask) -> Policy:
        """The policy for one counter: windows and running calls by their own, months by what they count."""
        if ask.form == LOG:
            return self.requests
        if ask.window_us:
            return self.tokens
        if ask.form == RUNNING:
            return self.concurrency
        if ask.kind == COST:
            return self.budgets
        return self.media if ask.kind in _MEDIA else self.quotas
