"""The ledger in Postgres: kept in the journal at once, written in batches in the background, each entry once."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import asyncpg

from pulse_gateway.clock import Clock, SystemClock
from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.ledger.backlog import Backlog, Pending
from pulse_gateway.ledger.batches import Unwritable, write_entries, write_permits
from pulse_gateway.ledger.dead_letters import keep_dead_letter, log_whole
from pulse_gateway.ledger.inheritance import Inheritance, pending_of
from pulse_gateway.ledger.journal import Journal
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.permits import OpenPermits
from pulse_gateway.ledger.sight import ADVICE, require_sight
from pulse_gateway.ledger.sql import query

__all__ = ["PostgresLedger"]

_log = logging.getLogger(__name__)

# All the ways in which Postgres can fail to answer: refused, cut, too slow, or an error of its own.
_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
# What is wrong with the values themselves: trying again cannot help.
_REFUSALS = (
    Unwritable,
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
)
_BATCH_ROWS = 500
_LONGEST_PAUSE_S = 2.0
_RESTART_PAUSE_S = 0.5
_NO_ANSWER = "Postgres does not answer"


class PostgresLedger:
    """Writes to `journal` before anything else, and from there to Postgres: an entry outlives this process from its `open` on.

    One task writes what has gathered, at most 500 entries in a statement and at most one in `gather_s`, the first after a
    pause at once. Nothing leaves the queue before its commit is acknowledged, and an entry written twice counts once, so any
    failure is answered by writing again. While Postgres is away entries stay in the journal; about `in_memory` of them, and
    those of the last moments, are in memory too. New work is refused by `check` when the journal is full or cannot be written.

    `start` writes what earlier processes left: entries that ended, and of attempts under way the last that was known, as
    estimates. At the start and every `adopt_s` it also takes over the journals of sibling processes that have ended. Attempts
    that last longer than `permit_after_s` get a row in `open_permit`, which tells of them should the journal be lost with its
    disk; it is renewed, and somebody else may end them when it has not been for `permit_s`.

    Entries whose values Postgres refuses are put into `refused.jsonl` beside the journal, and counted in `refused`.

    Without a journal entries are in memory only: `check` refuses from `max_backlog` on, `kill -9` loses what is not written,
    and what cannot be written within `close_timeout_s` of `aclose` is logged whole, as JSON.

    The journal is closed with the ledger. The pool stays open: it belongs to whoever made it. Times are in seconds;
    `wait_s` bounds how long a connection is waited for, and a look at balances.
    """

    def __init__(
        self,
        pool: Any,
        *,
        journal: Journal | None = None,
        clock: Clock | None = None,
        max_backlog: int = 50_000,
        in_memory: int = 10_000,
        gather_s: float = 0.1,
        wait_s: float = 0.5,
        write_timeout_s: float = 5.0,
        close_timeout_s: float = 10.0,
        permit_after_s: float = 0.2,
        permit_s: float = 900.0,
        adopt_s: float = 60.0,
    ) -> None:
        self._pool = pool
        self._journal = journal
        self._clock = clock or SystemClock()
        self._max_backlog = max_backlog
        self._gather_s, self._wait_s = gather_s, wait_s
        self._write_timeout_s, self._close_timeout_s = write_timeout_s, close_timeout_s
        self._permit_s, self._adopt_s = permit_s, adopt_s
        self._backlog = Backlog(in_memory, None if journal is None else journal.directory)
        self._permits = OpenPermits(after_s=permit_after_s, renew_s=permit_s / 3)
        self._inheritance: Inheritance | None = None
        if journal is not None and journal.directory.name.isdecimal():  # one of several side by side
            self._inheritance = Inheritance(journal.directory.parent)
        self._recorded = 0
        self._written = self._corrected = self._refused = 0
        self.on_recovered: Callable[[Sequence[UsageEntry]], None] | None = None
        """Called with what earlier processes left, whenever some of it is written: balances have grown, and nobody was told."""
        self._failures = 0  # in a row
        self._trouble = _NO_ANSWER
        self._batch_rows = _BATCH_ROWS
        self._pending = asyncio.Event()  # there is something to write, or there may be
        self._hurry = asyncio.Event()  # write it now
        self._flushes = 0
        self._last_batch = float("-inf")
        self._progress = asyncio.Condition()
        self._writer: asyncio.Task[None] | None = None
        self._restart: asyncio.TimerHandle | None = None
        self._adopter: asyncio.Task[None] | None = None
        self._closing = self._closed = False

    # ── for the pipeline ──

    def check(self) -> None:
        if self._closing:
            raise _unavailable()
        if self._journal is not None:
            self._journal.check()
        elif self._backlog.count >= self._max_backlog:
            raise _unavailable()

    def open(self, entry: UsageEntry, /) -> None:
        if self._closing:
            raise _unavailable()
        if self._journal is not None:
            self._journal.check()
        self._permits.opened(entry)

    def sent(self, entry_id: str, /) -> None:
        permits = self._permits
        entry = permits.announced(entry_id)
        if self._closed or entry is None:
            return
        if self._journal is not None:
            try:
                self._journal.open(entry)
            except StoreUnavailable:
                permits.closed(entry_id)
                raise
        if permits.sent(entry_id, self._clock.monotonic()):
            self._wake()

    def mark(self, entry: UsageEntry, /) -> None:
        if self._closed:
            return
        if self._journal is not None:
            self._journal.mark(entry)
        self._permits.marked(entry)

    def record(self, entry: UsageEntry, /) -> None:
        if self._closed:
            log_whole(entry, "it was recorded after the ledger had been closed")
            return
        if self._journal is not None:
            self._journal.close(entry)
        self._enqueue(Pending(entry, self._clock.monotonic(), None, self._permits.closed(entry.entry_id)))

    async def balances(self, tenant_id: str, accounts: Sequence[str], period: int) -> dict[str, dict[str, int]]:
        try:
            async with asyncio.timeout(self._wait_s), self._pool.acquire(timeout=self._wait_s) as connection:
                rows = await connection.fetch(
                    query("balances"), tenant_id, list(accounts), period, timeout=self._wait_s
                )
        except _FAILURES as error:
            raise StoreUnavailable("the balances cannot be read at the moment", retry_after_s=1.0) from error
        balances: dict[str, dict[str, int]] = {}
        for account, kind, amount in rows:
            balances.setdefault(account, {})[kind] = amount
        return balances

    async def flush(self) -> None:
        target = self._recorded
        self._flushes += 1
        self._hurry.set()
        try:
            async with self._progress:
                await self._progress.wait_for(lambda: self._recorded - self._backlog.count >= target)
        finally:
            self._flushes -= 1

    # ── for whoever made it ──

    async def start(self) -> None:
        """Begin to write what earlier processes left. Waits for the disk; for Postgres no longer than `wait_s`.

        Raises: ConfigError when Postgres answers that row-level security will refuse what is written.
        """
        with suppress(*_FAILURES):  # away: then the first entry finds out
            async with asyncio.timeout(self._wait_s), self._pool.acquire(timeout=self._wait_s) as connection:
                await require_sight(connection, self._wait_s)
        if self._journal is None:
            return
        await self._journal.start()
        for item in pending_of(self._journal, self._clock.monotonic(), 0):
            self._enqueue(item)
        if self._inheritance is not None:
            await self._adopt(self._inheritance)
            self._adopter = asyncio.create_task(self._adopt_for_ever(self._inheritance), name="ledger heir")
            self._adopter.add_done_callback(_adopter_ended)

    async def aclose(self) -> None:
        self._closing = True
        try:
            async with asyncio.timeout(self._close_timeout_s):
                while self._backlog.count:
                    await self.flush()
        except TimeoutError:
            where = "cannot be written before the end" if self._journal is None else "stay in the journal"
            _log.error("%s: %d usage entries %s", self._trouble, self._backlog.count, where)
        finally:
            self._closed = True
            if self._restart is not None:
                self._restart.cancel()
            tasks = [task for task in (self._writer, self._adopter) if task is not None]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
            if self._inheritance is not None:
                await self._inheritance.aclose()
            if self._journal is not None:
                await self._journal.aclose()
            else:
                for item in self._backlog.head(self._backlog.count):
                    log_whole(item.entry, f"{self._trouble} before the end")
            self._backlog.drop_all()

    # ── for metrics ──

    @property
    def backlog(self) -> int:
        """Entries recorded but not yet written, those left by other processes included."""
        return self._backlog.count

    @property
    def lag_s(self) -> float:
        """Age of the oldest entry not yet written; 0 when there is none."""
        since = self._backlog.oldest_since
        return 0.0 if since is None else self._clock.monotonic() - since

    @property
    def written(self) -> int:
        """Entries this ledger has added to Postgres; neither repetitions nor corrections count."""
        return self._written

    @property
    def corrected(self) -> int:
        """Estimates that have been corrected, because word of what was really used came after all."""
        return self._corrected

    @property
    def refused(self) -> int:
        """Entries whose values Postgres refused."""
        return self._refused

    @property
    def open_permits(self) -> int:
        """Attempts under way."""
        return len(self._permits)

    @property
    def journal(self) -> Journal | None:
        return self._journal

    # ── the queue ──

    def _enqueue(self, item: Pending) -> None:
        backlog = self._backlog
        backlog.append(item)
        self._recorded += 1
        if backlog.count == 1:  # else the writer has been woken, and has not found the queue empty since
            self._wake()
        elif backlog.count >= _BATCH_ROWS:
            self._hurry.set()

    def _wake(self) -> None:
        self._pending.set()
        if self._writer is None:
            self._start_writer()

    def _start_writer(self) -> None:
        self._writer = asyncio.get_running_loop().create_task(self._write_for_ever(), name="ledger writer")
        self._writer.add_done_callback(self._writer_ended)

    def _writer_ended(self, writer: asyncio.Task[None]) -> None:
        """The writer ends only when it is cancelled or by a defect; then it is logged, and begins again a little later."""
        if not writer.cancelled():
            _log.error("the ledger's writer failed; it starts again", exc_info=writer.exception())
            self._restart = writer.get_loop().call_later(_RESTART_PAUSE_S, self._start_writer)

    async def _adopt(self, inheritance: Inheritance) -> None:
        for item in await inheritance.adopt(self._clock.monotonic()):
            self._enqueue(item)

    async def _adopt_for_ever(self, inheritance: Inheritance) -> None:
        while True:
            await self._clock.sleep(self._adopt_s)
            await self._adopt(inheritance)

    # ── the writer ──

    async def _write_for_ever(self) -> None:
        while True:
            await self._gather()
            try:
                if batch := self._backlog.head(self._batch_rows):
                    await self._write_batch(batch)
                else:
                    await self._tell_progress()
                await self._write_open_permits()
            except _FAILURES as error:
                await self._pause_after(error)
                continue
            if self._failures:
                _log.info("usage is written again; %d entries wait", self._backlog.count)
                self._failures = 0

    async def _gather(self) -> None:
        """Wait until there is something to write, and then, if there is little, for more: few statements cost less."""
        while not self._backlog.count:
            self._pending.clear()
            due = self._permits.next_due()
            wait_s = None if due is None else due - self._clock.monotonic()
            if wait_s is not None and wait_s <= 0:
                break
            await _wait(self._pending, wait_s)
        if self._backlog.count < self._batch_rows and not self._flushes:
            self._hurry.clear()
            await _wait(self._hurry, self._last_batch + self._gather_s - self._clock.monotonic())
        self._last_batch = self._clock.monotonic()

    async def _pause_after(self, error: BaseException) -> None:
        refused = isinstance(error, asyncpg.InsufficientPrivilegeError)
        self._trouble = f"Postgres refuses the ledger's role ({error})" if refused else _NO_ANSWER
        if self._failures == 0 and refused:
            _log.error(
                "usage cannot be written: %s; where row-level security is what refuses it, %s; %d entries wait",
                *(self._trouble, ADVICE, self._backlog.count),
            )
        elif self._failures == 0:
            _log.warning(
                "usage cannot be written (%s: %s); %d entries wait", type(error).__name__, error, self._backlog.count
            )
        self._failures += 1
        if self._failures > 1 and isinstance(error, TimeoutError | asyncpg.QueryCanceledError):
            self._batch_rows = max(1, self._batch_rows // 2)  # a server too slow for the whole batch may manage a part
        longest = min(_LONGEST_PAUSE_S, 0.05 * 2 ** min(self._failures, 10))
        await self._clock.sleep(longest * random.uniform(0.5, 1.0))

    async def _write_batch(self, batch: Sequence[Pending]) -> None:
        """Write it and let it go; when Postgres refuses its values, try a half, until the entry is found that they are of."""
        try:
            async with (
                asyncio.timeout(self._write_timeout_s),
                self._pool.acquire(timeout=self._wait_s) as connection,
            ):
                done = await write_entries(
                    connection,
                    [item.entry for item in batch],
                    [item.recovered for item in batch],
                    [item.entry.entry_id for item in batch if item.permit],
                    self._write_timeout_s,
                )
        except _REFUSALS as error:
            if len(batch) > 1:
                self._batch_rows = len(batch) // 2
                return
            self._refused += 1
            why = f"Postgres refused its values ({type(error).__name__}: {error})"
            if self._journal is None:
                log_whole(batch[0].entry, why)
            elif not keep_dead_letter(self._journal.directory, batch[0].entry, why):
                await self._let_go(batch, kept=False)
                return
        else:
            self._written += done.added
            self._corrected += done.corrected
        self._batch_rows = min(_BATCH_ROWS, self._batch_rows * 2)
        await self._let_go(batch)

    async def _let_go(self, batch: Sequence[Pending], *, kept: bool = True) -> None:
        """These need no more writing; `kept` tells the journals that they are where they belong."""
        self._backlog.drop(len(batch))
        if kept:
            by_journal: dict[int, list[str]] = {}
            for item in batch:
                by_journal.setdefault(item.journal, []).append(item.entry.entry_id)
            for number, entry_ids in by_journal.items():
                if number == 0 and self._journal is not None:
                    self._journal.done(entry_ids)
                elif self._inheritance is not None:
                    await self._inheritance.done(number, entry_ids)
        if self.on_recovered is not None and (left := [item.entry for item in batch if item.left]):
            self.on_recovered(left)
        await self._tell_progress()

    async def _tell_progress(self) -> None:
        async with self._progress:
            self._progress.notify_all()

    async def _write_open_permits(self) -> None:
        """Tell Postgres of attempts that have been under way for a while."""
        now = self._clock.monotonic()
        entries = self._permits.take(now, _BATCH_ROWS)
        if not entries:
            return
        try:
            async with (
                asyncio.timeout(self._write_timeout_s),
                self._pool.acquire(timeout=self._wait_s) as connection,
            ):
                await write_permits(connection, entries, self._permit_s, self._write_timeout_s)
        except _REFUSALS as error:
            _log.error("%d attempts under way are not told of: %s: %s", len(entries), type(error).__name__, error)
        self._permits.put_off(entries, now)


def _adopter_ended(adopter: asyncio.Task[None]) -> None:
    if not adopter.cancelled():
        _log.error("journals left behind are taken over no more, until the next start", exc_info=adopter.exception())


async def _wait(event: asyncio.Event, seconds: float | None) -> None:
    """Until `event` is set, for at most so long."""
    if seconds is not None and seconds <= 0:
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _unavailable() -> StoreUnavailable:
    return StoreUnavailable("usage cannot be recorded at the moment", retry_after_s=_LONGEST_PAUSE_S)
