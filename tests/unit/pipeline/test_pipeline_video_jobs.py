"""What becomes of a video after a vendor has taken it: what it is charged, who sees it, and how it ends."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import InvalidRequest, NotFound, StoreUnavailable, UpstreamFailed, UpstreamModelNotFound
from pulse_gateway.ids import new_entry_id
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.limits.limiter import Charge
from pulse_gateway.limits.memory import MemoryLimiter
from pulse_gateway.limits.periods import month_of
from pulse_gateway.pipeline.exchange import Exchange, Inbound
from pulse_gateway.pipeline.steps import StepRunner
from pulse_gateway.pipeline.supervisor import Supervisor
from pulse_gateway.pipeline.video_jobs import VideoJobs
from pulse_gateway.providers.offer import OfferCall, Steps
from pulse_gateway.providers.provider import Provider
from pulse_gateway.testing import FakeClock
from pulse_gateway.transport.public_fetch import PublicFetch
from pulse_gateway.types.catalog import Deployment, Model, Price, Rates, UnitRates
from pulse_gateway.types.http import HttpRequest
from pulse_gateway.types.identity import Plan, Principal
from pulse_gateway.types.usage import Outcome, Usage, UsageSource
from pulse_gateway.types.videos import VideoFile, VideoRequest, VideoState
from pulse_gateway.videos.job import VideoJob
from pulse_gateway.videos.memory import MemoryVideoStore
from pulse_gateway.wire.codec import Envelope
from pulse_gateway.wire.videos.openai import video_object

RATES = Rates(input=1_000_000_000, output=2_000_000_000, video_output=17_500_000_000)
PRICE = Price(rates=RATES, units=UnitRates(video_second={"": 400_000_000}), source="test", as_of="2026-11-24")
DEPLOYMENT = Deployment(
    provider="acme",
    kind="acme",
    base_url="https://acme.example",
    model=Model(provider="acme", name="film", price=PRICE),
)
ALICE = Principal(user_id="alice", plan=Plan(name="free", videos=3))
QUEUED = VideoState(id="up-1", status="queued")
REQUEST = VideoRequest(model="film", prompt="a cat", seconds=4, size="1280x720")


class Vendor:
    """A vendor that says what it is told to; a `VideoOffer`."""

    dialect = None

    def __init__(self) -> None:
        self.says: VideoState | Exception = VideoState(id="up-1", status="in_progress", progress=40)
        self.looks = self.cancelled = 0

    def check(self, request: VideoRequest, deployment: Deployment, /) -> tuple[str, ...]:
        return ()

    def steps(self, request: VideoRequest, call: OfferCall, /) -> Steps[VideoState]:
        yield from ()
        return VideoState(id="up-1", status="queued")

    def look(self, job_id: str, call: OfferCall, /) -> Steps[VideoState]:
        self.looks += 1
        yield from ()
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    def fetch(self, state: VideoState, call: OfferCall, /) -> Steps[VideoFile | HttpRequest]:
        yield from ()
        return VideoFile(b"film of " + state.id.encode())

    def cancel(self, job_id: str, call: OfferCall, /) -> Steps[None]:
        self.cancelled += 1
        yield from ()


class Acme(Provider):
    kind = "acme"
    dialect = "openai.chat"

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    def offer(self, operation: str, deployment: Deployment, /) -> Any:
        return self._vendor


class House:
    """Everything around a vendor, in memory."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.vendor = Vendor()
        self.ledger = MemoryLedger()
        self.limiter = MemoryLimiter(self.clock)
        self.store = MemoryVideoStore(self.clock)
        self.supervisor = Supervisor()
        provider = Acme(self.vendor)
        transport: Any = None  # this vendor's steps send nothing
        self.jobs = VideoJobs(
            self.store,
            steps=StepRunner(
                transport=transport, download=PublicFetch(enabled=False), clock=self.clock, supervisor=self.supervisor
            ),
            transport=transport,
            provider_of=lambda kind: provider,
            deployment_of=lambda name, model: DEPLOYMENT,
            ledger=self.ledger,
            limiter=self.limiter,
            clock=self.clock,
            supervisor=self.supervisor,
            most_running=10,
        )

    @property
    def period(self) -> int:
        return month_of(self.clock.now()).period

    def entry(self) -> UsageEntry:
        return UsageEntry(
            entry_id=new_entry_id(),
            request_id="req_1",
            trace_id="0" * 32,
            tenant_id="default",
            user_id="alice",
            key_id=None,
            period=self.period,
            operation="videos",
            dialect="openai.videos",
            alias="film",
            provider="acme",
            model="film",
            attempt=1,
            outcome=Outcome.COMPLETED,
            source=UsageSource.PROVIDER,
            usage=Usage(video_ms=4000, variant="720p"),
            tokens=0,
            cost_nano_usd=1_600_000_000,
            price_source="test",
            videos=1,
            total_ms=1.0,
            at=self.clock.now(),
            accounts=("user:alice", "tenant:default"),
        )

    async def begin(self, says: VideoState = QUEUED) -> VideoJob:
        """As the pipeline does it: admitted, taken by the vendor, recorded, settled, kept."""
        charge = Charge(account="user:alice", kind="videos", amount=1, cap=3)
        permit = await self.limiter.acquire([charge])
        exchange = Exchange(Inbound(operation="videos"), None, self.clock.monotonic())
        exchange.principal, exchange.deployment = ALICE, DEPLOYMENT
        exchange.envelope = Envelope(model="film", stream=False, texts=("a cat",))
        entry = self.entry()
        self.ledger.record(entry)
        try:
            return await self.jobs.keep(exchange, entry, REQUEST, says)
        finally:
            await permit.settle({"videos": 1})
            await self.supervisor.drain(5.0)

    async def look(self, job: VideoJob) -> VideoJob:
        self.clock.advance(5.0)
        seen = await self.jobs.get("default", "alice", job.id)
        await self.supervisor.drain(5.0)
        return seen

    async def charged(self) -> dict[str, int]:
        """What the ledger says that alice has used, and, of videos, the counter."""
        balance = (await self.ledger.balances("default", ["user:alice"], self.period)).get("user:alice", {})
        [standing] = await self.limiter.standings([Charge(account="user:alice", kind="videos", amount=0, cap=3)])
        assert standing.used == balance.get("videos", 0)
        return {kind: amount for kind, amount in balance.items() if amount}


