"""Failures on demand: the grammar of `MODEL+SPEC` and of the header `x-simulate: SPEC`.

A spec is a comma-separated list of `key=value` and bare flags; values may be percent-encoded. It uses no character that a
URL path, a header or a JSON string would object to. The header, if sent, replaces what the model name says.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import msgspec

__all__ = ["FaultSpecError", "Faults", "parse_faults", "split_model"]


class FaultSpecError(ValueError):
    """The spec cannot be read; the message says which key and what is allowed."""


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """One parsed spec. Field names are the grammar's keys, with `_` for `-`."""

    # the answer is an error
    status: int | None = None
    code: str | None = None
    retry_after: str | None = None  # as sent: seconds or an HTTP date
    retry_after_ms: int | None = None
    html: bool = False
    # the body goes wrong; counts are frames
    empty: bool = False
    stall: int | None = None
    cut: int | None = None
    drop: int | None = None
    reset: int | None = None
    malformed: int | None = None
    error: int | None = None
    no_done: bool = False
    no_usage: bool = False
    huge: int | None = None
    wrong_length: bool = False
    content_type: str | None = None
    # time and slicing
    delay: float = 0.0
    one_byte: bool = False
    split: bool = False
    # when
    first: int | None = None
    every: int | None = None
    at: str | None = None  # which of a job's requests: the word of the surface; see `jobs`
    # steering: kept even when `first` or `every` spares a request
    input: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    tokens: int | None = None
    chunks: int | None = None
    chunk_delay: float | None = None
    refusal: bool = False
    blocked: str | None = None
    finish: str | None = None
    polls: int | None = None  # how often a job is looked at before it is done
    twice: bool = False  # webhooks come two times each
    fail: str | None = None  # a job ends with this error
    filtered: int | None = None  # so many of the things made are held back
    redacted: bool = False  # reasoning that the caller may read comes encrypted

    @property
    def is_error(self) -> bool:
        """The answer is an HTTP error, rather than a good one that goes wrong."""
        return self.error is None and (self.code is not None or self.status not in {None, 200})

    def spared(self) -> Faults:
        """What stays for a request that `first` or `every` lets through."""
        return Faults(**{name: getattr(self, name) for name in _STEERING})


_STEERING = (
    "input", "cached", "cache_write", "reasoning", "tokens", "chunks", "chunk_delay", "refusal", "blocked", "finish",
    "polls", "twice", "fail", "filtered", "redacted",
)  # fmt: skip
_FLAGS = {"html", "empty", "no-done", "no-usage", "wrong-length", "one-byte", "split", "refusal", "twice", "redacted"}
_TEXTS = {"code", "retry-after", "content-type", "blocked", "finish", "at", "fail"}
# What a key says without a value.
_BARE: dict[str, str | int] = {"blocked": "SAFETY", "fail": "INTERNAL", "filtered": 1}
_FRACTIONS = {"delay", "chunk-delay"}
_KEYS = frozenset(Faults.__struct_encode_fields__)
_LEAST = {"status": 200, "malformed": 1, "first": 0, "every": 1, "chunks": 1, "tokens": 1, "input": 1, "huge": 1}
_MOST = {"status": 599, "huge": 256 * 1024 * 1024, "tokens": 10_000_000, "chunks": 1_000_000}


def split_model(model: str) -> tuple[str, str]:
    """`gpt-5.2+status=429` → (`gpt-5.2`, `status=429`)."""
    base, _, spec = model.partition("+")
    return base, spec


@lru_cache(maxsize=1024)
def parse_faults(spec: str) -> Faults:
    """Raises: FaultSpecError."""
    found: dict[str, Any] = {}
    for item in spec.split(","):
        key, has_value, text = item.partition("=")
        key = key.strip()
        if not key:
            continue
        if key not in _KEYS:
            close = get_close_matches(key, _KEYS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(sorted(_KEYS))}"
            raise FaultSpecError(f"unknown key {key!r} in a fault spec; {hint}")
        found[key] = _value(key, unquote(text.strip()), bool(has_value))
    return msgspec.convert(found, Faults)


def _value(key: str, text: str, has_value: bool) -> bool | str | int | float:
    if key in _FLAGS:
        if has_value and text not in {"true", "1"}:
            raise FaultSpecError(f"{key!r} is a flag and takes no value")
        return True
    if not has_value and key in _BARE:
        return _BARE[key]
    if not text:
        raise FaultSpecError(f"{key!r} needs a value: {key}=…")
    if key in _TEXTS:
        if not text.isascii() or not text.isprintable():
            raise FaultSpecError(f"{key!r} takes printable ASCII only")
        return text
    try:
        number = float(text) if key in _FRACTIONS else int(text)
    except ValueError as error:
        raise FaultSpecError(f"{key!r} takes a number, not {text!r}") from error
    least, most = _LEAST.get(key, 0), _MOST.get(key, 1_000_000_000)
    if not least <= number <= most:
        raise FaultSpecError(f"{key!r} takes a number from {least} to {most}, not {text}")
    return number
