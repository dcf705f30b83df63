"""The journal on disk: how records lie in segments, and how they are read back, whatever has happened to the files.

A segment is a file `NUMBER-SALT.journal`: a header of 16 bytes, then records `length u32 · checksum u32 · kind u8 · payload`
(little-endian; `length` is the payload's), then zeros as far as the file was allocated ahead. Later segments have higher numbers.

The checksum is CRC-32 over kind and payload, begun with the segment's salt plus the record's offset. So a record is valid in
its own place and nowhere else: neither a stale copy nor bytes that a caller smuggled into a payload are taken for one, and
reading can go on behind damage, at the next offset that checks. CRC-32 rather than CRC-32C: `zlib` has it, in C and in the
standard library; both find every error burst of up to 32 bits and miss one in 2³² of the rest.

No record needs another to be understood. `OPEN`, `MARK` and `CLOSE` hold a whole entry, `DONE` a list of entry ids; the
newest record of an entry holds, except that nothing opens it again after its `CLOSE`. A `MARK` is written when the request leaves,
and whenever more is known. An `OPEN` stood before it in earlier releases: where it is the newest, the request had not left.
"""

from __future__ import annotations

import re
from operator import attrgetter
from pathlib import Path
from struct import Struct
from typing import Final
from zlib import crc32

import msgspec

from pulse_gateway.errors import ConfigError
from pulse_gateway.ledger.ledger import UsageEntry

__all__ = [
    "CLOSE",
    "DONE",
    "HEADER",
    "MARK",
    "OPEN",
    "RECORD_HEAD_BYTES",
    "JournalError",
    "Newest",
    "Recovered",
    "Replay",
    "Scan",
    "SegmentFile",
    "decode_entry",
    "encode_entry",
    "encode_ids",
    "frame",
    "read_segments",
    "scan",
    "segment_files",
    "segment_name",
    "unframe",
]

OPEN: Final = 1
MARK: Final = 2
CLOSE: Final = 3
DONE: Final = 4

HEADER: Final = b"pulse journal 1\n"  # the digit is the version of everything described above
_HEADER_START: Final = b"pulse journal "
_HEAD = Struct("<IIB")
_pack_head = _HEAD.pack
RECORD_HEAD_BYTES: Final = _HEAD.size
_NAME = re.compile(r"(\d{8,})-([0-9a-f]{8})\.journal")
# What a record could look like: shorter than 16 MiB, a known kind, a payload that is a msgpack array. The checksum decides.
_CANDIDATE = re.compile(rb"(?=...\x00....[\x01-\x04][\x90-\x9f\xdc\xdd])", re.DOTALL)
_READINGS = 3  # of a file that looks damaged: it may be half of what the writer was writing
_KIND_BYTES = [bytes([kind]) for kind in range(256)]

# The fields of an entry in the order in which records hold them. Old records are read by it: append, never reorder or remove.
_FIELDS: Final = (
    *("entry_id", "request_id", "trace_id", "tenant_id", "user_id", "key_id", "period", "operation", "dialect", "alias"),
    *("provider", "model", "attempt", "outcome", "source", "usage", "tokens", "cost_nano_usd", "price_source"),
    *("price_version", "images", "videos", "first_byte_ms", "total_ms", "at", "error_code", "tags", "accounts", "reverses"),
)  # fmt: skip
assert UsageEntry.__struct_fields__ == _FIELDS  # so that a record is an entry's fields as they stand
_encoder = msgspec.msgpack.Encoder()
_scratch = (
    bytearray()
)  # what is encoded is copied out of here: a buffer that begins empty has to grow several times for an entry
_decode_values = msgspec.msgpack.Decoder(list).decode
_decode_ids = msgspec.msgpack.Decoder(list[str]).decode


class _EntryId(msgspec.Struct, array_like=True):
    """The first field of an entry; the others are skipped unread."""

    entry_id: str


_decode_entry_id = msgspec.msgpack.Decoder(_EntryId).decode


