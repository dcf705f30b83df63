"""The ledger in memory: totals for ever, entries for a while, each counted once."""

from __future__ import annotations

import random
import uuid
from typing import Any

import pytest

from pulse_gateway.ledger.ledger import Ledger, UsageEntry
from pulse_gateway.ledger.memory import MemoryLedger
from pulse_gateway.types.usage import Outcome, Usage, UsageSource


def entry(**changes: Any) -> UsageEntry:
    fields: dict[str, Any] = {
        "entry_id": str(uuid.uuid4()),
        "request_id": "r",
        "trace_id": "t",
        "tenant_id": "default",
        "user_id": "alice",
        "key_id": None,
        "period": 202611,
        "operation": "chat",
        "dialect": "openai.chat",
        "alias": "a",
        "provider": "p",
        "model": "m",
        "attempt": 1,
        "outcome": Outcome.COMPLETED,
        "source": UsageSource.PROVIDER,
        "usage": Usage(input_tokens=3, output_tokens=4),
        "tokens": 7,
        "cost_nano_usd": 70,
        "price_source": "config",
        "total_ms": 1.5,
        "at": 1_795_000_000.0,
    }
    fields |= changes
    return UsageEntry(**{"accounts": (fields["user_id"], "tenant/default"), **fields})


async def balances(ledger: MemoryLedger, period: int = 202611, tenant: str = "default") -> dict[str, dict[str, int]]:
    return await ledger.balances(tenant, ["alice", "bob", "nobody"], period)


async def test_totals_are_kept_by_user_month_and_kind() -> None:
    ledger = MemoryLedger()
    ledger.record(entry())
    ledger.record(entry(tokens=5, cost_nano_usd=None, images=2))
    ledger.record(entry(user_id="bob", tokens=0, cost_nano_usd=0, videos=1))
    ledger.record(entry(period=202612))
    assert await balances(ledger) == {
        "alice": {"tokens": 12, "cost_nano_usd": 70, "images": 2},
        "bob": {"videos": 1},
    }
    assert await balances(ledger, 202612) == {"alice": {"tokens": 7, "cost_nano_usd": 70}}
    assert await balances(ledger, 202701) == {}


async def test_an_entry_counts_once_however_often_it_comes() -> None:
    entries = [entry(user_id=random.choice(["alice", "bob"]), tokens=random.randrange(100)) for _ in range(50)]
    delivered = entries * 3
    random.shuffle(delivered)
    ledger = MemoryLedger()
    for each in delivered:
        ledger.record(each)
    expected = sum(each.tokens for each in entries)
    found = await balances(ledger)
    assert sum(kinds.get("tokens", 0) for kinds in found.values()) == expected
    assert len(ledger.entries) == 50


async def test_an_entry_adds_to_each_of_its_accounts_within_its_tenant() -> None:
    ledger = MemoryLedger()
    ledger.record(entry(accounts=("alice", "key/k", "tenant/default")))
    ledger.record(entry(accounts=("bob", "tenant/default")))
    ledger.record(entry(tenant_id="acme", accounts=("alice", "tenant/acme")))
    found = await ledger.balances("default", ["alice", "key/k", "tenant/default"], 202611)
    assert {account: kinds["tokens"] for account, kinds in found.items()} == {
        "alice": 7,
        "key/k": 7,
        "tenant/default": 14,
    }
    assert await balances(ledger, tenant="acme") == {"alice": {"tokens": 7, "cost_nano_usd": 70}}


async def test_a_correction_takes_away_what_was_too_much() -> None:
    ledger = MemoryLedger()
    first = entry()
    ledger.record(first)
    ledger.record(entry(tokens=-3, cost_nano_usd=-30, reverses=first.entry_id))
    assert (await balances(ledger))["alice"] == {"tokens": 4, "cost_nano_usd": 40}


async def test_old_entries_go_but_totals_stay() -> None:
    ledger = MemoryLedger(max_entries=3)
    entries = [entry(tokens=1) for _ in range(10)]
    for each in entries:
        ledger.record(each)
    assert ledger.entries == entries[-3:]
    assert (await balances(ledger))["alice"]["tokens"] == 10


async def test_what_a_caller_does_to_balances_does_not_reach_the_ledger() -> None:
    ledger = MemoryLedger()
    ledger.record(entry())
    (await balances(ledger))["alice"]["tokens"] = 0
    assert (await balances(ledger))["alice"]["tokens"] == 7


async def test_it_is_always_ready_and_done() -> None:
    ledger: Ledger = MemoryLedger()
    ledger.check()
    await ledger.flush()
    await ledger.aclose()


@pytest.mark.parametrize("amount", [0, 1, 10**12])
async def test_amounts_are_exact_integers(amount: int) -> None:
    ledger = MemoryLedger()
    ledger.record(entry(tokens=amount, cost_nano_usd=amount))
    kinds = (await balances(ledger)).get("alice", {})
    assert kinds == ({"tokens": amount, "cost_nano_usd": amount} if amount else {})
