"""API keys: how one is made, recognised and hidden. Pure.

    pls_live_ + 10 characters public id + 32 characters secret + 6 characters checksum

All base62. The secret holds 190 random bits, so a plain SHA-256 is what is kept of a key: a slow hash would protect nothing
more and cost every request. The checksum tells a typo without asking a database. A key of any other form, chosen by an
operator, is as good: look-up is always by the digest of the whole key.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib
from typing import Literal

import msgspec

__all__ = ["KeyParts", "NewKey", "checksum", "create_key", "key_digest", "key_parts", "mistyped", "redact"]

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_CHARS, _SECRET_CHARS, _CHECKSUM_CHARS = 10, 32, 6
_OWN_FORM = re.compile(
    rf"(pls_(?:live|test)_)([0-9A-Za-z]{{{_ID_CHARS + _SECRET_CHARS}}})([0-9A-Za-z]{{{_CHECKSUM_CHARS}}})"
)
_IN_TEXT = re.compile(r"(pls_(?:live|test)_)[0-9A-Za-z]+")


class KeyParts(msgspec.Struct, frozen=True, kw_only=True):
    """What may be stored and shown of a key. `prefix` is empty for a key that is not of our form."""

    key_id: str
    digest: bytes
    prefix: str
    last4: str


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key just made; `secret` is to be shown once and then forgotten."""

    secret: str
    parts: KeyParts


def create_key(environment: Literal["live", "test"] = "live") -> NewKey:
    """A fresh random key."""
    body = _random(_ID_CHARS + _SECRET_CHARS)
    secret = f"pls_{environment}_{body}{checksum(body)}"
    return NewKey(secret=secret, parts=key_parts(secret))


def key_parts(secret: str) -> KeyParts:
    """What to store of `secret`. A key of another form gets a random public id and shows its last characters if it is long."""
    match = _OWN_FORM.fullmatch(secret)
    if match is not None:
        return KeyParts(key_id=match[2][:_ID_CHARS], digest=key_digest(secret), prefix=match[1], last4=secret[-4:])
    last4 = secret[-4:] if len(secret) >= 16 else ""
    return KeyParts(key_id=_random(_ID_CHARS), digest=key_digest(secret), prefix="", last4=last4)


def key_digest(secret: str) -> bytes:
    """The SHA-256 of the whole key: the only form in which keys are stored and compared."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def mistyped(secret: str) -> bool:
    """Whether `secret` has the exact form of our keys but a checksum that does not match."""
    match = _OWN_FORM.fullmatch(secret)
    return match is not None and checksum(match[2]) != match[3]


def checksum(body: str) -> str:
    """CRC32 of `body` in base62, six characters, padded with `0`; as in GitHub's tokens.

    Source: github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats (read 2026-11-24);
    its token body `zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ` has the checksum `0mLq17`.
    """
    number = zlib.crc32(body.encode())
    characters = ""
    for _ in range(_CHECKSUM_CHARS):
        number, digit = divmod(number, 62)
        characters = _ALPHABET[digit] + characters
    return characters


def redact(text: str) -> str:
    """`text` with every key of our form, or the beginning of one, made unreadable."""
    return _IN_TEXT.sub(r"\1[redacted]", text)


def _random(count: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(count))
