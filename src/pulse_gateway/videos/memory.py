"""Video jobs that live and die with the process."""

from __future__ import annotations

from collections.abc import Sequence

from pulse_gateway.clock import Clock
from pulse_gateway.videos.job import VideoJob
from pulse_gateway.videos.store import KEPT_S

__all__ = ["MemoryVideoStore"]


class MemoryVideoStore:
    """A `VideoStore` for one process. Of more than `most` jobs, those that are over and were made first are forgotten."""

    def __init__(self, clock: Clock, *, most: int = 10_000) -> None:
        self._clock, self._most = clock, most
        self._jobs: dict[str, VideoJob] = {}
        self._leased_until: dict[str, float] = {}

    async def running(self, tenant_id: str, user_id: str, /) -> int:
        jobs = (self._jobs[job_id] for job_id in self._leased_until)
        return sum((job.tenant_id, job.user_id) == (tenant_id, user_id) for job in jobs)

    async def add(self, job: VideoJob, /) -> None:
        self._forget()
        self._jobs[job.id] = job
        self._leased_until[job.id] = 0.0

    async def find(self, tenant_id: str, user_id: str, job_id: str, /) -> VideoJob | None:
        job = self._jobs.get(job_id)
        return job if job is not None and (job.tenant_id, job.user_id) == (tenant_id, user_id) else None

    async def find_upstream(self, provider: str, upstream_id: str, /) -> VideoJob | None:
        matching = (job for job in self._jobs.values() if (job.provider, job.state.id) == (provider, upstream_id))
        return next(matching, None)

    async def save(self, job: VideoJob, /) -> bool:
        kept = self._jobs.get(job.id)
        if kept is None or kept.over:
            return False
        self._jobs[job.id] = job
        if job.over:
            del self._leased_until[job.id]
        return True

    async def delete(self, tenant_id: str, user_id: str, job_id: str, /) -> bool:
        if await self.find(tenant_id, user_id, job_id) is None:
            return False
        del self._jobs[job_id]
        self._leased_until.pop(job_id, None)
        return True

    async def page(
        self, tenant_id: str, user_id: str, /, *, after: str | None, limit: int, ascending: bool
    ) -> Sequence[VideoJob]:
        own = [job for job in self._jobs.values() if (job.tenant_id, job.user_id) == (tenant_id, user_id)]
        own.sort(key=lambda job: (job.created_at, job.id), reverse=not ascending)
        start = 0 if after is None else next((place for place, job in enumerate(own, 1) if job.id == after), len(own))
        return own[start : start + limit]

    async def claim(self, limit: int, lease_s: float, /) -> Sequence[VideoJob]:
        now = self._clock.monotonic()
        # Whoever has waited longest comes first, or those behind `limit` would never be looked at.
        waiting = [each for each, until in self._leased_until.items() if until <= now]
        due = [self._jobs[each] for each in sorted(waiting, key=self._leased_until.__getitem__)[:limit]]
        for job in due:
            self._leased_until[job.id] = now + lease_s
        return due

    def _forget(self) -> None:
        old = self._clock.now() - KEPT_S
        for job in [each for each in self._jobs.values() if each.over and each.created_at < old]:
            del self._jobs[job.id]
        while len(self._jobs) >= self._most:
            over = next((each for each, job in self._jobs.items() if job.over), None)
            if over is None:
                return  # none is lost that still runs
            del self._jobs[over]
