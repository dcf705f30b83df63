"""Where video jobs are kept, for every replica to see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pulse_gateway.videos.job import VideoJob

__all__ = ["KEPT_S", "VideoStore"]

KEPT_S = 30 * 86_400.0  # a job that is over is forgotten after that


class VideoStore(Protocol):
    """A job belongs to one user of one tenant; nobody else finds it. Every method raises StoreUnavailable."""

    async def running(self, tenant_id: str, user_id: str, /) -> int:
        """How many of a user's jobs are not over. Asked before a vendor is: a job that cannot be kept must not be begun."""
        ...

    async def add(self, job: VideoJob, /) -> None: ...

    async def find(self, tenant_id: str, user_id: str, job_id: str, /) -> VideoJob | None: ...

    async def find_upstream(self, provider: str, upstream_id: str, /) -> VideoJob | None:
        """By the vendor's own id: for a vendor that calls when it is done."""
        ...

    async def save(self, job: VideoJob, /) -> bool:
        """Keep a new state. False, and nothing changed: the job is over already, or was deleted."""
        ...

    async def delete(self, tenant_id: str, user_id: str, job_id: str, /) -> bool:
        """Whether there was one."""
        ...

    async def page(
        self, tenant_id: str, user_id: str, /, *, after: str | None, limit: int, ascending: bool
    ) -> Sequence[VideoJob]:
        """A user's jobs by the time they were made, those behind the job `after`."""
        ...

    async def claim(self, limit: int, lease_s: float, /) -> Sequence[VideoJob]:
        """Jobs that are not over and that nobody has looked at for as long as they said, oldest first. They are the caller's for `lease_s`."""
        ...
