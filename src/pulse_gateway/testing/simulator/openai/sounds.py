"""Audio: silence to answer with, and how long a clip is that was sent.

Source: the WAVE form of Microsoft and IBM (1991), ISO/IEC 13818-3 (MP3 frames), ISO/IEC 13818-7 (ADTS), RFC 3533 and
RFC 7845 (Ogg, Opus), https://xiph.org/flac/format.html
"""

from __future__ import annotations

import struct

__all__ = ["AUDIO_TYPES", "SUPPORTED", "audio_kind", "duration_ms", "silence"]

AUDIO_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
SUPPORTED = ("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm")

_RATE = 24_000  # samples a second, one channel, two bytes each
_BYTES_PER_MS = _RATE * 2 // 1000
_MP3_FRAME = b"\xff\xf3\x44\xc0" + bytes(92)  # MPEG-2 layer III, 32 kbit/s, 24 kHz, mono
_MP3_FRAME_MS = 24
_ADTS_FRAME = b"\xff\xf1\x58\x40\x01\x7f\xfc" + b"\x00\xc8\x00\x00"  # AAC-LC, 24 kHz, mono
_ADTS_FRAME_MS = 43
_OPUS_PACKET = b"\xf8\xff\xfe"  # 20 ms of silence
_OPUS_MS = 20
_GUESSED_BYTES_PER_S = 16_000  # of a clip whose header does not say how long it is


def silence(kind: str, length_ms: int) -> bytes:
    """A clip of type `kind`, one of `AUDIO_TYPES`."""
    if kind == "pcm":
        return bytes(length_ms * _BYTES_PER_MS)
    if kind == "wav":
        data = bytes(length_ms * _BYTES_PER_MS)
        head = struct.pack("<4sIHHIIHH4sI", b"fmt ", 16, 1, 1, _RATE, _RATE * 2, 2, 16, b"data", len(data))
        return b"RIFF" + struct.pack("<I", 4 + len(head) + len(data)) + b"WAVE" + head + data
    if kind == "opus":
        return _ogg(length_ms)
    if kind == "flac":
        samples = length_ms * _RATE // 1000
        rates = (_RATE << 44) | (15 << 36) | samples  # 24 kHz, one channel, sixteen bits
        info = struct.pack(">HH", 4096, 4096) + bytes(6) + struct.pack(">Q", rates) + bytes(16)
        return b"fLaC" + b"\x80" + len(info).to_bytes(3, "big") + info
    frame, frame_ms = (_MP3_FRAME, _MP3_FRAME_MS) if kind == "mp3" else (_ADTS_FRAME, _ADTS_FRAME_MS)
    return frame * -(-length_ms // frame_ms)


def audio_kind(data: bytes) -> str | None:
    """What a clip is by its first bytes; None if it is nothing that can be heard."""
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "wav"
    if data[:3] == b"ID3" or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0):
        return "mp3"
    if data[4:8] == b"ftyp":
        return "mp4"
    return {b"OggS": "ogg", b"fLaC": "flac", b"\x1aE\xdf\xa3": "webm"}.get(data[:4])


def duration_ms(data: bytes) -> int:
    """From the header of a WAV file; of anything else guessed from the size."""
    if audio_kind(data) != "wav":
        return max(1, len(data) * 1000 // _GUESSED_BYTES_PER_S)
    at, bytes_per_s = 12, 0
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name == b"fmt ":
            bytes_per_s = int.from_bytes(data[at + 16 : at + 20], "little")
        if name == b"data" and bytes_per_s:
            there = min(size, len(data) - at - 8)  # a stream's header promises more than it knows
            return there * 1000 // bytes_per_s
        at += 8 + size + size % 2
    return 0


def _ogg(length_ms: int) -> bytes:
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, _RATE, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 9) + b"simulator" + struct.pack("<I", 0)
    pages = [_page(0, 0, [head], 2), _page(1, 0, [tags], 0)]
    packets = -(-length_ms // _OPUS_MS)
    for start in range(0, packets, 250):
        count = min(250, packets - start)
        is_last = start + count == packets
        position = (start + count) * _OPUS_MS * 48  # counted at 48 kHz
        pages.append(_page(len(pages), position, [_OPUS_PACKET] * count, 4 if is_last else 0))
    return b"".join(pages)


def _page(number: int, position: int, packets: list[bytes], flags: int) -> bytes:
    """A page of packets shorter than 255 bytes."""
    sizes = bytes(len(packet) for packet in packets)
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, position, 1, number, 0, len(packets))
    page = bytearray(head + sizes + b"".join(packets))
    page[22:26] = struct.pack("<I", _checksum(page))
    return bytes(page)


def _checksum(page: bytearray) -> int:
    total = 0
    for byte in page:
        total = ((total << 8) & 0xFFFFFFFF) ^ _CHECKSUMS[(total >> 24) ^ byte]
    return total


def _checksums() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
        table.append(value & 0xFFFFFFFF)
    return table


_CHECKSUMS = _checksums()
