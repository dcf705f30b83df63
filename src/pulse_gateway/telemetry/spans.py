"""A traced exchange as spans: one of the server, and one below it for each attempt. Plain values, for whichever SDK sends them.

They hold neither what was asked nor what was answered, no key, and no error's text: a vendor's may repeat the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from pulse_gateway.telemetry import semconv
from pulse_gateway.telemetry.traced import TracedAttempt, TracedExchange
from pulse_gateway.types.usage import Outcome

__all__ = ["AttributeValue", "Span", "SpanEvent", "spans_of"]

AttributeValue = str | bool | int | float | tuple[str, ...]
_FAILED = frozenset({Outcome.FAILED.value, Outcome.INTERRUPTED.value})
_LONGEST = 200  # characters: the name of a model may be any text of a client's or a vendor's
_PORTS = {"http": 80, "https": 443}


class SpanEvent(msgspec.Struct, frozen=True):
    """`at_ns` is in nanoseconds since the epoch."""

    name: str
    at_ns: int


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Ids are lower-case hex digits; times in nanoseconds since the epoch. `remote_parent`: the parent is a caller's."""

    name: str
    kind: Literal["server", "client", "internal"]
    trace_id: str
    span_id: str
    parent_id: str | None
    remote_parent: bool
    tracestate: str | None
    start_ns: int
    end_ns: int
    attributes: dict[str, AttributeValue]
    events: tuple[SpanEvent, ...]
    is_error: bool


def spans_of(traced: TracedExchange, *, route: str | None = None) -> list[Span]:
    """The exchange's span first. `route` is the path that was asked for, without what is in it of the client's own."""
    return [_exchange(traced, route), *(_attempt(traced, attempt) for attempt in traced.attempts)]


def _exchange(traced: TracedExchange, route: str | None) -> Span:
    record = traced.record
    served = record.dialect != "native"
    operation = _operation(record.operation, speaks_gemini=record.dialect.startswith("gemini"))
    last = traced.attempts[-1] if traced.attempts else None
    method = "_OTHER" if record.error_code == "method_not_allowed" else "POST"
    start_ns = _ns(traced.started_at)
    attributes = {
        semconv.HTTP_METHOD: method if served else None,
        semconv.HTTP_ROUTE: route,
        semconv.HTTP_STATUS: record.status or None if served else None,
        semconv.OPERATION: operation,
        semconv.REQUEST_MODEL: record.model,
        semconv.REQUEST_STREAM: record.stream or None,
        semconv.RESPONSE_MODEL: (last and last.response_model) or record.provider_model,
        semconv.FINISH_REASONS: _reasons(last),
        semconv.PROVIDER: None if last is None else _provider(last),
        semconv.CONFIGURED_PROVIDER: record.provider,
        semconv.INPUT_TOKENS: record.input_tokens,
        semconv.OUTPUT_TOKENS: record.output_tokens,
        semconv.CACHE_READ_TOKENS: record.cached_input_tokens,
        semconv.REASONING_TOKENS: record.reasoning_tokens,
        semconv.ERROR_TYPE: record.error_code,
        semconv.OUTCOME: record.outcome,
        semconv.ATTEMPTS: record.attempts,
        semconv.COST_NANO_USD: record.cost_nano_usd,
        semconv.USAGE_SOURCE: record.usage_source,
        semconv.REQUEST_ID: record.request_id,
        semconv.TENANT_ID: record.tenant_id,
        semconv.DIALECT: record.dialect,
        semconv.REPLAYED: record.replayed or None,
    }
    return Span(
        name=f"{method} {route}" if route is not None else _name(operation, record.model),
        kind="server" if served else "internal",
        trace_id=record.trace_id,
        span_id=traced.span_id,
        parent_id=traced.parent_id,
        remote_parent=True,
        tracestate=traced.tracestate,
        start_ns=start_ns,
        end_ns=start_ns + _ms_in_ns(record.total_ms),
        attributes=_known(attributes),
        events=_first_byte(start_ns, record.first_byte_ms),
        # What is the caller's own fault is no error of a server.
        is_error=record.status >= 500 or record.outcome == Outcome.INTERRUPTED.value,
    )


