"""Where answers are kept: in this process and in Postgres, under one contract."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import msgspec
import pytest

from pulse_gateway.clock import SystemClock
from pulse_gateway.errors import IdempotencyConflict, StoreUnavailable
from pulse_gateway.idempotency.memory import MemoryAnswerStore
from pulse_gateway.idempotency.postgres import PostgresAnswerStore, prune
from pulse_gateway.idempotency.store import Answer, AnswerStore, Place, Running

HERE = Place("default", "alice", "key-1")
THIS, THAT = b"\x01" * 32, b"\x02" * 32
LONG_S = 3600.0


def owner() -> str:
    return str(uuid.uuid4())


def answer(body: bytes | None = b'{"said":"so"}', **changes: Any) -> Answer:
    fields: dict[str, Any] = {
        "request_id": "req_1",
        "status": 200,
        "headers": (("content-type", "application/json"), ("x-pulse-model", "gpt")),
        "stream": False,
        "body": body,
    }
    return Answer(**{**fields, **changes})


class Ahead(SystemClock):
    ahead_s = 0.0

    def now(self) -> float:
        return super().now() + self.ahead_s


class Stores:
    """Makes stores over the same rows, as two replicas have them."""

    def __init__(self, kind: str, pool: Any) -> None:
        self.kind, self.pool, self.clock = kind, pool, Ahead()

    def make(self, *, lease_s: float = LONG_S, kept_s: float = LONG_S) -> AnswerStore:
        if self.kind == "memory":
            return MemoryAnswerStore(self.clock, lease_s=lease_s, kept_s=kept_s)
        return PostgresAnswerStore(self.pool, lease_s=lease_s, kept_s=kept_s, timeout_s=5.0)

    async def let_leases_run_out(self) -> None:
        """As if nobody had renewed for a whole lease."""
        if self.kind == "memory":
            self.clock.ahead_s += LONG_S
        else:
            await self.pool.execute("update idempotency set locked_until = now() where locked_until is not null")


@pytest.fixture(params=["memory", "postgres"])
async def stores(request: pytest.FixtureRequest, pool: Any) -> AsyncIterator[Stores]:
    yield Stores(request.param, pool)


async def until_claimed(store: AnswerStore, place: Place, fingerprint: bytes, who: str) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                if await store.claim(place, fingerprint, who) is None:
                    return
            except IdempotencyConflict:
                continue


async def test_the_first_one_runs_and_the_others_learn_who_does(stores: Stores) -> None:
    store, first = stores.make(), owner()
    assert await store.claim(HERE, THIS, first) is None
    assert await store.claim(HERE, THIS, owner()) == Running(first)
    assert await store.runs(HERE, first)
    assert not await store.runs(HERE, owner())


async def test_of_many_at_once_one_runs(stores: Stores) -> None:
    store = stores.make()
    found = await asyncio.gather(*(store.claim(HERE, THIS, owner()) for _ in range(50)))
    assert found.count(None) == 1
    assert len({each.owner for each in found if isinstance(each, Running)}) == 1


@pytest.mark.parametrize(
    "kept",
    [
        answer(),
        answer(b""),
        answer(b"data: a lot of the same\n\n" * 20_000, stream=True, headers=(("content-type", "text/event-stream"),)),
        answer("مرحبا".encode() * 500, status=400, headers=()),
        answer(bytes(range(256)) * 8),
        answer(None, stream=True),
    ],
    ids=["small", "empty", "stream", "refusal", "noise", "too-large"],
)
async def test_what_is_kept_comes_back_as_it_was(stores: Stores, kept: Answer) -> None:
    store, first = stores.make(), owner()
    assert await store.claim(HERE, THIS, first) is None
    assert await store.keep(HERE, first, kept)
    assert await store.claim(HERE, THIS, owner()) == kept
    assert not await store.runs(HERE, first)
    assert not await store.renew(HERE, first)


async def test_another_request_with_the_same_key_is_a_conflict_while_it_runs_and_after(stores: Stores) -> None:
    store, first = stores.make(), owner()
    await store.claim(HERE, THIS, first)
    with pytest.raises(IdempotencyConflict):
        await store.claim(HERE, THAT, owner())
    await store.keep(HERE, first, answer())
    with pytest.raises(IdempotencyConflict) as caught:
        await store.claim(HERE, THAT, owner())
    assert caught.value.param == "idempotency-key"


async def test_a_key_belongs_to_one_user_of_one_tenant(stores: Stores) -> None:
    store = stores.make()
    for place in (
        HERE,
        Place("default", "bob", "key-1"),
        Place("acme", "alice", "key-1"),
        Place("default", "alice", "key-2"),
    ):
        assert await store.claim(place, THIS, owner()) is None


async def test_a_released_key_is_as_new(stores: Stores) -> None:
    store, first, second = stores.make(), owner(), owner()
    await store.claim(HERE, THIS, first)
    await store.release(HERE, first)
    assert not await store.runs(HERE, first)
    assert await store.claim(HERE, THAT, second) is None
    await store.release(HERE, first)  # late, and no longer its own
    assert await store.runs(HERE, second)


async def test_what_is_kept_is_not_released(stores: Stores) -> None:
    store, first = stores.make(), owner()
    await store.claim(HERE, THIS, first)
    await store.keep(HERE, first, answer())
    await store.release(HERE, first)
    assert await store.claim(HERE, THIS, owner()) == answer()


async def test_a_lease_that_ran_out_frees_the_key_and_its_former_holder_cannot_touch_it(stores: Stores) -> None:
    store, first, second = stores.make(lease_s=0.05), owner(), owner()
    assert await store.claim(HERE, THIS, first) is None
    await until_claimed(store, HERE, THAT, second)
    assert not await store.renew(HERE, first)
    assert not await store.keep(HERE, first, answer())
    await store.release(HERE, first)
    assert await store.renew(HERE, second)
    assert await store.keep(HERE, second, answer())


async def test_a_holder_that_is_late_keeps_its_key_if_it_renews_once_it_is_doubted(stores: Stores) -> None:
    store, first, second = stores.make(kept_s=100 * LONG_S), owner(), owner()
    assert await store.claim(HERE, THIS, first) is None
    await stores.let_leases_run_out()
    assert not await store.runs(HERE, first)
    with pytest.raises(IdempotencyConflict):
        await store.claim(HERE, THAT, second)
    assert await store.runs(HERE, first)  # doubted by that, and held for a while longer
    assert await store.claim(HERE, THIS, second) == Running(first)
    assert await store.renew(HERE, first)
    await stores.let_leases_run_out()
    assert await store.claim(HERE, THIS, second) == Running(first)  # doubted anew: the renewal had cleared it
    assert await store.keep(HERE, first, answer())
    assert await store.claim(HERE, THIS, second) == answer()


async def test_a_holder_that_was_doubted_in_vain_loses_its_key_to_one_of_many(stores: Stores) -> None:
    store, first = stores.make(), owner()
    assert await store.claim(HERE, THIS, first) is None
    await stores.let_leases_run_out()
    assert await asyncio.gather(*(store.claim(HERE, THIS, owner()) for _ in range(20))) == [Running(first)] * 20
    await stores.let_leases_run_out()
    owners = [owner() for _ in range(20)]
    found = await asyncio.gather(*(store.claim(HERE, THIS, each) for each in owners))
    assert found.count(None) == 1
    assert not await store.renew(HERE, first)
    second = owners[found.index(None)]
    await stores.let_leases_run_out()
    assert await store.claim(HERE, THIS, owner()) == Running(second)  # who is not doubted on account of the first


async def test_a_lease_is_renewed(stores: Stores) -> None:
    store, first = stores.make(lease_s=LONG_S), owner()
    await store.claim(HERE, THIS, first)
    assert await store.renew(HERE, first)
    assert await store.runs(HERE, first)


async def test_what_is_kept_is_kept_for_its_time(stores: Stores) -> None:
    store, first = stores.make(kept_s=0.05), owner()
    await store.claim(HERE, THIS, first)
    await store.keep(HERE, first, answer())
    await until_claimed(store, HERE, THAT, owner())


# ── Postgres alone ────────────────────────────────────────────────────────────────────────────────────────────────────


async def count(pool: Any) -> int:
    found: int = await pool.fetchval("select count(*) from idempotency")
    return found


async def test_replicas_and_restarts_see_the_same_rows(pool: Any) -> None:
    first = owner()
    assert await PostgresAnswerStore(pool).claim(HERE, THIS, first) is None
    assert await PostgresAnswerStore(pool).claim(HERE, THIS, owner()) == Running(first)
    assert await PostgresAnswerStore(pool).keep(HERE, first, answer())
    assert await PostgresAnswerStore(pool).claim(HERE, THIS, owner()) == answer()


async def test_bodies_are_kept_small_where_that_pays(pool: Any) -> None:
    store = PostgresAnswerStore(pool)
    for key, body in (
        ("stream", b'data: {"choices":[]}\n\n' * 10_000),
        ("noise", bytes(range(256)) * 2),
        ("short", b"a" * 1000),
    ):
        place, who = Place("default", "alice", key), owner()
        await store.claim(place, THIS, who)
        await store.keep(place, who, answer(body))
    rows = dict(await pool.fetch("select key, octet_length(body) from idempotency"))
    assert rows["stream"] < 10_000
    assert (rows["noise"], rows["short"]) == (512, 1000)


async def test_a_damaged_answer_is_refused_and_not_run_again(pool: Any, caplog: pytest.LogCaptureFixture) -> None:
    store, first = PostgresAnswerStore(pool), owner()
    await store.claim(HERE, THIS, first)
    await store.keep(HERE, first, answer(b"data: a lot of the same\n\n" * 100))
    await pool.execute("update idempotency set body = substr(body, 3) where deflated")
    for _ in range(2):
        with pytest.raises(StoreUnavailable) as caught:
            await store.claim(HERE, THIS, owner())
        assert "new key" in str(caught.value)
    assert "req_1" in caplog.text


async def test_pruning_removes_what_is_over_and_nothing_else(pool: Any) -> None:
    over, lasting = PostgresAnswerStore(pool, kept_s=0.0), PostgresAnswerStore(pool)
    for number in range(25):
        place, who = Place("default", "alice", f"over-{number}"), owner()
        await over.claim(place, THIS, who)
        await over.keep(place, who, answer())
    await lasting.claim(HERE, THIS, owner())
    async with pool.acquire() as connection, pool.acquire() as other:
        removed = await asyncio.gather(prune(connection, batch_rows=4), prune(other, batch_rows=4))
    assert sum(removed) == 25
    assert await count(pool) == 1


async def test_a_store_that_does_not_answer_says_so(database: Any, pool: Any) -> None:
    store = PostgresAnswerStore(pool)
    await database.go_away()
    with pytest.raises(StoreUnavailable):
        await store.claim(HERE, THIS, owner())
    await database.come_back()
    async with asyncio.timeout(20):
        while True:
            try:
                assert await store.claim(HERE, THIS, owner()) is None
                break
            except StoreUnavailable:
                continue


async def test_a_policy_keeps_tenants_apart(pool: Any) -> None:
    """As a role that policies hold for: superusers are let past them."""
    await PostgresAnswerStore(pool).claim(HERE, THIS, owner())
    async with pool.acquire() as connection:
        await connection.execute("create role plain_reader; grant select on idempotency to plain_reader")
        try:
            async with connection.transaction():
                await connection.execute("set local role plain_reader")
                seen = {}
                for tenant in ("acme", "", "default", "*"):
                    await connection.execute("select set_config('app.tenant_id', $1, true)", tenant)
                    seen[tenant] = await connection.fetchval("select count(*) from idempotency")
        finally:
            await connection.execute("drop owned by plain_reader; drop role plain_reader")
    assert seen == {"acme": 0, "": 0, "default": 1, "*": 1}


async def test_a_row_is_held_by_one_of_many_replicas_whatever_the_moment(pool: Any) -> None:
    """Claims, failures and dead holders, all at once: never two at a time."""
    store = PostgresAnswerStore(pool, timeout_s=10.0)
    running: set[str] = set()
    runs = 0

    async def replica() -> None:
        nonlocal runs
        who = owner()
        while True:
            found = await store.claim(HERE, THIS, who)
            if isinstance(found, Answer):
                return
            if found is None:
                assert not running
                running.add(who)
                runs += 1
                await asyncio.sleep(0)
                running.discard(who)
                if runs == 10:
                    await store.keep(HERE, who, answer())
                else:
                    await store.release(HERE, who)
                    who = owner()

    async with asyncio.timeout(30):
        await asyncio.gather(*(replica() for _ in range(8)))
    assert runs == 10


async def test_a_place_can_be_any_text(pool: Any) -> None:
    store = PostgresAnswerStore(pool)
    place = Place("default", "user: 'quoted' \\ ü", "~!@#$%^&*()_+`'\"; drop table idempotency; --")
    who = owner()
    assert await store.claim(place, THIS, who) is None
    assert await store.keep(place, who, answer(headers=(("x-odd", 'a,b{}"\\'),)))
    found = await store.claim(place, THIS, owner())
    assert isinstance(found, Answer)
    assert found.headers == (("x-odd", 'a,b{}"\\'),)
    assert msgspec.json.encode(found.status) == b"200"


async def test_the_fingerprint_is_checked_by_the_database_too(pool: Any) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        await PostgresAnswerStore(pool).claim(HERE, b"short", owner())
    assert isinstance(caught.value.__cause__, asyncpg.CheckViolationError)