@pytest.fixture
def house() -> House:
    return House()


async def test_a_video_is_charged_when_it_is_begun_and_nothing_more_when_it_is_done(house: House) -> None:
    job = await house.begin()
    assert await house.charged() == {"videos": 1, "cost_nano_usd": 1_600_000_000}
    assert (await house.look(job)).state.progress == 40
    house.vendor.says = VideoState(id="up-1", status="completed", file="inline")
    done = await house.look(job)
    assert done.state.status == "completed" and done.completed_at == house.clock.now()
    assert await house.charged() == {"videos": 1, "cost_nano_usd": 1_600_000_000}
    assert len(house.ledger.entries) == 1
    looks = house.vendor.looks
    assert await house.look(job) == done and house.vendor.looks == looks  # nobody is asked about what is over
    async with house.jobs.content("default", "alice", job.id) as found:
        assert found == VideoFile(b"film of up-1")


async def test_a_video_that_fails_costs_nothing_however_many_see_it(house: House) -> None:
    await house.begin()  # another one, which goes on
    job = await house.begin()
    house.vendor.says = VideoState(id="up-1", status="failed", error_code="content_blocked", error_message="no")
    house.clock.advance(5.0)
    looks = [house.jobs._look(job) for _ in range(5)]  # as five servers do
    seen = await asyncio.gather(*looks)
    await house.supervisor.drain(5.0)
    assert {each.state.status for each in seen} == {"failed"}
    assert await house.charged() == {"videos": 1, "cost_nano_usd": 1_600_000_000}
    _, first, correction = house.ledger.entries
    assert correction.reverses == first.entry_id and correction.videos == -1
    assert correction.cost_nano_usd == -1_600_000_000 and correction.usage.video_ms == -4000
    with pytest.raises(InvalidRequest, match="failed"):
        async with house.jobs.content("default", "alice", job.id):
            pass


async def test_what_the_vendor_counts_in_the_end_takes_the_place_of_what_was_expected(house: House) -> None:
    job = await house.begin()
    used = Usage(input_tokens=100, video_output_tokens=50_000)
    house.vendor.says = VideoState(id="up-1", status="completed", file="inline", usage=used)
    await house.look(job)
    assert await house.charged() == {
        "tokens": 50_100,
        "videos": 1,
        "cost_nano_usd": (100 * 1_000 + 50_000 * 17_500),
    }