class JournalError(ConfigError):
    """The journal's directory cannot be used."""


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """What a journal holds that is not known to be in the ledger's store, in the order in which attempts began.

    `closed` are attempts that ended, `open` those whose end was never recorded, as of their last mark, `unsent` those that were
    opened and whose request never left. `damaged` are files of which a part could not be read.
    """

    closed: list[UsageEntry]
    open: list[UsageEntry]
    unsent: list[UsageEntry] = []
    damaged: list[Path] = []


# ── one record ────────────────────────────────────────────────────────────────────────────────────────────────────────


def encode_entry(entry: UsageEntry) -> bytes:
    _encoder.encode_into(msgspec.structs.astuple(entry), _scratch)
    return bytes(_scratch)


def decode_entry(payload: bytes) -> UsageEntry:
    """The entry of an `OPEN`, `MARK` or `CLOSE`, also one written when entries had fewer fields, or more.

    Raises: msgspec.DecodeError (a ValidationError included) when it is no entry.
    """
    return msgspec.convert(dict(zip(_FIELDS, _decode_values(payload), strict=False)), UsageEntry)


def encode_ids(entry_ids: list[str]) -> bytes:
    return _encoder.encode(entry_ids)


def frame(kind: int, payload: bytes, salt: int, offset: int) -> bytes:
    """The record as it stands at `offset` of the segment with `salt`."""
    checksum = crc32(payload, crc32(_KIND_BYTES[kind], (salt + offset) & 0xFFFFFFFF))
    return _pack_head(len(payload), checksum, kind) + payload


def unframe(data: bytes, position: int, salt: int, offset: int) -> tuple[int, bytes] | None:
    """Kind and payload of the record at `position` of `data`, which is at `offset` of the segment; None: there is none."""
    if position + RECORD_HEAD_BYTES > len(data):
        return None
    length, checksum, kind = _HEAD.unpack_from(data, position)
    start = position + RECORD_HEAD_BYTES
    if not OPEN <= kind <= DONE or start + length > len(data):
        return None
    payload = data[start : start + length]
    if crc32(payload, crc32(_KIND_BYTES[kind], (salt + offset) & 0xFFFFFFFF)) != checksum:
        return None
    return kind, payload


# ── one segment ───────────────────────────────────────────────────────────────────────────────────────────────────────


class SegmentFile(msgspec.Struct, frozen=True):
    """A segment as its name describes it."""

    path: Path
    number: int
    salt: int


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the bytes of one segment.

    `records` are (offset, kind, payload). `end` is where the last valid one ends. `gaps` are (offset, bytes) of what is damaged
    before it, and `tail_bytes` how much other than zeros follows it.
    """

    records: list[tuple[int, int, bytes]]
    end: int
    gaps: list[tuple[int, int]]
    tail_bytes: int


def segment_name(number: int, salt: int) -> str:
    return f"{number:08d}-{salt:08x}.journal"


def segment_files(directory: Path) -> list[SegmentFile]:
    """The segments in `directory`, in the order in which they were written. Raises: OSError."""
    found = []
    for path in directory.iterdir():
        match = _NAME.fullmatch(path.name)
        if match is not None:
            found.append(SegmentFile(path, int(match[1]), int(match[2], 16)))
    return sorted(found, key=lambda file: file.number)


def scan(data: bytes, salt: int) -> Scan:
    """Every valid record of a segment's bytes, in order; whatever lies between or behind them is reported, never raised."""
    filled = len(data.rstrip(b"\x00"))
    records: list[tuple[int, int, bytes]] = []
    gaps: list[tuple[int, int]] = []
    if data[: len(HEADER)] != HEADER and filled:
        gaps.append((0, min(len(HEADER), len(data))))
    offset = end = len(HEADER)
    while offset < filled:
        found = unframe(data, offset, salt, offset)
        if found is None:
            following = _next_record(data, salt, offset + 1)
            if following is None:
                break
            gaps.append((offset, following - offset))
            offset = following
            continue
        records.append((offset, *found))
        offset = end = offset + RECORD_HEAD_BYTES + len(found[1])
    return Scan(records=records, end=end, gaps=gaps, tail_bytes=max(0, filled - end))


