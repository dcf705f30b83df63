"""The simulator's tokenizer: four bytes of UTF-8 are one token.

The rule is public, so that a test can work out every number by hand:

- a text of *n* bytes in UTF-8 is ceil(n / 4) tokens;
- the input of a request is all its text joined (system prompt, messages, tool calls and their arguments, tool results,
  then name, description and schema of each tool, schemas as compact JSON), counted once, plus 258 for each image, audio
  clip, video or document that is not plain text;
- the output of a choice is its text, refusal, tool names and arguments joined, counted once; reasoning is counted apart.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

__all__ = ["BYTES_PER_TOKEN", "MEDIA_TOKENS", "Tally", "count_bytes", "count_text", "cut"]

BYTES_PER_TOKEN = 4
MEDIA_TOKENS = 258


def count_bytes(size: int) -> int:
    """Tokens of a text of `size` bytes."""
    return -(-size // BYTES_PER_TOKEN)


def count_text(text: str) -> int:
    return count_bytes(len(text.encode()))


def cut(text: str, tokens: int) -> str:
    """The longest beginning of `text` that is no more than `tokens`; characters stay whole."""
    limit = max(0, tokens) * BYTES_PER_TOKEN
    if len(text) <= limit // BYTES_PER_TOKEN:  # no character takes more than four bytes
        return text
    return text.encode()[:limit].decode(errors="ignore")


class Tally:
    """Counts what a model would read, in reading order, and digests it for the dice."""

    __slots__ = ("_bytes", "_digest", "_marked_bytes", "_marked_media", "_media")

    def __init__(self, seed: int, vendor: str, model: str) -> None:
        self._digest = blake2b(f"{seed}\0{vendor}\0{model}\0".encode(), digest_size=16)
        self._bytes = 0
        self._media = 0
        self._marked_bytes = 0
        self._marked_media = 0

    def text(self, text: str) -> None:
        data = text.encode()
        self._bytes += len(data)
        self._digest.update(data)

    def json(self, value: object) -> None:
        data = msgspec.json.encode(value)
        self._bytes += len(data)
        self._digest.update(data)

    def media(self, data: bytes) -> None:
        """One image, clip or document, whatever its size; `data` is its bytes or its address."""
        self._media += 1
        self._digest.update(data)

    def mark(self) -> None:
        """A cache breakpoint: what was counted so far is written to the prompt cache."""
        self._marked_bytes = self._bytes
        self._marked_media = self._media

    @property
    def tokens(self) -> int:
        return count_bytes(self._bytes) + self._media * MEDIA_TOKENS

    @property
    def marked_tokens(self) -> int:
        """Tokens up to the last mark."""
        return count_bytes(self._marked_bytes) + self._marked_media * MEDIA_TOKENS

    @property
    def digest(self) -> bytes:
        return self._digest.digest()
