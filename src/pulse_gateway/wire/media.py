"""Media inside JSON: base64 as every vendor takes it, media types under one name."""

from __future__ import annotations

import binascii

from pulse_gateway.errors import InvalidRequest

__all__ = ["media_type_of", "standard_base64", "utf8_of"]

_TO_STANDARD = str.maketrans("-_", "+/")
_SYNONYMS = {
    "image/jpg": "image/jpeg",
    "audio/mpeg": "audio/mp3",
    "audio/wave": "audio/wav",
    "audio/x-wav": "audio/wav",
}


def standard_base64(data: str, path: str) -> str:
    """`data` in the standard alphabet, padded. Clients also send the URL-safe one, and leave the padding out.

    Raises: InvalidRequest naming `path` when it is no base64.
    """
    if "-" in data or "_" in data:
        data = data.translate(_TO_STANDARD)
    if missing := -len(data) % 4:
        data += "=" * missing
    try:
        binascii.a2b_base64(data, strict_mode=True)
    except ValueError as error:  # binascii.Error is one; so is a character beyond ASCII
        raise InvalidRequest(f"{path}: is not base64", param=path) from error
    return data


def utf8_of(data: str, path: str) -> str:
    """The text whose UTF-8 bytes are the standard base64 `data`.

    Raises: InvalidRequest naming `path` when they are none.
    """
    try:
        return binascii.a2b_base64(data, strict_mode=True).decode()
    except ValueError as error:
        raise InvalidRequest(f"{path}: is not UTF-8 text", param=path) from error


def media_type_of(written: str | None) -> str | None:
    """Lower case, without parameters, and the usual one of several names; None when there is nothing."""
    bare = (written or "").partition(";")[0].strip().lower()
    return _SYNONYMS.get(bare, bare) or None
