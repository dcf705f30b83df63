"""What the journal keeps, for how long, and what it does when it cannot."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from journal_entries import entry
from pulse_gateway.config import ConfigError
from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.ledger import disk_work
from pulse_gateway.ledger.journal import Journal, JournalError, JournalLocked, orphans, read_journal
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.segments import RECORD_HEAD_BYTES, encode_entry
from pulse_gateway.testing import FakeClock
from pulse_gateway.types.usage import Outcome

SMALL = {"max_bytes": 2 * 2**20, "segment_bytes": 64 * 1024}


@asynccontextmanager
async def journal(directory: Path, *, started: bool = True, **options: Any) -> AsyncIterator[Journal]:
    opened = Journal(directory, **options)
    try:
        if started:
            await opened.start()
        yield opened
    finally:
        await opened.aclose()


async def left(directory: Path) -> tuple[list[UsageEntry], list[UsageEntry]]:
    """The closed and the open entries that the next process finds."""
    async with journal(directory, started=False) as opened:
        recovered = opened.recovered()
        assert (recovered.unsent, recovered.damaged) == ([], [])
        return recovered.closed, recovered.open


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.journal"))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


class Disk:
    """What the machine's disk answers, as the test says."""

    def __init__(self) -> None:
        self.sync_error: int | None = None
        self.room_error: int | None = None
        self.write_error: int | None = None
        self.syncs = 0


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    force, allocate, write = os.fdatasync, os.posix_fallocate, os.pwrite

    def maybe(error: int | None) -> None:
        if error is not None:
            raise OSError(error, os.strerror(error))

    def fdatasync(descriptor: int) -> None:
        maybe(disk.sync_error)
        disk.syncs += 1
        force(descriptor)

    def posix_fallocate(descriptor: int, offset: int, size: int) -> None:
        maybe(disk.room_error)
        allocate(descriptor, offset, size)

    def pwrite(descriptor: int, data: bytes, offset: int) -> int:
        maybe(disk.write_error)
        return write(descriptor, data, offset)

    monkeypatch.setattr(disk_work, "_fdatasync", fdatasync)
    monkeypatch.setattr(os, "posix_fallocate", posix_fallocate)
    monkeypatch.setattr(os, "pwrite", pwrite)
    yield disk
    disk.sync_error = disk.room_error = disk.write_error = None


# ── what is kept ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_entry_is_kept_as_it_was_last_said_until_it_is_done(tmp_path: Path) -> None:
    opened, marked, closed, done = (entry(outcome=Outcome.CANCELLED, tokens=0) for _ in range(4))
    more = entry(marked.entry_id, outcome=Outcome.CANCELLED, tokens=7)
    end = entry(closed.entry_id, tokens=99)
    async with journal(tmp_path) as first:
        for each in (opened, marked, closed, done):
            first.open(each)
        first.mark(entry(marked.entry_id, tokens=3))
        first.mark(more)
        first.mark(entry(closed.entry_id, tokens=3))
        first.close(end)
        first.close(done)
        first.done([done.entry_id])
        assert (first.open_entries, first.closed_entries) == (2, 1)
    assert await left(tmp_path) == ([end], sorted([opened, more], key=lambda each: each.at))


async def test_an_attempt_that_begins_is_one_record(tmp_path: Path) -> None:
    said = entry(tokens=0)
    async with journal(tmp_path) as first:
        before = first._segments.used_bytes
        first.open(said)
        assert first._segments.used_bytes - before == RECORD_HEAD_BYTES + len(encode_entry(said))
        assert first.open_entries == 1
    assert await left(tmp_path) == ([], [said])


async def test_an_entry_that_was_never_opened_is_kept_too(tmp_path: Path) -> None:
    said = entry()
    async with journal(tmp_path) as first:
        first.close(said)
    assert await left(tmp_path) == ([said], [])


