"""Identifiers: ordered by time, made without a system call on the hot path.

All but their beginning is made ahead, each used once. The ids of one batch differ in their last two digits alone, and no two batches
share the others: ids need to be unique, not secret. Traces are sampled by their ids, so those are random throughout.
"""

from __future__ import annotations

import os
from time import time

__all__ = ["new_entry_id", "new_request_id", "new_span_id", "new_trace_id"]

_LAST_DIGITS = tuple(f"{number:02x}" for number in range(256))
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))  # RFC 9562 §4.1: the two highest bits are 10
_RANDOM_BYTES = 2_048  # read at once

_entry_tails: list[str] = []
_request_tails: list[str] = []
_traces: list[str] = []
_spans: list[str] = []
_since_s = _until_s = 0.0  # the millisecond for which the heads are
_entry_head = _request_head = ""


def new_entry_id() -> str:
    """A UUID of version 7 (RFC 9562): sorts by the millisecond it was made."""
    if not _since_s <= time() < _until_s:
        _begin_ms()
    try:
        return _entry_head + _entry_tails.pop()
    except IndexError:
        digits = os.urandom(9).hex()
        start = f"{digits[:3]}-{_VARIANT[digits[3]]}{digits[4:7]}-{digits[7:17]}"
        _entry_tails.extend([start + last for last in _LAST_DIGITS])
        return _entry_head + _entry_tails.pop()


def new_request_id() -> str:
    """Sorts by the millisecond as well."""
    if not _since_s <= time() < _until_s:
        _begin_ms()
    try:
        return _request_head + _request_tails.pop()
    except IndexError:
        start = os.urandom(9).hex()
        _request_tails.extend([start + last for last in _LAST_DIGITS])
        return _request_head + _request_tails.pop()


def new_trace_id() -> str:
    while not _traces:
        _traces.extend(_random(16))
    return _traces.pop()


def new_span_id() -> str:
    while not _spans:
        _spans.extend(_random(8))
    return _spans.pop()


def _random(size_bytes: int) -> list[str]:
    """Digits of so many bytes each, of which one at least is not 0, as https://www.w3.org/TR/trace-context-2/ wants them."""
    nothing = "00" * size_bytes
    return [each for each in os.urandom(_RANDOM_BYTES).hex(" ", size_bytes).split(" ") if each != nothing]


def _begin_ms() -> None:
    global _since_s, _until_s, _entry_head, _request_head
    now_ms = int(time() * 1000)
    _since_s, _until_s = now_ms / 1000, (now_ms + 1) / 1000
    digits = f"{now_ms & ((1 << 48) - 1):012x}"
    _entry_head, _request_head = f"{digits[:8]}-{digits[8:]}-7", f"req_{digits}"


def _after_fork() -> None:
    for made_ahead in (_entry_tails, _request_tails, _traces, _spans):
        made_ahead.clear()  # the parent has them too


os.register_at_fork(after_in_child=_after_fork)
