"""Puts a server together from its configuration: stores, limits rebuilt from the ledger, keys, metrics, the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import structlog

from pulse_gateway.clock import SystemClock
from pulse_gateway.config import Config
from pulse_gateway.errors import ConfigError, StoreUnavailable
from pulse_gateway.gateway import Gateway
from pulse_gateway.ledger.postgres import PostgresLedger
from pulse_gateway.limits.memory import MemoryLimiter
from pulse_gateway.limits.periods import month_of
from pulse_gateway.store.postgres import PostgresKeyStore
from pulse_host.app import Services
from pulse_host.database.migrate import require_migrated
from pulse_host.database.pool import create_pool
from pulse_host.health import Readiness
from pulse_host.logs import log_exchange
from pulse_host.metrics import Metrics

__all__ = ["assembled"]

_log = structlog.get_logger("pulse")


@asynccontextmanager
async def assembled(config: Config, *, given_keys: Iterable[str] = ()) -> AsyncIterator[Services]:
    """A server's parts, open; closed in order afterwards. `given_keys` are keys an operator chose, of any form.

    Raises: ConfigError for a database that is missing, unreachable or not migrated.
    """
    if config.stores.database_url is None:
        raise ConfigError(
            "no database: set PULSE_DATABASE_URL, or stores.database_url in the config file; "
            "for a server that brings its own, run `pulse dev`"
        )
    pool = await create_pool(config.stores.database_url)
    try:
        async with pool.acquire() as connection:
            await require_migrated(connection)
        clock = SystemClock()
        ledger = PostgresLedger(pool)
        limiter = MemoryLimiter(clock)
        period = month_of(clock.now()).period
        limiter.load_balances(await ledger.balances(period), period)
        keys = PostgresKeyStore(pool, config.plan_table(), given_keys=given_keys, clock=clock)
        metrics = Metrics(ledger_backlog=lambda: ledger.backlog, open_permits=lambda: limiter.outstanding)
        gateway = Gateway(
            config, limiter=limiter, ledger=ledger, keys=keys, clock=clock, observers=(log_exchange, metrics.observe)
        )

        async def ledger_keeps_up() -> None:
            ledger.check()

        readiness = Readiness({"postgres": lambda: _answers(pool), "ledger": ledger_keeps_up})
        try:
            yield Services(gateway=gateway, keys=keys, readiness=readiness, metrics=metrics)
        finally:
            await keys.aclose()
    finally:
        await pool.close()


async def _answers(pool: Any) -> None:
    try:
        await pool.fetchval("select 1")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise StoreUnavailable(f"Postgres does not answer: {type(error).__name__}") from error
