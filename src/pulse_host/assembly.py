"""Puts a server together from its configuration: stores, limits rebuilt from the ledger, keys, metrics, the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

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
from pulse_host.logs import log_exchange, set_log_level
from pulse_host.metrics import Metrics

__all__ = ["Assembly", "assembled"]

_DATABASE_WAIT_S = 10.0
_CLOSE_S = 5.0


class Assembly(msgspec.Struct, frozen=True):
    """`apply` swaps a new configuration into every part that has one, but for the server's own and the stores' address.

    It raises ConfigError; then nothing has changed.
    """

    services: Services
    apply: Callable[[Config], None]


@asynccontextmanager
async def assembled(config: Config, *, given_keys: Iterable[str] = ()) -> AsyncIterator[Assembly]:
    """A server's parts, open; closed in order afterwards. `given_keys` are keys an operator chose, of any form.

    Waits up to 10 s for a database that does not answer yet.

    Raises: ConfigError for a database that is missing, unreachable or not migrated.
    """
    if config.stores.database_url is None:
        raise ConfigError(
            "no database: set PULSE_DATABASE_URL, or stores.database_url in the config file; "
            "for a server that brings its own, run `pulse dev`"
        )
    pool = await create_pool(config.stores.database_url, wait_s=_DATABASE_WAIT_S)
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

        def apply(fresh: Config) -> None:
            gateway.reload(msgspec.structs.replace(fresh, server=config.server, stores=config.stores))
            keys.plans = gateway.plans
            set_log_level(fresh.telemetry.log_level)

        readiness = Readiness({"postgres": lambda: _answers(pool), "ledger": ledger_keeps_up})
        try:
            yield Assembly(Services(gateway=gateway, keys=keys, readiness=readiness, metrics=metrics), apply)
        finally:
            await keys.aclose()
    finally:
        await _close(pool)


async def _close(pool: Any) -> None:
    """In order, unless Postgres does not even answer that."""
    try:
        async with asyncio.timeout(_CLOSE_S):
            await pool.close()
    except TimeoutError:
        pool.terminate()


async def _answers(pool: Any) -> None:
    try:
        await pool.fetchval("select 1")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise StoreUnavailable(f"Postgres does not answer: {type(error).__name__}") from error
