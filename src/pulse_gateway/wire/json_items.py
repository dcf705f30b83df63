"""Change the items of a JSON list and keep every byte between them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

__all__ = ["map_items"]

_decode = msgspec.json.Decoder(list[msgspec.Raw]).decode


def map_items(body: bytes, change: Callable[[bytes], bytes], /) -> bytes:
    """The list `body` with `change` applied to the bytes of each item.

    Raises: msgspec.DecodeError when `body` is no JSON list.
    """
    pieces: list[bytes] = []
    position = 0
    for raw in _decode(body):
        item = bytes(raw)
        start = body.index(item, position)  # only white space and a comma stand before it
        pieces += (body[position:start], change(item))
        position = start + len(item)
    pieces.append(body[position:])
    return b"".join(pieces)
