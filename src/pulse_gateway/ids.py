"""Identifiers: ordered by time, made without a system call on the hot path."""

from __future__ import annotations

import os
import random
import time

__all__ = ["new_entry_id", "new_request_id", "new_span_id", "new_trace_id"]

_TAILS_AT_ONCE = 128
_TAIL_BYTES = 10  # of randomness; 74 bits of them are used
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))  # RFC 9562 §4.1: the two highest bits are 10

_random = random.SystemRandom()
_fast = random.Random(_random.getrandbits(256))  # ids need to be unique, not secret
_tails: list[str] = []  # of entry ids, made ahead; each is used once
_last_ms = 0
_head = ""  # of entry ids made in that millisecond


def new_entry_id() -> str:
    """A UUID of version 7 (RFC 9562): sorts by the millisecond it was made."""
    global _last_ms, _head
    if (now_ms := time.time_ns() // 1_000_000) != _last_ms:
        digits = f"{now_ms & ((1 << 48) - 1):012x}"
        _last_ms, _head = now_ms, f"{digits[:8]}-{digits[8:]}-7"
    while True:
        try:
            return _head + _tails.pop()
        except IndexError:
            _make_tails()


def _make_tails() -> None:
    digits = os.urandom(_TAIL_BYTES * _TAILS_AT_ONCE).hex()
    for at in range(0, len(digits), 2 * _TAIL_BYTES):
        first, second, last = digits[at : at + 3], digits[at + 4 : at + 7], digits[at + 7 : at + 19]
        _tails.append(f"{first}-{_VARIANT[digits[at + 3]]}{second}-{last}")


def new_request_id() -> str:
    return f"req_{time.time_ns() // 1_000_000:012x}{_fast.getrandbits(80):020x}"


def new_trace_id() -> str:
    return f"{_fast.getrandbits(128) or 1:032x}"


def new_span_id() -> str:
    return f"{_fast.getrandbits(64) or 1:016x}"


def _after_fork() -> None:
    _tails.clear()  # the parent has them too
    _fast.seed(_random.getrandbits(256))


os.register_at_fork(after_in_child=_after_fork)
