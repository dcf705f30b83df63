"""Puts a server together from its configuration: stores, limits, ledger and journal, keys, metrics, the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pulse_gateway.clock import Clock, SystemClock
from pulse_gateway.config import Config
from pulse_gateway.errors import ConfigError
from pulse_gateway.gateway import Gateway
from pulse_gateway.idempotency.postgres import PostgresAnswerStore
from pulse_gateway.ledger.journal import Journal
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.postgres import PostgresLedger
from pulse_gateway.limits.limiter import Limiter
from pulse_gateway.limits.memory import MemoryLimiter
from pulse_gateway.limits.periods import month_of
from pulse_gateway.limits.policies import Policies
from pulse_gateway.store.postgres import PostgresKeyStore
from pulse_gateway.videos.postgres import PostgresVideoStore
from pulse_host.alerts import Alerts
from pulse_host.app import Services
from pulse_host.database.balances import month_balances
from pulse_host.database.chores import database_chores
from pulse_host.database.migrate import require_migrated
from pulse_host.database.pool import create_pool
from pulse_host.health import Probe, Readiness
from pulse_host.lean_imports import load_redis
from pulse_host.logs import log_exchange, set_log_level
from pulse_host.maintenance import Maintenance
from pulse_host.metrics import Metrics
from pulse_host.probes import journal_probe, ledger_probe, postgres_probe, redis_probe
from pulse_host.traces import exporting
from pulse_host.usage.history import PostgresHistory

if TYPE_CHECKING:
    from pulse_gateway.limits.redis import RedisLimiter
    from pulse_gateway.transport.redis import RedisClient

__all__ = ["Assembly", "assembled"]

_DATABASE_WAIT_S = 10.0
_REPLAY_S = 60.0
_CLOSE_S = 5.0
_READERS = 4  # connections for callers who look at their own usage


class Assembly(msgspec.Struct, frozen=True):
    """`apply` swaps a new configuration into every part that has one, but for the server's own, the stores' addresses, and where
    and how limits are counted.

    It raises ConfigError; then nothing has changed.
    """

    services: Services
    apply: Callable[[Config], None]


@asynccontextmanager
async def assembled(
    config: Config, *, given_keys: Iterable[str] = (), worker: int | None = None
) -> AsyncIterator[Assembly]:
    """A server's parts, open; closed in order afterwards. `given_keys` are keys an operator chose, of any form. `worker` is this
    process's number, where several make up the server.

    Waits up to 10 s for a database that does not answer yet. Redis may be away.

    Raises: ConfigError for a database that is missing, unreachable or not migrated, where there is no Redis and limits are not to
    be counted locally, and for a journal that cannot be kept.
    """
    database_url = config.stores.database_url
    if database_url is None:
        raise ConfigError(
            "no database: set PULSE_DATABASE_URL, or stores.database_url in the config file; "
            "for a server that brings its own, run `pulse dev`"
        )
    if config.stores.redis_url is None and config.limits.store != "local":
        raise ConfigError(
            "no Redis: set PULSE_REDIS_URL, or stores.redis_url; "
            'or limits.store = "local" for a single node that counts in its own memory'
        )
    clock = SystemClock()
    async with AsyncExitStack() as opened:
        pool = await create_pool(database_url, wait_s=_DATABASE_WAIT_S)
        opened.push_async_callback(_close, pool)
        async with pool.acquire() as connection:
            await require_migrated(connection)
        scoped = await create_pool(database_url, max_size=_READERS, every_tenant=False, wait_s=_DATABASE_WAIT_S)
        opened.push_async_callback(_close, scoped)

        metrics = Metrics(worker=worker)
        journal = Journal.take(
            Path(config.stores.journal_dir),
            max_bytes=config.stores.journal_max_mb * 1_000_000,
            sync_s=config.stores.journal_sync_ms / 1000,
        )
        ledger = PostgresLedger(pool, journal=journal, clock=clock)
        opened.push_async_callback(ledger.aclose)
        recovered: list[UsageEntry] = []  # until there is a limiter to be told
        ledger.on_recovered = recovered.extend
        await ledger.start()
        _show_ledger(metrics, ledger, journal)

        probes: dict[str, Probe] = {"postgres": postgres_probe(pool, needed=not config.server.ready_without_postgres)}
        limiter: Limiter
        if config.limits.store == "local" or config.stores.redis_url is None:
            limiter = await _local_limiter(pool, ledger, clock, metrics)
            ledger.on_recovered = None
        else:
            load_redis()  # not earlier: a server that counts in its own memory does without its 60 ms and 6 MiB
            from pulse_gateway.transport.redis import RedisClient

            redis = RedisClient(config.stores.redis_url, clock=clock, deadline_s=config.limits.deadline_ms / 1000)
            opened.push_async_callback(redis.aclose)
            await redis.open()
            limiter = shared = await _redis_limiter(config, redis, ledger, clock, metrics)
            ledger.on_recovered = partial(_doubt, shared)
            _doubt(shared, recovered)
            probes["redis"] = redis_probe(redis, config.limits.without_redis)
        opened.push_async_callback(limiter.aclose)
        probes |= {"journal": journal_probe(journal), "ledger": ledger_probe(ledger)}

        keys = PostgresKeyStore(pool, config.plan_table(), given_keys=given_keys, clock=clock)
        opened.push_async_callback(keys.aclose)
        alerts = Alerts(pool, count=metrics.alert)
        opened.push_async_callback(alerts.aclose)
        on_traced = await opened.enter_async_context(exporting(metrics, drain_s=config.server.drain_s))
        gateway = Gateway(
            config,
            limiter=limiter,
            ledger=ledger,
            answers=PostgresAnswerStore(pool, lease_s=config.limits.lease_s),
            videos=PostgresVideoStore(pool),
            keys=keys,
            clock=clock,
            observers=(log_exchange, metrics.observe),
            on_alert=alerts,
            on_traced=on_traced,
        )

        def apply(fresh: Config) -> None:
            gateway.reload(msgspec.structs.replace(fresh, server=config.server, stores=config.stores))
            keys.plans = gateway.plans
            set_log_level(fresh.telemetry.log_level)

        await opened.enter_async_context(
            Maintenance({**database_chores(database_url, on_recovered=ledger.on_recovered), "alerts": alerts.flush})
        )
        yield Assembly(
            Services(
                gateway=gateway,
                keys=keys,
                readiness=Readiness(probes),
                metrics=metrics,
                history=PostgresHistory(scoped),
            ),
            apply,
        )


async def _local_limiter(pool: Any, ledger: PostgresLedger, clock: Clock, metrics: Metrics) -> Limiter:
    """Counts in this process, from what was used this month: the ledger with what an earlier process left in the journal."""
    limiter = MemoryLimiter(clock)
    period = month_of(clock.now()).period
    await _written_out(ledger)
    for tenant_id, balances in (await month_balances(pool, period)).items():
        limiter.load_balances(balances, period, tenant=tenant_id)
    metrics.gauge("pulse_open_permits", "Holds not yet settled", lambda: limiter.outstanding)
    return limiter


async def _written_out(ledger: PostgresLedger) -> None:
    """Raises: ConfigError when Postgres does not take what waits."""
    try:
        async with asyncio.timeout(_REPLAY_S):
            await ledger.flush()
    except TimeoutError:
        raise ConfigError(
            f"{ledger.backlog} usage entries of an earlier process could not be written within {_REPLAY_S:g} s, "
            "and without them limits would be counted too low; see whether Postgres takes writes"
        ) from None


async def _redis_limiter(
    config: Config, redis: RedisClient, ledger: PostgresLedger, clock: Clock, metrics: Metrics
) -> RedisLimiter:
    limits = config.limits
    from pulse_gateway.limits.redis import RedisLimiter

    limiter = RedisLimiter(
        redis,
        ledger=ledger,
        clock=clock,
        prefix=config.stores.redis_prefix,
        lease_s=limits.lease_s,
        replicas=limits.replicas,
        policies=Policies(**msgspec.structs.asdict(limits.without_redis)),
        lag_s=lambda: ledger.lag_s,
    )
    metrics.gauge("pulse_open_permits", "Holds not yet settled", lambda: limiter.outstanding)
    metrics.gauge("pulse_redis_available", "1 while limits are decided by Redis", lambda: redis.available)
    metrics.gauge(
        "pulse_settlements_waiting", "Settlements that Redis has not taken", lambda: limiter.settlements_waiting
    )
    metrics.gauge("pulse_replicas", "Gateways that share the limits, as this one knows", lambda: limiter.replicas or 0)
    metrics.counts(
        "pulse_degraded_grants", "Requests let through without Redis", "policy", lambda: limiter.degraded_grants
    )
    metrics.counts(
        "pulse_degraded_refusals", "Requests refused without Redis", "policy", lambda: limiter.degraded_refusals
    )
    metrics.count(
        "pulse_limit_corrections", "Counters that were set to what the ledger says", lambda: limiter.corrections
    )
    await limiter.open()
    return limiter


def _doubt(limiter: RedisLimiter, entries: Sequence[UsageEntry]) -> None:
    """What came into the ledger without this server's doing was not counted in Redis, or is not known to be."""
    for entry in entries:
        limiter.doubt(entry.tenant_id, entry.accounts, entry.period)


def _show_ledger(metrics: Metrics, ledger: PostgresLedger, journal: Journal) -> None:
    metrics.gauge("pulse_ledger_backlog", "Ledger entries not yet stored", lambda: ledger.backlog)
    metrics.gauge("pulse_ledger_lag_seconds", "Age of the oldest entry not yet stored", lambda: ledger.lag_s)
    metrics.count("pulse_ledger_written", "Entries added to the ledger", lambda: ledger.written)
    metrics.count("pulse_ledger_refused", "Entries whose values Postgres refused", lambda: ledger.refused)
    metrics.gauge("pulse_journal_bytes", "Size of the journal", lambda: journal.size_bytes)
    metrics.gauge(
        "pulse_journal_fill", "Share of the journal in use; from 0.9 on new work is refused", lambda: journal.fill
    )
    metrics.gauge(
        "pulse_journal_lag_seconds", "How long the oldest write has not been forced to disk", lambda: journal.lag_s
    )


async def _close(pool: Any) -> None:
    """In order, unless Postgres does not even answer that."""
    try:
        async with asyncio.timeout(_CLOSE_S):
            await pool.close()
    except TimeoutError:
        pool.terminate()
