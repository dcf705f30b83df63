"""Videos that take minutes: kept when a vendor has taken the job, looked at until they are done, charged for what they came to be.

The charge is made when the vendor takes the job, so that a process that dies loses nothing. What turns out differently, a failure
above all, is a correction in the ledger whose id follows from the job: made by whoever sees it first, however often, it counts once.
"""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from msgspec.structs import replace

from pulse_gateway.catalog.cost import cost
from pulse_gateway.clock import Clock
from pulse_gateway.errors import (
    ConcurrencyLimited,
    InvalidRequest,
    NotFound,
    PulseError,
    StoreUnavailable,
    TooManyVideos,
    UpstreamModelNotFound,
    UpstreamProtocolError,
)
from pulse_gateway.ledger.ledger import Ledger, UsageEntry
from pulse_gateway.limits.limiter import Limiter
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.pipeline.steps import Begun, StepRunner
from pulse_gateway.pipeline.supervisor import Supervisor
from pulse_gateway.providers.offer import OfferCall
from pulse_gateway.providers.provider import Provider
from pulse_gateway.providers.video_offer import VideoOffer
from pulse_gateway.transport.transport import HttpResponse, Transport
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import HttpRequest
from pulse_gateway.types.usage import Usage
from pulse_gateway.types.videos import VideoFile, VideoRequest, VideoState
from pulse_gateway.videos.job import VideoJob
from pulse_gateway.videos.store import VideoStore

__all__ = ["SWEPT_EVERY_S", "VIDEOS", "VideoJobs"]

_log = logging.getLogger(__name__)

VIDEOS = "videos"
SWEPT_EVERY_S = 5.0
_LOOK_S = 10.0  # how often a job is looked at that no client asks for
_FRESH_S = 1.0  # a client that asks more often gets what was seen
_AT_ONCE = 20
_LONGEST_S = 6 * 3600.0  # a job of which nothing is heard for so long has failed
_CORRECTED = uuid.UUID("9e0b2f0e-6f0e-5c57-9a3b-7b1a5f0f6c11")  # of ids that follow from another
_KNOWN_AFTER_S = 600.0  # an account that was pointed elsewhere by mistake can be pointed back until then
_LATE = "generation_timeout"
_ID = re.compile(r"video_[0-9a-z]{1,64}")  # no store is asked for what is none: not each can even look for any text
_NEXT_S = 30.0  # a guess at when one of those that are being made is done
_READ_AT_ONCE = 4  # videos, by one user: some vendors give them only whole


