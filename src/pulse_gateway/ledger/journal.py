"""The journal: what each attempt used, on this machine's disk, before anything that waits for a network knows of it."""

from __future__ import annotations

import asyncio
import logging
import os
import weakref
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Self

import msgspec

from pulse_gateway.clock import Clock, SystemClock
from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.ledger.disk_work import DiskWork, Segment, cut, make_segment, remove, sync_directory
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.readiness import Readiness
from pulse_gateway.ledger.segments import (
    CLOSE,
    DONE,
    HEADER,
    MARK,
    OPEN,
    RECORD_HEAD_BYTES,
    JournalError,
    Recovered,
    Replay,
    Scan,
    decode_entry,
    encode_entry,
    encode_ids,
    frame,
    read_segments,
    segment_files,
    unframe,
)
from pulse_gateway.ledger.slots import JournalLocked, lock_directory, lock_free_slot, orphans

__all__ = ["Journal", "JournalError", "JournalLocked", "Recovered", "orphans", "read_journal"]

_log = logging.getLogger(__name__)

_SMALLEST_SEGMENT_BYTES = 64 * 1024
_SEGMENTS = 32  # at least as many make up `max_bytes`: the room made ahead must be little beside what is left at 90 %
_GROWTH_BYTES = 512  # by how much the record of an attempt's end may be longer than that of its beginning
_RETRY_S = 0.5
_MOVES_AT_ONCE = 100  # records: under a millisecond of the event loop's time
_SPARSE, _SPARSE_IN_NEED = 0.25, 0.75  # records are moved together when less than this part of the files is needed
_SPARSE_SEGMENTS = 4  # and there are more than that besides

read_journal = read_segments


class _Held(msgspec.Struct):
    """Where the newest record of an entry is. `promised_bytes` are kept free for the record of its end."""

    segment: Segment
    offset: int
    size_bytes: int
    kind: int
    promised_bytes: int = 0


