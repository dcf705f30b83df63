"""Where video jobs are kept: in this process and in Postgres, under one contract."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.testing import FakeClock
from pulse_gateway.types.catalog import Price, Rates, UnitRates
from pulse_gateway.types.usage import Outcome, Usage, UsageSource
from pulse_gateway.types.videos import VideoState
from pulse_gateway.videos.job import VideoJob
from pulse_gateway.videos.memory import MemoryVideoStore
from pulse_gateway.videos.postgres import PostgresVideoStore, prune_videos
from pulse_gateway.videos.store import KEPT_S, VideoStore
from pulse_host.database.pool import create_pool

_numbers = itertools.count(1)
RATES = Rates(input=0, output=0)
PRICE = Price(rates=RATES, units=UnitRates(video_second={"": 400_000_000}), source="test", as_of="2026-11-24")
NOW = 1_795_000_000.0


def entry() -> UsageEntry:
    return UsageEntry(
        entry_id="01890a5d-ac96-774b-bcce-b302099a8057",
        request_id="req_1",
        trace_id="0" * 32,
        tenant_id="default",
        user_id="alice",
        key_id=None,
        period=202611,
        operation="videos",
        dialect="openai.videos",
        alias="veo3",
        provider="vertex",
        model="veo-3.1-generate-001",
        attempt=1,
        outcome=Outcome.COMPLETED,
        source=UsageSource.PROVIDER,
        usage=Usage(video_ms=4000, variant="720p"),
        tokens=0,
        cost_nano_usd=1_600_000_000,
        price_source="test",
        videos=1,
        total_ms=1.0,
        at=NOW,
    )


def job(user: str = "alice", *, upstream: str | None = None, **changes: Any) -> VideoJob:
    number = next(_numbers)
    fields: dict[str, Any] = {
        "id": f"video_{number:032x}",
        "tenant_id": "default",
        "user_id": user,
        "model": "veo3",
        "provider": "vertex",
        "deployment_model": "veo-3.1-generate-001",
        "prompt": "غروب\x00 فوق البحر",
        "seconds": 4,
        "size": "1280x720",
        "created_at": NOW + number,
        "entry": entry(),
        "price": PRICE,
        "state": VideoState(id=upstream or f"operations/{number}", status="queued"),
    }
    return VideoJob(**{**fields, **changes})


def ended(begun: VideoJob, status: Any = "completed") -> VideoJob:
    return msgspec.structs.replace(begun, state=VideoState(id=begun.state.id, status=status), completed_at=NOW)


@pytest.fixture(params=["memory", "postgres"])
async def store(request: pytest.FixtureRequest, database: Any) -> AsyncIterator[VideoStore]:
    if request.param == "memory":
        yield MemoryVideoStore(FakeClock())
        return
    pool = await create_pool(database.url, wait_s=10.0)
    yield PostgresVideoStore(pool)
    await pool.close()


async def test_a_job_is_found_by_its_owner_alone_with_all_that_is_known_of_it(store: VideoStore) -> None:
    kept = job()
    await store.add(kept)
    assert await store.find("default", "alice", kept.id) == kept
    assert await store.find("default", "bob", kept.id) is None
    assert await store.find("other", "alice", kept.id) is None
    assert await store.find_upstream("vertex", kept.state.id) == kept
    assert await store.find_upstream("google", kept.state.id) is None
    assert [await store.running("default", user) for user in ("alice", "bob")] == [1, 0]
    assert not await store.delete("default", "bob", kept.id)
    assert await store.delete("default", "alice", kept.id)
    assert await store.find("default", "alice", kept.id) is None
    assert not await store.save(ended(kept))


async def test_what_is_over_stays_as_it_ended(store: VideoStore) -> None:
    kept = job()
    await store.add(kept)
    assert await store.save(ended(kept))
    assert await store.running("default", "alice") == 0
    assert not await store.save(ended(kept, "failed"))
    found = await store.find("default", "alice", kept.id)
    assert found is not None and found.state.status == "completed"


async def test_pages_follow_one_another_both_ways(store: VideoStore) -> None:
    jobs = [job() for _ in range(5)]
    for each in jobs:
        await store.add(each)
    await store.add(job("bob"))
    ids = [each.id for each in jobs]
    for ascending, expected in ((True, ids), (False, ids[::-1])):
        first = await store.page("default", "alice", after=None, limit=3, ascending=ascending)
        rest = await store.page("default", "alice", after=first[-1].id, limit=3, ascending=ascending)
        assert [each.id for each in (*first, *rest)] == expected
    assert not await store.page("default", "alice", after="video_unknown", limit=3, ascending=True)


async def test_whoever_claims_a_job_has_it_to_himself_until_it_is_over(store: VideoStore) -> None:
    jobs = [job() for _ in range(3)]
    for each in jobs:
        await store.add(each)
    first = await store.claim(2, 60.0)
    second = await store.claim(2, 60.0)
    assert sorted(each.id for each in (*first, *second)) == sorted(each.id for each in jobs)
    assert not await store.claim(2, 60.0)
    late = job()
    await store.add(late)
    await store.save(ended(late))
    assert not await store.claim(2, 60.0)


async def test_jobs_that_were_over_long_ago_are_pruned_and_the_others_stay(database: Any) -> None:
    pool = await create_pool(database.url, wait_s=10.0)
    store = PostgresVideoStore(pool)
    long_ago = time.time() - KEPT_S - 60
    old, running, recent = job(created_at=long_ago), job(created_at=long_ago), job(created_at=time.time())
    for each in (old, running, recent):
        await store.add(each)
    await store.save(ended(old))
    await store.save(ended(recent))
    async with pool.acquire() as connection:
        await prune_videos(connection)
    left = await store.page("default", "alice", after=None, limit=9, ascending=True)
    assert {each.id for each in left} == {running.id, recent.id}
    await pool.close()


async def test_a_database_that_is_away_is_said_to_be(database: Any, caplog: pytest.LogCaptureFixture) -> None:
    pool = await create_pool(database.url, wait_s=10.0)
    store = PostgresVideoStore(pool)
    await database.go_away()
    with pytest.raises(StoreUnavailable, match="video jobs"):
        await store.add(job())
    assert "video jobs: add failed" in caplog.text
    caplog.clear()
    with pytest.raises(StoreUnavailable) as away:
        await store.claim(1, 1.0)
    assert away.value.__cause__ is not None
    assert "video jobs" not in caplog.text, "whoever claims tells of it, once"
    await database.come_back()
    await store.add(kept := job())
    assert await store.find("default", "alice", kept.id) == kept
    await pool.close()


async def test_memory_forgets_what_is_over_before_what_still_runs() -> None:
    store = MemoryVideoStore(FakeClock(), most=2)
    running, over = job(), job()
    await store.add(running)
    await store.add(over)
    await store.save(ended(over))
    await store.add(newest := job())
    found = await store.page("default", "alice", after=None, limit=9, ascending=True)
    assert [each.id for each in found] == [running.id, newest.id]
