"""The journal: what each attempt used, on this machine's disk, before anything that waits for a network knows of it."""

from __future__ import annotations

import asyncio
import logging
import os
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Self

from pulse_gateway.clock import Clock, SystemClock
from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.readiness import Readiness
from pulse_gateway.ledger.record_writer import RecordWriter
from pulse_gateway.ledger.recovery import take_over
from pulse_gateway.ledger.segment_log import SegmentLog
from pulse_gateway.ledger.segments import (
    JournalError,
    Recovered,
    encode_entry,
    read_segments,
)
from pulse_gateway.ledger.slots import JournalLocked, lock_directory, lock_free_slot, orphans

__all__ = ["Journal", "JournalError", "JournalLocked", "Recovered", "orphans", "read_journal"]

_log = logging.getLogger(__name__)

_SMALLEST_SEGMENT_BYTES = 64 * 1024
_SEGMENTS = 32  # at least as many make up `max_bytes`: the room made ahead must be little beside what is left at 90 %
_RETRY_S = 0.5
_LAST_ROUNDS = 3  # at the end: one makes room, one writes what waited for it, one forces that to the disk

read_journal = read_segments


class Journal:
    """Keeps entries in the files of one folder from their `open` until they are `done`.

    Every call is one `write`: what it said survives the death of this process. In the background everything written is forced
    to the disk every `sync_s` seconds, so that a crash of the machine costs no more than that; `sync` does it at once.

    What cannot be written waits in memory, is tried again, and is the reason why `check` and `open` refuse meanwhile; so do
    they when entries take up 90 % of `max_bytes`. Room for the rest of an attempt is set aside at its `open`. Files are
    removed when nothing in them is needed, and what is still needed in mostly empty ones is written again.

    Without `start` nothing is done in the background: the disk is forced by `sync`, by `aclose` and at the end of a segment,
    in the calling thread, and what could not be written is tried again by the first two only.

    Raises: JournalLocked when another process has the folder; JournalError when it cannot be used.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int = 256 * 2**20,
        segment_bytes: int = 8 * 2**20,
        sync_s: float = 0.05,
        clock: Clock | None = None,
        lock: int | None = None,
    ) -> None:
        """`lock` is the descriptor that holds the folder, for who has locked it already."""
        self.directory = directory
        self._lock: int | None = lock_directory(directory) if lock is None else lock
        self._max_bytes = max_bytes
        self._sync_s = sync_s
        self._readiness = Readiness(directory, max_bytes)
        self._closed = False
        self._waiters: list[asyncio.Future[None]] = []
        self._one_round = asyncio.Lock()
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._thread: ThreadPoolExecutor | None = None
        try:
            estate = take_over(directory)
            self._recovered = estate.recovered
            self._holdings = estate.holdings
            segment_bytes = max(_SMALLEST_SEGMENT_BYTES, min(segment_bytes, max_bytes // _SEGMENTS))
            self._segments = SegmentLog(directory, segment_bytes, estate.segments, estate.next_number)
        except OSError as error:
            self._unlock()
            why = error.strerror or str(error)
            raise JournalError(f"{directory}: the journal cannot be kept here: {why}") from error
        except BaseException:  # a damaged file, an interrupt: the folder must not stay locked
            self._unlock()
            raise
        self._writer = RecordWriter(
            self._segments,
            estate.holdings,
            self._readiness,
            max_bytes=max_bytes,
            clock=clock or SystemClock(),
            wake=self._wake.set,
            hurry=self._hurry,
            may_wait=lambda: self._task is None and not self._one_round.locked(),
        )
        self._segments.sweep()
        self._writer.judge()
        let_go = weakref.WeakMethod(self._let_go)
        os.register_at_fork(after_in_child=lambda: (method := let_go()) and method())

    @classmethod
    def take(
        cls,
        root: Path,
        *,
        max_bytes: int = 256 * 2**20,
        segment_bytes: int = 8 * 2**20,
        sync_s: float = 0.05,
        clock: Clock | None = None,
    ) -> Self:
        """The journal in the first folder 0, 1, 2 … below `root` that no process has. Raises: JournalError."""
        directory, lock = lock_free_slot(root)
        return cls(directory, max_bytes=max_bytes, segment_bytes=segment_bytes, sync_s=sync_s, clock=clock, lock=lock)

    # ── for the ledger ──

    def recovered(self) -> Recovered:
        """What earlier processes left here. Handed over once: the journal keeps where it is, not what it says.

        Each of these entries stays in the files until it is `done`; the open ones can be marked and closed as any other.
        """
        recovered, self._recovered = self._recovered, Recovered(closed=[], open=[], unsent=[])
        return recovered

    def check(self) -> None:
        """Raises: StoreUnavailable when nothing new can be taken: the disk refused, or the journal is full."""
        if self._closed or self._readiness.refusal is not None:
            raise _unavailable()

    def open(self, entry: UsageEntry) -> None:
        """The attempt's request is about to leave: what to record should nothing more be heard of it.

        Raises: StoreUnavailable; nothing was kept then.
        """
        if self._closed or self._readiness.refusal is not None:
            raise _unavailable()
        if not self._writer.begin(entry.entry_id, encode_entry(entry)):
            self._wake.set()
            raise _unavailable()

    def mark(self, entry: UsageEntry) -> None:
        """What to record instead. Ignored for an attempt that is not open. Raises: StoreUnavailable only once closed."""
        self._refuse_if_closed()
        self._writer.put_mark(entry.entry_id, encode_entry(entry))

    def close(self, entry: UsageEntry) -> None:
        """The attempt has ended. Takes entries that were never opened as well. Raises: StoreUnavailable only once closed."""
        if self._closed:
            raise _unavailable()
        self._writer.end(entry.entry_id, encode_entry(entry))

    def done(self, entry_ids: Sequence[str]) -> None:
        """These are where the ledger keeps them, and are forgotten here. Raises: StoreUnavailable only once closed."""
        self._refuse_if_closed()
        if self._writer.waiting:
            for entry_id in entry_ids:
                self._writer.waiting.pop(entry_id, None)
        self._writer.put_done(self._holdings.forget(entry_ids))
        self._writer.sweep()

    async def sync(self) -> None:
        """Returns when everything said so far is on the disk. Raises: StoreUnavailable when it cannot be brought there."""
        self._refuse_if_closed()
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        while self._task is None and not waiter.done():
            await self._round()
        self._hurry()
        await waiter

    async def start(self) -> None:
        """From now on the disk is forced, room is made and failures are repaired in the background."""
        self._refuse_if_closed()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pulse-journal")
        await self._round()  # what was recovered has to end as well, and needs its room
        self._task = asyncio.create_task(self._run(), name="pulse-journal")
        self._task.add_done_callback(self._task_ended)
        self._wake.set()

    async def aclose(self) -> None:
        """Force everything to the disk and let go of the folder.

        What is not done stays in it. What could not be written even now is logged whole.
        """
        if self._closed:
            return
        self._closed = True
        try:
            if self._task is not None:
                self._hurry()
                await asyncio.wait([self._task])
            elif self._holdings or self.waiting:  # otherwise there is nothing that the disk has to keep
                await self._last_rounds()
        finally:
            self._finish()

    # ── for metrics ──

    @property
    def size_bytes(self) -> int:
        """What the files take up, room set aside included."""
        return self._segments.size_bytes

    @property
    def fill(self) -> float:
        """How much of `max_bytes` records take up: an alarm from 0.5 on, a reason to refuse from 0.9 on, in need beyond 1."""
        return self._segments.used_bytes / self._max_bytes

    @property
    def open_entries(self) -> int:
        """Attempts opened and not closed, those of earlier processes included."""
        return self._holdings.open_entries

    @property
    def closed_entries(self) -> int:
        """Attempts closed and not done."""
        return len(self._holdings) - self._holdings.open_entries

    @property
    def waiting(self) -> int:
        """Records that could not be written and wait in memory."""
        return self._writer.waiting_count

    @property
    def lag_s(self) -> float:
        """For how long the oldest record that is not known to be on the disk has been waiting for that."""
        return self._writer.lag_s

    @property
    def alarmed(self) -> bool:
        """Half of `max_bytes` is in use."""
        return self._readiness.alarmed

    @property
    def refusal(self) -> str | None:
        """Why `check` refuses, for operators; None: it does not."""
        return "it is closed" if self._closed else self._readiness.refusal

    def _hurry(self) -> None:
        self._urgent.set()
        self._wake.set()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise _unavailable()

    # ── in the background ──

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._closed:
            await self._wake.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._sync_s):
                    await self._urgent.wait()
            self._wake.clear()
            self._urgent.clear()
            await self._round()
            if self._readiness.refusal is not None:
                loop.call_later(_RETRY_S, self._wake.set)
        await self._last_rounds()

    async def _last_rounds(self) -> None:
        for _ in range(_LAST_ROUNDS):
            await self._round()
            if not self.waiting:
                return

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if self._closed:
            return
        self._task = None  # what needs the disk is from now on done where it is needed
        _tell(self._waiters, on_disk=False)
        self._waiters = []
        error = None if task.cancelled() else task.exception()
        self._readiness.trouble("go on", "its task was cancelled" if error is None else "its task failed")
        self._writer.judge()
        if error is not None:
            _log.error("%s: the journal's task failed", self.directory, exc_info=error)

    async def _round(self) -> None:
        async with self._one_round:
            waiters, self._waiters = self._waiters, []
            finished = False
            try:
                self._writer.write_waiting()
                more = self._writer.move_some()
                while more:
                    await asyncio.sleep(0)  # between others' turns
                    more = self._writer.move_some()
                work = self._writer.collect()
                await asyncio.get_running_loop().run_in_executor(self._thread, work.do)
                self._writer.apply(work)
                finished = True
                if not self._readiness.troubled and self._writer.is_sparse:
                    self._hurry()  # there was no room for more
            finally:
                if finished and not self._readiness.troubled and self._writer.waiting:
                    self._waiters += waiters  # what waited for room has it now
                    self._hurry()
                else:
                    on_disk = finished and not self._readiness.is_troubled("sync") and not self._writer.waiting
                    _tell(waiters, on_disk=on_disk)

    # ── the end ──

    def _finish(self) -> None:
        if self._task is not None and not self._task.done():  # whoever closed us would not wait any longer
            self._task.cancel()
        if self._thread is not None:
            self._thread.shutdown()
        _tell(self._waiters, on_disk=False)
        self._writer.finish()
        self._let_go()

    def _let_go(self) -> None:
        """Close every file and give up the lock; in a child made by fork, leave them to the parent."""
        self._closed = True
        self._segments.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _tell(waiters: list[asyncio.Future[None]], *, on_disk: bool) -> None:
    for waiter in waiters:
        if waiter.done():
            continue
        if on_disk:
            waiter.set_result(None)
        else:
            waiter.set_exception(_unavailable())


def _unavailable() -> StoreUnavailable:
    return StoreUnavailable("usage cannot be recorded at the moment", retry_after_s=1.0)
