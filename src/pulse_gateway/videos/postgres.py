"""Video jobs in Postgres, for every replica to see."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import asyncpg
import msgspec

from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.videos.job import VideoJob
from pulse_gateway.videos.store import KEPT_S

__all__ = ["PostgresVideoStore", "prune_videos"]

_log = logging.getLogger(__name__)

# All the ways in which Postgres can fail to answer: refused, cut, too slow, or an error of its own.
_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
_RETRY_S = 1.0

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(VideoJob).decode


@cache
def _query(name: str) -> str:
    return files("pulse_gateway.videos").joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


class PostgresVideoStore:
    """A `VideoStore` in the table `video_job`. The pool stays open: it belongs to whoever made it. `timeout_s` bounds each call."""

    def __init__(self, pool: Any, *, timeout_s: float = 2.0) -> None:
        self._pool, self._timeout_s = pool, timeout_s

    async def running(self, tenant_id: str, user_id: str, /) -> int:
        found = await self._rows("running", tenant_id, user_id)
        return int(found[0][0])

    async def add(self, job: VideoJob, /) -> None:
        await self._rows(
            "add",
            job.id,
            job.tenant_id,
            job.user_id,
            job.provider,
            job.state.id,
            job.over,
            job.created_at,
            _encode(job).decode(),
        )

    async def find(self, tenant_id: str, user_id: str, job_id: str, /) -> VideoJob | None:
        return _first(await self._rows("find", tenant_id, user_id, job_id))

    async def find_upstream(self, provider: str, upstream_id: str, /) -> VideoJob | None:
        return _first(await self._rows("find_upstream", provider, upstream_id))

    async def save(self, job: VideoJob, /) -> bool:
        return bool(await self._rows("save", job.id, _encode(job).decode(), job.over, job.state.id))

    async def delete(self, tenant_id: str, user_id: str, job_id: str, /) -> bool:
        return bool(await self._rows("delete", tenant_id, user_id, job_id))

    async def page(
        self, tenant_id: str, user_id: str, /, *, after: str | None, limit: int, ascending: bool
    ) -> Sequence[VideoJob]:
        return _jobs(await self._rows("oldest" if ascending else "newest", tenant_id, user_id, after, limit))

    async def claim(self, limit: int, lease_s: float, /) -> Sequence[VideoJob]:
        return _jobs(await self._asked("claim", limit, lease_s))  # by one that asks all the time, and tells once

    async def _rows(self, name: str, *values: Any) -> list[Any]:
        try:
            return await self._asked(name, *values)
        except StoreUnavailable as error:
            _log.warning("video jobs: %s failed: %s", name, str(error.__cause__) or type(error.__cause__).__name__)
            raise

    async def _asked(self, name: str, *values: Any) -> list[Any]:
        try:
            async with asyncio.timeout(self._timeout_s), self._pool.acquire() as connection:
                found: list[Any] = await connection.fetch(_query(name), *values)
                return found
        except _FAILURES as error:
            raise StoreUnavailable(
                "video jobs are kept in a database that does not answer", retry_after_s=_RETRY_S
            ) from error


async def prune_videos(connection: Any) -> None:
    """Forget the jobs that were over long ago."""
    await connection.execute(_query("prune"), KEPT_S)


def _first(rows: Sequence[Any]) -> VideoJob | None:
    return _decode(rows[0][0]) if rows else None


def _jobs(rows: Sequence[Any]) -> list[VideoJob]:
    """Without those that another release wrote in a way that this one cannot read: they keep nobody else's from being seen."""
    found = []
    for row in rows:
        try:
            found.append(_decode(row[0]))
        except msgspec.DecodeError as error:
            _log.error("a video job cannot be read: %s", error)
    return found
