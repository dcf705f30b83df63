from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from pulse_gateway.errors import ConcurrencyLimited, QuotaExceeded, RateLimited, StoreUnavailable
from pulse_gateway.limits.asks import asks_of, key_prefix
from pulse_gateway.limits.balances import SharedBalances
from pulse_gateway.limits.degraded import Decision, StandIn
from pulse_gateway.limits.limiter import Charge
from pulse_gateway.limits.periods import month_of
from pulse_gateway.limits.policies import Policies
from pulse_gateway.testing import FakeClock

MONTH = month_of(time.time())
PREFIX = key_prefix("pulse", "acme")


class Ledger:
    def __init__(self) -> None:
        self.tokens = 0
        self.asked = 0

    async def balances(self, tenant_id: str, accounts: Sequence[str], period: int, /) -> dict[str, dict[str, int]]:
        self.asked += 1
        return {account: {"tokens": self.tokens} for account in accounts}


class Gateway:
    """A stand-in, with the words that a limiter would say to it."""

    def __init__(self, *, replicas: int | None = 1, lag_s: float = 0.0, policies: Policies | None = None) -> None:
        self.clock, self.ledger, self.number = FakeClock(), Ledger(), 0
        self.stand_in = StandIn(
            SharedBalances(self.ledger), self.clock, policies or Policies(),
            replicas=lambda: replicas, lag_s=lambda: lag_s,
        )  # fmt: skip

    async def acquire(self, *charges: Charge) -> tuple[str, Decision]:
        self.number += 1
        asks = asks_of(PREFIX, charges, MONTH.period)
        permit = f"p{self.number}"
        return permit, await self.stand_in.acquire("acme", permit, asks, MONTH, MONTH.starts_at + 1.0)

    def agree(self, *charges: Charge) -> bool:
        self.number += 1
        asks = asks_of(PREFIX, charges, MONTH.period)
        return self.stand_in.agree(f"p{self.number}", asks, MONTH, MONTH.starts_at + 1.0)


def tokens(amount: int) -> Charge:
    return Charge(account="ada", kind="tokens", amount=amount, cap=1_000)


def requests(cap: int = 60) -> Charge:
    return Charge(account="ada", kind="requests", amount=1, cap=cap, window_s=60.0)


async def test_what_was_settled_here_counts_until_the_ledger_has_it_and_not_twice() -> None:
    gateway = Gateway()
    permit, _ = await gateway.acquire(tokens(500))
    gateway.stand_in.settle(permit, {"tokens": 600})
    for _ in range(2):  # the ledger has it late: the balance is read anew, and lacks it
        with pytest.raises(QuotaExceeded):
            await gateway.acquire(tokens(401))
        gateway.clock.advance(4)
    gateway.ledger.tokens = 600
    gateway.clock.advance(4)
    permit, decision = await gateway.acquire(tokens(400))
    assert decision.rows[0].used == 600
    assert gateway.ledger.asked == 3


async def test_a_ledger_that_says_it_is_behind_is_believed() -> None:
    gateway = Gateway(lag_s=100.0)
    permit, _ = await gateway.acquire(tokens(500))
    gateway.stand_in.settle(permit, {"tokens": 600})
    for _ in range(20):
        gateway.clock.advance(4)
        with pytest.raises(QuotaExceeded):
            await gateway.acquire(tokens(401))


async def test_the_ledger_is_asked_once_in_three_seconds_for_an_account() -> None:
    gateway = Gateway()
    for _ in range(10):
        permit, _ = await gateway.acquire(tokens(1))
        gateway.stand_in.settle(permit, {"tokens": 1})
        gateway.clock.advance(0.25)
    assert gateway.ledger.asked == 1


async def test_what_is_cancelled_takes_no_place() -> None:
    gateway = Gateway(replicas=3)
    for _ in range(30):
        permit, _ = await gateway.acquire(requests(3), tokens(900))
        gateway.stand_in.cancel(permit)
        gateway.stand_in.cancel(permit)


async def test_a_window_is_asked_as_long_as_it_counts_and_then_forgotten() -> None:
    gateway = Gateway(replicas=3)
    permit, _ = await gateway.acquire(requests(3), tokens(1))
    gateway.stand_in.settle(permit, {"tokens": 1})
    assert gateway.stand_in.has_a_say
    with pytest.raises(RateLimited):
        gateway.agree(requests(3))
    other = Charge(account="bob", kind="requests", amount=1, cap=3, window_s=60.0)
    assert not gateway.agree(other), "nothing was let through for him here"
    gateway.clock.advance(64)
    assert not gateway.stand_in.has_a_say
    gateway.stand_in.forget()
    assert not gateway.agree(requests(3))


async def test_after_an_outage_everybody_is_asked_for_one_window() -> None:
    gateway = Gateway(replicas=3)
    gateway.stand_in.agree_for(60_000_000)
    assert gateway.stand_in.has_a_say
    assert gateway.agree(requests(3))
    with pytest.raises(RateLimited):
        gateway.agree(requests(3))
    assert not gateway.agree(tokens(10_000)), "a month is the store's alone"
    gateway.clock.advance(130)
    assert not gateway.stand_in.has_a_say


async def test_what_the_store_granted_before_is_counted_once_and_ends_here_too() -> None:
    gateway = Gateway()
    asks = asks_of(PREFIX, [requests(), tokens(900)], MONTH.period)
    for _ in range(2):
        gateway.stand_in.adopt("acme", "old", asks)
    with pytest.raises(QuotaExceeded):
        await gateway.acquire(tokens(200))
    await gateway.acquire(tokens(100))
    with pytest.raises(StoreUnavailable):
        await gateway.acquire(tokens(0))
    gateway.stand_in.settle("old", {"tokens": 1})
    await gateway.acquire(tokens(899))


async def test_a_third_call_beside_a_monthly_quota_is_told_of_no_limit_that_its_user_does_not_have() -> None:
    gateway = Gateway()
    permits = [(await gateway.acquire(tokens(1)))[0] for _ in range(2)]
    for _ in range(62):
        with pytest.raises(StoreUnavailable, match="monthly quotas cannot be counted exactly now") as refusal:
            await gateway.acquire(requests(), tokens(1))
        assert (refusal.value.status, refusal.value.code, refusal.value.retry_after_s) == (503, "unavailable", 1.0)
    gateway.stand_in.settle(permits[0], {"tokens": 1})
    await gateway.acquire(tokens(1))


async def test_a_limit_of_the_users_own_is_told_of_before_what_stands_in_for_the_month() -> None:
    gateway = Gateway()
    at_once = Charge(account="ada", kind="concurrency", amount=1, cap=2)
    for _ in range(2):
        await gateway.acquire(at_once, tokens(1))
    with pytest.raises(ConcurrencyLimited) as refusal:
        await gateway.acquire(at_once, tokens(1))
    assert [each.kind for each in refusal.value.standings] == ["concurrency", "tokens"]
    with pytest.raises(QuotaExceeded):
        await gateway.acquire(tokens(999))


async def test_the_laxest_policy_that_took_part_is_told() -> None:
    gateway = Gateway(policies=Policies(requests="open"))
    _, decision = await gateway.acquire(requests(), tokens(1))
    assert decision.how == "open"
    assert [ask.kind for ask in decision.asks] == ["tokens"]
    _, decision = await gateway.acquire(tokens(1))
    assert decision.how == "local"


async def test_a_share_that_nobody_knows_is_not_guessed() -> None:
    with pytest.raises(StoreUnavailable):
        await Gateway(replicas=None).acquire(requests())
