"""Masks: OpenAI's say by transparency what of a picture may change, most other vendors' by black and white.

Source: PNG (third edition), 9.2 and 12.5 on filters; https://platform.openai.com/docs/api-reference/images/createEdit (read 2026-11-24)
"""

from __future__ import annotations

import re
import struct
import zlib

__all__ = ["black_and_white"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST_PIXELS = 4096 * 4096 // 4  # of the largest picture that a vendor who takes masks makes
_LONGEST_SIDE = 4096  # of it; each row takes a while, however short it is
_MOST_CHUNKS = 16_384  # encoders write 8 KiB at a time and more
_CHANNELS = {4: 2, 6: 4}  # colour types that have an alpha channel, which is the last one
_NONE, _SUB, _UP, _AVERAGE, _PAETH = range(5)  # filters of rows
_MOST_EDGES = 500_000  # pixels that are unlike their neighbours: each takes a while, and a mask has few
_NOT_ZERO = re.compile(rb"[^\0]")
_RUNS = [re.compile(re.escape(bytes([value])) + b"+", re.DOTALL) for value in range(256)]


def black_and_white(png: bytes, *, changed: bytes) -> bytes:
    """A PNG of grey values: `changed`, a byte, where `png` is wholly transparent, and the opposite everywhere else.

    Raises: ValueError that ends "the mask …" for what is no such mask.
    """
    width, height, channels, packed = _read(png)
    stride = width * channels + 1
    unpacker = zlib.decompressobj()
    try:
        rows = unpacker.decompress(packed, stride * height)
    except zlib.error as error:
        raise ValueError("cannot be unpacked") from error
    if len(rows) < stride * height:
        raise ValueError("ends too early")
    table = bytes([changed[0], *[changed[0] ^ 0xFF] * 255])
    before, told, edges = bytes(width), bytearray(), 0
    for start in range(0, len(rows), stride):
        before, more = _alpha(rows[start], rows[start + channels : start + stride : channels], before)
        told += b"\0" + before.translate(table)
        edges += more
        if edges > _MOST_EDGES:
            raise ValueError("is no mask: it changes everywhere")
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(told, 1)),
        (b"IEND", b""),
    )
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def _read(png: bytes) -> tuple[int, int, int, bytes]:
    """Width, height, how many channels a pixel has, and what is packed."""
    if not png.startswith(_SIGNATURE) or png[12:16] != b"IHDR" or len(png) < 33:
        raise ValueError("is no PNG file")
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", png[16:29])
    if colour not in _CHANNELS:
        raise ValueError("has no alpha channel, whose transparent area says what may change")
    if depth != 8 or interlaced:
        raise ValueError("is not a PNG of 8 bits a channel, from top to bottom")
    if not 0 < width * height <= _MOST_PIXELS or max(width, height) > _LONGEST_SIDE:
        raise ValueError(f"has more than {_MOST_PIXELS} pixels, or more than {_LONGEST_SIDE} on a side")
    packed, at, chunks = bytearray(), 33, 0
    while at + 8 <= len(png):
        if (chunks := chunks + 1) > _MOST_CHUNKS:
            raise ValueError("is cut into too many pieces")
        length = int.from_bytes(png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            packed += png[at + 8 : at + 8 + length]
        at += 12 + length
    return width, height, _CHANNELS[colour], bytes(packed)


def _alpha(kind: int, row: bytes, before: bytes) -> tuple[bytes, int]:
    """One row of the channel, unfiltered, and how many of its pixels had to be looked at one by one.

    Filters work within a channel, so no other is looked at. Masks are of few values: a run of pixels like their neighbours is taken
    at once.
    """
    if kind == _NONE:
        return row, 0
    if kind == _SUB:
        return _summed(row)
    if kind > _PAETH:
        raise ValueError("has rows of no known filter")
    made, at, edges, left, corner = bytearray(), 0, 0, 0, 0
    zero_until = 0  # where the next difference is that is not zero
    while at < len(row):
        if at >= zero_until:
            differs = _NOT_ZERO.search(row, at)
            zero_until = len(row) if differs is None else differs.start()
        above = before[at]
        if at < zero_until and left == above == corner:
            run = _RUNS[above].match(before, at, zero_until)
            assert run is not None  # of this pixel at least
            made += run[0]
            at = run.end()
            continue
        guess = above if kind == _UP else (left + above) // 2 if kind == _AVERAGE else _paeth(left, above, corner)
        left, corner = (row[at] + guess) & 0xFF, above
        made.append(left)
        edges += 1
        at += 1
    return bytes(made), edges


def _summed(row: bytes) -> tuple[bytes, int]:
    """Each value is what its pixel has more than the one before it."""
    made, at, edges, left = bytearray(), 0, 0, 0
    for differs in _NOT_ZERO.finditer(row):
        made += bytes([left]) * (differs.start() - at)
        at = differs.start()
        left = (left + row[at]) & 0xFF
        edges += 1
    made += bytes([left]) * (len(row) - at)
    return bytes(made), edges


def _paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    far = abs(guess - left), abs(guess - above), abs(guess - corner)
    if far[0] <= far[1] and far[0] <= far[2]:
        return left
    return above if far[1] <= far[2] else corner
