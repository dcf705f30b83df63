"""Do Redis, the journal and the ledger say the same, and making them so: `pulse usage verify` and `pulse usage rebuild`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from pulse_gateway.clock import Clock, SystemClock
from pulse_gateway.config import Config
from pulse_gateway.errors import ConfigError
from pulse_gateway.ledger.audit import (
    BalanceDifference,
    RollUpDifference,
    balance_differences,
    rebuild_balances,
    rebuild_roll_ups,
    roll_up_differences,
)
from pulse_gateway.ledger.columns import as_uuid
from pulse_gateway.ledger.journal import JournalError, read_journal
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.sql import query
from pulse_gateway.limits.limiter import COST
from pulse_gateway.limits.reconcile import Difference, rebuild, verify
from pulse_gateway.store.tenants import list_tenants
from pulse_gateway.transport.redis import RedisClient
from pulse_host.database.migrate import require_migrated
from pulse_host.database.pool import create_pool
from pulse_host.redis_reach import reached_redis

__all__ = ["Finding", "Repair", "audited", "repaired"]

_PATIENCE_S = 5.0  # for Postgres, where somebody sits and waits
_SECOND_LOOK_S = 1.5  # longer than an entry takes into the ledger

_IN_LEDGER = """
select entry.entry_id
from unnest($1::uuid[], $2::double precision[]) as asked (entry_id, at)
join usage_entry as entry on entry.entry_id = asked.entry_id and entry.at = to_timestamp(asked.at)
"""


class Finding(msgspec.Struct, frozen=True):
    """Something that does not agree. `about`: `redis`, `balance` or `roll-up`."""

    about: str
    text: str
    details: Difference | BalanceDifference | RollUpDifference


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """What was set anew: counters in Redis, whatever they were before; balances and rows of the roll-ups, where they differed."""

    counters: int
    balances: int
    roll_ups: int


class _Books(msgspec.Struct, frozen=True):
    """Everything that is compared, open. `redis` None: limits are counted in the memory of a server."""

    pool: Any
    redis: RedisClient | None
    written: _Written
    clock: Clock
    config: Config
    tenants: Sequence[str]


class _Written:
    """What is written of usage: the ledger, and what has ended in the journals of this machine and is not in the ledger yet.

    An attempt is in a journal before Redis hears of its end. So what is read here after Redis has all that Redis had.
    """

    def __init__(self, pool: Any, root: Path) -> None:
        self._pool, self._root = pool, root
        self.in_journals: dict[tuple[str, str, int, str], int] = {}
        """Of the sums last read, by tenant, account, month and kind, the part that is not in the ledger."""

    async def balances(self, tenant_id: str, accounts: Sequence[str], period: int, /) -> dict[str, dict[str, int]]:
        """What each account has used in a month, by kind."""
        ended = await asyncio.to_thread(_ended, self._root)
        sums: dict[str, dict[str, int]] = {}
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            for account, kind, amount in await connection.fetch(query("balances"), tenant_id, list(accounts), period):
                sums.setdefault(account, {})[kind] = amount
            waiting = await _not_in_ledger(connection, ended)
        wanted = set(accounts)
        for entry in waiting:
            if (entry.tenant_id, entry.period) != (tenant_id, period):
                continue
            used = {
                "tokens": entry.tokens,
                "images": entry.images,
                "videos": entry.videos,
                COST: entry.cost_nano_usd or 0,
            }
            for account in wanted.intersection(entry.accounts):
                for kind, amount in used.items():
                    of_account = sums.setdefault(account, {})
                    of_account[kind] = of_account.get(kind, 0) + amount
                    name = (tenant_id, account, period, kind)
                    self.in_journals[name] = self.in_journals.get(name, 0) + amount
        return sums


async def audited(config: Config, *, period: int | None, tenant: str | None) -> list[Finding]:
    """Every difference that a second look confirms: between the two, what was on its way has arrived.

    Raises: ConfigError where Redis or Postgres cannot be reached, or there is no such tenant.
    """
    async with _open(config, tenant) as books:
        findings = [
            Finding("redis", str(each), each)
            for each in await _confirmed(books)
            if period is None or each.period in {None, period}
        ]
        async with books.pool.acquire() as connection:
            balances = await balance_differences(connection, period)
            roll_ups = await roll_up_differences(connection, period)
        findings += [Finding("balance", _balance(each), each) for each in balances]
        findings += [Finding("roll-up", _roll_up(each), each) for each in roll_ups]
        return [each for each in findings if tenant in {None, _tenant_of(each)}]


async def repaired(config: Config, period: int) -> Repair:
    """Set balances and roll-ups of a month to the sums of its entries, and the counters of Redis to the balances.

    Raises: ConfigError where Redis or Postgres cannot be reached.
    """
    async with _open(config, None) as books:
        async with books.pool.acquire() as connection:
            balances = await rebuild_balances(connection, period)
            roll_ups = await rebuild_roll_ups(connection, period)
        counters = 0
        if books.redis is not None:
            prefix = config.stores.redis_prefix
            counters = await rebuild(
                books.redis, books.written, books.tenants, period, clock=books.clock, prefix=prefix
            )
        return Repair(counters=counters, balances=len(balances), roll_ups=len(roll_ups))


@asynccontextmanager
async def _open(config: Config, tenant: str | None) -> AsyncIterator[_Books]:
    url, clock = config.stores.database_url, SystemClock()
    if url is None:
        raise ConfigError("no database: set PULSE_DATABASE_URL, or stores.database_url in the config file")
    if config.stores.redis_url is None and config.limits.store != "local":
        raise ConfigError("no Redis: set PULSE_REDIS_URL, or stores.redis_url in the config file")
    async with AsyncExitStack() as opened:
        redis: RedisClient | None = None
        if config.limits.store != "local" and config.stores.redis_url is not None:
            redis = await opened.enter_async_context(reached_redis(config.stores.redis_url))
        pool = await create_pool(url, max_size=2, query_timeout_s=60.0, wait_s=_PATIENCE_S)
        opened.push_async_callback(pool.close)
        async with pool.acquire() as connection:
            await require_migrated(connection)
            tenants = [each.tenant_id for each in await list_tenants(connection)]
        if tenant is not None and tenant not in tenants:
            raise ConfigError(f"there is no tenant {tenant!r}; see `pulse tenants list`")
        written = _Written(pool, Path(config.stores.journal_dir))
        yield _Books(pool, redis, written, clock, config, tenants if tenant is None else [tenant])


async def _confirmed(books: _Books) -> list[Difference]:
    if books.redis is None:
        return []
    first = {_name(each): each for each in await _look(books)}
    if not first:
        return []
    await asyncio.sleep(_SECOND_LOOK_S)
    return [each for each in await _look(books) if _is_confirmed(first.get(_name(each)), each)]


async def _look(books: _Books) -> list[Difference]:
    assert books.redis is not None
    books.written.in_journals.clear()
    prefix = books.config.stores.redis_prefix
    found = await verify(books.redis, books.written, books.tenants, clock=books.clock, prefix=prefix)
    return [_split(each, books.written) for each in found]


def _split(found: Difference, written: _Written) -> Difference:
    """With what is only in a journal told apart from what is in the ledger."""
    if found.what != "used" or found.period is None:
        return found
    in_journal = written.in_journals.get((found.tenant, found.account, found.period, found.kind), 0)
    return msgspec.structs.replace(found, ledger=found.ledger - in_journal, journal=in_journal)


def _is_confirmed(first: Difference | None, second: Difference) -> bool:
    """Whether the same is still there, and is more than calls that ended during the looks.

    Each look reads Redis before journal and ledger. So what Redis counts as used the second time lies between what was written the first
    time and what is now, unless something is wrong.
    """
    if first is None:
        return False
    if second.what != "used":
        return True
    least, most = first.ledger + first.journal, second.ledger + second.journal
    return not least <= second.redis <= most


def _name(difference: Difference) -> tuple[object, ...]:
    return (difference.tenant, difference.what, difference.account, difference.kind, difference.period)


def _ended(root: Path) -> list[UsageEntry]:
    """Raises: ConfigError for a journal that cannot be read."""
    found: dict[str, UsageEntry] = {}
    if root.is_dir():
        for slot in sorted(path for path in root.iterdir() if path.name.isdecimal()):
            try:
                closed = read_journal(slot).closed
            except JournalError as error:
                raise ConfigError(str(error)) from error
            found |= {entry.entry_id: entry for entry in closed}
    return list(found.values())


async def _not_in_ledger(connection: Any, entries: Sequence[UsageEntry]) -> list[UsageEntry]:
    if not entries:
        return []
    ids, moments = [as_uuid(entry.entry_id) for entry in entries], [entry.at for entry in entries]
    known = {row["entry_id"] for row in await connection.fetch(_IN_LEDGER, ids, moments)}
    return [entry for entry, name in zip(entries, ids, strict=True) if name not in known]


def _tenant_of(finding: Finding) -> str:
    details = finding.details
    return details.tenant if isinstance(details, Difference) else details.tenant_id


def _balance(found: BalanceDifference) -> str:
    return (
        f"{found.tenant_id} {found.account} {found.kind} {found.period}: "
        f"the balance is {found.balance}, its entries come to {found.entries}"
    )


def _roll_up(found: RollUpDifference) -> str:
    return (
        f"{found.tenant_id} {found.roll_up} {found.starts_at} {found.user_id} {found.provider}:{found.model}: "
        f"{found.kept_tokens} tokens and {found.kept_cost_nano_usd} nano-USD are kept, "
        f"the entries come to {found.entries_tokens} and {found.entries_cost_nano_usd}"
    )
