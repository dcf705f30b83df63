"""Answers kept in Postgres: one insert decides between all replicas who runs a request."""

from __future__ import annotations

import asyncio
import logging
import zlib
from functools import cache
from importlib.resources import files
from typing import Any

import asyncpg

from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.idempotency.store import (
    GRACE,
    KEPT_S,
    LEASE_S,
    Answer,
    Place,
    Running,
    another_request,
)

__all__ = ["PostgresAnswerStore", "prune"]

_log = logging.getLogger(__name__)

# All the ways in which Postgres can fail to answer: refused, cut, too slow, or an error of its own.
_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
_WORTH_DEFLATING_BYTES = 1024
_WORTH_A_THREAD_BYTES = 64 * 1024
_RETRY_S = 1.0


@cache
def _query(name: str) -> str:
    return files("pulse_gateway.idempotency").joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


class PostgresAnswerStore:
    """`AnswerStore` in the table `idempotency`. The pool stays open: it belongs to whoever made it.

    `timeout_s` bounds what decides, the wait for a connection included; `body_timeout_s` what moves a body. Times are in seconds.
    """

    def __init__(
        self,
        pool: Any,
        *,
        lease_s: float = LEASE_S,
        kept_s: float = KEPT_S,
        timeout_s: float = 0.5,
        body_timeout_s: float = 10.0,
    ) -> None:
        self.lease_s = lease_s
        self._pool, self._kept_s = pool, kept_s
        self._grace_s = lease_s * GRACE
        self._held_s = lease_s - self._grace_s
        self._timeout_s, self._body_timeout_s = timeout_s, body_timeout_s

    async def claim(self, place: Place, fingerprint: bytes, owner: str, /) -> Answer | Running | None:
        while True:
            row = await self._row("claim", place, fingerprint, owner, self._held_s, self._kept_s)
            if row is None:
                continue
            if row["mine"]:
                return None
            if row["lapsed"]:
                await self._row("doubt", place, row["owner"], self._grace_s)
            if row["fingerprint"] != fingerprint:
                raise another_request()
            if row["running"]:
                return Running(str(row["owner"]))
            body = None
            if row["has_body"]:
                kept = await self._row("body", place, row["owner"], timeout_s=self._body_timeout_s)
                if kept is None:
                    continue  # its time was over at that moment
                body = kept["body"]
                if kept["deflated"]:
                    try:
                        body = await _inflated(body)
                    except zlib.error as error:
                        _log.error("idempotency keys: the answer of %s is damaged: %s", row["request_id"], error)
                        raise StoreUnavailable(
                            "the answer kept for this idempotency key cannot be read; "
                            "use a new key to ask again, and pay again"
                        ) from error
            names_and_values = row["headers"]
            return Answer(
                request_id=row["request_id"],
                status=row["status"],
                headers=tuple(zip(names_and_values[::2], names_and_values[1::2], strict=True)),
                stream=row["streamed"],
                body=body,
            )

    async def runs(self, place: Place, owner: str, /) -> bool:
        row = await self._row("runs", place, owner)
        return bool(row[0])

    async def renew(self, place: Place, owner: str, /) -> bool:
        return await self._row("renew", place, owner, self._held_s) is not None

    async def keep(self, place: Place, owner: str, answer: Answer, /) -> bool:
        body, deflated = await _deflated(answer.body)
        row = await self._row(
            "keep",
            place,
            owner,
            answer.request_id,
            answer.status,
            [text for header in answer.headers for text in header],
            answer.stream,
            body,
            deflated,
            self._kept_s,
            timeout_s=self._body_timeout_s,
        )
        return row is not None

    async def release(self, place: Place, owner: str, /) -> None:
        await self._row("release", place, owner)

    async def _row(self, query: str, place: Place, *values: Any, timeout_s: float | None = None) -> Any:
        """Raises: StoreUnavailable."""
        bound_s = timeout_s or self._timeout_s
        try:
            async with (
                asyncio.timeout(bound_s),
                self._pool.acquire(timeout=self._timeout_s) as connection,
            ):
                return await connection.fetchrow(
                    _query(query), place.tenant_id, place.user_id, place.key, *values, timeout=bound_s
                )
        except _FAILURES as error:
            _log.warning("idempotency keys: %s failed: %s: %s", query, type(error).__name__, error)
            raise StoreUnavailable(
                "idempotency keys cannot be kept at the moment; nothing was run for this request",
                retry_after_s=_RETRY_S,
            ) from error


async def prune(connection: Any, *, batch_rows: int = 1000) -> int:
    """Remove the answers whose time is over, in batches that hold no lock for long; returns how many there were."""
    removed = 0
    while True:
        done = int((await connection.execute(_query("prune"), batch_rows)).split()[-1])
        removed += done
        if done < batch_rows:
            return removed


async def _deflated(body: bytes | None) -> tuple[bytes | None, bool]:
    """The body as it is written, and whether it is deflated: where that makes it smaller, at a few milliseconds a megabyte."""
    if body is None or len(body) < _WORTH_DEFLATING_BYTES:
        return body, False
    if len(body) < _WORTH_A_THREAD_BYTES:
        smaller = zlib.compress(body, 1)
    else:
        smaller = await asyncio.to_thread(zlib.compress, body, 1)
    return (smaller, True) if len(smaller) < len(body) else (body, False)


async def _inflated(body: bytes) -> bytes:
    if len(body) < _WORTH_A_THREAD_BYTES:
        return zlib.decompress(body)
    return await asyncio.to_thread(zlib.decompress, body)
