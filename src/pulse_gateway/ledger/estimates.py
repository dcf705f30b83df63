"""What is recorded of attempts whose process has ended without recording them. Pure."""

from __future__ import annotations

import msgspec

from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.types.usage import Outcome, UsageSource

__all__ = ["GATEWAY_ENDED", "estimate_of"]

GATEWAY_ENDED = "gateway_ended"  # the error of such an attempt
_FINAL = (UsageSource.PROVIDER, UsageSource.DRAINED)


def estimate_of(entry: UsageEntry) -> UsageEntry:
    """The last that was known of an attempt, as its end: an estimate, unless the provider had already said what it came to."""
    source = entry.source if entry.source in _FINAL else UsageSource.ESTIMATED
    return msgspec.structs.replace(entry, outcome=Outcome.INTERRUPTED, source=source, error_code=GATEWAY_ENDED)
