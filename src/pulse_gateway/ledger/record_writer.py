"""The journal's writing: records into segments, what is held of them, what waits because the disk refused."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from pulse_gateway.clock import Clock
from pulse_gateway.ledger.compaction import move_some, to_be_moved
from pulse_gateway.ledger.disk_work import DiskWork, cut
from pulse_gateway.ledger.holdings import GROWTH_BYTES, Holdings
from pulse_gateway.ledger.readiness import Readiness
from pulse_gateway.ledger.segment_log import NoSpare, SegmentLog
from pulse_gateway.ledger.segments import (
    CLOSE,
    DONE,
    HEADER,
    MARK,
    RECORD_HEAD_BYTES,
    decode_entry,
    encode_ids,
)

__all__ = ["RecordWriter"]

_log = logging.getLogger(__name__)

_FIRST = len(HEADER)  # the offset of a segment's first record
_DONE_AT_ONCE = 500  # ids: a record should be small beside a segment


class RecordWriter:
    """Writes records, and keeps account of them. Nothing here waits, except for the disk in `work_now` where `may_wait` allows.

    It asks for disk work by `wake`, and by `hurry` when that is urgent: then `collect` says what is to be done, a thread does
    it, and `apply` takes the result. `waiting` is what could not be written, by entry: kind and payload.
    """

    def __init__(
        self,
        segments: SegmentLog,
        holdings: Holdings,
        readiness: Readiness,
        *,
        max_bytes: int,
        clock: Clock,
        wake: Callable[[], None],
        hurry: Callable[[], None],
        may_wait: Callable[[], bool],
    ) -> None:
        self.segments = segments
        self.holdings = holdings
        self.readiness = readiness
        self.waiting: dict[str, tuple[int, bytes]] = {}
        self.may_wait = may_wait
        self._done: list[str] = []  # of which that could not be written
        self._max_bytes = max_bytes
        self._clock = clock
        self._wake = wake
        self._hurry = hurry
        self._unsynced_since: float | None = None
        self._syncing_since: float | None = None

    @property
    def waiting_count(self) -> int:
        """Records that wait in memory."""
        return len(self.waiting) + len(self._done)

    @property
    def lag_s(self) -> float:
        """For how long the oldest record that is not known to be on the disk has been waiting for that."""
        since = self._unsynced_since if self._syncing_since is None else self._syncing_since
        return 0.0 if since is None else max(0.0, self._clock.monotonic() - since)

    @property
    def is_sparse(self) -> bool:
        """Entries are to be written again."""
        return to_be_moved(self.segments, self.holdings, self._max_bytes) is not None

    def _put(self, kind: int, payload: bytes) -> int | None:
        """Write one record: where it is in the newest segment, or None when it could not be written."""
        segments = self.segments
        try:
            offset = segments.append(kind, payload)
        except NoSpare:
            self.work_now()
            if not self.segments.has_spare:
                self._hurry()
                return None
            return self._put(kind, payload)
        except OSError as error:
            self.readiness.trouble("write", _reason(error))
            self.judge()
            self._wake()
            return None
        if self._unsynced_since is None:
            self._unsynced_since = self._clock.monotonic()
            self._wake()
        if offset == _FIRST:  # the segment made ahead was taken: the next one is wanted before it is needed
            self._hurry()
        if segments.used_bytes >= self.readiness.judge_at_bytes:
            self.judge()
        return offset

    def begin(self, entry_id: str, payload: bytes) -> bool:
        """Write the first record of an attempt; False when there is no room for it and its end, or it could not be written."""
        room_bytes = 2 * (RECORD_HEAD_BYTES + len(payload)) + GROWTH_BYTES
        if self.segments.room_bytes - self.holdings.promised_bytes < room_bytes and not self.has_room(room_bytes):
            return False
        return self.put_entry(MARK, entry_id, payload)

    def end(self, entry_id: str, payload: bytes) -> None:
        """Write the last record of an attempt, or keep it in memory."""
        if self.waiting:
            self.waiting.pop(entry_id, None)
        if not self.put_entry(CLOSE, entry_id, payload):
            self.let_wait(CLOSE, entry_id, payload)

    def put_entry(self, kind: int, entry_id: str, payload: bytes) -> bool:
        """Write the newest record of an entry; False when that could not be done."""
        offset = self._put(kind, payload)
        if offset is None:
            return False
        self.holdings.hold(entry_id, self.segments.newest, offset, RECORD_HEAD_BYTES + len(payload), kind)
        return True

    def put_mark(self, entry_id: str, payload: bytes) -> None:
        """Write it unless it is too late; what there is no room for waits."""
        held = self.holdings.find(entry_id)
        waiting = self.waiting.get(entry_id)
        if held is None or held.kind == CLOSE or (waiting is not None and waiting[0] == CLOSE):
            return
        size_bytes = RECORD_HEAD_BYTES + len(payload)
        if waiting or not self.has_room(size_bytes) or not self.put_entry(MARK, entry_id, payload):
            self.let_wait(MARK, entry_id, payload)

    def put_done(self, entry_ids: Sequence[str] = ()) -> None:
        """These are done, and those of which that could not be written before."""
        self._done += entry_ids
        while self._done:
            if self._put(DONE, encode_ids(self._done[:_DONE_AT_ONCE])) is None:
                self.judge()
                self._wake()
                return
            del self._done[:_DONE_AT_ONCE]

    def let_wait(self, kind: int, entry_id: str, payload: bytes) -> None:
        """Keep in memory what could not be written, in place of what was kept of the entry before."""
        self.waiting[entry_id] = (kind, payload)
        self.judge()
        self._wake()

    def has_room(self, size_bytes: int) -> bool:
        """Whether so much can be written without what is promised to attempts that are open."""
        if self.segments.room_bytes - self.holdings.promised_bytes >= size_bytes:
            return True
        self.work_now()
        return self.segments.room_bytes - self.holdings.promised_bytes >= size_bytes

    def sweep(self) -> None:
        """Give up the segments in which nothing is needed."""
        if self.segments.sweep():
            self.judge()
            self._wake()

    def judge(self) -> None:
        """Decide anew whether new work can be taken."""
        self.readiness.judge(self.segments.used_bytes, self.waiting_count)

    def work_now(self) -> None:
        """Do at once what is to be done, where that is not the background's business."""
        if not self.may_wait():
            return
        work = self.collect()
        work.do()
        self.apply(work)

    def collect(self) -> DiskWork:
        """What a thread can do while this one goes on writing."""
        work = self.segments.work(self.holdings.promised_bytes, force=self._unsynced_since is not None)
        self._syncing_since, self._unsynced_since = self._unsynced_since, None
        return work

    def apply(self, work: DiskWork) -> None:
        """Go on from what was done, and judge by what failed."""
        self.segments.apply(work)
        if work.make_error is not None:
            self.readiness.trouble("make room", _reason(work.make_error))
        else:
            self.readiness.works("make room")
        if work.failed:
            self.readiness.trouble("sync", _reason(work.failed[0][1]))
            self._unsynced_since = self._syncing_since or self._unsynced_since
        self._syncing_since = None
        if self.segments.newest.suspect:
            with suppress(NoSpare):  # then the next round has one
                self.segments.roll()
        elif not work.failed and not any(each.suspect and each.entry_ids for each in self.segments.segments):
            self.readiness.works("sync")
        self.judge()

    def write_waiting(self) -> None:
        """Try again what could not be written."""
        if self.readiness.is_troubled("write"):
            probe = encode_ids([])
            if self._put(DONE, probe) is None:
                if not self.segments.has_spare:
                    return
                self.segments.roll()  # it may be this file alone that cannot be written
                if self._put(DONE, probe) is None:
                    return
            self.readiness.works("write")
        for entry_id, (kind, payload) in list(self.waiting.items()):
            if kind == MARK and not self.has_room(RECORD_HEAD_BYTES + len(payload)):
                continue
            if not self.put_entry(kind, entry_id, payload):
                return
            del self.waiting[entry_id]
        self.put_done()
        self.judge()

    def move_some(self) -> bool:
        """Write some entries again, where that is called for. True: there may be more."""
        source = to_be_moved(self.segments, self.holdings, self._max_bytes)
        if source is None:
            return False
        try:
            moved = move_some(source, self.holdings, self._put_again)
        except OSError as error:
            self.readiness.trouble("read", _reason(error))
            self.judge()
            return False
        self.readiness.works("read")
        self.sweep()
        return moved

    def _put_again(self, kind: int, entry_id: str, payload: bytes) -> bool:
        reserve_bytes = self.segments.segment_bytes // 2  # what is new comes first
        has_room = self.has_room(RECORD_HEAD_BYTES + len(payload) + reserve_bytes)
        return has_room and self.put_entry(kind, entry_id, payload)

    def finish(self) -> None:
        """The end: what could not be written is logged whole, and files that are not needed are removed."""
        for kind, payload in self.waiting.values():
            said = "its end" if kind == CLOSE else "how far it had come"
            whole = msgspec.json.encode(decode_entry(payload)).decode()
            where = self.segments.newest.path.parent
            _log.error("%s: a usage entry is not in the journal, %s could not be written: %s", where, said, whole)
        newest = self.segments.newest
        self.segments.remove_all_but(self.segments.segments if self.holdings else [])
        if self.holdings:
            try:
                cut(newest.path, newest.end)
            except OSError as error:
                _log.warning("%s: cannot be shortened: %s", newest.path, _reason(error))


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