async def test_nothing_opens_an_attempt_again_once_it_has_ended(tmp_path: Path) -> None:
    closed, done, never = entry(), entry(), entry()
    async with journal(tmp_path) as first:
        for each in (closed, done):
            first.open(each)
            first.close(each)
        first.done([done.entry_id, "unheard of"])
        for each in (closed, done, never):
            first.mark(entry(each.entry_id, tokens=1))
    assert await left(tmp_path) == ([closed], [])


async def test_entries_survive_any_number_of_processes_until_they_are_done(tmp_path: Path) -> None:
    ended, running = entry(), entry()
    async with journal(tmp_path) as first:
        first.close(ended)
        first.open(running)
    for _ in range(3):
        assert await left(tmp_path) == ([ended], [running])
    async with journal(tmp_path) as last:
        last.mark(entry(running.entry_id, tokens=5))
        last.close(entry(running.entry_id, tokens=6))
        last.done([ended.entry_id, running.entry_id])
    assert await left(tmp_path) == ([], [])


async def test_what_was_recovered_is_handed_over_once(tmp_path: Path) -> None:
    async with journal(tmp_path) as first:
        first.close(entry())
    async with journal(tmp_path) as second:
        assert len(second.recovered().closed) == 1
        assert second.recovered().closed == []
        assert second.closed_entries == 1


async def test_an_entry_larger_than_a_segment_is_kept(tmp_path: Path) -> None:
    large = entry(tags=tuple((f"name{n}", "x" * 1000) for n in range(150)))
    small = entry()
    async with journal(tmp_path, **SMALL) as first:
        first.close(large)
        first.close(small)
        await first.sync()
        await first.sync()
        assert first.size_bytes < 600_000, "no more room is made for it than it takes"
    assert await left(tmp_path) == ([large, small], [])


async def test_nothing_remains_of_a_journal_whose_entries_are_done(tmp_path: Path) -> None:
    async with journal(tmp_path) as first:
        said = entry()
        first.open(said)
        first.close(said)
        first.done([said.entry_id])
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


@pytest.mark.parametrize("started", [True, False])
async def test_files_stay_small_however_many_entries_pass(tmp_path: Path, started: bool) -> None:
    async with journal(tmp_path, started=started, **SMALL) as passing:
        largest = 0
        for _ in range(80):
            batch = [entry() for _ in range(50)]
            for each in batch:
                passing.open(each)
                passing.close(each)
            passing.done([each.entry_id for each in batch])
            await asyncio.sleep(0)
            if started:
                await passing.sync()
            largest = max(largest, sum(path.stat().st_size for path in segments(tmp_path)))
        assert largest <= 6 * 64 * 1024
        assert passing.fill < 0.3
        assert len(passing._holdings) == 0


async def test_one_long_attempt_does_not_keep_the_files_of_all_later_ones(tmp_path: Path) -> None:
    long = [entry(tokens=0) for _ in range(3)]
    async with journal(tmp_path, **SMALL) as passing:
        for each in long:
            passing.open(each)
        largest = 0
        for _ in range(80):
            batch = [entry() for _ in range(50)]
            for each in batch:
                passing.open(each)
                passing.close(each)
            passing.done([each.entry_id for each in batch])
            await passing.sync()
            largest = max(largest, sum(path.stat().st_size for path in segments(tmp_path)))
        assert largest <= 10 * 64 * 1024
        assert passing.size_bytes == sum(path.stat().st_size for path in segments(tmp_path))
    assert await left(tmp_path) == ([], long)


async def test_a_backlog_takes_little_more_than_its_newest_records(tmp_path: Path) -> None:
    """While the store is away every stream leaves dozens of marks behind."""
    async with journal(tmp_path, **SMALL) as waiting:
        for number in range(1000):
            said = entry()
            waiting.open(said)
            for tokens in range(20):
                waiting.mark(entry(said.entry_id, tokens=tokens))
            waiting.close(said)
            if number % 2 == 0:
                await waiting.sync()
        assert waiting.closed_entries == 1000
        assert waiting.refusal is None
        await until(lambda: waiting.fill < 0.4)


