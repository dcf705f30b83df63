"""The words that /ready has for each dependency: `ok`, what is done without it, or that requests cannot be answered."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec

from pulse_gateway.config import WithoutRedisConfig
from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.ledger.journal import Journal
from pulse_gateway.ledger.postgres import PostgresLedger
from pulse_gateway.transport.redis_calls import RedisRefused
from pulse_host.health import OK, Probe

if TYPE_CHECKING:
    from pulse_gateway.transport.redis import RedisClient

__all__ = ["journal_probe", "ledger_probe", "postgres_probe", "redis_probe"]

_LATE_S = 5.0  # from here on it is worth a word that entries wait for Postgres


def redis_probe(redis: RedisClient, policies: WithoutRedisConfig) -> Probe:
    """Without Redis the policies hold; requests cannot be answered when all of them are `closed`."""
    rules = msgspec.structs.asdict(policies)
    down = "down: " + ", ".join(f"{kind}={policy}" for kind, policy in rules.items())

    async def probe() -> str:
        try:
            await redis.command("PING")
        except RedisRefused:
            return OK  # it answers; access lists may keep this command from us
        except StoreUnavailable as error:
            if set(rules.values()) == {"closed"}:
                raise StoreUnavailable(down) from error
            return down
        return OK

    return probe


def postgres_probe(pool: Any, *, needed: bool) -> Probe:
    """Without Postgres usage waits in the journal, and keys seen within the last hour are still known; `needed` calls that not
    enough.
    """

    async def probe() -> str:
        try:
            await pool.fetchval("select 1")
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            word = f"down ({_why(error)}): usage waits in the journal, keys not used of late are refused"
            if needed:
                raise StoreUnavailable(word) from error
            return word
        return OK

    return probe


def ledger_probe(ledger: PostgresLedger) -> Probe:
    async def probe() -> str:
        ledger.check()
        if ledger.lag_s < _LATE_S:
            return OK
        return f"behind by {ledger.lag_s:.0f} s: {ledger.backlog} entries wait for Postgres"

    return probe


def journal_probe(journal: Journal) -> Probe:
    async def probe() -> str:
        if journal.refusal is not None:
            raise StoreUnavailable(journal.refusal)
        return f"{journal.fill * 100:.0f} % full: entries wait for Postgres" if journal.alarmed else OK

    return probe


def _why(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "nobody listens: its socket is not there"
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
