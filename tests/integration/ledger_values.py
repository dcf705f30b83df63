"""Entries for tests of the ledger, and what they must come to: summed here, in plain Python, from the entries alone."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from pulse_gateway.ledger.audit import balance_differences, roll_up_differences
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.limits.accounts import key_account, tenant_account, user_account
from pulse_gateway.types.usage import Outcome, Usage, UsageSource
from pulse_host.database.pool import open_connection

NOVEMBER, DECEMBER = 1_795_000_000.0, 1_797_000_000.0  # moments of 2026

Balances = Counter[tuple[str, str, int, str]]  # tenant, account, period, kind
RollUps = Counter[tuple[Any, ...]]


def entry(**changes: Any) -> UsageEntry:
    fields: dict[str, Any] = {
        "entry_id": str(uuid.uuid4()),
        "request_id": "request",
        "trace_id": "trace",
        "tenant_id": "default",
        "user_id": "alice",
        "key_id": None,
        "period": 202611,
        "operation": "chat",
        "dialect": "openai.chat",
        "alias": "alias",
        "provider": "provider",
        "model": "model",
        "attempt": 1,
        "outcome": Outcome.COMPLETED,
        "source": UsageSource.PROVIDER,
        "usage": Usage(input_tokens=3, output_tokens=4),
        "tokens": 7,
        "cost_nano_usd": 70,
        "price_source": None,
        "total_ms": 1.5,
        "at": NOVEMBER,
    }
    fields |= changes
    if "accounts" not in fields:
        fields["accounts"] = accounts_of(fields["tenant_id"], fields["user_id"], fields["key_id"])
    return UsageEntry(**fields)


def accounts_of(tenant_id: str, user_id: str, key_id: str | None) -> tuple[str, ...]:
    key = () if key_id is None else (key_account(key_id),)
    return (user_account(user_id), *key, tenant_account(tenant_id))


def some_entries(count: int, seed: int) -> list[UsageEntry]:
    chance = random.Random(seed)
    return [an_entry(chance) for _ in range(count)]


def an_entry(chance: random.Random) -> UsageEntry:
    user = chance.randrange(7)
    usage = Usage(
        input_tokens=chance.choice([None, chance.randrange(5000)]),
        cached_input_tokens=chance.choice([None, 0, chance.randrange(5000)]),
        output_tokens=chance.randrange(3000),
        reasoning_tokens=chance.choice([None, chance.randrange(900)]),
        image_input_tokens=chance.choice([None, 0, chance.randrange(900)]),
        video_output_tokens=chance.choice([None, chance.randrange(900)]),
        video_ms=chance.choice([None, 8_000]),
        audio_ms=chance.choice([None, 0, chance.randrange(90_000)]),
        characters=chance.choice([None, chance.randrange(4_000)]),
        searches=chance.choice([None, 1]),
        variant=chance.choice([None, "1080p", "1024x1024/high"]),
    )
    return entry(
        entry_id=str(uuid.UUID(int=chance.getrandbits(128))),
        tenant_id=chance.choice(["default", "acme"]),
        user_id=f"user-{user}",
        key_id=chance.choice([None, f"key-{user}"]),
        period=chance.choice([202611, 202612]),
        at=chance.choice([NOVEMBER, DECEMBER]) + chance.randrange(4) * 7200.25,
        attempt=chance.choice([1, 1, 1, 2]),
        alias=chance.choice(["fast", "good"]),
        outcome=chance.choice([Outcome.COMPLETED, Outcome.COMPLETED, Outcome.FAILED, Outcome.INTERRUPTED]),
        usage=usage,
        tokens=usage.total,
        cost_nano_usd=chance.choice([None, chance.randrange(10**12)]),
        images=chance.randrange(3),
        videos=chance.randrange(2),
    )


def distinct(entries: Iterable[UsageEntry]) -> list[UsageEntry]:
    return list({each.entry_id: each for each in entries}.values())


def sums(entries: Iterable[UsageEntry]) -> Balances:
    """The balances that these entries come to, each counted once."""
    total: Balances = Counter()
    for each in distinct(entries):
        for account in each.accounts:
            for kind in ("tokens", "images", "videos", "cost_nano_usd"):
                total[each.tenant_id, account, each.period, kind] += getattr(each, kind) or 0
    return nonzero(total)


def roll_ups(entries: Iterable[UsageEntry], form: str = "%Y-%m-%d %H") -> RollUps:
    """What the roll-ups must hold of these entries, each counted once: key and name of the number → number."""
    total: RollUps = Counter()
    for each in distinct(entries):
        moment = datetime.fromtimestamp(each.at, UTC).strftime(form)
        key = (each.tenant_id, moment, each.user_id, each.key_id or "", each.alias, each.provider, each.model)
        numbers = {
            "requests": int(each.attempt == 1),
            "attempts": 1,
            "failed": int(each.outcome in {Outcome.FAILED, Outcome.INTERRUPTED}),
            "unpriced": int(each.cost_nano_usd is None),
            **{name: used for name, used in msgspec.structs.asdict(each.usage).items() if name != "variant"},
            "tokens": each.tokens,
            "images": each.images,
            "videos": each.videos,
            "cost_nano_usd": each.cost_nano_usd,
        }
        for name, number in numbers.items():
            total[(*key, name)] += number or 0
    return nonzero(total)


def nonzero(total: Counter[Any]) -> Counter[Any]:
    return Counter({key: number for key, number in total.items() if number})


async def stored(url: str) -> Balances:
    """The balances in the database, which must be what its entries come to."""
    async with open_connection(url) as connection:
        rows = await connection.fetch("select tenant_id, account, period, kind, amount from usage_balance")
        assert await balance_differences(connection) == []
        assert await roll_up_differences(connection) == []
    return nonzero(Counter({tuple(row)[:4]: row["amount"] for row in rows}))


async def stored_roll_ups(url: str, table: str = "usage_hourly") -> RollUps:
    column, form = ("hour", "%Y-%m-%d %H") if table == "usage_hourly" else ("day", "%Y-%m-%d")
    total: RollUps = Counter()
    async with open_connection(url) as connection:
        for row in map(dict, await connection.fetch(f"select * from {table}")):
            key = [row.pop(name) for name in ("tenant_id", column, "user_id", "key_id", "alias", "provider", "model")]
            key[1] = key[1].strftime(form)
            for name, number in row.items():
                total[(*key, name)] += number
    return nonzero(total)


async def ids(url: str) -> list[str]:
    """Of all entries that are no corrections, in order."""
    async with open_connection(url) as connection:
        rows = await connection.fetch("select entry_id from usage_entry where reverses is null order by entry_id")
    return [str(row["entry_id"]) for row in rows]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)
