"""Which exchanges are traced, and what is kept of them until they end. An exchange that is not is asked once, and keeps nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import msgspec

from pulse_gateway.clock import Clock
from pulse_gateway.ids import new_span_id
from pulse_gateway.telemetry.record import ExchangeRecord
from pulse_gateway.telemetry.trace import TraceContext
from pulse_gateway.types.http import Headers
from pulse_gateway.types.usage import Usage

__all__ = ["OnTraced", "Recording", "Sampler", "TracedAttempt", "TracedExchange"]

_EVERY_ID = 1 << 64


class TracedAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a provider: the span that its `traceparent` named, and what it came to.

    `started_at` is in seconds since the epoch, the other times in milliseconds from there. `kind` is the provider's row in the registry,
    `provider` its name in the configuration. `status` is that of the provider's answer, None where there was none.
    """

    span_id: str
    number: int
    provider: str
    kind: str
    model: str
    base_url: str
    started_at: float
    first_byte_ms: float | None
    total_ms: float
    outcome: str
    status: int | None
    error_code: str | None
    usage: Usage | None
    usage_source: str
    cost_nano_usd: int | None
    response_id: str | None
    response_model: str | None
    finish_reason: str | None


class TracedExchange(msgspec.Struct, frozen=True, kw_only=True):
    """An exchange that has ended, and whose trace is sampled. `started_at` is in seconds since the epoch.

    `parent_id` is the caller's span, None where the trace starts here. `tracestate` is the caller's.
    """

    record: ExchangeRecord
    span_id: str
    parent_id: str | None
    tracestate: str | None
    started_at: float
    attempts: tuple[TracedAttempt, ...]


OnTraced = Callable[[TracedExchange], None]
"""Called on the event loop, once per sampled exchange, after it is settled. It must not wait."""


class Recording(TraceContext, frozen=True, kw_only=True):
    """A trace that is sampled: `span_id` is the exchange's span, and each attempt has one of its own."""

    recording: ClassVar[bool] = True

    on_traced: OnTraced
    started_at: float
    attempts: list[TracedAttempt] = msgspec.field(default_factory=list)
    span_ids: list[str] = msgspec.field(default_factory=list)

    def upstream_headers(self) -> Headers:
        """As for any trace, with the next attempt as the parent: each call is one more attempt."""
        self.span_ids.append(new_span_id())
        own = TraceContext(self.trace_id, self.span_ids[-1], self.flags, self.tracestate, self.amzn)
        return own.upstream_headers()

    @property
    def attempt_id(self) -> str:
        """The span of the attempt that is being made."""
        return self.span_ids[-1] if self.span_ids else self.span_id

    def ended(self, record: ExchangeRecord) -> None:
        """An observer, of this exchange."""
        self.on_traced(
            TracedExchange(
                record=record,
                span_id=self.span_id,
                parent_id=self.parent_id,
                tracestate=self.tracestate,
                started_at=self.started_at,
                attempts=tuple(self.attempts),
            )
        )


class Sampler:
    """A caller who has decided is followed; of the traces that start here `ratio` is sampled, chosen by their ids, so that every gateway
    with this ratio chooses the same.

    Source: https://opentelemetry.io/docs/specs/otel/trace/sdk/#sampling, ParentBased and TraceIdRatioBased (read 2026-11-24)
    """

    def __init__(self, ratio: float, on_traced: OnTraced, clock: Clock) -> None:
        self._below = round(ratio * _EVERY_ID)
        self._on_traced, self._clock = on_traced, clock

    def begin(self, trace: TraceContext, started: float) -> TraceContext:
        """The trace itself, or a recording of it that began at `started`, in seconds of the monotonic clock."""
        if trace.decided:
            if not int(trace.flags, 16) & 1:
                return trace
            flags = trace.flags
        else:
            if int(trace.trace_id[16:], 16) >= self._below:
                return trace
            flags = "01"
        return Recording(
            trace.trace_id,
            new_span_id(),  # a request that is run again is another exchange of the same trace
            flags,
            trace.tracestate,
            trace.amzn,
            trace.parent_id,
            trace.decided,
            on_traced=self._on_traced,
            started_at=self._clock.now() - (self._clock.monotonic() - started),
        )
