"""Vectors as base64 of little-endian 32-bit floats, which is what OpenAI's SDK asks for and decodes itself."""

from __future__ import annotations

import binascii
import math
import struct
from collections.abc import Sequence

from pulse_gateway.errors import UpstreamProtocolError
from pulse_gateway.wire.foreign_json import not_of_protocol

__all__ = ["from_base64", "to_base64"]


def to_base64(vector: Sequence[float]) -> str:
    """Raises: UpstreamProtocolError for a number that no 32-bit float can hold."""
    try:
        packed = struct.pack(f"<{len(vector)}f", *vector)
    except OverflowError as error:
        raise UpstreamProtocolError("the provider's vector holds a number beyond a 32-bit float") from error
    return binascii.b2a_base64(packed, newline=False).decode()


def from_base64(written: str) -> list[float]:
    """Raises: UpstreamProtocolError."""
    try:
        packed = binascii.a2b_base64(written, strict_mode=True)
        vector = list(struct.unpack(f"<{len(packed) // 4}f", packed))
    except (ValueError, struct.error) as error:  # binascii.Error is a ValueError; so is a character beyond ASCII
        raise not_of_protocol("a vector is no base64 of 32-bit floats") from error
    if not all(map(math.isfinite, vector)):
        raise not_of_protocol("a vector holds something that is no number")
    return vector