# ── who may write ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_folder_has_one_writer_and_the_other_is_told_which(tmp_path: Path) -> None:
    async with journal(tmp_path / "one", started=False):
        with pytest.raises(JournalLocked, match=rf"{tmp_path}/one: process {os.getpid()} has this journal"):
            Journal(tmp_path / "one")
        assert issubclass(JournalLocked, ConfigError)
    async with journal(tmp_path / "one", started=False):
        pass


async def test_each_process_takes_the_first_free_slot(tmp_path: Path) -> None:
    root = tmp_path / "journal"
    zero = Journal.take(root)
    one = Journal.take(root)
    assert (zero.directory, one.directory) == (root / "0", root / "1")
    await zero.aclose()
    again = Journal.take(root)
    assert again.directory == root / "0"
    for each in (again, one):
        await each.aclose()


async def test_only_the_owner_can_look_at_what_was_used(tmp_path: Path) -> None:
    taken = Journal.take(tmp_path / "journal")
    try:
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (taken.directory.parent, taken.directory)}
        assert modes == {"journal": 0o700, "0": 0o700}
        assert {stat.S_IMODE(path.stat().st_mode) for path in taken.directory.iterdir()} == {0o600}
    finally:
        await taken.aclose()


async def test_what_nobody_holds_any_more_is_an_orphan(tmp_path: Path) -> None:
    said = entry()
    held, gone, empty = (Journal.take(tmp_path) for _ in range(3))
    gone.close(said)
    await gone.aclose()
    await empty.aclose()
    held.close(entry())
    assert orphans(tmp_path) == [tmp_path / "1"]
    async with journal(tmp_path / "1") as adopted:
        assert orphans(tmp_path) == []
        assert adopted.recovered().closed == [said]
        adopted.done([said.entry_id])
    assert orphans(tmp_path) == []
    await held.aclose()
    assert orphans(tmp_path) == [tmp_path / "0"]
    assert orphans(tmp_path / "nowhere") == []


@pytest.mark.parametrize("make", [Journal, Journal.take])
def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path, make: Callable[[Path], Journal]) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    with pytest.raises(JournalError, match=rf"{file}.*the journal cannot be kept here"):
        make(file / "journal")


async def test_a_journal_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    ended, running = entry(), entry()
    async with journal(tmp_path) as live:
        live.close(ended)
        live.open(running)
        before = sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in tmp_path.iterdir())
        found = read_journal(tmp_path)
        assert (found.closed, found.open, found.damaged) == ([ended], [running], [])
        after = sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in tmp_path.iterdir())
        assert before == after
        live.close(running)
        live.done([ended.entry_id])
        assert read_journal(tmp_path).closed == [running]
    with pytest.raises(JournalError, match="there is no such journal"):
        read_journal(tmp_path / "nowhere")


# ── the disk in time ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_written_is_forced_to_the_disk_in_the_background(tmp_path: Path, disk: Disk) -> None:
    async with journal(tmp_path, sync_s=0.01) as live:
        live.open(entry())
        await until(lambda: disk.syncs > 0 and live.lag_s == 0)


async def test_the_lag_is_the_age_of_what_is_not_forced_yet(tmp_path: Path) -> None:
    clock = FakeClock()
    async with journal(tmp_path, started=False, clock=clock) as live:
        assert live.lag_s == 0
        live.open(entry())
        clock.advance(3)
        live.open(entry())
        clock.advance(1)
        assert live.lag_s == 4
        await live.sync()
        assert live.lag_s == 0


async def test_sync_returns_when_it_is_on_the_disk_and_many_share_one(tmp_path: Path, disk: Disk) -> None:
    async with journal(tmp_path, sync_s=60) as live:
        await live.sync()
        before = disk.syncs
        live.open(entry())
        await asyncio.gather(*(live.sync() for _ in range(50)))
        assert before < disk.syncs <= before + 2


