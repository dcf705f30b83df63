"""Videos when something is wrong: jobs that cannot be looked at, vendors that say no at once, clients whose time runs out."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec
import pytest
from test_pipeline_video_jobs import DEPLOYMENT, REQUEST, Acme, House, Vendor

from pulse_gateway import Config, Gateway, Inbound
from pulse_gateway.config import ProviderConfig
from pulse_gateway.errors import InvalidRequest, NotFound, StoreUnavailable
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.testing import FakeClock
from pulse_gateway.types.videos import VideoState
from pulse_gateway.videos.job import VideoJob
from pulse_gateway.videos.memory import MemoryVideoStore


@pytest.fixture
def house() -> House:
    return House()


async def test_a_job_that_has_failed_when_it_is_begun_costs_nothing_either(house: House) -> None:
    job = await house.begin(VideoState(id="up-1", status="failed", error_code="no"))
    house.vendor.says = VideoState(id="up-1", status="failed", error_code="no")
    seen = await house.look(job)
    assert seen.state.status == "failed"
    assert await house.charged() == {}


@pytest.mark.parametrize("defect", [KeyError("x"), InvalidRequest("x"), msgspec.ValidationError("x")], ids=repr)
async def test_a_job_that_cannot_be_looked_at_keeps_no_other_one_waiting(house: House, defect: Exception) -> None:
    poisoned, other = await house.begin(), await house.begin()
    house.jobs._steps.run, run = _poisoned(house.jobs._steps.run, defect), house.jobs._steps.run  # type: ignore[method-assign]
    house.vendor.says = VideoState(id="up-1", status="failed")
    await house.jobs.sweep()
    await house.supervisor.drain(5.0)
    found = await house.store.find("default", "alice", other.id)
    assert found is not None and found.over
    left = await house.store.find("default", "alice", poisoned.id)
    assert left is not None and not left.over
    house.jobs._steps.run = run  # type: ignore[method-assign]
    assert (await house.look(left)).over


def _poisoned(run: Any, defect: Exception) -> Any:
    left = [defect]

    async def fails_once(*given: Any, **more: Any) -> Any:
        if left:
            given[0].steps.close()
            raise left.pop()
        return await run(*given, **more)

    return fails_once


async def test_a_store_that_goes_away_during_a_sweep_is_told_of_once_every_job_was_tried(house: House) -> None:
    for _ in range(3):
        await house.begin()
    house.vendor.says = VideoState(id="up-1", status="in_progress", progress=50)
    save, tried = house.store.save, []

    async def away_once(job: VideoJob, /) -> bool:
        tried.append(job.id)
        if len(tried) == 1:
            raise StoreUnavailable("away")
        return await save(job)

    house.store.save = away_once  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        await house.jobs.sweep()
    assert len(tried) == 3


async def test_jobs_that_never_end_do_not_keep_younger_ones_from_being_looked_at(house: House) -> None:
    store = MemoryVideoStore(house.clock)
    made = await house.begin()
    ids = [f"video_{number}" for number in range(50)]
    for each in ids:
        await store.add(msgspec.structs.replace(made, id=each))
    seen: set[str] = set()
    for _ in range(4):
        seen |= {each.id for each in await store.claim(20, 10.0)}
        house.clock.advance(5.0)
    assert seen == set(ids)


class Slow(MemoryVideoStore):
    """Takes its time to keep a job."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def add(self, job: VideoJob, /) -> None:
        self.asked.set()
        await self.go_on.wait()
        await super().add(job)


async def test_a_job_that_the_vendor_has_taken_is_kept_although_the_clients_time_is_over() -> None:
    clock, ledger, made = FakeClock(), MemoryLedger(), Acme(Vendor())
    store = Slow(clock)
    gateway = Gateway(
        Config(providers={"acme": ProviderConfig(key="k", base_url="https://acme.example")}),
        providers={"acme": made},
        clock=clock,
        ledger=ledger,
        videos=store,
        observers=(),
    )
    async with gateway:
        body = msgspec.json.encode({"model": "acme:film", "prompt": REQUEST.prompt})
        asking = asyncio.create_task(
            gateway.handle(
                Inbound(
                    dialect="openai.videos",
                    operation="videos",
                    body=body,
                    principal=gateway.principal("alice"),
                    timeout_s=0.05,
                )
            )
        )
        await store.asked.wait()
        reply = await asking
        assert reply.status == 504
        store.go_on.set()
        await gateway._supervisor.drain(5.0)
        [kept] = await gateway.videos.list("default", "alice")
        assert kept.entry == ledger.entries[0] and kept.deployment_model == DEPLOYMENT.model.name


async def test_a_defect_does_not_end_the_gateways_own_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pulse_gateway.gateway.SWEPT_EVERY_S", 0.001)
    gateway = Gateway(Config(), observers=())
    async with gateway, asyncio.timeout(10):
        looks = asyncio.Queue[None]()

        async def broken() -> None:
            looks.put_nowait(None)
            raise LookupError("a defect")

        gateway.videos.sweep = broken  # type: ignore[method-assign]
        for _ in range(2):
            await looks.get()


async def test_a_store_that_is_away_is_told_of_when_that_begins_and_when_it_is_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pulse_gateway.gateway.SWEPT_EVERY_S", 0.001)
    caplog.set_level(logging.INFO, logger="pulse_gateway")
    gateway = Gateway(Config(), observers=())
    async with gateway, asyncio.timeout(10):
        looks, outcomes = asyncio.Queue[None](), [OSError("refused")] * 5 + [None] * 5 + [TimeoutError()] * 5

        async def sweep() -> None:
            cause = outcomes.pop(0) if outcomes else None
            looks.put_nowait(None)
            if cause is not None:
                raise StoreUnavailable("video jobs are away", retry_after_s=1.0) from cause

        gateway.videos.sweep = sweep  # type: ignore[method-assign]
        for _ in range(20):
            await looks.get()
    told = [(each.levelname, each.getMessage()) for each in caplog.records if "video" in each.getMessage()]
    assert told == [
        ("WARNING", "video jobs are not seen to: video jobs are away (refused)"),
        ("INFO", "video jobs are seen to again"),
        ("WARNING", "video jobs are not seen to: video jobs are away (TimeoutError)"),
        ("INFO", "video jobs are seen to again"),
    ]


@pytest.mark.parametrize(
    "name", ["", "\0", "video_\0", "../x", "video_" + "a" * 100, "video_\u0661", "video_1\n"], ids=ascii
)
async def test_no_store_is_asked_for_what_is_no_job(house: House, name: str) -> None:
    async def asked(*_: Any, **__: Any) -> Any:
        raise AssertionError("Postgres cannot hold every text")

    house.store.find = house.store.page = asked  # type: ignore[method-assign]
    with pytest.raises(NotFound):
        await house.jobs.get("default", "alice", name)
    assert not await house.jobs.list("default", "alice", after=name)
