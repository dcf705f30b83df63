"""Sound files: which type by name or first bytes, how long, and raw samples as a WAV file."""

from __future__ import annotations

import struct

__all__ = ["SPEECH_TYPES", "audio_type", "duration_ms", "told_ms", "wav", "wav_samples"]

SPEECH_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
"""OpenAI's `response_format` → media type."""

_BY_EXTENSION = {
    "flac": "audio/flac",
    "mp3": "audio/mp3",
    "mpga": "audio/mp3",
    "mpeg": "audio/mp3",
    "mp4": "audio/mp4",
    "m4a": "audio/mp4",
    "ogg": "audio/ogg",
    "oga": "audio/ogg",
    "opus": "audio/ogg",
    "wav": "audio/wav",
    "webm": "audio/webm",
    "aac": "audio/aac",
    "aiff": "audio/aiff",
    "aif": "audio/aiff",
}
# What a second of speech usually takes; for what has no length at its beginning.
_BYTES_PER_S = {
    "audio/flac": 40_000,
    "audio/mp3": 16_000,
    "audio/mp4": 12_000,
    "audio/ogg": 5_000,
    "audio/webm": 5_000,
    "audio/aac": 12_000,
    "audio/wav": 32_000,
    "audio/aiff": 32_000,
}
_USUAL_BYTES_PER_S = 12_000
_LONGEST_S = 10**6


def audio_type(data: bytes | memoryview, name: str | None) -> str | None:
    """By the first bytes, else by the ending of the file's name."""
    start = bytes(data[:12])
    if start[:4] == b"RIFF" and start[8:] == b"WAVE":
        return "audio/wav"
    if start[:3] == b"ID3" or (start[:1] == b"\xff" and start[1:2] in (b"\xfb", b"\xf3", b"\xf2", b"\xfa")):
        return "audio/mp3"
    if start[4:8] == b"ftyp":
        return "audio/mp4"
    for magic, kind in ((b"fLaC", "audio/flac"), (b"OggS", "audio/ogg"), (b"\x1aE\xdf\xa3", "audio/webm")):
        if start.startswith(magic):
            return kind
    return _BY_EXTENSION.get((name or "").rpartition(".")[2].lower())


def duration_ms(data: bytes | memoryview, kind: str | None) -> int:
    """Milliseconds: of a WAV file as its header says, of any other as many as such a file usually holds. At least one."""
    exact = _wav_ms(data) if kind == "audio/wav" else None
    if exact is None:
        exact = len(data) * 1000 // _BYTES_PER_S.get(kind or "", _USUAL_BYTES_PER_S)
    return max(1, exact)


def told_ms(seconds: float | None) -> int | None:
    """Milliseconds of a recording as a vendor tells its length; None where it tells none, or one that no recording has."""
    return round(seconds * 1000) if seconds is not None and 0 <= seconds < _LONGEST_S else None


def _wav_ms(data: bytes | memoryview) -> int | None:
    """None where the header does not tell. What is longer than the file, as of one that was streamed, counts as the rest of the file.

    Source: Multimedia Programming Interface and Data Specifications 1.0, "Waveform Audio File Format".
    """
    at, bytes_per_s = 12, 0
    while at + 8 <= len(data):
        name, size = bytes(data[at : at + 4]), int.from_bytes(data[at + 4 : at + 8], "little")
        if name == b"fmt " and at + 20 <= len(data):
            bytes_per_s = int.from_bytes(data[at + 16 : at + 20], "little")
        if name == b"data":
            held = min(size, len(data) - at - 8)
            return held * 1000 // bytes_per_s if bytes_per_s else None
        at += 8 + size + size % 2
    return None


def wav(samples: bytes, *, rate: int) -> bytes:
    """16-bit little-endian samples of one channel, as a file."""
    head = struct.pack("<HHIIHH", 1, 1, rate, 2 * rate, 2, 16)
    chunks = b"fmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(samples))
    return b"RIFF" + struct.pack("<I", 4 + len(chunks) + len(samples)) + b"WAVE" + chunks + samples


def wav_samples(data: bytes) -> tuple[bytes, tuple[int, int, int, int]] | None:
    """The samples of a WAV file, and their kind: format (1: whole numbers), channels, samples a second, bits of each.

    None where it is no such file. A header that promises more than there is, as that of a stream, means all there is.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    at, kind = 12, (0, 0, 0, 0)
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if name == b"fmt " and at + 24 <= len(data):
            form, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", data, at + 8)
            kind = form, channels, rate, bits
        if name == b"data":
            return data[at + 8 : at + 8 + size], kind
        at += 8 + size + size % 2
    return None