class VideoJobs:
    """Everything about a video after it was asked for. `deployment_of` finds (provider, model) as it is configured now; `most_running` videos
    of a user are made at once.
    """

    def __init__(
        self,
        store: VideoStore,
        *,
        steps: StepRunner,
        transport: Transport,
        provider_of: Callable[[str], Provider],
        deployment_of: Callable[[str, str], Deployment],
        ledger: Ledger,
        limiter: Limiter,
        clock: Clock,
        supervisor: Supervisor,
        most_running: int,
    ) -> None:
        self._store, self._steps, self._transport = store, steps, transport
        self._provider_of, self._deployment_of = provider_of, deployment_of
        self._ledger, self._limiter = ledger, limiter
        self._clock, self._supervisor = clock, supervisor
        self._looked: dict[str, float] = {}  # when a job was last looked at for a client
        self._read: Counter[tuple[str, str]] = Counter()  # videos that are being read, by tenant and user
        self._most_running = most_running
        self._beginning: dict[tuple[str, str], list[Exchange]] = {}  # who asks for one now, by tenant and user

    # ── begun by the pipeline ─────────────────────────────────────────────────────────────────────────────────────────

    async def check(self, exchange: Exchange, /) -> None:
        """Whether another video may be begun for the caller, counting those that are being begun here before it.

        Raises: TooManyVideos, StoreUnavailable.
        """
        assert exchange.principal is not None  # set by the layers outside
        who = exchange.principal.tenant_id, exchange.principal.user_id
        beginning = self._beginning.setdefault(who, [])
        if exchange not in beginning:
            beginning.append(exchange)
            exchange.defer(self._begun)
        before = beginning.index(exchange)
        if await self._store.running(*who) + before >= self._most_running:
            raise TooManyVideos(
                f"limit of {self._most_running} videos that are being made at once reached", retry_after_s=_NEXT_S
            )

    async def _begun(self, exchange: Exchange) -> None:
        assert exchange.principal is not None
        who = exchange.principal.tenant_id, exchange.principal.user_id
        self._beginning[who].remove(exchange)
        if not self._beginning[who]:
            del self._beginning[who]

    async def keep(self, exchange: Exchange, entry: UsageEntry, request: VideoRequest, state: VideoState) -> VideoJob:
        """The job of a vendor that has just taken it.

        Raises: StoreUnavailable; the job is then given up, and its charge given back.
        """
        principal, deployment, envelope = exchange.principal, exchange.deployment, exchange.envelope
        assert principal is not None and deployment is not None and envelope is not None  # set by the layers outside
        job = VideoJob(
            id=f"video_{uuid.uuid4().hex}",
            tenant_id=principal.tenant_id,
            user_id=principal.user_id,
            model=envelope.model,
            provider=deployment.provider,
            deployment_model=deployment.model.name,
            prompt=request.prompt,
            seconds=request.seconds,
            size=request.size,
            created_at=self._clock.now(),
            entry=entry,
            price=deployment.model.price,
            # What is over already is seen to be by the first look, which charges it for what it became.
            state=replace(
                state, status="in_progress" if state.status in {"completed", "failed"} else state.status, usage=None
            ),
        )
        try:
            await self._store.add(job)
        except StoreUnavailable:
            if (correction := self._correct(job, Usage(), video=False)) is not None:
                self._supervisor.spawn(self._tell_limits(correction))
            await self._give_up(job)
            raise
        return job

    # ── asked for by clients ──────────────────────────────────────────────────────────────────────────────────────────

    async def get(self, tenant_id: str, user_id: str, job_id: str) -> VideoJob:
        """The job, looked at anew unless that was a moment ago.

        Raises: NotFound, StoreUnavailable. That a vendor does not answer is no error: the job stands where it stood.
        """
        job = await self._find(tenant_id, user_id, job_id)
        now = self._clock.monotonic()
        if job.over or now - self._looked.get(job.id, float("-inf")) < _FRESH_S:
            return job
        self._looked[job.id] = now
        while len(self._looked) > 10_000:
            del self._looked[next(iter(self._looked))]
        return await self._look(job)

    async def list(
        self, tenant_id: str, user_id: str, *, after: str | None = None, limit: int = 20, ascending: bool = False
    ) -> Sequence[VideoJob]:
        """As they were last seen. Raises: StoreUnavailable."""
        if after is not None and not _ID.fullmatch(after):
            return ()
        return await self._store.page(tenant_id, user_id, after=after, limit=limit, ascending=ascending)

    async def delete(self, tenant_id: str, user_id: str, job_id: str) -> VideoJob:
        """Stop it if it still runs, and forget it. What the vendor bills for what it had done stays charged.

        Raises: NotFound, StoreUnavailable.
        """
        job = await self._find(tenant_id, user_id, job_id)
        if not job.over:
            job = await self._look(job)
        if not job.over:
            await self._give_up(job)
            job = await self._look(job)
        await self._store.delete(tenant_id, user_id, job_id)
        self._looked.pop(job.id, None)
        return job

    @asynccontextmanager
    async def content(self, tenant_id: str, user_id: str, job_id: str) -> AsyncIterator[VideoFile | HttpResponse]:
        """The video of a job that is completed: its bytes, or the vendor's answer, to be read slice by slice.

        Raises: NotFound; InvalidRequest while it is not completed; ConcurrencyLimited for a user who reads several already;
        UpstreamError, StoreUnavailable.
        """
        who = tenant_id, user_id
        if self._read[who] >= _READ_AT_ONCE:
            raise ConcurrencyLimited(f"only {_READ_AT_ONCE} videos can be read at once", retry_after_s=1.0)
        self._read[who] += 1
        try:
            async with self._content(tenant_id, user_id, job_id) as found:
                yield found
        finally:
            self._read[who] -= 1
            if not self._read[who]:
                del self._read[who]

    @asynccontextmanager
    async def _content(self, tenant_id: str, user_id: str, job_id: str) -> AsyncIterator[VideoFile | HttpResponse]:
        job = await self.get(tenant_id, user_id, job_id)
        if job.state.status != "completed":
            raise InvalidRequest(f"the video is not there: its job is {job.state.status}", param="video_id")
        deployment, provider, offer, call = self._vendor(job)
        found = await self._steps.run(Begun(offer.fetch(job.state, call)), provider, deployment)
        if not isinstance(found, HttpRequest):
            yield found
            return
        request = await self._steps.authorized(provider, deployment, found)
        response = await self._transport.send(request, deployment.timeouts, proxy=deployment.proxy)
        try:
            if not 200 <= response.status < 300:
                raise provider.error(response.status, response.headers, b"")
            yield response
        finally:
            await response.aclose()

    # ── seen to by the gateway ────────────────────────────────────────────────────────────────────────────────────────

    async def called(self, provider: str, upstream_id: str) -> None:
        """A vendor says that a job is done. It is not believed, but asked. Raises: StoreUnavailable."""
        job = await self._store.find_upstream(provider, upstream_id)
        if job is not None and not job.over:
            await self._look(job)

    async def sweep(self) -> None:
        """Look at the jobs that nobody has asked for, so that what failed is given back. A job that cannot be looked at for a reason
        of ours is logged, and keeps no other one waiting.

        Raises: StoreUnavailable.
        """
        jobs = await self._store.claim(_AT_ONCE, _LOOK_S)
        away: StoreUnavailable | None = None
        for job, seen in zip(
            jobs, await asyncio.gather(*[self._look(job) for job in jobs], return_exceptions=True), strict=True
        ):
            if isinstance(seen, StoreUnavailable):
                away = seen
            elif isinstance(seen, BaseException):
                _log.error("the video job %s could not be looked at", job.id, exc_info=seen)
        if away is not None:
            raise away

    # ── one look ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _look(self, job: VideoJob) -> VideoJob:
        """The job with the vendor's word of now.

        Raises: StoreUnavailable.
        """
        try:
            deployment, provider, offer, call = self._vendor(job)
            state: VideoState = await self._steps.run(Begun(offer.look(job.state.id, call)), provider, deployment)
        except UpstreamModelNotFound as error:  # nothing will ever come of it, unless the vendor does not know it yet
            if self._clock.now() - job.created_at < _KNOWN_AFTER_S:
                return job
            state = replace(job.state, status="failed", error_code="not_found", error_message=error.message)
        except PulseError as error:
            if self._clock.now() - job.created_at < _LONGEST_S:
                _log.info("the video job %s could not be looked at: %s", job.id, error.message)
                return job
            message = "the provider has not been heard of for too long"
            state = replace(job.state, status="failed", error_code=_LATE, error_message=message)
        else:
            if state.status in {"queued", "in_progress"} and self._clock.now() - job.created_at > _LONGEST_S:
                state = replace(state, status="failed", error_code=_LATE, error_message="it took too long")
        return await self._saved(job, state)

    async def _saved(self, job: VideoJob, state: VideoState) -> VideoJob:
        if state == job.state:
            return job
        over = state.status in {"completed", "failed"}
        seen = replace(job, state=state, completed_at=self._clock.now() if over else None)
        correction = None
        if over:
            # First, for it counts once however often it is made; a process that dies in between leaves the job to be seen again.
            if state.status == "failed":
                correction = self._correct(job, state.usage or Usage(), video=False)
            elif state.usage is not None:
                correction = self._correct(job, state.usage, video=True)
        if await self._store.save(seen):
            if correction is not None:
                self._supervisor.spawn(self._tell_limits(correction))
            return seen
        return await self._store.find(job.tenant_id, job.user_id, job.id) or seen

    def _correct(self, job: VideoJob, usage: Usage, *, video: bool) -> UsageEntry | None:
        """Correct the ledger so that the job has cost `usage`, and is a `video` or none. None: it stands there as it is."""
        told = job.entry
        nano_usd = None if job.price is None else cost(usage, job.price)
        difference = _minus(usage, told.usage)
        videos = int(video) - told.videos
        cost_change = None if nano_usd is None or told.cost_nano_usd is None else nano_usd - told.cost_nano_usd
        if not _says_something(difference) and not videos and not cost_change:
            return None
        correction = replace(
            told,
            entry_id=str(uuid.uuid5(_CORRECTED, told.entry_id)),
            reverses=told.entry_id,
            usage=difference,
            tokens=usage.total - told.tokens,
            cost_nano_usd=cost_change,
            videos=videos,
            images=0,
            first_byte_ms=None,
            total_ms=0.0,
            error_code=None,
        )
        self._ledger.record(correction)
        return correction

    async def _tell_limits(self, correction: UsageEntry) -> None:
        """Once the ledger has it, since limits that many replicas share are set right by what it says."""
        amounts = {
            "tokens": correction.tokens,
            "videos": correction.videos,
            "cost_nano_usd": correction.cost_nano_usd or 0,
        }
        await self._ledger.flush()
        change = {kind: amount for kind, amount in amounts.items() if amount}
        self._limiter.corrected(correction.tenant_id, correction.accounts, change, correction.period)

    async def _give_up(self, job: VideoJob) -> None:
        """Tell the vendor to stop. It was worth a try: nothing depends on it."""
        try:
            deployment, provider, offer, call = self._vendor(job)
            await self._steps.run(Begun(offer.cancel(job.state.id, call)), provider, deployment)
        except PulseError as error:
            _log.info("the video job %s could not be stopped: %s", job.id, error.message)

    async def _find(self, tenant_id: str, user_id: str, job_id: str) -> VideoJob:
        job = await self._store.find(tenant_id, user_id, job_id) if _ID.fullmatch(job_id) else None
        if job is None:
            raise NotFound(f"there is no video {job_id[:100]!r}", param="video_id")
        return job

    def _vendor(self, job: VideoJob) -> tuple[Deployment, Provider, VideoOffer, OfferCall]:
        """Raises: ModelNotFound when its provider is not switched on any more."""
        deployment = self._deployment_of(job.provider, job.deployment_model)
        provider = self._provider_of(deployment.kind)
        offer = provider.offer(VIDEOS, deployment)
        if offer is None:
            raise UpstreamProtocolError(f"{deployment.name} makes no videos any more")
        return deployment, provider, offer, OfferCall(deployment=deployment)  # type: ignore[return-value]


def _minus(usage: Usage, other: Usage) -> Usage:
    fields = Usage.__struct_fields__[:-1]
    changes = {}
    for field in fields:
        ours, theirs = getattr(usage, field), getattr(other, field)
        if ours is not None or theirs is not None:
            changes[field] = (ours or 0) - (theirs or 0)
    return Usage(**changes, variant=other.variant or usage.variant)


def _says_something(usage: Usage) -> bool:
    return any(getattr(usage, field) for field in Usage.__struct_fields__[:-1])
