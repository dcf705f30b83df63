"""Pictures and clips to answer with: valid files of the size and colour asked for, and a few hundred bytes long.

Source: the PNG specification (third edition), ITU-T T.81, the WebP lossless bitstream specification, ISO/IEC 14496-12
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache

from pulse_gateway.testing.simulator.dice import Dice

__all__ = ["PICTURES", "clip", "colour", "picture"]

PICTURES = ("image/png", "image/jpeg", "image/webp")
Colour = tuple[int, int, int]


def colour(digest: bytes, label: str = "") -> Colour:
    """Red, green and blue that depend on the arguments alone."""
    dice = Dice(digest, f"colour {label}")
    return dice.below(256), dice.below(256), dice.below(256)


@lru_cache(maxsize=256)
def picture(media_type: str, width: int, height: int, paint: Colour) -> bytes:
    """A picture of one colour (a shade of grey as JPEG). `media_type` is one of `PICTURES`."""
    if media_type == "image/png":
        return _png(width, height, paint)
    if media_type == "image/webp":
        return _webp(width, height, paint)
    return _jpeg(width, height, sum(paint) // 3)


@lru_cache(maxsize=256)
def clip(duration_ms: int, paint: Colour) -> bytes:
    """An MP4 file without a track, whose header states its duration."""
    header = struct.pack(">IIIIIIH", 0, 0, 0, 1000, duration_ms, 0x00010000, 0x0100) + bytes(10)
    matrix = struct.pack(">9I", 0x00010000, 0, 0, 0, 0x00010000, 0, 0, 0, 0x40000000)
    movie = _box(b"mvhd", header + matrix + bytes(24) + struct.pack(">I", 1))
    return _box(b"ftyp", b"isom\x00\x00\x02\x00isomiso2mp41") + _box(b"moov", movie) + _box(b"mdat", bytes(paint))


def _png(width: int, height: int, paint: Colour) -> bytes:
    """One bit a pixel into a palette of one colour."""
    rows = (b"\x00" + bytes(-(-width // 8))) * height
    head = struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"PLTE", bytes(paint)), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def _jpeg(width: int, height: int, grey: int) -> bytes:
    """Baseline, one component. The first block says how bright it is, every other that nothing has changed.

    Codes: `0` no difference, `10` a difference of eleven bits (at quantisation 1); `0` ends a block.
    """
    level = (grey - 128) * 8
    size = abs(level).bit_length()
    blocks = -(-width // 8) * -(-height // 8)
    first = f"10{level if level >= 0 else level + (1 << size) - 1:0{size}b}0" if size else "00"
    bits = first + "00" * (blocks - 1)
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    segments = (
        (0xDB, b"\x00" + b"\x01" * 64),
        (0xC0, struct.pack(">BHHBBBB", 8, height, width, 1, 1, 0x11, 0)),
        (0xC4, bytes([0x00, 1, 1, *bytes(14), 0, size or 1])),
        (0xC4, bytes([0x10, 1, *bytes(15), 0])),
        (0xDA, bytes([1, 1, 0x00, 0, 63, 0])),
    )
    head = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    body = b"".join(b"\xff%c" % marker + struct.pack(">H", len(data) + 2) + data for marker, data in segments)
    return head + body + scan + b"\xff\xd9"


def _webp(width: int, height: int, paint: Colour) -> bytes:
    """Lossless: five codes of one symbol each, so that no pixel takes a bit."""
    bits, at = 0, 0
    red, green, blue = paint
    fields = [(0x2F, 8), (width - 1, 14), (height - 1, 14), (0, 1), (0, 3), (0, 1), (0, 1), (0, 1)]
    for symbol in (green, red, blue, 255):
        fields += [(1, 1), (0, 1), (1, 1), (symbol, 8)]
    fields += [(1, 1), (0, 1), (0, 1), (0, 1)]  # distances: none
    for value, size in fields:
        bits |= value << at
        at += size
    data = bits.to_bytes(-(-at // 8), "little")
    data += b"\x00" * (len(data) % 2)
    chunk = b"VP8L" + struct.pack("<I", -(-at // 8)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def _box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", 8 + len(data)) + kind + data
