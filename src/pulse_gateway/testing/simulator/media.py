"""Images, audio and documents: are the bytes what they are said to be?"""

from __future__ import annotations

import re

__all__ = ["data_url", "image_type"]

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(;[\w-]+=[^;,]*)*;base64,", re.ASCII)
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def image_type(data: bytes) -> str | None:
    """The media type by the first bytes; None if it is no image that a vendor takes."""
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp":
        return {b"heic": "image/heic", b"heix": "image/heic", b"mif1": "image/heif"}.get(data[8:12])
    return None


def data_url(url: str) -> tuple[str, str] | None:
    """Media type and base64 text of a data URL; None if it is not one."""
    found = _DATA_URL.match(url)
    return (found.group(1) or "", url[found.end() :]) if found else None