@pytest.mark.parametrize("started", [True, False])
async def test_a_disk_that_does_not_keep_what_it_took_closes_admission_until_it_is_written_elsewhere(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture, started: bool
) -> None:
    caplog.set_level(logging.INFO, "pulse_gateway.ledger")
    said, late = entry(), entry()
    async with journal(tmp_path, started=started, sync_s=0.01) as live:
        live.open(said)
        await live.sync()
        first = segments(tmp_path)[0]
        disk.sync_error = errno.EIO
        live.open(late)
        with pytest.raises(StoreUnavailable):
            await live.sync()
        with pytest.raises(StoreUnavailable):
            live.check()
        with pytest.raises(StoreUnavailable):
            live.open(entry())
        assert live.refusal == "cannot sync: Input/output error"
        live.close(late)
        disk.sync_error = None
        if started:
            await until(lambda: live.refusal is None)
        else:
            await live.sync()
        live.check()
        assert not first.exists(), "nothing the disk may have forgotten is relied on"
    refused = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    resumed = [record.getMessage() for record in caplog.records if "taken again" in record.getMessage()]
    assert refused == [f"{tmp_path}: new work is refused: cannot sync: Input/output error"]
    assert len(resumed) == 1
    assert await left(tmp_path) == ([late], [said])


# ── no room ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
async def test_without_new_room_what_was_begun_can_still_end(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture, error: int
) -> None:
    caplog.set_level(logging.INFO, "pulse_gateway.ledger")
    async with journal(tmp_path, sync_s=0.005, **SMALL) as live:
        disk.room_error = error
        begun = []
        with pytest.raises(StoreUnavailable):
            while True:
                said = entry(outcome=Outcome.CANCELLED)
                live.open(said)
                begun.append(said)
                await asyncio.sleep(0)
        assert len(begun) > 50
        await until(lambda: live.refusal is not None)
        assert live.refusal == f"cannot make room: {os.strerror(error)}"
        for tokens in range(20):  # more than there is room for
            for each in begun:
                live.mark(entry(each.entry_id, tokens=tokens, at=each.at))
        marks_waiting = live.waiting
        assert 0 < marks_waiting <= len(begun)
        ends = [entry(each.entry_id, error_code="x" * 400, at=each.at) for each in begun]
        for each in ends:
            live.close(each)
        assert live.waiting == 0, "every end has the room that was set aside for it"
        assert read_journal(tmp_path).closed == ends
        disk.room_error = None
        await until(lambda: live.refusal is None)
        live.open(entry())
    assert [record.levelno for record in caplog.records if "refused" in record.getMessage()] == [logging.ERROR]


async def test_what_cannot_be_written_waits_and_is_written_when_the_disk_is_back(tmp_path: Path, disk: Disk) -> None:
    running, marked, ended, done = (entry(tokens=0) for _ in range(4))
    async with journal(tmp_path, sync_s=0.005) as live:
        for each in (running, marked, ended, done):
            live.open(each)
        live.close(done)
        disk.write_error = errno.EIO
        with pytest.raises(StoreUnavailable):
            live.open(entry())
        live.mark(entry(marked.entry_id, tokens=1))
        live.mark(entry(marked.entry_id, tokens=2))
        live.mark(entry(ended.entry_id, tokens=1))
        live.close(entry(ended.entry_id, tokens=3))
        live.mark(entry(ended.entry_id, tokens=1))
        live.done([done.entry_id])
        assert live.waiting == 3
        with pytest.raises(StoreUnavailable):
            await live.sync()
        assert read_journal(tmp_path).closed == [done]
        disk.write_error = None
        await until(lambda: live.refusal is None)
        assert live.waiting == 0
        await live.sync()
        found = read_journal(tmp_path)
    assert [(each.entry_id, each.tokens) for each in found.closed] == [(ended.entry_id, 3)]
    assert {each.entry_id: each.tokens for each in found.open} == {running.entry_id: 0, marked.entry_id: 2}


