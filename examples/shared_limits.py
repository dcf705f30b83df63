"""The gateway in your own program, with limits that every process shares and a ledger that outlives them.

    pip install "pulse-gateway[postgres,redis]"
    export PULSE_DATABASE_URL=postgresql://pulse:…@db/pulse PULSE_REDIS_URL=redis://redis/0 PULSE_JOURNAL_DIR=/var/lib/app/journal
    pulse migrate
    python examples/shared_limits.py

Run it in as many processes as you like: Redis counts for all of them. What was used is in the journal before an answer is, and in
the table usage_entry a moment later. `pulse usage verify` compares the three.
"""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from pulse_gateway import Gateway, Inbound
from pulse_gateway.clock import SystemClock
from pulse_gateway.config import Config
from pulse_gateway.environment import load_config
from pulse_gateway.idempotency.postgres import PostgresAnswerStore, prune
from pulse_gateway.ledger.journal import Journal
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.maintenance import ensure_partitions, sweep_open_permits
from pulse_gateway.ledger.postgres import PostgresLedger
from pulse_gateway.limits.policies import Policies
from pulse_gateway.limits.redis import RedisLimiter
from pulse_gateway.transport.redis import RedisClient

EVERY_TENANT = {"app.tenant_id": "*"}  # whose rows a connection sees; without it the ledger does not start


@asynccontextmanager
async def open_gateway(config: Config) -> AsyncIterator[Gateway]:
    """A gateway over the stores that `config` names. Closed in reverse: what was used is written out before connections go."""
    clock, stores, limits = SystemClock(), config.stores, config.limits
    if stores.database_url is None or stores.redis_url is None:
        raise SystemExit("set PULSE_DATABASE_URL and PULSE_REDIS_URL, and run `pulse migrate`")
    async with AsyncExitStack() as opened:
        pool = await opened.enter_async_context(
            asyncpg.create_pool(stores.database_url, min_size=0, server_settings=EVERY_TENANT)
        )
        redis = RedisClient(stores.redis_url, clock=clock, deadline_s=limits.deadline_ms / 1000)
        opened.push_async_callback(redis.aclose)
        ledger = PostgresLedger(pool, journal=Journal.take(Path(stores.journal_dir)), clock=clock)
        opened.push_async_callback(ledger.aclose)
        limiter = RedisLimiter(
            redis,
            ledger=ledger,
            clock=clock,
            prefix=stores.redis_prefix,
            lease_s=limits.lease_s,
            replicas=limits.replicas,
            policies=Policies(**msgspec.structs.asdict(limits.without_redis)),
            lag_s=lambda: ledger.lag_s,
        )
        opened.push_async_callback(limiter.aclose)

        def compare(entries: Sequence[UsageEntry]) -> None:
            """What an ended process left has come into the ledger: Redis may not have heard of it."""
            for entry in entries:
                limiter.doubt(entry.tenant_id, entry.accounts, entry.period)

        await redis.open()  # it may be away, now or later: limits.without_redis says what happens then
        await limiter.open()
        ledger.on_recovered = compare
        await ledger.start()
        chores = asyncio.create_task(keep_house(pool))
        opened.callback(chores.cancel)
        answers = PostgresAnswerStore(pool, lease_s=limits.lease_s)
        async with Gateway(config, limiter=limiter, ledger=ledger, answers=answers) as gateway:
            yield gateway


async def keep_house(pool: Any) -> None:
    """What `pulse serve` does once a minute: partitions for the months ahead, ends for lost calls, answers whose time is over."""
    while True:
        for work in (ensure_partitions, sweep_open_permits, prune):
            try:
                async with pool.acquire(timeout=5) as connection:
                    await work(connection)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                logging.warning("%s failed: %s", work.__name__, error)
        await asyncio.sleep(60)


async def main(model: str) -> None:
    async with open_gateway(load_config()) as gateway:
        reply = await gateway.chat(
            model=model, messages=[{"role": "user", "content": "قل مرحبا بالعربية"}], user="u1", plan="starter"
        )
        print(reply.text, reply.usage, reply.cost)

        # The same request twice under one idempotency key: one call of the provider, one charge, also from two processes.
        body = msgspec.json.encode({"model": model, "messages": [{"role": "user", "content": "مرة واحدة فقط"}]})
        once = Inbound(
            dialect="openai.chat",
            body=body,
            principal=gateway.principal("u1", "starter"),
            idempotency_key=f"order-7-{os.getpid()}",
        )
        for _ in range(2):
            answer = await gateway.handle(once)
            print(answer.status, dict(answer.headers).get("idempotent-replayed", "asked"))

        for standing in await gateway.usage(gateway.principal("u1", "starter")):
            print(f"{standing.kind}: {standing.used} used, {standing.remaining} left")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "echo"))
