"""The files of the journal: read for ever, whatever has become of them."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import pytest

from journal_entries import entry
from pulse_gateway.ledger import segments
from pulse_gateway.ledger.journal import Journal, JournalError, Recovered, read_journal
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.segments import CLOSE, DONE, HEADER, MARK, OPEN, encode_entry, encode_ids, frame, scan
from pulse_gateway.types.usage import Outcome, Usage, UsageSource

SALT = 0x9F3A2C1D
# A segment with one CLOSE, as version 1 of the format wrote it. Never to be changed: such files lie on people's disks.
VERSION_1 = bytes.fromhex(
    "70756c7365206a6f75726e616c20310a800100000f511f4203dc001dd92430313866336136632d316232642d376333652d396634302d30"
    "3030303030303030306161d9247265715f3030303030303030303030303030303030303030303030303030303030303031d92030303030"
    "30303030303030303030303030303030303030303030303030303031a764656661756c74b073617261406578616d706c652e636f6da86b"
    "5f346631633264ce00031773a463686174ab6f70656e61692e63686174a76770742d352e32a66f70656e6169b26770742d352e322d3230"
    "32352d31322d313101a9636f6d706c65746564a870726f766964657283ac696e7075745f746f6b656e7364b36361636865645f696e7075"
    "745f746f6b656e7300ad6f75747075745f746f6b656e73167ace00075eb8a7636174616c6f67aa323032362d31312d32300000cb406e30"
    "0000000000cb409d950000000000cb41dabf61b0400000c09192a47465616da8726573656172636893b073617261406578616d706c652e"
    "636f6dac6b65792f6b5f346631633264a674656e616e74c0"
)


class Written:
    """A segment in the making."""

    def __init__(self, number: int = 1, salt: int = SALT) -> None:
        self.name = f"{number:08d}-{salt:08x}.journal"
        self.salt = salt
        self.data = HEADER
        self.offsets: list[int] = []

    def add(self, kind: int, payload: bytes) -> Written:
        self.offsets.append(len(self.data))
        self.data += frame(kind, payload, self.salt, len(self.data))
        return self

    def close(self, *entries: UsageEntry) -> Written:
        for each in entries:
            self.add(CLOSE, encode_entry(each))
        return self

    def save(self, directory: Path, data: bytes | None = None) -> Path:
        path = directory / self.name
        path.write_bytes(self.data if data is None else data)
        return path


async def taken_over(directory: Path) -> Recovered:
    opened = Journal(directory)
    recovered = opened.recovered()
    await opened.aclose()
    return recovered


def spoiled(data: bytes, offset: int, size: int = 1) -> bytes:
    return data[:offset] + bytes(byte ^ 0xFF for byte in data[offset : offset + size]) + data[offset + size :]


async def test_what_version_1_wrote_is_read_for_ever(tmp_path: Path) -> None:
    (tmp_path / f"00000001-{SALT:08x}.journal").write_bytes(VERSION_1)
    expected = entry(
        "018f3a6c-1b2d-7c3e-9f40-0000000000aa",
        request_id=f"req_{1:032x}",
        trace_id=f"{1:032x}",
        at=1_795_000_001.0,
        accounts=("sara@example.com", "key/k_4f1c2d", "tenant"),
    )
    assert (await taken_over(tmp_path)).closed == [expected]


def test_every_field_of_an_entry_has_its_place_in_a_record() -> None:
    """A new field is appended to the list of `segments._FIELDS`, never put between others."""
    assert sorted(segments._FIELDS) == sorted(UsageEntry.__struct_fields__)
    assert len(set(segments._FIELDS)) == len(segments._FIELDS)


def test_a_record_of_fewer_fields_or_of_more_is_an_entry() -> None:
    said = entry(price_version=None, tags=(), accounts=(), reverses=None)
    values = msgspec.msgpack.decode(encode_entry(said))
    assert segments.decode_entry(msgspec.msgpack.encode(values[:26])) == said
    assert segments.decode_entry(msgspec.msgpack.encode([*values, "a field of later days"])) == said
    corrected = entry(
        outcome=Outcome.FAILED, source=UsageSource.NONE, usage=Usage(), reverses=said.entry_id, tokens=-5, key_id=None
    )
    assert segments.decode_entry(encode_entry(corrected)) == corrected


async def test_a_file_of_a_later_release_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = Written().save(tmp_path, b"pulse journal 2\n" + b"what do I know")
    with pytest.raises(JournalError, match=rf"{path}: written by a later release"):
        Journal(tmp_path)
    with pytest.raises(JournalError, match="later release"):
        read_journal(tmp_path)
    assert path.read_bytes().endswith(b"what do I know")
    path.unlink()
    assert await taken_over(tmp_path) == Recovered(closed=[], open=[]), "the refusal let go of the folder"


async def test_an_entry_broken_off_at_the_end_is_cut_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one, two = entry(), entry()
    written = Written().close(one, two)
    path = written.save(tmp_path, written.data[:-5] + bytes(4096))
    assert read_journal(tmp_path) == Recovered(closed=[one], open=[])
    assert await taken_over(tmp_path) == Recovered(closed=[one], open=[])
    assert path.read_bytes() == written.data[: written.offsets[1]]
    assert f"{path}: broke off within a record at {written.offsets[1]}" in caplog.text
    caplog.clear()
    assert await taken_over(tmp_path) == Recovered(closed=[one], open=[])
    assert caplog.text == "", "it is said once"


async def test_damage_costs_the_record_it_is_in_and_the_file_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, two, three, later = (entry() for _ in range(4))
    written = Written().close(one, two, three)
    path = written.save(tmp_path, spoiled(written.data, written.offsets[1] + 40, 3))
    Written(2, 7).close(later).save(tmp_path)
    aside = path.with_suffix(".damaged")
    size = written.offsets[2] - written.offsets[1]

    assert read_journal(tmp_path) == Recovered(closed=[one, three, later], open=[], damaged=[path])
    opened = Journal(tmp_path)
    assert opened.recovered() == Recovered(closed=[one, three, later], open=[], damaged=[aside])
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == [
        f"{path}: damaged: {size} bytes at {written.offsets[1]} cannot be read. The rest was read; the file is kept as "
        f"{aside.name}"
    ]
    opened.done([each.entry_id for each in (one, three, later)])
    await opened.aclose()
    assert sorted(each.name for each in tmp_path.iterdir()) == [aside.name, "lock"]
    assert aside.read_bytes() == spoiled(written.data, written.offsets[1] + 40, 3)


@pytest.mark.parametrize("field", [0, 4, 8], ids=["length", "checksum", "kind"])
def test_reading_goes_on_behind_a_damaged_head(field: int) -> None:
    one, two, three = (entry() for _ in range(3))
    written = Written().close(one, two, three)
    found = scan(spoiled(written.data, written.offsets[1] + field), SALT)
    assert [segments.decode_entry(payload) for _, _, payload in found.records] == [one, three]
    assert found.gaps == [(written.offsets[1], written.offsets[2] - written.offsets[1])]
    assert found.end == len(written.data)


async def test_a_hole_that_a_crash_of_the_machine_left_costs_what_was_in_it(tmp_path: Path) -> None:
    """Pages reach the disk in any order."""
    entries = [entry() for _ in range(60)]
    written = Written().close(*entries)
    written.save(tmp_path, written.data[:8192] + bytes(4096) + written.data[12288:])
    first_in_hole = next(n for n, offset in enumerate(written.offsets) if offset > 8192) - 1
    behind = next(n for n, offset in enumerate(written.offsets) if offset >= 12288)
    found = await taken_over(tmp_path)
    assert found.closed == entries[:first_in_hole] + entries[behind:]
    assert len(found.damaged) == 1


async def test_an_earlier_file_that_breaks_off_is_damaged_not_torn(tmp_path: Path) -> None:
    one, two, later = (entry() for _ in range(3))
    written = Written().close(one, two)
    path = written.save(tmp_path, written.data[:-5])
    Written(2, 7).close(later).save(tmp_path)
    Written(3, 8).save(tmp_path, HEADER + bytes(4096))
    found = await taken_over(tmp_path)
    assert found.closed == [one, later]
    assert found.damaged == [path.with_suffix(".damaged")]


async def test_an_attempt_whose_sending_may_stand_in_what_is_damaged_counts_as_sent(tmp_path: Path) -> None:
    doubtful, broken, later = (entry(tokens=0) for _ in range(3))
    written = Written().add(OPEN, encode_entry(doubtful)).add(MARK, encode_entry(broken)).close(broken)
    written.save(tmp_path, spoiled(written.data, written.offsets[1] + 40))
    Written(2, 7).add(OPEN, encode_entry(later)).save(tmp_path)
    before = read_journal(tmp_path)
    assert (before.open, before.unsent, before.closed) == ([doubtful], [later], [broken])
    after = await taken_over(tmp_path)
    assert (after.open, after.unsent, after.closed) == ([doubtful], [later], [broken])
    assert (await taken_over(tmp_path)).open == [doubtful], "until somebody brings it to an end"


async def test_a_damaged_header_costs_nothing(tmp_path: Path) -> None:
    one = entry()
    written = Written().close(one)
    path = written.save(tmp_path, spoiled(written.data, 3))
    found = await taken_over(tmp_path)
    assert found.closed == [one]
    assert found.damaged == [path.with_suffix(".damaged")]


def test_a_record_inside_a_value_is_not_taken_for_one() -> None:
    """Somebody who chooses a name in a request knows the format, but neither the salt nor the place."""
    forged = frame(CLOSE, encode_entry(entry(tokens=0)), 0, 0).decode("latin-1")
    inner, after = entry(user_id=forged), entry()
    written = Written().close(inner, after)
    found = scan(spoiled(written.data, written.offsets[0]), SALT)
    assert [segments.decode_entry(payload) for _, _, payload in found.records] == [after]


def test_a_copy_of_a_record_in_another_place_is_none() -> None:
    written = Written().close(entry(), entry())
    record = written.data[written.offsets[0] : written.offsets[1]]
    found = scan(written.data + record, SALT)
    assert len(found.records) == 2
    assert found.tail_bytes == len(record)
    assert scan(written.data, SALT + 1).records == []


async def test_the_newest_record_holds_but_nothing_opens_an_attempt_again(tmp_path: Path) -> None:
    said = entry(tokens=0)
    later = [entry(said.entry_id, tokens=tokens, at=said.at) for tokens in (1, 2, 3)]
    written = (
        Written().add(OPEN, encode_entry(said)).add(MARK, encode_entry(later[0])).add(MARK, encode_entry(later[1]))
    )
    written.save(tmp_path)
    assert (await taken_over(tmp_path)).open == [later[1]]
    written.close(later[2]).add(MARK, encode_entry(later[0])).save(tmp_path)
    assert (await taken_over(tmp_path)).closed == [later[2]]
    written.add(DONE, encode_ids([said.entry_id])).save(tmp_path)
    assert await taken_over(tmp_path) == Recovered(closed=[], open=[])


async def test_a_record_that_is_whole_but_not_understood_is_reported_and_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = entry()
    unknown = msgspec.msgpack.encode(["an-id", "only", 3])
    path = Written().close(one).add(CLOSE, unknown).add(CLOSE, b"\xc1").add(DONE, b"\x91\x01").save(tmp_path)
    found = await taken_over(tmp_path)
    assert found.closed == [one]
    assert found.damaged == [path.with_suffix(".damaged")]
    assert "entry an-id is not understood" in caplog.text


async def test_files_that_are_not_segments_are_left_alone(tmp_path: Path) -> None:
    for name in ("notes.txt", "1.journal", "00000001-zzzzzzzz.journal"):
        (tmp_path / name).write_text("mine")
    assert await taken_over(tmp_path) == Recovered(closed=[], open=[])
    assert len(list(tmp_path.iterdir())) == 4


async def test_what_an_earlier_release_announced_and_never_sent_is_nobodys_to_bring_to_an_end(tmp_path: Path) -> None:
    announced, sent = entry(tokens=0), entry(tokens=1)
    written = Written().add(OPEN, encode_entry(announced)).add(OPEN, encode_entry(sent)).add(MARK, encode_entry(sent))
    written.save(tmp_path)
    found = read_journal(tmp_path)
    assert (found.open, found.unsent) == ([sent], [announced])
    opened = Journal(tmp_path)
    recovered = opened.recovered()
    assert (recovered.open, recovered.unsent) == ([sent], [announced])
    assert opened.open_entries == 1
    opened.close(sent)
    opened.done([sent.entry_id, announced.entry_id])
    await opened.aclose()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


async def test_what_counts_as_sent_does_so_wherever_it_is_written_again(tmp_path: Path) -> None:
    doubtful, broken = entry(tokens=0), entry(tokens=0)
    written = Written().add(OPEN, encode_entry(doubtful)).add(MARK, encode_entry(broken)).close(broken)
    path = written.save(tmp_path, spoiled(written.data, written.offsets[1] + 40))
    opened = Journal(tmp_path, max_bytes=2 * 2**20, segment_bytes=64 * 1024)
    while path.exists():
        passing = entry()
        opened.open(passing)
        opened.close(passing)
        opened.done([passing.entry_id, broken.entry_id])
        await opened.sync()
    await opened.aclose()
    found = read_journal(tmp_path)
    assert (found.open, found.unsent) == ([doubtful], [])
