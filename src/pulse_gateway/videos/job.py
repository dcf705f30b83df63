"""A video job as the gateway keeps it."""

from __future__ import annotations

import msgspec

from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.types.catalog import Price
from pulse_gateway.types.videos import VideoState

__all__ = ["VideoJob"]


class VideoJob(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`id` is ours, `state` the vendor's last word. Times are seconds since the epoch.

    `model` is the name that the client asked for; `provider` and `deployment_model` say who makes it. `entry` is what the ledger was
    told when the vendor took the job, at `price`: what turns out differently is a correction of it.
    """

    id: str
    tenant_id: str
    user_id: str
    model: str
    provider: str
    deployment_model: str
    prompt: str
    seconds: int
    size: str
    created_at: float
    entry: UsageEntry
    price: Price | None
    state: VideoState
    completed_at: float | None = None

    @property
    def over(self) -> bool:
        return self.state.status in {"completed", "failed"}