async def test_a_vendor_that_does_not_answer_leaves_the_job_as_it_was_until_it_is_too_late(house: House) -> None:
    job = await house.begin()
    house.vendor.says = UpstreamFailed("busy")
    assert (await house.look(job)).state.status == "queued"
    house.clock.advance(6 * 3600 + 1)
    late = await house.look(job)
    assert (late.state.status, late.state.error_code) == ("failed", "generation_timeout")
    assert await house.charged() == {}


async def test_a_job_that_the_vendor_has_forgotten_has_failed(house: House) -> None:
    job = await house.begin()
    house.vendor.says = UpstreamModelNotFound("no such operation")
    assert (await house.look(job)).state.status == "queued"  # not yet
    house.clock.advance(600)
    assert (await house.look(job)).state.error_code == "not_found"
    assert await house.charged() == {}


async def test_the_vendor_is_not_asked_more_than_once_a_second_for_a_client_that_asks_all_the_time(
    house: House,
) -> None:
    job = await house.begin()
    await house.look(job)
    for _ in range(10):
        await house.jobs.get("default", "alice", job.id)
    assert house.vendor.looks == 1


async def test_nobody_else_finds_a_job(house: House) -> None:
    job = await house.begin()
    for who in (("default", "bob"), ("other", "alice")):
        with pytest.raises(NotFound):
            await house.jobs.get(*who, job.id)
        with pytest.raises(NotFound):
            await house.jobs.delete(*who, job.id)
        assert not await house.jobs.list(*who)
    assert [each.id for each in await house.jobs.list("default", "alice")] == [job.id]


async def test_a_job_that_is_deleted_is_stopped_and_given_back_if_the_vendor_stopped_in_time(house: House) -> None:
    job = await house.begin()

    def stopped(job_id: str, call: OfferCall, /) -> Steps[None]:
        house.vendor.says = VideoState(id="up-1", status="failed", error_code="canceled")
        yield from ()

    house.vendor.cancel = stopped  # type: ignore[method-assign]
    await house.jobs.delete("default", "alice", job.id)
    await house.supervisor.drain(5.0)
    assert await house.charged() == {}
    with pytest.raises(NotFound):
        await house.jobs.get("default", "alice", job.id)


async def test_a_store_that_is_away_gives_the_job_up_and_its_charge_back(house: House) -> None:
    async def away(job: VideoJob, /) -> None:
        raise StoreUnavailable("away")

    house.store.add = away  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        await house.begin()
    assert house.vendor.cancelled == 1
    balance = (await house.ledger.balances("default", ["user:alice"], house.period))["user:alice"]
    assert not any(balance.values())


async def test_jobs_that_nobody_asks_for_are_seen_to(house: House) -> None:
    job = await house.begin()
    house.vendor.says = VideoState(id="up-1", status="failed")
    await house.jobs.sweep()
    await house.supervisor.drain(5.0)
    assert await house.charged() == {}
    found = await house.store.find("default", "alice", job.id)
    assert found is not None and found.over


def test_a_job_survives_the_way_into_a_store_and_back() -> None:
    house = House()
    job = VideoJob(
        id="video_1",
        tenant_id="default",
        user_id="alice",
        model="film",
        provider="acme",
        deployment_model="film",
        prompt="قطة",
        seconds=4,
        size="1280x720",
        created_at=1.0,
        entry=house.entry(),
        price=PRICE,
        state=VideoState(id="up-1", status="completed", usage=Usage(video_output_tokens=5)),
        completed_at=2.0,
    )
    assert msgspec.json.decode(msgspec.json.encode(job), type=VideoJob) == job


@pytest.mark.parametrize(
    ("word", "code"),
    [("content_blocked", "content_blocked"), ("aborted", "cancelled"), ("expired", "expired"), ("internal", "upstream_error"), (None, "upstream_error")],
)  # fmt: skip
def test_a_failed_video_says_why_in_a_word_that_all_vendors_share(word: str | None, code: str) -> None:
    state = VideoState(id="up-1", status="failed", error_code=word, error_message="the vendor's words")
    view: Any = SimpleNamespace(
        id="video_1",
        model="film",
        prompt="a cat",
        seconds=4,
        size="1280x720",
        created_at=0.0,
        completed_at=None,
        state=state,
    )
    assert video_object(view)["error"] == {"code": code, "message": "the vendor's words"}
