"""Everything that looks random: drawn from a digest, the same on every machine and Python version."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

__all__ = ["Dice", "conceal", "decode_base64", "identifier", "is_concealed", "is_seal", "seal"]

T = TypeVar("T")

_MASK = (1 << 64) - 1
_SEAL_PREFIX = b"sim\x01"


class Dice:
    """An endless row of choices that depends on `digest` and `label` alone.

    The generator is Knuth's 64-bit linear congruential one: `random.Random` costs more to seed than a whole answer does.
    """

    __slots__ = ("_state",)

    def __init__(self, digest: bytes, label: str = "") -> None:
        self._state = int.from_bytes(blake2b(digest + label.encode(), digest_size=8).digest(), "big")

    def below(self, bound: int) -> int:
        """A number from 0 to `bound` - 1."""
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) & _MASK
        return (self._state >> 33) % bound

    def pick(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]


def identifier(prefix: str, digest: bytes, label: str = "", length: int = 24) -> str:
    """A vendor-like id: `prefix` and up to 64 hex characters."""
    return prefix + blake2b(digest + label.encode(), digest_size=32).hexdigest()[:length]


def seal(seed: int, *parts: str) -> str:
    """A signature over `parts`, in base64, which only a simulator with the same seed makes or accepts."""
    return base64.b64encode(_SEAL_PREFIX + _tag(seed, parts)).decode()


def is_seal(seed: int, text: str, *parts: str) -> bool:
    """Whether `text` is the signature of `parts`, in either base64 alphabet."""
    return decode_base64(text, url_safe=True) == _SEAL_PREFIX + _tag(seed, parts)


def conceal(seed: int, digest: bytes) -> str:
    """Something nobody can read, in base64, which only a simulator with the same seed makes or accepts."""
    return base64.b64encode(_SEAL_PREFIX + digest[:16] + _tag(seed, ("concealed", digest[:16].hex()))).decode()


def is_concealed(seed: int, text: str) -> bool:
    data = decode_base64(text) or b""
    digest = data[len(_SEAL_PREFIX) : len(_SEAL_PREFIX) + 16]
    return data == _SEAL_PREFIX + digest + _tag(seed, ("concealed", digest.hex()))


def decode_base64(text: str, *, url_safe: bool = False) -> bytes | None:
    """The bytes of padded standard base64; `url_safe` allows the other alphabet too, and no padding. None: it is neither."""
    if url_safe:
        text = text.rstrip("=").replace("-", "+").replace("_", "/")
        text += "=" * (-len(text) % 4)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):  # ValueError: characters beyond ASCII
        return None


def _tag(seed: int, parts: Sequence[str]) -> bytes:
    return blake2b("\0".join(parts).encode(), key=str(seed).encode()[:64], digest_size=24).digest()
