"""Whatever becomes of the journal's files, what is read from them was written, and nothing is read twice."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from journal_entries import entry
from pulse_gateway.ledger.journal import Journal, Recovered, read_journal
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.segments import (
    CLOSE,
    DONE,
    HEADER,
    MARK,
    OPEN,
    encode_entry,
    encode_ids,
    frame,
    scan,
    segment_name,
)

SALT = 0xC0FFEE11


def small_segment() -> tuple[bytes, list[tuple[int, int, bytes]]]:
    """A segment of a few records, and what they are."""
    first, second = entry(tags=(), user_id="u"), entry(key_id=None)
    records = [
        (OPEN, encode_entry(first)),
        (OPEN, encode_entry(second)),
        (MARK, encode_entry(entry(first.entry_id, tokens=3))),
        (CLOSE, encode_entry(entry(second.entry_id, tokens=9))),
        (DONE, encode_ids([second.entry_id])),
        (CLOSE, encode_entry(entry(first.entry_id, tokens=4))),
    ]
    data = HEADER
    written = []
    for kind, payload in records:
        written.append((len(data), kind, payload))
        data += frame(kind, payload, SALT, len(data))
    return data, written


def test_cut_at_any_byte_a_segment_is_read_up_to_there() -> None:
    data, written = small_segment()
    for length in range(len(data) + 1):
        whole = [each for each in written if each[0] + 9 + len(each[2]) <= length]
        for rest in (b"", bytes(64)):  # allocated ahead
            found = scan(data[:length] + rest, SALT)
            assert found.records == whole, length
            assert found.end == (whole[-1][0] + 9 + len(whole[-1][2]) if whole else len(HEADER))
            assert found.gaps == ([(0, min(length + len(rest), 16))] if 0 < length < 16 else []), length


def test_with_any_byte_spoiled_every_other_record_is_read() -> None:
    data, written = small_segment()
    for offset in range(len(data)):
        for change in (0x01, 0x80, 0xFF):
            spoiled = bytearray(data)
            spoiled[offset] ^= change
            found = scan(bytes(spoiled), SALT)
            expected = [each for each in written if not each[0] <= offset < each[0] + 9 + len(each[2])]
            assert found.records == expected, (offset, change)
            assert found.gaps or found.tail_bytes, (offset, change)


def test_cut_at_any_byte_a_journal_opens_and_goes_on(tmp_path: Path) -> None:
    data, written = small_segment()
    said = entry()

    async def open_and_write(directory: Path) -> None:
        opened = Journal(directory, max_bytes=2**20)
        opened.close(said)
        await opened.aclose()

    for number, length in enumerate(range(0, len(data), 23)):
        directory = tmp_path / str(number)
        directory.mkdir()
        (directory / segment_name(1, SALT)).write_bytes(data[:length])
        before = read_journal(directory)
        asyncio.run(open_and_write(directory))
        after = read_journal(directory)
        assert after.closed == [*before.closed, said]
        assert after.open == before.open
        assert len(written) == 6


@settings(max_examples=200, deadline=None)
@given(
    garbage=st.binary(max_size=400), cut=st.integers(0, 4000), put=st.integers(0, 4000), salt=st.integers(0, 2**32 - 1)
)
def test_garbage_anywhere_adds_nothing(garbage: bytes, cut: int, put: int, salt: int) -> None:
    data, written = small_segment()
    cut, put = cut % len(data), put % len(data)
    mixed = data[:cut] + garbage + data[cut:]
    over = data[:put] + garbage + data[put + len(garbage) :]
    for spoiled in (mixed, over, garbage, HEADER + garbage):
        found = scan(spoiled, SALT)
        assert all(record in written for record in found.records)
        assert [offset for offset, _, _ in found.records] == sorted({offset for offset, _, _ in found.records})
        assert found.end + found.tail_bytes <= max(len(spoiled), len(HEADER))
    if salt != SALT:
        assert scan(data, salt).records == []


class JournalMachine(RuleBasedStateMachine):
    """A journal in segments so small that they are always changing, against a dictionary."""

    @initialize()
    def start(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.running: dict[str, UsageEntry] = {}
        self.ended: dict[str, UsageEntry] = {}
        self.loop = asyncio.new_event_loop()
        self.open_journal()

    def open_journal(self) -> None:
        self.journal = Journal(self.directory, max_bytes=2**21, segment_bytes=2**16)

    @rule(count=st.integers(1, 200))
    def begin(self, count: int) -> None:
        for _ in range(count):
            said = entry(tokens=0, tags=(("padding", "x" * 200),))
            self.journal.open(said)
            self.running[said.entry_id] = said

    @rule(pick=st.randoms(use_true_random=False), count=st.integers(1, 50))
    def mark(self, pick: random.Random, count: int) -> None:
        for entry_id in self.some(pick, self.running, count):
            said = entry(entry_id, tokens=self.running[entry_id].tokens + 1)
            self.journal.mark(said)
            self.running[entry_id] = said

    @rule(pick=st.randoms(use_true_random=False), count=st.integers(1, 200))
    def end(self, pick: random.Random, count: int) -> None:
        for entry_id in self.some(pick, self.running, count):
            said = entry(entry_id, tokens=self.running.pop(entry_id).tokens + 1)
            self.journal.close(said)
            self.ended[entry_id] = said

    @rule(pick=st.randoms(use_true_random=False), count=st.integers(1, 300))
    def finish(self, pick: random.Random, count: int) -> None:
        chosen = self.some(pick, self.ended, count)
        self.journal.done(chosen)
        for entry_id in chosen:
            del self.ended[entry_id]

    @rule()
    def sync(self) -> None:
        self.loop.run_until_complete(self.journal.sync())

    @rule()
    def end_in_order(self) -> None:
        self.loop.run_until_complete(self.journal.aclose())
        self.open_journal()
        self.compare(self.journal.recovered())

    @rule(garbage=st.binary(max_size=30))
    def be_killed(self, garbage: bytes) -> None:
        """The files as they are, with what a last record that did not get through may have left."""
        copy = Path(tempfile.mkdtemp())
        shutil.copytree(self.directory, copy, dirs_exist_ok=True)
        newest = self.journal._segments.newest
        with (copy / newest.path.name).open("r+b") as file:
            file.seek(newest.end)
            file.write(garbage)
        self.loop.run_until_complete(self.journal.aclose())
        shutil.rmtree(self.directory)
        self.directory = copy
        self.open_journal()
        self.compare(self.journal.recovered())

    @invariant()
    def what_it_holds_is_what_was_said(self) -> None:
        self.compare(read_journal(self.directory))
        assert self.journal.open_entries == len(self.running)
        assert self.journal.closed_entries == len(self.ended)
        assert self.journal.waiting == 0
        held = self.journal._holdings
        assert held.needed_bytes <= self.journal._segments.used_bytes
        if not len(held):
            assert (held.needed_bytes, held.promised_bytes) == (0, 0)

    def compare(self, found: Recovered) -> None:
        assert {each.entry_id: each for each in found.open} == self.running
        assert found.unsent == []
        assert {each.entry_id: each for each in found.closed} == self.ended
        assert len(found.closed) == len(self.ended)
        assert found.damaged == []

    @staticmethod
    def some(pick: random.Random, entries: dict[str, UsageEntry], count: int) -> list[str]:
        return pick.sample(sorted(entries), min(count, len(entries)))

    def teardown(self) -> None:
        if hasattr(self, "journal"):
            self.loop.run_until_complete(self.journal.aclose())
            self.loop.close()
            shutil.rmtree(self.directory)


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(
    max_examples=10, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
