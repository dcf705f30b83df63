"""What a caller's calls are charged to, prepared, against a real server: it counts as it does for charges worked out anew."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from limits_parts import Books, held_permits, limiting, quota, running, tokens, until

from pulse_gateway.errors import QuotaExceeded, RateLimited
from pulse_gateway.limits.tally import Charges
from pulse_gateway.pipeline.callers import Callers
from pulse_gateway.pipeline.terms import Need, Terms
from pulse_gateway.types.identity import Allowance, Plan, Principal
from valkey_server import ValkeyProcess

ADA = Principal(user_id="u1", tenant_id="acme", plan=Plan(name="any", tokens=1_000))
ALL = Allowance(requests=(10**6, 60.0), tokens=(10**9, 60.0), concurrency=100, budget_nano_usd=10**9)


@pytest.fixture
def server() -> Iterator[ValkeyProcess]:
    with ValkeyProcess() as process:
        yield process


def charged(terms: Terms, tokens_: int, cost: int = 0, who: Principal = ADA) -> Any:
    charges = Callers(terms).find(who).charges(Need(tokens_, cost))
    assert isinstance(charges, Charges)
    return charges


async def test_prepared_charges_hold_refuse_and_settle(server: ValkeyProcess) -> None:
    terms = Terms(user=Allowance(requests=(3, 60.0)))
    async with limiting(server) as limiter:
        first = await limiter.acquire(charged(terms, 600), tenant="acme")
        assert [(each.kind, each.used, each.reserved) for each in first.standings] == [
            ("requests", 1, 0),
            ("tokens", 0, 600),
        ]
        with pytest.raises(QuotaExceeded):
            await limiter.acquire(charged(terms, 500), tenant="acme")
        settled = await first.settle({"tokens": 850})
        assert [(each.kind, each.used, each.reserved, each.crossed) for each in settled] == [
            ("requests", 1, 0, ()),
            ("tokens", 850, 0, (80,)),
        ]
        assert await first.settle({"tokens": 1}) == settled
        for _ in range(2):
            await (await limiter.acquire(charged(terms, 10), tenant="acme")).settle({"tokens": 0})
        with pytest.raises(RateLimited):
            await limiter.acquire(charged(terms, 10), tenant="acme")
        assert (quota(server, tokens(0)), quota(server, tokens(0), "held"), held_permits(server)) == (850, 0, 0)


async def test_prepared_and_other_charges_count_on_the_same_counters(server: ValkeyProcess) -> None:
    terms = Terms(user=ALL, tenant=ALL)
    async with limiting(server) as limiter:
        told = []
        for number in range(6):
            asked = charged(terms, 10, 20)
            permit = await limiter.acquire(list(asked) if number % 2 else asked, tenant="acme")
            told.append([each.used + each.reserved for each in permit.standings])
            settled = await permit.settle({"tokens": 7, "cost_nano_usd": 9})
            told.append([each.used + each.reserved for each in settled if each.window_s is None])
        assert told[0::2] == [
            [n + 1, 7 * n + 10, 1, 9 * n + 20, 7 * n + 10, n + 1, 7 * n + 10, 1, 9 * n + 20] for n in range(6)
        ]
        assert told[1::2] == [[0, 9 * n, 7 * n, 0, 9 * n] for n in range(1, 7)]
        await (await limiter.acquire(charged(terms, 10, 20), tenant="acme")).cancel()
        assert (quota(server, tokens(0)), quota(server, tokens(0), "held"), running(server)) == (42, 0, 0)


async def test_a_server_that_forgets_its_scripts_is_told_them_by_prepared_calls_too(server: ValkeyProcess) -> None:
    terms = Terms(user=Allowance(requests=(10**6, 60.0)))
    unlimited = Principal(user_id="u1", tenant_id="acme", plan=Plan(name="any"))
    async with limiting(server) as limiter:

        async def call(number: int) -> None:
            if number % 10 == 0:
                server.command("SCRIPT", "FLUSH")
            await (await limiter.acquire(charged(terms, 5, who=unlimited), tenant="acme")).settle({"tokens": 3})

        for begin in range(0, 60, 20):
            await asyncio.gather(*[call(number) for number in range(begin, begin + 20)])
        assert (quota(server, tokens(0)), quota(server, tokens(0), "held"), held_permits(server)) == (180, 0, 0)


async def test_what_prepared_permits_hold_is_renewed_and_taken_back(server: ValkeyProcess) -> None:
    """A server that has lost its memory is told of them again, by their holds."""
    terms = Terms(user=Allowance(concurrency=5))
    async with limiting(server, Books(), lease_s=1.0) as limiter:
        permit = await limiter.acquire(charged(terms, 400), tenant="acme")
        server.command("FLUSHALL")
        await until(lambda: quota(server, tokens(0), "held") == 400 and running(server) == 1, "it is held again")
        await permit.settle({"tokens": 3})
        assert (quota(server, tokens(0), "held"), running(server), held_permits(server)) == (0, 0, 0)
