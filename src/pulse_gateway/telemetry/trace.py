"""Trace headers of the caller, taken over and handed on.

Source: https://www.w3.org/TR/trace-context-2/ and the AWS documentation of X-Amzn-Trace-Id (both read 2026-11-24)
"""

from __future__ import annotations

import re
from typing import ClassVar

import msgspec

from pulse_gateway.ids import new_span_id, new_trace_id
from pulse_gateway.types.http import Headers

__all__ = ["TraceContext", "read_trace"]

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_LONGEST = 1024
_AMZN_ROOT = re.compile(r"(?:^|;)\s*Root=1-([0-9a-fA-F]{8})-([0-9a-fA-F]{24})(?:;|$)")
_AMZN_SAMPLED = re.compile(r"(?:^|;)\s*Sampled=([01])(?:;|$)")
_AMZN_PARENT = re.compile(r"(?:^|;)\s*Parent=([0-9a-fA-F]{16})(?:;|$)")


class TraceContext(msgspec.Struct, frozen=True):
    """`trace_id` is 32 lower-case hex digits, `span_id` ours, `flags` the caller's.

    `parent_id` is the caller's span, if it named one. `decided`: the caller has said whether this trace is to be sampled, and `flags`
    repeats it. `recording`: this gateway keeps what its spans will be made of.
    """

    recording: ClassVar[bool] = False

    trace_id: str
    span_id: str
    flags: str = "00"
    tracestate: str | None = None
    amzn: str | None = None
    parent_id: str | None = None
    decided: bool = False

    def upstream_headers(self) -> Headers:
        """What the provider gets: this exchange as the parent, the rest as the caller sent it."""
        parent = ("traceparent", f"00-{self.trace_id}-{self.span_id}-{self.flags}")
        if self.tracestate is None and self.amzn is None:
            return (parent,)
        headers = [parent]
        if self.tracestate:
            headers.append(("tracestate", self.tracestate))
        if self.amzn:
            headers.append(("x-amzn-trace-id", self.amzn))
        return tuple(headers)


def read_trace(traceparent: str | None, tracestate: str | None, amzn: str | None) -> TraceContext:
    """The caller's trace, or a new one. An invalid traceparent takes its tracestate with it, as the standard says."""
    if traceparent is None and amzn is None:
        return TraceContext(new_trace_id(), new_span_id())
    tracestate, amzn = _clean(tracestate), _clean(amzn)
    match = _TRACEPARENT.fullmatch(traceparent.strip()) if traceparent else None
    if match and match[1] != "ff" and not (match[1] == "00" and match[5]) and int(match[2], 16) and int(match[3], 16):
        return TraceContext(match[2], new_span_id(), match[4], tracestate, amzn, match[3], True)
    if amzn and (root := _AMZN_ROOT.search(amzn)):
        sampled, parent = _AMZN_SAMPLED.search(amzn), _AMZN_PARENT.search(amzn)
        flags = "01" if sampled and sampled[1] == "1" else "00"
        parent_id = parent[1].lower() if parent and int(parent[1], 16) else None
        trace_id = (root[1] + root[2]).lower()
        return TraceContext(trace_id, new_span_id(), flags, None, amzn, parent_id, sampled is not None)
    return TraceContext(new_trace_id(), new_span_id(), "00", None, amzn)


def _clean(value: str | None) -> str | None:
    """What can be handed on in a header; the rest is dropped, as the standard says of a tracestate that cannot be read."""
    return value if value and len(value) <= _LONGEST and value.isascii() and value.isprintable() else None