class Journal:
    """Keeps entries in the files of one folder from their `open` until they are `done`.

    Every call is one `write`: what it said survives the death of this process. In the background everything written is forced
    to the disk every `sync_s` seconds, so that a crash of the machine costs no more than that; `sync` does it at once.

    What cannot be written waits in memory, is tried again, and is the reason why `check` and `open` refuse meanwhile; so do
    they when entries take up 90 % of `max_bytes`. Room for the end of an attempt is set aside at its `open`. Files are
    removed when nothing in them is needed, and what is still needed in mostly empty ones is written again.

    Without `start` everything works except that the disk is forced only by `sync`, `aclose` and at the end of a segment, and
    then by the caller.

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
    ) -> None:
        self._set_up(directory, lock_directory(directory), max_bytes, segment_bytes, sync_s, clock)

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
        journal = cls.__new__(cls)
        journal._set_up(directory, lock, max_bytes, segment_bytes, sync_s, clock)
        return journal

    def _set_up(
        self, directory: Path, lock: int, max_bytes: int, segment_bytes: int, sync_s: float, clock: Clock | None
    ) -> None:
        self.directory = directory
        self._lock: int | None = lock
        self._max_bytes = max_bytes
        self._segment_bytes = max(_SMALLEST_SEGMENT_BYTES, min(segment_bytes, max_bytes // _SEGMENTS))
        self._sync_s = sync_s
        self._clock = clock or SystemClock()
        self._readiness = Readiness(directory, max_bytes)
        self._closed = False

        self._segments: deque[Segment] = deque()  # all that hold records, oldest first; the last one is written to
        self._spares: deque[Segment] = deque()
        self._sealed: list[Segment] = []  # full, not yet forced to the disk
        self._trash: list[Segment] = []  # no longer needed, to be removed
        self._next_number = 1

        self._held: dict[str, _Held] = {}
        self._waiting: dict[str, tuple[int, bytes]] = {}  # entry id → kind and payload, of what could not be written
        self._waiting_done: list[str] = []
        self._open = 0
        self._used_bytes = 0  # by records, needed or not
        self._needed_bytes = 0  # by the newest records of entries that are not done
        self._promised_bytes = 0
        self._largest_bytes = 0  # a record; so much can be left over at the end of a segment

        self._unsynced_since: float | None = None
        self._syncing_since: float | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._one_round = asyncio.Lock()
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._thread: ThreadPoolExecutor | None = None

        try:
            self._recovered = self._replay()
            for queue in (self._segments, self._spares):
                queue.append(make_segment(directory, self._next_number, self._segment_bytes))
                self._next_number += 1
            self._used_bytes += self._segments[-1].end
            sync_directory(directory)
        except OSError as error:
            self._let_go()
            raise JournalError(f"{directory}: the journal cannot be kept here: {error.strerror}") from error
        except BaseException:
            self._let_go()
            raise
        self._sweep()
        self._judge()
        let_go = weakref.WeakMethod(self._let_go)
        os.register_at_fork(after_in_child=lambda: (method := let_go()) and method())

    def _replay(self) -> Recovered:
        files = segment_files(self.directory)
        replay = Replay()
        sizes = {}
        for file in files:
            data = file.path.read_bytes()
            sizes[file.number] = len(data)
            replay.add(file, data)
        closed, still_open, unreadable = replay.entries()
        filled = [number for number, found in replay.scans.items() if found.end > len(HEADER) or found.tail_bytes]
        damaged = []
        by_number = {}
        for file in files:
            found = replay.scans[file.number]
            size_bytes = sizes[file.number]
            entries_lost = [entry_id for entry_id, number in unreadable.items() if number == file.number]
            if found.gaps or entries_lost or (found.tail_bytes and file.number != filled[-1]):
                damaged.append(_keep_aside(file.path, found, entries_lost))
            elif file.number not in filled:
                remove(file.path)
                continue
            elif found.end < size_bytes:
                if found.tail_bytes:
                    _log.warning(
                        "%s: ends in the middle of a record, at %d: cut off there, %d bytes",
                        *(file.path, found.end, found.tail_bytes),
                    )
                cut(file.path, found.end)
                size_bytes = found.end
            segment = Segment(file.number, file.salt, file.path, size_bytes, found.end)
            by_number[file.number] = segment
            self._segments.append(segment)
            self._used_bytes += segment.end
        for entry_id, newest in replay.newest.items():
            if entry_id not in unreadable:
                segment = by_number[newest.number]
                self._hold(
                    entry_id, _Held(segment, newest.offset, RECORD_HEAD_BYTES + len(newest.payload), newest.kind)
                )
        self._next_number = files[-1].number + 1 if files else 1
        if self._held:
            _log.info(
                "%s: %d entries closed and %d open are left from before", self.directory, len(closed), len(still_open)
            )
        return Recovered(closed=closed, open=still_open, damaged=damaged)

    # ── for the ledger ──

    def recovered(self) -> Recovered:
        """What earlier processes left here. Handed over once: the journal keeps where it is, not what it says.

        Each of these entries stays in the files until it is `done`; the open ones can be marked and closed as any other.
        """
        recovered, self._recovered = self._recovered, Recovered(closed=[], open=[])
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
        if not self._has_room(2 * size_bytes + _GROWTH_BYTES) or not self._put_entry(OPEN, entry.entry_id, payload):
            self._wake.set()
            raise _unavailable()

    def mark(self, entry: UsageEntry) -> None:
        """What to record instead. Ignored for an attempt that is not open. Raises: StoreUnavailable only once closed."""
        self._refuse_if_closed()
        held = self._held.get(entry.entry_id)
        waiting = self._waiting.get(entry.entry_id)
        if held is None or held.kind == CLOSE or (waiting is not None and waiting[0] == CLOSE):
            return
        payload = encode_entry(entry)
        size_bytes = RECORD_HEAD_BYTES + len(payload)
        if waiting or not self._has_room(size_bytes) or not self._put_entry(MARK, entry.entry_id, payload):
            self._let_wait(MARK, entry.entry_id, payload)

    def close(self, entry: UsageEntry) -> None:
        """The attempt has ended. Takes entries that were never opened as well. Raises: StoreUnavailable only once closed."""
        self._refuse_if_closed()
        payload = encode_entry(entry)
        if entry.entry_id in self._waiting or not self._put_entry(CLOSE, entry.entry_id, payload):
            self._let_wait(CLOSE, entry.entry_id, payload)

    def done(self, entry_ids: Sequence[str]) -> None:
        """These are where the ledger keeps them, and are forgotten here. Raises: StoreUnavailable only once closed."""
        self._refuse_if_closed()
        on_disk = []
        for entry_id in entry_ids:
            self._waiting.pop(entry_id, None)
            if self._forget(entry_id):
                on_disk.append(entry_id)
        if on_disk and (self._waiting_done or self._put(DONE, encode_ids(on_disk)) is None):
            self._waiting_done += on_disk
            self._judge()
            self._wake.set()
        self._sweep()

    async def sync(self) -> None:
        """Returns when everything said so far is on the disk. Raises: StoreUnavailable when it cannot be brought there."""
        self._refuse_if_closed()
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        if self._task is None:
            await self._round()
        self._urgent.set()
        self._wake.set()
        await waiter

    async def start(self) -> None:
        """From now on the disk is forced, room is made and failures are repaired in the background."""
        self._refuse_if_closed()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pulse-journal")
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
            if self._task is None:
                await self._round()
            else:
                self._urgent.set()
                self._wake.set()
                await asyncio.wait([self._task])
        finally:
            self._finish()

    # ── for metrics ──

    @property
    def size_bytes(self) -> int:
        """What the files take up, room set aside included."""
        return sum(each.size_bytes for each in (*self._segments, *self._spares, *self._trash))

    @property
    def fill(self) -> float:
        """How much of `max_bytes` records take up: an alarm from 0.5 on, a reason to refuse from 0.9 on, in need beyond 1."""
        return self._used_bytes / self._max_bytes

    @property
    def open_entries(self) -> int:
        """Attempts opened and not closed, those of earlier processes included."""
        return self._open

    @property
    def closed_entries(self) -> int:
        """Attempts closed and not done."""
        return len(self._held) - self._open

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
        segment = self._segments[-1]
        size_bytes = RECORD_HEAD_BYTES + len(payload)
        if segment.end + size_bytes > segment.size_bytes:
            if not self._roll():
                return None
            segment = self._segments[-1]
        offset = segment.end
        assert segment.descriptor is not None, "the newest segment is open"
        try:
            written = os.pwrite(segment.descriptor, frame(kind, payload, segment.salt, offset), offset)
            why = "the disk took a part only"
        except OSError as error:
            written, why = 0, _reason(error)
        if written != size_bytes:
            self._readiness.trouble("write", why)
            self._judge()
            self._wake.set()
            return None
        segment.end += size_bytes
        segment.size_bytes = max(segment.size_bytes, segment.end)  # a record can be larger than a segment
        self._used_bytes += size_bytes
        self._largest_bytes = max(self._largest_bytes, size_bytes)
        if self._unsynced_since is None:
            self._unsynced_since = self._clock.monotonic()
            self._wake.set()
        if self._used_bytes >= self._readiness.judge_at_bytes:
            self._judge()
        return offset

    def _put_entry(self, kind: int, entry_id: str, payload: bytes) -> bool:
        offset = self._put(kind, payload)
        if offset is None:
            return False
        self._forget(entry_id)
        self._hold(entry_id, _Held(self._segments[-1], offset, RECORD_HEAD_BYTES + len(payload), kind))
        return True

    def _hold(self, entry_id: str, held: _Held) -> None:
        self._held[entry_id] = held
        held.segment.entry_ids.add(entry_id)
        self._needed_bytes += held.size_bytes
        if held.kind != CLOSE:
            self._open += 1
            held.promised_bytes = held.size_bytes + _GROWTH_BYTES
            self._promised_bytes += held.promised_bytes

    def _forget(self, entry_id: str) -> bool:
        held = self._held.pop(entry_id, None)
        if held is None:
            return False
        held.segment.entry_ids.discard(entry_id)
        self._needed_bytes -= held.size_bytes
        self._promised_bytes -= held.promised_bytes
        self._open -= held.kind != CLOSE
        return True

    def _let_wait(self, kind: int, entry_id: str, payload: bytes) -> None:
        self._waiting[entry_id] = (kind, payload)
        self._judge()
        self._wake.set()

    @property
    def _room_bytes(self) -> int:
        """What can be written without asking the disk for room, after what is promised to attempts that are open."""
        newest = self._segments[-1]
        left_over_bytes = self._largest_bytes * (1 + len(self._spares))
        room_bytes = newest.size_bytes - newest.end + len(self._spares) * self._segment_bytes - left_over_bytes
        return room_bytes - self._promised_bytes

    def _has_room(self, size_bytes: int) -> bool:
        if self._room_bytes < size_bytes:
            self._work_now()
        return self._room_bytes >= size_bytes

    def _roll(self) -> bool:
        """Go on in the next segment, if there is one."""
        if not self._spares:
            self._work_now()
        self._urgent.set()
        self._wake.set()
        if not self._spares:
            return False
        self._sealed.append(self._segments[-1])
        self._segments.append(self._spares.popleft())
        self._used_bytes += self._segments[-1].end
        self._sweep()
        return True

    def _sweep(self) -> None:
        """Give up the oldest segments as long as nothing in them is needed.

        Only the oldest: what says that an entry is done must not go before what the entry says.
        """
        while len(self._segments) > 1 and not self._segments[0].entry_ids:
            segment = self._segments.popleft()
            self._used_bytes -= segment.end
            self._trash.append(segment)
            self._wake.set()
        if self._readiness.refusal is not None or self._readiness.alarmed:
            self._judge()

    def _judge(self) -> None:
        self._readiness.judge(self._used_bytes, self.waiting)

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
        await self._round()

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if self._closed:
            return
        self._task = None  # what needs the disk is from now on done where it is needed
        error = None if task.cancelled() else task.exception()
        self._readiness.trouble("go on", "its task was cancelled" if error is None else "its task failed")
        self._judge()
        if error is not None:
            _log.error("%s: the journal's task failed", self.directory, exc_info=error)

    async def _round(self) -> None:
        async with self._one_round:
            waiters, self._waiters = self._waiters, []
            try:
                self._write_waiting()
                more = self._move_some()
                while more:
                    await asyncio.sleep(0)  # between others' turns
                    more = self._move_some()
                work = self._collect()
                await asyncio.get_running_loop().run_in_executor(self._thread, work.do)
                self._apply(work)
            finally:
                for waiter in waiters:
                    if waiter.done():
                        continue
                    if self._readiness.is_troubled("sync") or self._waiting:
                        waiter.set_exception(_unavailable())
                    else:
                        waiter.set_result(None)

    def _work_now(self) -> None:
        """For a journal without a task: the same at once, unless a round is under way."""
        if self._task is not None or self._one_round.locked():
            return
        work = self._collect()
        work.do()
        self._apply(work)

    def _collect(self) -> DiskWork:
        """What a thread can do while this one goes on writing."""
        missing_bytes = self._segment_bytes - self._room_bytes
        missing = max(-(-missing_bytes // self._segment_bytes), 0 if self._spares else 1)
        work = DiskWork(
            self.directory,
            sealed=self._sealed,
            newest=None if self._unsynced_since is None else self._segments[-1],
            trash=self._trash,
            numbers=range(self._next_number, self._next_number + missing),
            segment_bytes=self._segment_bytes,
        )
        self._next_number += missing
        self._syncing_since, self._unsynced_since = self._unsynced_since, None
        self._sealed, self._trash = [], []
        return work

    def _apply(self, work: DiskWork) -> None:
        self._spares += work.made
        if work.make_error is not None:
            self._readiness.trouble("allocate", _reason(work.make_error))
        else:
            self._readiness.works("allocate")
        for segment in work.sealed:
            segment.close()
            segment.size_bytes = segment.end
        for segment, error in work.failed:
            segment.suspect = True
            self._readiness.trouble("sync", _reason(error))
        if work.failed:
            self._trash = work.trash + self._trash
            self._unsynced_since = self._unsynced_since or self._syncing_since
        self._syncing_since = None
        if self._segments[-1].suspect:
            self._roll()
        elif not work.failed and not any(each.suspect and each.entry_ids for each in self._segments):
            self._readiness.works("sync")
        self._judge()

    def _write_waiting(self) -> None:
        """Try again what could not be written."""
        if self._readiness.is_troubled("write"):
            probe = encode_ids([])
            if self._put(DONE, probe) is None and not (self._roll() and self._put(DONE, probe) is not None):
                return
            self._readiness.works("write")
        for entry_id, (kind, payload) in list(self._waiting.items()):
            if kind == MARK and not self._has_room(RECORD_HEAD_BYTES + len(payload)):
                continue
            if not self._put_entry(kind, entry_id, payload):
                return
            del self._waiting[entry_id]
        if self._waiting_done and self._put(DONE, encode_ids(self._waiting_done)) is not None:
            self._waiting_done = []
        self._judge()

    def _move_some(self) -> bool:
        """Write some entries again that are in a segment the disk may not have kept, or one of few that keep many files from
        being removed. True: there are more.
        """
        newest = self._segments[-1]
        source = next((each for each in self._segments if each.suspect and each.entry_ids and each is not newest), None)
        if source is None and self._is_sparse():
            source = self._segments[0]
        if source is None or source is newest:
            return False
        try:
            descriptor = os.open(source.path, os.O_RDONLY)
        except OSError as error:
            self._readiness.trouble("read", _reason(error))
            return False
        try:
            for entry_id in list(islice(source.entry_ids, _MOVES_AT_ONCE)):
                held = self._held[entry_id]
                data = os.pread(descriptor, held.size_bytes, held.offset)
                found = unframe(data, 0, source.salt, held.offset)
                if found is None:
                    _log.error("%s: entry %s at %d can no longer be read", source.path, entry_id, held.offset)
                    self._forget(entry_id)
                elif not self._has_room(held.size_bytes) or not self._put_entry(found[0], entry_id, found[1]):
                    return False
            self._readiness.works("read")
        except OSError as error:
            self._readiness.trouble("read", _reason(error))
            return False
        finally:
            os.close(descriptor)
        self._sweep()
        return True

    def _is_sparse(self) -> bool:
        share = _SPARSE_IN_NEED if self._readiness.alarmed else _SPARSE
        return self._used_bytes > self._needed_bytes / share + _SPARSE_SEGMENTS * self._segment_bytes

    # ── the end ──

    def _finish(self) -> None:
        if self._thread is not None:
            self._thread.shutdown()
        for kind, payload in self._waiting.values():
            said = "its end" if kind == CLOSE else "how far it had come"
            whole = msgspec.json.encode(decode_entry(payload)).decode()
            _log.error(
                "%s: a usage entry is not in the journal, %s could not be written: %s", self.directory, said, whole
            )
        newest = self._segments[-1]
        for segment in (*self._spares, *self._trash, *(() if self._held else self._segments)):
            remove(segment.path)
        if self._held:
            try:
                cut(newest.path, newest.end)
            except OSError as error:
                _log.warning("%s: cannot be shortened: %s", newest.path, _reason(error))
        self._let_go()

    def _let_go(self) -> None:
        """Close every file and give up the lock; in a child made by fork, leave them to the parent."""
        self._closed = True
        for segment in (*self._segments, *self._spares, *self._sealed, *self._trash):
            segment.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _keep_aside(path: Path, found: Scan, entries_lost: list[str]) -> Path:
    """Report what is damaged, and keep the file when the journal no longer needs it."""
    aside = path.with_suffix(".damaged")
    gaps = [*found.gaps, (found.end, found.tail_bytes)] if found.tail_bytes else found.gaps
    where = ", ".join(f"{size_bytes} bytes at {offset}" for offset, size_bytes in gaps)
    if entries_lost:
        where += f"; entries that are not understood: {', '.join(entries_lost)}"
    _log.error("%s: damaged: %s. The rest was read; the file is kept as %s", path, where, aside.name)
    with suppress(FileExistsError):
        os.link(path, aside)
    return aside


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _unavailable() -> StoreUnavailable:
    return StoreUnavailable("usage cannot be recorded at the moment", retry_after_s=1.0)