def _next_record(data: bytes, salt: int, start: int) -> int | None:
    for match in _CANDIDATE.finditer(data, start):
        offset = match.start()
        if unframe(data, offset, salt, offset) is not None:
            return offset
    return None


# ── all segments ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Newest(msgspec.Struct, frozen=True, gc=False):
    """The record that says the most recent thing about an entry, and where it is."""

    kind: int
    payload: bytes
    number: int
    offset: int


class Replay:
    """Segments read one after the other, in order.

    `newest` are the entries that are not done. `scans` says what each segment, by number, is like.
    """

    def __init__(self) -> None:
        self.newest: dict[str, Newest] = {}
        self.scans: dict[int, Scan] = {}

    def add(self, file: SegmentFile, data: bytes) -> None:
        """Raises: JournalError when a later release wrote the file."""
        header = data[: len(HEADER)]
        if header != HEADER and header.startswith(_HEADER_START) and header[-1:] == b"\n":
            raise JournalError(f"{file.path}: written by a later release, which has to bring it to the ledger first")
        found = scan(data, file.salt)
        self.scans[file.number] = msgspec.structs.replace(found, records=[])
        for offset, kind, payload in found.records:
            try:
                if kind == DONE:
                    for entry_id in _decode_ids(payload):
                        self.newest.pop(entry_id, None)
                    continue
                entry_id = _decode_entry_id(payload).entry_id
            except msgspec.DecodeError:
                found.gaps.append((offset, RECORD_HEAD_BYTES + len(payload)))
                continue
            before = self.newest.pop(entry_id, None)
            if before is not None and before.kind == CLOSE and kind != CLOSE:
                self.newest[entry_id] = before
            else:
                self.newest[entry_id] = Newest(kind, payload, file.number, offset)

    def filled(self) -> list[int]:
        """The segments that something was written to."""
        return [number for number, found in self.scans.items() if found.end > len(HEADER) or found.tail_bytes]

    def damaged(self) -> set[int]:
        """The segments of which a part cannot be read. That the last one breaks off within a record is no damage."""
        last = max(self.filled(), default=0)
        return {number for number, each in self.scans.items() if each.gaps or (each.tail_bytes and number != last)}

    def recovered(self) -> tuple[Recovered, dict[str, int]]:
        """The entries that are not done, and the ids of those no longer understood with their segment."""
        kinds: dict[int, list[UsageEntry]] = {OPEN: [], MARK: [], CLOSE: []}
        unreadable: dict[str, int] = {}
        last_damage = max(self.damaged(), default=0)
        for entry_id, found in self.newest.items():
            try:
                entry = decode_entry(found.payload)
            except msgspec.DecodeError:
                unreadable[entry_id] = found.number
                continue
            if found.kind == OPEN and found.number <= last_damage:
                kinds[MARK].append(entry)  # that it was sent may stand in what is damaged
            else:
                kinds[found.kind].append(entry)
        for entries in kinds.values():
            entries.sort(key=attrgetter("at"))
        return Recovered(closed=kinds[CLOSE], open=kinds[MARK], unsent=kinds[OPEN]), unreadable


def read_segments(directory: Path) -> Recovered:
    """What the journal in `directory` holds, without changing anything, also while a process is writing it.

    What the writer is in the middle of saying is left out.

    Raises: JournalError when the files cannot be read, or a later release wrote them.
    """
    readings = 0
    while True:
        replay = Replay()
        readings += 1
        try:
            while files := [file for file in segment_files(directory) if file.number not in replay.scans]:
                for file in files:
                    replay.add(file, file.path.read_bytes())
        except FileNotFoundError as gone:
            if not directory.is_dir():
                raise JournalError(f"{directory}: there is no such journal") from gone
            continue  # the writer no longer needed one that was listed: what was in it may be in a newer one
        except OSError as error:
            raise JournalError(f"{directory}: cannot be read: {error.strerror}") from error
        found, unreadable = replay.recovered()
        damaged = replay.damaged() | set(unreadable.values())
        if not damaged or readings >= _READINGS:
            paths = [file.path for file in segment_files(directory) if file.number in damaged]
            return msgspec.structs.replace(found, damaged=paths)