def _attempt(traced: TracedExchange, attempt: TracedAttempt) -> Span:
    record, usage = traced.record, attempt.usage
    operation = _operation(record.operation, speaks_gemini=attempt.kind in {"google", "vertex"})
    address, port = _address(attempt.base_url)
    start_ns, first_byte_ms = _ns(attempt.started_at), attempt.first_byte_ms
    attributes = {
        semconv.OPERATION: operation,
        semconv.PROVIDER: _provider(attempt),
        semconv.CONFIGURED_PROVIDER: attempt.provider,
        semconv.SERVER_ADDRESS: address,
        semconv.SERVER_PORT: port,
        semconv.HTTP_STATUS: attempt.status,
        semconv.HTTP_RESEND_COUNT: attempt.number - 1 or None,
        semconv.REQUEST_MODEL: attempt.model,
        semconv.REQUEST_STREAM: record.stream or None,
        semconv.RESPONSE_ID: attempt.response_id,
        semconv.RESPONSE_MODEL: attempt.response_model,
        semconv.FINISH_REASONS: _reasons(attempt),
        semconv.TIME_TO_FIRST_CHUNK: first_byte_ms / 1000 if record.stream and first_byte_ms is not None else None,
        semconv.INPUT_TOKENS: usage.input_total if usage else None,
        semconv.OUTPUT_TOKENS: usage.output_total if usage else None,
        semconv.CACHE_READ_TOKENS: usage.cached_input_tokens if usage else None,
        semconv.CACHE_WRITE_TOKENS: _sum(usage.cache_write_tokens, usage.cache_write_long_tokens) if usage else None,
        semconv.REASONING_TOKENS: usage.reasoning_tokens if usage else None,
        semconv.ERROR_TYPE: attempt.error_code,
        semconv.OUTCOME: attempt.outcome,
        semconv.ATTEMPT: attempt.number,
        semconv.COST_NANO_USD: attempt.cost_nano_usd,
        semconv.USAGE_SOURCE: attempt.usage_source,
        semconv.REQUEST_ID: record.request_id,
    }
    return Span(
        name=_name(operation, attempt.model),
        kind="client",
        trace_id=record.trace_id,
        span_id=attempt.span_id,
        parent_id=traced.span_id,
        remote_parent=False,
        tracestate=traced.tracestate,
        start_ns=start_ns,
        end_ns=start_ns + _ms_in_ns(attempt.total_ms),
        attributes=_known(attributes),
        events=_first_byte(start_ns, first_byte_ms),
        is_error=attempt.outcome in _FAILED,
    )


def _name(operation: str, model: str | None) -> str:
    return f"{operation} {model}"[:_LONGEST] if model else operation


def _operation(operation: str, *, speaks_gemini: bool) -> str:
    """The conventions' name where they have one (`chat` and `embeddings` are ours too), else ours."""
    return semconv.GENERATE_CONTENT if operation == "chat" and speaks_gemini else operation


def _provider(attempt: TracedAttempt) -> str:
    return semconv.PROVIDER_NAMES.get(attempt.kind, attempt.kind)


def _reasons(attempt: TracedAttempt | None) -> tuple[str, ...] | None:
    return (attempt.finish_reason,) if attempt is not None and attempt.finish_reason else None


def _address(base_url: str) -> tuple[str | None, int | None]:
    """Host and port alone: an address may hold a password."""
    try:
        parts = urlsplit(base_url)
        return parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None, None


def _known(attributes: Mapping[str, AttributeValue | None]) -> dict[str, AttributeValue]:
    return {
        name: value[:_LONGEST] if isinstance(value, str) else value
        for name, value in attributes.items()
        if value is not None
    }


def _sum(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _first_byte(start_ns: int, first_byte_ms: float | None) -> tuple[SpanEvent, ...]:
    return () if first_byte_ms is None else (SpanEvent(semconv.FIRST_BYTE, start_ns + _ms_in_ns(first_byte_ms)),)


def _ns(seconds: float) -> int:
    return int(seconds * 1_000_000_000)


def _ms_in_ns(milliseconds: float) -> int:
    return int(milliseconds * 1_000_000)
