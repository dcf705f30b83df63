"""Keys in Postgres: who they let in, how long they are believed, and what happens while Postgres is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pulse_gateway.errors import PermissionDenied, StoreUnavailable, Unauthenticated
from pulse_gateway.store.keys import create_key, key_digest
from pulse_gateway.store.postgres import (
    PostgresKeyStore,
    add_key,
    find_users,
    list_keys,
    revoke_key,
    save_user,
)
from pulse_gateway.store.store import KeyStore
from pulse_gateway.testing.clock import FakeClock
from pulse_gateway.types.identity import Plan, Principal
from pulse_host.database.pool import open_connection

PLANS = {"free": Plan(name="free", tokens=100), "pro": Plan(name="pro")}


class CountingPool:
    """A pool that counts how often a connection was asked for."""

    def __init__(self, pool: Any) -> None:
        self.acquired = 0
        self._pool = pool

    def acquire(self, **options: Any) -> Any:
        self.acquired += 1
        return self._pool.acquire(**options)


@pytest.fixture
async def connection(database: Any) -> AsyncIterator[Any]:
    async with open_connection(database.url) as opened:
        yield opened


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(now=datetime.now(UTC).timestamp())


@pytest.fixture
def counting(pool: Any) -> CountingPool:
    return CountingPool(pool)


@pytest.fixture
async def store(counting: CountingPool, clock: FakeClock) -> AsyncIterator[PostgresKeyStore]:
    opened = PostgresKeyStore(counting, PLANS, clock=clock)
    yield opened
    await opened.aclose()


@pytest.fixture
async def user_id(connection: Any) -> str:
    return (await save_user(connection, email="alice@example.com", plan="free")).user_id


@pytest.fixture
async def secret(connection: Any, user_id: str) -> str:
    made, _ = await add_key(connection, user_id=user_id, name="laptop")
    return made


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


# ── authentication ──


async def test_a_key_leads_to_its_user_tenant_and_plan(store: KeyStore, secret: str, user_id: str) -> None:
    assert await store.authenticate(secret) == Principal(
        user_id=user_id, plan=PLANS["free"], tenant_id="default", key_id=secret.removeprefix("pls_live_")[:10]
    )


async def test_unknown_and_empty_keys_are_refused(store: KeyStore) -> None:
    for unknown in (create_key().secret, "sk-something", "", "\ud800"):
        with pytest.raises(Unauthenticated, match="not valid"):
            await store.authenticate(unknown)


async def test_a_typo_costs_no_look_up(store: KeyStore, counting: CountingPool, secret: str) -> None:
    with pytest.raises(Unauthenticated, match="mistyped"):
        await store.authenticate(secret[:-1] + ("0" if secret[-1] != "0" else "1"))
    assert counting.acquired == 0


async def test_a_key_given_by_an_operator_works_whatever_its_form(connection: Any, pool: Any, user_id: str) -> None:
    proper = create_key().secret
    odd = [
        "x",
        "مفتاح",
        "sk-proj-123",
        "pls_live_short",
        proper[:-1] + ("0" if proper[-1] != "0" else "1"),
    ]
    for secret in odd:
        await add_key(connection, user_id=user_id, name="given", secret=secret)
    store = PostgresKeyStore(pool, PLANS, given_keys=odd)
    for secret in odd:
        assert (await store.authenticate(secret)).user_id == user_id
    await store.aclose()


async def test_a_known_key_is_not_looked_up_again_for_a_minute(
    store: KeyStore, clock: FakeClock, counting: CountingPool, secret: str
) -> None:
    await store.authenticate(secret)
    await until(lambda: counting.acquired == 2)  # the look-up, and the note of its use
    clock.advance(59.9)
    await store.authenticate(secret)
    assert counting.acquired == 2
    clock.advance(0.2)
    await store.authenticate(secret)
    assert counting.acquired > 2


async def test_a_revoked_key_ends_within_a_minute(
    store: KeyStore, clock: FakeClock, connection: Any, secret: str
) -> None:
    principal = await store.authenticate(secret)
    assert principal.key_id is not None
    assert await revoke_key(connection, principal.key_id)
    clock.advance(60)
    for _ in range(2):
        with pytest.raises(Unauthenticated, match="revoked"):
            await store.authenticate(secret)


async def test_an_unknown_key_is_not_looked_up_again_for_five_seconds(
    store: KeyStore, clock: FakeClock, counting: CountingPool, connection: Any, user_id: str
) -> None:
    for _ in range(10):
        with pytest.raises(Unauthenticated):
            await store.authenticate("soon-a-key")
    assert counting.acquired == 1
    await add_key(connection, user_id=user_id, name="new", secret="soon-a-key")
    clock.advance(5)
    assert (await store.authenticate("soon-a-key")).user_id == user_id


async def test_an_expired_key_is_refused_from_memory_too(
    store: KeyStore, clock: FakeClock, connection: Any, user_id: str
) -> None:
    expires_at = datetime.fromtimestamp(clock.now(), UTC) + timedelta(seconds=30)
    secret, record = await add_key(connection, user_id=user_id, name="short", expires_at=expires_at)
    assert record.expires_at == expires_at
    await store.authenticate(secret)
    clock.advance(30)
    with pytest.raises(Unauthenticated, match="expired"):
        await store.authenticate(secret)


async def test_plans_follow_the_configuration(store: PostgresKeyStore, secret: str) -> None:
    await store.authenticate(secret)
    store.plans = {"free": Plan(name="free", tokens=5)}
    assert (await store.authenticate(secret)).plan.tokens == 5
    store.plans = {}
    with pytest.raises(PermissionDenied, match="'free'"):
        await store.authenticate(secret)


async def test_many_callers_with_one_key_are_one_look_up(store: KeyStore, counting: CountingPool, secret: str) -> None:
    principals = await asyncio.gather(*(store.authenticate(secret) for _ in range(50)))
    assert len({principal.user_id for principal in principals}) == 1
    await until(lambda: counting.acquired == 2)  # the look-up, and the note of its use


async def test_a_caller_who_leaves_does_not_take_the_others_with_it(store: KeyStore, secret: str, user_id: str) -> None:
    callers = [asyncio.create_task(store.authenticate(secret)) for _ in range(3)]
    await asyncio.sleep(0)
    callers[0].cancel()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert [result.user_id for result in results[1:]] == [user_id] * 2  # type: ignore[union-attr]


async def test_memory_of_keys_is_bounded(pool: Any, connection: Any, user_id: str) -> None:
    counting = CountingPool(pool)
    store = PostgresKeyStore(counting, PLANS, max_cached=3)
    for number in range(5):
        with pytest.raises(Unauthenticated):
            await store.authenticate(f"unknown-{number}")
    assert counting.acquired == 5
    for number in (4, 3, 2):
        with pytest.raises(Unauthenticated):
            await store.authenticate(f"unknown-{number}")
    assert counting.acquired == 5
    with pytest.raises(Unauthenticated):
        await store.authenticate("unknown-0")
    assert counting.acquired == 6
    await store.aclose()


async def test_use_is_noted_at_most_once_a_minute(pool: Any, connection: Any, secret: str) -> None:
    async def used() -> datetime | None:
        found: datetime | None = await connection.fetchval("select last_used_at from api_key")
        return found

    assert await used() is None
    for expected_change in (True, False):
        before = await used()
        store = PostgresKeyStore(pool, PLANS)  # another replica, with nothing in memory
        await store.authenticate(secret)
        await store.aclose()
        assert (await used() != before) is expected_change
    await connection.execute("update api_key set last_used_at = now() - interval '61 seconds'")
    before = await used()
    store = PostgresKeyStore(pool, PLANS)
    await store.authenticate(secret)
    await store.aclose()
    assert await used() != before


# ── Postgres away ──


async def test_while_postgres_is_away_known_keys_work_and_others_get_503(
    store: KeyStore, database: Any, clock: FakeClock, secret: str, user_id: str
) -> None:
    await store.authenticate(secret)
    await database.go_away()
    with pytest.raises(StoreUnavailable) as caught:
        await store.authenticate(create_key().secret)
    assert caught.value.retry_after_s is not None
    clock.advance(1800)
    assert (await store.authenticate(secret)).user_id == user_id
    clock.advance(1800)
    with pytest.raises(StoreUnavailable):
        await store.authenticate(secret)
    await database.come_back()
    clock.advance(1)
    assert (await store.authenticate(secret)).user_id == user_id


async def test_an_outage_costs_one_attempt_a_second(
    store: KeyStore, database: Any, clock: FakeClock, counting: CountingPool, secret: str
) -> None:
    await store.authenticate(secret)
    await until(lambda: counting.acquired == 2)
    await database.go_away()
    clock.advance(60)
    for _ in range(20):
        await store.authenticate(secret)
        with pytest.raises(StoreUnavailable):
            await store.authenticate(create_key().secret)
    assert counting.acquired == 3
    clock.advance(1)
    await store.authenticate(secret)
    assert counting.acquired == 4
    await database.come_back()


async def test_a_slow_postgres_holds_nobody_longer_than_the_bound(
    pool: Any, connection: Any, clock: FakeClock, secret: str
) -> None:
    store = PostgresKeyStore(pool, PLANS, clock=clock, timeout_s=0.1)
    known = await store.authenticate(secret)
    await store.aclose()
    async with connection.transaction():
        await connection.execute("lock table api_key in access exclusive mode")
        clock.advance(60)
        assert await store.authenticate(secret) == known
        with pytest.raises(StoreUnavailable):
            await store.authenticate("another")
    await store.aclose()


async def test_a_pool_with_no_connection_left_holds_nobody_longer_than_the_bound(pool: Any, secret: str) -> None:
    store = PostgresKeyStore(pool, PLANS, timeout_s=0.1)
    taken = [await pool.acquire() for _ in range(pool.get_max_size())]
    with pytest.raises(StoreUnavailable):
        await store.authenticate(secret)
    for each in taken:
        await pool.release(each)
    await store.aclose()


async def test_an_unmigrated_database_is_an_outage_not_a_refusal(
    database: Any, store: KeyStore, connection: Any
) -> None:
    await connection.execute("alter table api_key rename to elsewhere")
    with pytest.raises(StoreUnavailable):
        await store.authenticate(create_key().secret)


# ── management ──


async def test_of_a_key_nothing_is_kept_that_could_be_used(connection: Any, secret: str) -> None:
    row = dict(await connection.fetchrow("select * from api_key"))
    assert row["digest"] == key_digest(secret)
    assert secret[-20:-4] not in repr(row)
    assert (row["prefix"], row["last4"]) == ("pls_live_", secret[-4:])


async def test_keys_are_listed_oldest_first_with_their_users(connection: Any, user_id: str) -> None:
    bob = await save_user(connection, email="bob@example.com", plan="pro")
    _, first = await add_key(connection, user_id=user_id, name="one", scopes=["chat"])
    _, second = await add_key(connection, user_id=bob.user_id, name="two", environment="test")
    assert await list_keys(connection) == [first, second]
    assert await list_keys(connection, user_ids=[bob.user_id]) == [second]
    assert (first.name, first.scopes, first.email, first.plan) == ("one", ["chat"], "alice@example.com", "free")
    assert (second.prefix, second.revoked_at, second.last_used_at) == ("pls_test_", None, None)


async def test_a_key_is_revoked_once(connection: Any, user_id: str) -> None:
    _, record = await add_key(connection, user_id=user_id, name="one")
    assert await revoke_key(connection, record.key_id)
    assert not await revoke_key(connection, record.key_id)
    assert not await revoke_key(connection, "unknown")
    (listed,) = await list_keys(connection)
    assert listed.revoked_at is not None


@pytest.mark.parametrize("secret", ["my-own-key", create_key().secret], ids=["chosen", "own-form"])
async def test_a_key_given_again_stays_one_key_moves_and_lives_again(
    connection: Any, user_id: str, secret: str
) -> None:
    bob = await save_user(connection, email="bob@example.com", plan="pro")
    _, first = await add_key(connection, user_id=user_id, name="dev", secret=secret)
    await revoke_key(connection, first.key_id)
    returned, second = await add_key(connection, user_id=bob.user_id, name="dev", secret=secret)
    assert returned == secret
    assert second.key_id == first.key_id
    assert (second.user_id, second.plan, second.revoked_at) == (bob.user_id, "pro", None)
    assert await list_keys(connection) == [second]


async def test_a_key_needs_a_user_and_may_not_be_empty(connection: Any, user_id: str) -> None:
    with pytest.raises(LookupError):
        await add_key(connection, user_id="00000000-0000-0000-0000-000000000000", name="x")
    with pytest.raises(ValueError, match="empty"):
        await add_key(connection, user_id=user_id, name="x", secret="")


async def test_a_user_is_one_whatever_the_case_of_the_address(connection: Any) -> None:
    first = await save_user(connection, email="Alice@Example.com", plan="free")
    again = await save_user(connection, email="alice@example.com", plan="pro")
    assert again.user_id == first.user_id
    assert again.plan == "pro"
    assert await find_users(connection, "ALICE@example.com") == [again]
    assert await find_users(connection, first.user_id) == [again]
    assert await find_users(connection, "nobody@example.com") == []
    with pytest.raises(LookupError):
        await save_user(connection, email="x@example.com", plan="free", tenant_id="unknown")
