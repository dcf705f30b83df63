"""The ledger in Postgres: written in batches, in the background, each entry once."""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections import deque
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Any

import asyncpg
import msgspec

from pulse_gateway.clock import Clock, SystemClock
from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.ledger.ledger import UsageEntry

__all__ = ["BalanceDifference", "PostgresLedger", "balance_differences", "rebuild_balances"]

_log = logging.getLogger(__name__)

# All the ways in which Postgres can fail to answer: refused, cut, too slow, or an error of its own.
_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
# What Postgres finds wrong with the values themselves: trying again cannot help.
_REFUSALS = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
_BATCH_ROWS = 500
_LONGEST_PAUSE_S = 2.0
_RESTART_PAUSE_S = 0.5


@cache
def _query(name: str) -> str:
    return files("pulse_gateway.ledger").joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


class PostgresLedger:
    """Keeps entries in memory until Postgres has committed them, at once while it answers.

    `record` queues; one task takes what is pending, at most 500 entries at a time, and writes it in one statement. Nothing
    leaves the queue before its commit is acknowledged, and an entry written twice counts once, so any failure is answered
    by writing again. While Postgres is away the queue grows; from `max_backlog` entries on `check` refuses new work.

    What can be lost: the queue is memory. A process that is killed (`kill -9`, power, out of memory) loses the entries not
    yet written: normally those of the one batch under way, after an outage of Postgres all of its backlog. A process that
    ends in order writes them all, for at most `close_timeout_s`; what is left even then is logged whole, as JSON, so that it
    can be entered by hand, and so is an entry whose values Postgres refuses (counted in `refused`).

    The pool stays open: it belongs to whoever made it. Times are in seconds.
    """

    def __init__(
        self,
        pool: Any,
        *,
        clock: Clock | None = None,
        max_backlog: int = 50_000,
        write_timeout_s: float = 5.0,
        close_timeout_s: float = 10.0,
    ) -> None:
        self._pool = pool
        self._clock = clock or SystemClock()
        self._max_backlog = max_backlog
        self._write_timeout_s = write_timeout_s
        self._close_timeout_s = close_timeout_s
        self._queue: deque[tuple[UsageEntry, float]] = deque()  # with the monotonic time of recording
        self._recorded = 0
        self._taken = 0  # of the entries recorded, those that have left the queue
        self._written = 0
        self._refused = 0
        self._failures = 0  # in a row
        self._batch_rows = _BATCH_ROWS
        self._pending = asyncio.Event()
        self._progress = asyncio.Condition()
        self._writer: asyncio.Task[None] | None = None
        self._restart: asyncio.TimerHandle | None = None
        self._closed = False

    # ── for the pipeline ──

    def check(self) -> None:
        if self._closed or len(self._queue) >= self._max_backlog:
            raise StoreUnavailable("usage cannot be recorded at the moment", retry_after_s=_LONGEST_PAUSE_S)

    def record(self, entry: UsageEntry, /) -> None:
        if self._closed:
            _log_whole(entry, "it was recorded after the ledger had been closed")
            return
        self._queue.append((entry, self._clock.monotonic()))
        self._recorded += 1
        self._pending.set()
        if self._writer is None:
            self._start_writer()

    async def flush(self) -> None:
        target = self._recorded
        async with self._progress:
            await self._progress.wait_for(lambda: self._taken >= target)

    async def aclose(self) -> None:
        self._closed = True
        try:
            async with asyncio.timeout(self._close_timeout_s):
                await self.flush()
        except TimeoutError:
            _log.error("%d usage entries could not be written before the end", len(self._queue))
        finally:
            if self._restart is not None:
                self._restart.cancel()
            if self._writer is not None:
                self._writer.cancel()
                await asyncio.wait([self._writer])
            for entry, _ in self._queue:
                _log_whole(entry, "Postgres did not answer before the end")
            self._queue.clear()

    # ── for metrics, and for quota counters at start ──

    @property
    def backlog(self) -> int:
        """Entries recorded but not yet written."""
        return len(self._queue)

    @property
    def lag(self) -> float:
        """Age in seconds of the oldest entry not yet written; 0 when there is none."""
        return self._clock.monotonic() - self._queue[0][1] if self._queue else 0.0

    @property
    def written(self) -> int:
        """Entries this ledger has added to Postgres; repetitions do not count."""
        return self._written

    @property
    def refused(self) -> int:
        """Entries whose values Postgres refused."""
        return self._refused

    async def balances(self, period: int) -> dict[str, dict[str, int]]:
        """What each user has used in a month (`202611`), by kind, as far as it is written.

        Raises: StoreUnavailable.
        """
        try:
            async with asyncio.timeout(self._write_timeout_s), self._pool.acquire() as connection:
                rows = await connection.fetch(_query("balances"), period, timeout=self._write_timeout_s)
        except _FAILURES as error:
            raise StoreUnavailable("the balances cannot be read at the moment") from error
        balances: dict[str, dict[str, int]] = {}
        for user_id, kind, amount in rows:
            balances.setdefault(user_id, {})[kind] = amount
        return balances

    # ── the writer ──

    def _start_writer(self) -> None:
        self._writer = asyncio.get_running_loop().create_task(self._write_for_ever(), name="ledger writer")
        self._writer.add_done_callback(self._writer_ended)

    def _writer_ended(self, writer: asyncio.Task[None]) -> None:
        """The writer ends only when it is cancelled or by a defect; then it is logged, and begins again a little later."""
        if not writer.cancelled():
            _log.error("the ledger's writer failed; it starts again", exc_info=writer.exception())
            self._restart = writer.get_loop().call_later(_RESTART_PAUSE_S, self._start_writer)

    async def _write_for_ever(self) -> None:
        while True:
            if not self._queue:
                self._pending.clear()
                await self._pending.wait()
            batch = [entry for entry, _ in islice(self._queue, self._batch_rows)]
            try:
                await self._write(batch)
            except _FAILURES as error:
                await self._pause_after(error)
                continue
            if self._failures:
                _log.info("usage is written again; %d entries wait", len(self._queue) - len(batch))
            self._failures = 0
            self._batch_rows = min(_BATCH_ROWS, self._batch_rows * 2)
            for _ in batch:
                self._queue.popleft()
            self._taken += len(batch)
            async with self._progress:
                self._progress.notify_all()

    async def _pause_after(self, error: BaseException) -> None:
        if self._failures == 0:
            _log.warning(
                "usage cannot be written (%s: %s); %d entries wait", type(error).__name__, error, len(self._queue)
            )
        self._failures += 1
        if isinstance(error, TimeoutError | asyncpg.QueryCanceledError):
            self._batch_rows = max(1, self._batch_rows // 2)  # a server too slow for the whole batch may manage a part
        longest = min(_LONGEST_PAUSE_S, 0.05 * 2 ** min(self._failures, 10))
        await self._clock.sleep(longest * random.uniform(0.5, 1.0))

    async def _write(self, batch: Sequence[UsageEntry]) -> None:
        try:
            async with (
                asyncio.timeout(self._write_timeout_s),
                self._pool.acquire(timeout=self._write_timeout_s) as connection,
            ):
                self._written += await connection.fetchval(
                    _query("record"), *_columns(batch), timeout=self._write_timeout_s
                )
        except _REFUSALS as error:
            if len(batch) == 1:
                self._refused += 1
                _log_whole(batch[0], f"Postgres refused its values ({type(error).__name__}: {error})")
                return
            middle = len(batch) // 2
            await self._write(batch[:middle])
            await self._write(batch[middle:])


def _columns(batch: Sequence[UsageEntry]) -> list[list[object]]:
    """The batch as one list a column, in the order of record.sql."""
    return [list(column) for column in zip(*map(_row, batch), strict=True)]


def _row(entry: UsageEntry) -> tuple[object, ...]:
    usage = entry.usage
    tags = {_text(name): _text(value) for name, value in entry.tags}
    return (
        _uuid(entry.entry_id),
        _text(entry.request_id),
        _text(entry.trace_id),
        _text(entry.tenant_id),
        _text(entry.user_id),
        None if entry.key_id is None else _text(entry.key_id),
        entry.period,
        entry.operation,
        entry.dialect,
        _text(entry.alias),
        _text(entry.provider),
        _text(entry.model),
        entry.attempt,
        entry.outcome.value,
        entry.source.value,
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
        usage.cache_write_long_tokens,
        usage.audio_input_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        usage.audio_output_tokens,
        usage.image_output_tokens,
        entry.tokens,
        entry.cost_nano_usd,
        entry.price_source,
        entry.images,
        entry.videos,
        entry.first_byte_ms,
        entry.total_ms,
        entry.at,
        entry.error_code,
        msgspec.json.encode({"tags": tags} if tags else {}).decode(),
    )


def _uuid(entry_id: str) -> uuid.UUID:
    """The id as a UUID; an id of another form maps to one that is always the same."""
    try:
        return uuid.UUID(entry_id)
    except ValueError:
        return uuid.uuid5(uuid.NAMESPACE_OID, _text(entry_id))


def _text(value: str) -> str:
    """`value` with what Postgres cannot hold, NUL and lone surrogates, replaced: a name from outside must not stop a batch."""
    return value.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def _log_whole(entry: UsageEntry, why: str) -> None:
    _log.error("a usage entry is not in the ledger: %s: %s", why, msgspec.json.encode(entry).decode())


# ── for operators ─────────────────────────────────────────────────────────────────────────────────────────────────────


class BalanceDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A balance that is not the sum of its entries."""

    user_id: str
    period: int
    kind: str
    balance: int
    entries: int


async def balance_differences(connection: Any, period: int | None = None) -> list[BalanceDifference]:
    """Every balance that differs from the sum of its entries, in one month (`202611`) or in all. Takes no lock."""
    rows = await connection.fetch(_query("differences"), period)
    return [msgspec.convert(dict(row), BalanceDifference) for row in rows]


async def rebuild_balances(connection: Any, period: int | None = None) -> list[BalanceDifference]:
    """Set every balance that differs to the sum of its entries; returns what was corrected. Writers wait meanwhile."""
    async with connection.transaction():
        await connection.execute("lock table usage_balance in share row exclusive mode")
        found = await balance_differences(connection, period)
        columns = [[getattr(each, name) for each in found] for name in ("user_id", "period", "kind", "entries")]
        await connection.execute(_query("correct"), *columns)
    return found
