"""What Postgres is asked for once a minute by every server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import asyncpg

from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.idempotency.postgres import prune
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.maintenance import ensure_partitions, sweep_open_permits
from pulse_gateway.videos.postgres import prune_videos
from pulse_host.database.pool import open_connection

__all__ = ["database_chores"]


def database_chores(
    url: str, *, on_recovered: Callable[[Sequence[UsageEntry]], None] | None = None
) -> dict[str, Callable[[], Awaitable[object]]]:
    """By name: partitions for the months ahead, ends for calls that were never heard of again, and answers and
    videos whose time is over.

    `on_recovered` is called with the calls that were ended.

    Each uses a connection of its own, for it may take longer than a request would wait. Raises: StoreUnavailable, DatabaseUnusable.
    """
    works: dict[str, Callable[[Any], Awaitable[object]]] = {
        "partitions": ensure_partitions,
        "permits": partial(sweep_open_permits, on_recovered=on_recovered),
        "answers": prune,
        "videos": prune_videos,
    }
    return {name: _chore(url, work) for name, work in works.items()}


def _chore(url: str, work: Callable[[Any], Awaitable[object]]) -> Callable[[], Awaitable[object]]:
    async def run() -> object:
        try:
            async with open_connection(url, wait_s=0.0) as connection:
                return await work(connection)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise StoreUnavailable(f"{type(error).__name__}: {error}") from error

    return run
