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

import msgspec

from pulse_gateway.clock import Clock, SystemClock
from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.ledger.compaction import move_some, to_be_moved
from pulse_gateway.ledger.disk_work import DiskWork, cut
from pulse_gateway.ledger.holdings import Holdings
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.readiness import Readiness
from pulse_gateway.ledger.recovery import take_over
from pulse_gateway.ledger.segment_log import NoSpare, SegmentLog
from pulse_gateway.ledger.segments import (
    CLOSE,
    DONE,
    HEADER,
    MARK,
    OPEN,
    RECORD_HEAD_BYTES,
    JournalError,
    Recovered,
    decode_entry,
    encode_entry,
    encode_ids,
    read_segments,
)
from pulse_gateway.ledger.slots import JournalLocked, lock_directory, lock_free_slot, orphans

__all__ = ["Journal", "JournalError", "JournalLocked", "Recovered", "orphans", "read_journal"]

_log = logging.getLogger(__name__)

_SMALLEST_SEGMENT_BYTES = 64 * 1024
_SEGMENTS = 32  # at least as many make up `max_bytes`: the room made ahead must be little beside what is left at 90 %
_RETRY_S = 0.5
_DONE_AT_ONCE = 500  # ids: a record should be small beside a segment
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
        self._clock = clock or SystemClock()
        self._readiness = Readiness(directory, max_bytes)
        self._closed = False
        self._unsent: dict[str, bytes] = {}  # entry id → payload of its `open`
        self._waiting: dict[str, tuple[int, bytes]] = {}  # entry id → kind and payload, of what could not be written
        self._waiting_done: list[str] = []
        self._unsynced_since: float | None = None
        self._syncing_since: float | None = None
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
            raise JournalError(f"{directory}: the journal cannot be kept here: {_reason(error)}") from error
        except BaseException:
            self._unlock()
            raise
        self._segments.sweep()
        self._judge()
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
        """What to record should nothing more be heard of the attempt. Raises: StoreUnavailable; nothing was kept then."""
        self.check()
        payload = encode_entry(entry)
        size_bytes = RECORD_HEAD_BYTES + len(payload)
        if not self._has_room(Holdings.room_for(size_bytes)) or not self._put_entry(OPEN, entry.entry_id, payload):
            self._wake.set()
            raise _unavailable()
        self._unsent[entry.entry_id] = payload

    def sent(self, entry_id: str) -> None:
        """The attempt's request leaves. One that was opened and never sent is recovered as such.

        Raises: StoreUnavailable only once closed.
        """
        self._refuse_if_closed()
        payload = self._unsent.pop(entry_id, None)
        if payload is not None:
            self._mark(entry_id, payload)

    def mark(self, entry: UsageEntry) -> None:
        """What to record instead. Ignored for an attempt that is not open. Raises: StoreUnavailable only once closed."""
        self._refuse_if_closed()
        self._unsent.pop(entry.entry_id, None)
        self._mark(entry.entry_id, encode_entry(entry))

    def close(self, entry: UsageEntry) -> None:
        """The attempt has ended. Takes entries that were never opened as well. Raises: StoreUnavailable only once closed."""
        self._refuse_if_closed()
        payload = encode_entry(entry)
        self._unsent.pop(entry.entry_id, None)
        self._waiting.pop(entry.entry_id, None)
        if not self._put_entry(CLOSE, entry.entry_id, payload):
            self._let_wait(CLOSE, entry.entry_id, payload)

    def done(self, entry_ids: Sequence[str]) -> None:
        """These are where the ledger keeps them, and are forgotten here. Raises: StoreUnavailable only once closed."""
        self._refuse_if_closed()
        on_disk = []
        for entry_id in entry_ids:
            self._unsent.pop(entry_id, None)
            self._waiting.pop(entry_id, None)
            if self._holdings.forget(entry_id):
                on_disk.append(entry_id)
        self._waiting_done += on_disk
        self._put_done()
        self._sweep()

    async def sync(self) -> None:
        """Returns when everything said so far is on the disk. Raises: StoreUnavailable when it cannot be brought there."""
        self._refuse_if_closed()
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        if self._task is None:
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
        return len(self._waiting) + len(self._waiting_done)

    @property
    def lag_s(self) -> float:
        """For how long the oldest record that is not known to be on the disk has been waiting for that."""
        since = self._unsynced_since if self._syncing_since is None else self._syncing_since
        return 0.0 if since is None else max(0.0, self._clock.monotonic() - since)

    @property
    def alarmed(self) -> bool:
        """Half of `max_bytes` is in use."""
        return self._readiness.alarmed

    @property
    def refusal(self) -> str | None:
        """Why `check` refuses, for operators; None: it does not."""
        return "it is closed" if self._closed else self._readiness.refusal

    # ── writing ──

    def _put(self, kind: int, payload: bytes) -> int | None:
        """Write one record: where it is in the newest segment, or None when it could not be written."""
        try:
            offset = self._segments.append(kind, payload)
        except NoSpare:
            self._work_now()
            if not self._segments.has_spare:
                self._hurry()
                return None
            return self._put(kind, payload)
        except OSError as error:
            self._readiness.trouble("write", _reason(error))
            self._judge()
            self._wake.set()
            return None
        if self._unsynced_since is None:
            self._unsynced_since = self._clock.monotonic()
            self._wake.set()
        if offset == len(HEADER):  # the segment made ahead was taken: the next one is wanted before it is needed
            self._hurry()
        if self._segments.used_bytes >= self._readiness.judge_at_bytes:
            self._judge()
        return offset

    def _put_entry(self, kind: int, entry_id: str, payload: bytes) -> bool:
        offset = self._put(kind, payload)
        if offset is None:
            return False
        self._holdings.hold(entry_id, self._segments.newest, offset, RECORD_HEAD_BYTES + len(payload), kind)
        return True

    def _mark(self, entry_id: str, payload: bytes) -> None:
        held = self._holdings.find(entry_id)
        waiting = self._waiting.get(entry_id)
        if held is None or held.kind == CLOSE or (waiting is not None and waiting[0] == CLOSE):
            return
        size_bytes = RECORD_HEAD_BYTES + len(payload)
        has_room = held.kind == OPEN or self._has_room(size_bytes)  # the first one has its room since the opening
        if waiting or not has_room or not self._put_entry(MARK, entry_id, payload):
            self._let_wait(MARK, entry_id, payload)

    def _put_done(self) -> None:
        while self._waiting_done:
            if self._put(DONE, encode_ids(self._waiting_done[:_DONE_AT_ONCE])) is None:
                self._judge()
                self._wake.set()
                return
            del self._waiting_done[:_DONE_AT_ONCE]

    def _let_wait(self, kind: int, entry_id: str, payload: bytes) -> None:
        self._waiting[entry_id] = (kind, payload)
        self._judge()
        self._wake.set()

    def _has_room(self, size_bytes: int) -> bool:
        """Whether so much can be written without what is promised to attempts that are open."""
        if self._segments.room_bytes - self._holdings.promised_bytes >= size_bytes:
            return True
        self._work_now()
        return self._segments.room_bytes - self._holdings.promised_bytes >= size_bytes

    def _sweep(self) -> None:
        if self._segments.sweep():
            self._judge()
            self._wake.set()

    def _judge(self) -> None:
        self._readiness.judge(self._segments.used_bytes, self.waiting)

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
        self._judge()
        if error is not None:
            _log.error("%s: the journal's task failed", self.directory, exc_info=error)

    async def _round(self) -> None:
        async with self._one_round:
            waiters, self._waiters = self._waiters, []
            finished = False
            try:
                self._write_waiting()
                more = self._move_some()
                while more:
                    await asyncio.sleep(0)  # between others' turns
                    more = self._move_some()
                work = self._collect()
                await asyncio.get_running_loop().run_in_executor(self._thread, work.do)
                self._apply(work)
                finished = True
                if not self._readiness.troubled and to_be_moved(self._segments, self._holdings, self._max_bytes):
                    self._hurry()  # there was no room for more
            finally:
                on_disk = finished and not self._readiness.is_troubled("sync") and not self._waiting
                _tell(waiters, on_disk=on_disk)

    def _work_now(self) -> None:
        """For a journal without a task: the same at once, unless a round is under way."""
        if self._task is not None or self._one_round.locked():
            return
        work = self._collect()
        work.do()
        self._apply(work)

    def _collect(self) -> DiskWork:
        """What a thread can do while this one goes on writing."""
        work = self._segments.work(self._holdings.promised_bytes, force=self._unsynced_since is not None)
        self._syncing_since, self._unsynced_since = self._unsynced_since, None
        return work

    def _apply(self, work: DiskWork) -> None:
        self._segments.apply(work)
        if work.make_error is not None:
            self._readiness.trouble("make room", _reason(work.make_error))
        else:
            self._readiness.works("make room")
        if work.failed:
            self._readiness.trouble("sync", _reason(work.failed[0][1]))
            self._unsynced_since = self._syncing_since or self._unsynced_since
        self._syncing_since = None
        if self._segments.newest.suspect:
            with suppress(NoSpare):  # then the next round has one
                self._segments.roll()
        elif not work.failed and not any(each.suspect and each.entry_ids for each in self._segments.segments):
            self._readiness.works("sync")
        self._judge()

    def _write_waiting(self) -> None:
        """Try again what could not be written."""
        if self._readiness.is_troubled("write"):
            probe = encode_ids([])
            if self._put(DONE, probe) is None:
                if not self._segments.has_spare:
                    return
                self._segments.roll()  # it may be this file alone that cannot be written
                if self._put(DONE, probe) is None:
                    return
            self._readiness.works("write")
        for entry_id, (kind, payload) in list(self._waiting.items()):
            if kind == MARK and not self._has_room(RECORD_HEAD_BYTES + len(payload)):
                continue
            if not self._put_entry(kind, entry_id, payload):
                return
            del self._waiting[entry_id]
        self._put_done()
        self._judge()

    def _move_some(self) -> bool:
        """Write some entries again, where that is called for. True: there may be more."""
        source = to_be_moved(self._segments, self._holdings, self._max_bytes)
        if source is None:
            return False
        try:
            moved = move_some(source, self._holdings, self._put_again)
        except OSError as error:
            self._readiness.trouble("read", _reason(error))
            self._judge()
            return False
        self._readiness.works("read")
        self._sweep()
        return moved

    def _put_again(self, kind: int, entry_id: str, payload: bytes) -> bool:
        reserve_bytes = self._segments.segment_bytes // 2  # what is new comes first
        has_room = self._has_room(RECORD_HEAD_BYTES + len(payload) + reserve_bytes)
        return has_room and self._put_entry(kind, entry_id, payload)

    # ── the end ──

    def _finish(self) -> None:
        if self._task is not None and not self._task.done():  # whoever closed us would not wait any longer
            self._task.cancel()
        if self._thread is not None:
            self._thread.shutdown()
        for kind, payload in self._waiting.values():
            said = "its end" if kind == CLOSE else "how far it had come"
            whole = msgspec.json.encode(decode_entry(payload)).decode()
            _log.error(
                "%s: a usage entry is not in the journal, %s could not be written: %s", self.directory, said, whole
            )
        newest = self._segments.newest
        self._segments.remove_all_but(self._segments.segments if self._holdings else [])
        if self._holdings:
            try:
                cut(newest.path, newest.end)
            except OSError as error:
                _log.warning("%s: cannot be shortened: %s", newest.path, _reason(error))
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


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _unavailable() -> StoreUnavailable:
    return StoreUnavailable("usage cannot be recorded at the moment", retry_after_s=1.0)