async def test_an_entry_done_before_it_could_be_written_is_forgotten(tmp_path: Path, disk: Disk) -> None:
    async with journal(tmp_path) as live:
        disk.write_error = errno.ENOSPC
        said = entry()
        live.close(said)
        live.done([said.entry_id])
        assert live.waiting == 0
        disk.write_error = None
        await until(lambda: live.refusal is None)
    assert await left(tmp_path) == ([], [])


async def test_what_never_reached_the_disk_is_logged_whole_at_the_end(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    said = entry()
    async with journal(tmp_path) as live:
        disk.write_error = errno.ENOSPC
        live.close(said)
    assert f'"entry_id":"{said.entry_id}"' in caplog.text
    assert "its end could not be written" in caplog.text


async def test_half_full_is_an_alarm_nine_tenths_a_refusal_and_both_pass(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pulse_gateway.ledger")
    async with journal(tmp_path, sync_s=0.005, **SMALL) as filling:
        kept = []
        with pytest.raises(StoreUnavailable):
            while True:
                said = entry()
                filling.open(said)
                filling.close(said)
                kept.append(said)
                if len(kept) % 20 == 0:
                    await filling.sync()
        assert filling.refusal is not None
        assert filling.refusal.endswith("% of 2097152 bytes are in use")
        assert filling.alarmed
        assert sum(path.stat().st_size for path in segments(tmp_path)) <= 2 * 2**20
        late = entry()
        filling.close(late)
        filling.done([each.entry_id for each in kept])
        await filling.sync()
        filling.check()
        assert not filling.alarmed
    said_of_it = [(record.levelname, re.sub(r"\d+ %", "n %", record.getMessage())) for record in caplog.records]
    assert said_of_it == [
        ("WARNING", f"{tmp_path}: n % full: entries do not get to the ledger's store"),
        ("ERROR", f"{tmp_path}: new work is refused: n % of 2097152 bytes are in use"),
        ("INFO", f"{tmp_path}: n % full, no longer an alarm"),
        ("INFO", f"{tmp_path}: new work is taken again"),
    ]
    assert await left(tmp_path) == ([late], [])


# ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_closed_journal_refuses_everything(tmp_path: Path) -> None:
    live = Journal(tmp_path)
    await live.start()
    await live.aclose()
    await live.aclose()
    said = entry()
    for refused in (
        live.check,
        lambda: live.open(said),
        lambda: live.mark(said),
        lambda: live.close(said),
        lambda: live.done([said.entry_id]),
    ):
        with pytest.raises(StoreUnavailable):
            refused()
    with pytest.raises(StoreUnavailable):
        await live.sync()
    with pytest.raises(StoreUnavailable):
        await live.start()
    assert live.refusal == "it is closed"


async def test_closing_forces_to_the_disk_and_leaves_no_descriptor(tmp_path: Path, disk: Disk) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    live = Journal(tmp_path, sync_s=60, **SMALL)
    await live.start()
    for _ in range(500):
        live.close(entry())
        await asyncio.sleep(0)
    syncs = disk.syncs
    await live.aclose()
    assert disk.syncs > syncs
    assert set(Path("/proc/self/fd").iterdir()) <= before
    assert len((await left(tmp_path))[0]) == 500


async def test_a_task_that_ends_too_early_is_an_alarm_and_nothing_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = entry()
    async with journal(tmp_path) as live:
        live.open(said)
        tasks = [task for task in asyncio.all_tasks() if task.get_name() == "pulse-journal"]
        tasks[0].cancel()
        await asyncio.wait(tasks)
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable):
            live.check()
        live.close(said)
        assert "its task was cancelled" in caplog.text
    assert await left(tmp_path) == ([said], [])
