"""Calls about a permit that were lost with their connection, and that the server executes after those that were sent in their place.

A server that was frozen reads several connections in any order, and a long one in pieces. Here the order is made: a call is held back
when it is made, its caller hears that nobody knows, and it is executed on another connection once the test says so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from limits_parts import TENANT, Books, at_once, held_permits, opened, quota, running, tokens, until

from pulse_gateway.clock import SystemClock
from pulse_gateway.limits.limiter import Permit
from pulse_gateway.limits.policies import OPEN, Policies
from pulse_gateway.limits.redis import RedisLimiter
from pulse_gateway.transport.redis import RedisClient, RedisUnavailable, Script
from valkey_server import ValkeyProcess

CHARGES = [tokens(10), at_once()]


class Overtaken(RedisClient):
    """Holds back the next call of each script in `losing`, and executes but does not answer the next of each in `mute`."""

    def __init__(self, server: ValkeyProcess) -> None:
        super().__init__(server.url, clock=SystemClock())
        self.losing: list[str] = []
        self.mute: list[str] = []
        self._url_again = server.url
        self._late: list[tuple[Script, list[str], list[str | int]]] = []

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        if script.name in self.losing:
            self.losing.remove(script.name)
            self._late.append((script, list(keys), list(args)))
            raise RedisUnavailable("the connection was lost", maybe_done=True)
        reply = await super().run(script, keys, args)
        if script.name in self.mute:
            self.mute.remove(script.name)
            raise RedisUnavailable("the answer was lost", maybe_done=True)
        return reply

    async def execute_late(self) -> None:
        """What was held back, in the order in which it was made."""
        assert self._late
        async with opened(RedisClient(self._url_again, clock=SystemClock())) as other:
            for call in self._late:
                await other.run(*call)


@pytest.fixture
def server() -> Iterator[ValkeyProcess]:
    with ValkeyProcess() as process:
        yield process


@asynccontextmanager
async def overtaken(server: ValkeyProcess) -> AsyncIterator[tuple[Overtaken, RedisLimiter]]:
    """Of the month, 100 are used before."""
    client = Overtaken(server)
    async with opened(client):
        limiter = RedisLimiter(client, ledger=Books(), clock=SystemClock(), policies=Policies(quotas=OPEN))
        await limiter.open()
        await (await limiter.acquire(CHARGES, tenant=TENANT)).settle({"tokens": 100})
        yield client, limiter
        await limiter.aclose()


async def all_is_taken(limiter: RedisLimiter) -> None:
    await until(lambda: limiter.settlements_waiting == 0, "it is sent again")


async def lose_a_renewal(client: Overtaken, limiter: RedisLimiter) -> None:
    client.losing = ["renew_v1"]
    limiter._leases._renewed_all_s = float("-inf")
    limiter._leases.renew_all_soon()
    await until(lambda: not client.losing, "it is lost")


async def end(permit: Permit, how: str) -> None:
    await (permit.cancel() if how == "cancel" else permit.settle({"tokens": 4}))


def stands(server: ValkeyProcess) -> tuple[int | None, int | None, int, int]:
    """What is used, what is held of it, how many calls run, and how many permits there are."""
    return quota(server, tokens(0)), quota(server, tokens(0), "held"), running(server), held_permits(server)


async def test_a_settlement_that_comes_after_its_repetition_counts_once(server: ValkeyProcess) -> None:
    async with overtaken(server) as (client, limiter):
        permit = await limiter.acquire(CHARGES, tenant=TENANT)
        client.losing = ["settle_v1"]
        await permit.settle({"tokens": 4})
        await all_is_taken(limiter)
        assert stands(server) == (104, 0, 0, 0)
        await client.execute_late()
        assert stands(server) == (104, 0, 0, 0)


async def test_of_many_tries_of_one_settlement_one_counts_whatever_their_order(server: ValkeyProcess) -> None:
    async with overtaken(server) as (client, limiter):
        permit = await limiter.acquire(CHARGES, tenant=TENANT)
        client.losing, client.mute = ["settle_v1", "settle_v1"], ["settle_v1"]
        await permit.settle({"tokens": 4})
        await all_is_taken(limiter)
        for _ in range(2):
            await client.execute_late()
        assert stands(server) == (104, 0, 0, 0)


async def test_a_settlement_of_what_redis_has_forgotten_counts_although_its_repetition_came_first(
    server: ValkeyProcess,
) -> None:
    async with overtaken(server) as (client, limiter):
        permit = await limiter.acquire(CHARGES[:1], tenant=TENANT)
        server.command("DEL", f"pulse:v1:{{{TENANT}}}:leases", f"pulse:v1:{{{TENANT}}}:holds")
        client.losing = ["settle_v1"]
        await permit.settle({"tokens": 4})
        await all_is_taken(limiter)
        assert quota(server, tokens(0)) == 100  # whether it was counted nobody can tell: the ledger would
        await client.execute_late()
        assert quota(server, tokens(0)) == 104


async def test_a_cancellation_that_comes_after_its_repetition_gives_back_once(server: ValkeyProcess) -> None:
    async with overtaken(server) as (client, limiter):
        permit, other = [await limiter.acquire(CHARGES, tenant=TENANT) for _ in range(2)]
        client.losing = ["settle_v1"]
        await permit.cancel()
        await all_is_taken(limiter)
        await client.execute_late()
        assert stands(server) == (100, 10, 1, 1)
        await other.cancel()


@pytest.mark.parametrize("how", ["settle", "cancel"])
async def test_a_renewal_that_comes_after_the_end_holds_nothing(server: ValkeyProcess, how: str) -> None:
    async with overtaken(server) as (client, limiter):
        permit = await limiter.acquire(CHARGES, tenant=TENANT)
        await lose_a_renewal(client, limiter)
        await end(permit, how)
        await client.execute_late()
        assert stands(server) == (100 if how == "cancel" else 104, 0, 0, 0)


async def test_a_renewal_between_a_settlement_and_its_repetition_does_not_have_it_count_twice(
    server: ValkeyProcess,
) -> None:
    async with overtaken(server) as (client, limiter):
        await limiter._chores["endings"].stop()  # it is sent again when the test says so
        permit = await limiter.acquire(CHARGES, tenant=TENANT)
        await lose_a_renewal(client, limiter)
        client.mute = ["settle_v1"]
        await permit.settle({"tokens": 4})
        await client.execute_late()
        await limiter._endings.send()
        assert limiter.settlements_waiting == 0
        assert stands(server) == (104, 0, 0, 0)


async def test_a_grant_that_comes_after_its_settlement_holds_nothing(server: ValkeyProcess) -> None:
    async with overtaken(server) as (client, limiter):
        for chore in ("endings", "leases"):
            await limiter._chores[chore].stop()
        client.losing = ["acquire_v1"]
        permit = await limiter.acquire(CHARGES[:1], tenant=TENANT)
        assert permit.degraded == "open"
        client.mute = ["settle_v1"]
        await permit.settle({"tokens": 4})
        await client.execute_late()
        await limiter._endings.send()
        assert limiter.settlements_waiting == 0
        assert stands(server) == (104, 0, 0, 0)


async def test_usually_nothing_is_remembered(server: ValkeyProcess) -> None:
    async with overtaken(server) as (_, limiter):
        for how in ("settle", "cancel"):
            await end(await limiter.acquire(CHARGES, tenant=TENANT), how)
        assert server.command("EXISTS", f"pulse:v1:{{{TENANT}}}:holds", f"pulse:v1:{{{TENANT}}}:leases") == 0
