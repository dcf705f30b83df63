"""Masks of OpenAI's kind in black and white, against an encoder of PNG that is written here by the book."""

from __future__ import annotations

import random
import struct
import zlib

import pytest

from pulse_gateway.wire.mask import black_and_white

SIDE = 24
Rows = list[list[tuple[int, ...]]]


def paeth(left: int, above: int, corner: int) -> int:
    return min((left, above, corner), key=lambda each: abs(left + above - corner - each))


def png(rows: Rows, filters: list[int], *, colour: int = 6, depth: int = 8, interlaced: int = 0) -> bytes:
    """Each row with a filter of its own. Source: PNG (third edition), 9.2."""
    raw, above = bytearray(), [0] * len(rows[0]) * len(rows[0][0])
    step = len(rows[0][0])
    for row, kind in zip(rows, filters, strict=True):
        line = [value for pixel in row for value in pixel]
        raw.append(kind)
        for at, value in enumerate(line):
            left = line[at - step] if at >= step else 0
            corner = above[at - step] if at >= step else 0
            guess = [0, left, above[at], (left + above[at]) // 2, paeth(left, above[at], corner)][kind % 5]
            raw.append((value - guess) & 0xFF)
        above = line
    head = struct.pack(">IIBBBBB", len(rows[0]), len(rows), depth, colour, 0, 0, interlaced)
    packed = zlib.compress(bytes(raw))
    chunks = ((b"IHDR", head), (b"IDAT", packed[:20]), (b"IDAT", packed[20:]), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def grey(data: bytes) -> list[list[int]]:
    """The pixels of what was made: no filters, one byte each."""
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    assert (depth, colour) == (8, 0)
    at = data.index(b"IDAT")
    raw = zlib.decompress(data[at + 4 : at + 4 + int.from_bytes(data[at - 4 : at])])
    lines = [raw[start : start + width + 1] for start in range(0, len(raw), width + 1)]
    assert len(lines) == height
    assert {line[0] for line in lines} == {0}
    return [list(line[1:]) for line in lines]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("channels", [2, 4])
def test_wholly_transparent_is_changed_and_all_else_is_not(channels: int, seed: int) -> None:
    dice = random.Random(seed)
    alphas = [0, 255] if seed < 3 else [0, 1, 128, 255]
    rows: Rows = []
    for y in range(SIDE):
        inside = [4 < x < 15 and 6 < y < 18 for x in range(SIDE)]
        alpha = [0 if hole else 255 if seed < 3 else dice.choice(alphas) for hole in inside]
        rows.append([(*[dice.randrange(256) for _ in range(channels - 1)], each) for each in alpha])
    filters = [dice.randrange(5) for _ in rows]
    made = grey(black_and_white(png(rows, filters, colour=6 if channels == 4 else 4), changed=b"\0"))
    assert made == [[0 if pixel[-1] == 0 else 255 for pixel in row] for row in rows]
    other = grey(black_and_white(png(rows, filters, colour=6 if channels == 4 else 4), changed=b"\xff"))
    assert other == [[255 - value for value in row] for row in made]


SOLID: Rows = [[(1, 2, 3, 255)] * SIDE] * SIDE


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\xd8\xff" + bytes(40), "no PNG"),
        (png([[(1, 2, 3)] * SIDE] * SIDE, [0] * SIDE, colour=2), "no alpha channel"),
        (png(SOLID, [0] * SIDE, interlaced=1), "8 bits a channel"),
        (png(SOLID, [0] * SIDE, depth=16), "8 bits a channel"),
        (png(SOLID, [7] * SIDE), "no known filter"),
        (png(SOLID, [0] * SIDE).replace(b"IDAT", b"JDAT"), "ends too early"),
        (png(SOLID, [0] * SIDE).replace(struct.pack(">II", SIDE, SIDE), struct.pack(">II", 5000, 5000), 1), "pixels"),
        (png(SOLID, [0] * SIDE).replace(struct.pack(">II", SIDE, SIDE), struct.pack(">II", 0, SIDE), 1), "pixels"),
    ],
)
def test_what_is_no_such_mask_is_said_to_be_none(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        black_and_white(data, changed=b"\0")


def test_a_mask_that_bursts_is_not_unpacked_further_than_its_size() -> None:
    head = struct.pack(">IIBBBBB", 2, 2, 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(50_000_000), 9)), (b"IEND", b""))
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    assert grey(black_and_white(data, changed=b"\0")) == [[0, 0], [0, 0]]


def test_noise_is_no_mask() -> None:
    """It would take seconds to read."""
    dice = random.Random(0)
    raw = b"".join(b"\4" + dice.randbytes(1024 * 2) for _ in range(1024))
    head = struct.pack(">IIBBBBB", 1024, 1024, 8, 4, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(raw, 0)), (b"IEND", b""))
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    with pytest.raises(ValueError, match="changes everywhere"):
        black_and_white(data, changed=b"\0")


def test_a_damaged_mask_is_read_or_said_to_be_none() -> None:
    dice = random.Random(1)
    whole = png(
        [[(dice.randrange(256), dice.choice([0, 255])) for _ in range(SIDE)] for _ in range(SIDE)], [4] * SIDE, colour=4
    )
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(dice.randrange(1, 4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        try:
            made = black_and_white(
                bytes(data[: dice.randrange(len(data)) if dice.random() < 0.2 else None]), changed=b"\0"
            )
        except ValueError:
            continue
        assert made.startswith(b"\x89PNG")


def raw_png(width: int, height: int, raw: bytes, *between: tuple[bytes, bytes]) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 4, 0, 0, 0)
    chunks = ((b"IHDR", head), *between, (b"IDAT", zlib.compress(raw, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def test_rows_that_are_long_take_no_longer_than_others() -> None:
    """Alternating pixels, and below them differences of zero, which are looked for once."""
    first, rest = b"\2" + b"\0\xff\0\0" * 2048, (b"\4" + bytes(2 * 4096))
    with pytest.raises(ValueError, match="changes everywhere"):
        black_and_white(raw_png(4096, 256, first + rest * 255), changed=b"\0")


def test_differences_that_are_everywhere_are_no_mask_either() -> None:
    with pytest.raises(ValueError, match="changes everywhere"):
        black_and_white(raw_png(1024, 600, (b"\1" + b"\1\1" * 1024) * 600), changed=b"\0")


@pytest.mark.parametrize(("width", "height"), [(1, 4_194_304), (4_194_304, 1), (4097, 16), (16, 4097)])
def test_sides_that_no_picture_has_are_not_gone_along(width: int, height: int) -> None:
    with pytest.raises(ValueError, match="4096 on a side"):
        black_and_white(raw_png(width, height, b""), changed=b"\0")


def test_the_longest_sides_are_read() -> None:
    for width, height in ((4096, 2), (2, 4096)):
        made = grey(black_and_white(raw_png(width, height, (b"\1" + bytes(2 * width)) * height), changed=b"\0"))
        assert made == [[0] * width] * height


def test_a_file_of_nothing_but_pieces_is_not_read_to_its_end() -> None:
    with pytest.raises(ValueError, match="too many pieces"):
        black_and_white(raw_png(2, 2, (b"\0" + bytes(4)) * 2, *[(b"tEXt", b"")] * 20_000), changed=b"\0")
