"""The texts of a prompt, those of a large one still as they stand in the client's JSON.

Most requests pass through without anybody reading their texts: only their size is wanted. Making strings of them costs more than
all else that is read of a request together, wherever the script is not Latin: so of a large body that is not ASCII the texts are
left as they are until somebody asks. (Of ASCII, and of a small body, it costs nothing that could be measured.)
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from pulse_gateway.wire.foreign_json import from_client

__all__ = ["Text", "as_text", "is_text", "joined_texts", "read_later", "size_of", "unread_text"]

Text = str | Raw
"""A text, or the JSON string that it is."""

_LARGE_BYTES = 16 * 1024
_LOOKED_AT_BYTES = 8 * 1024
_QUOTE = ord('"')
_string = msgspec.json.Decoder(str).decode
_null = msgspec.json.Decoder(str | None).decode


def read_later(body: bytes) -> bool:
    """Whether the texts of `body` are to be left as they stand."""
    return len(body) > _LARGE_BYTES and not body.isascii()


def is_text(raw: Raw) -> bool:
    """Whether `raw` is a JSON string."""
    view = memoryview(raw)
    return bool(view) and view[0] == _QUOTE


def unread_text(raw: Raw, path: str) -> Raw | None:
    """`raw` if it is a JSON string, None if it is null. Raises: InvalidRequest when it is something else."""
    if is_text(raw):
        return raw
    from_client(_null, raw, at=path)
    return None


def as_text(text: Text) -> str:
    """Raises: InvalidRequest when it is no UTF-8."""
    return text if isinstance(text, str) else from_client(_string, text)


def joined_texts(texts: Sequence[Text]) -> str:
    """One text a line. Raises: InvalidRequest when one is no UTF-8."""
    return "\n".join([as_text(text) for text in texts])


def size_of(texts: Sequence[Text]) -> tuple[int, int]:
    """Characters and bytes of UTF-8, as if joined by newlines. Of a text that nobody has read an escape counts as it is written, and of
    a long one the characters go by its beginning.
    """
    characters = size_bytes = max(0, len(texts) - 1)
    for text in texts:
        if isinstance(text, str):
            length = len(text)
            # ASCII is known as such and has as many bytes as characters. A lone surrogate can come from a program that embeds.
            size_bytes += length if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
            characters += length
        else:
            within = memoryview(text)[1:-1]
            length = len(within)
            looked_at = bytes(within[:_LOOKED_AT_BYTES])
            size_bytes += length
            characters += length * len(looked_at.decode("utf-8", "ignore")) // max(1, len(looked_at))
    return characters, size_bytes
