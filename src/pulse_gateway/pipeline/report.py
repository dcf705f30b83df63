"""What is told of an exchange that has ended. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from pulse_gateway.errors import UpstreamError
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.pipeline.kind import kind_of
from pulse_gateway.telemetry.record import ExchangeRecord
from pulse_gateway.types.usage import Outcome, UsageSource

__all__ = ["report"]

_COMPLETED, _PROVIDER = Outcome.COMPLETED, UsageSource.PROVIDER
_LONGEST_NAME = 200  # characters of the model a client names that are reported: it may be any text


def report(exchange: Exchange, ended: float) -> ExchangeRecord:
    """`ended` is the moment, by the clock of `exchange.started`."""
    principal, inbound, envelope = exchange.principal, exchange.inbound, exchange.envelope
    kind, usage, first_byte_ms = exchange.kind, exchange.usage, exchange.first_byte_ms
    stream = bool(inbound.stream) if envelope is None else envelope.stream
    if kind is None or kind.deployment is not exchange.deployment:  # the last one was not asked
        kind = kind_of(exchange.deployment, inbound.operation, inbound.dialect, stream)
    model = (inbound.model if envelope is None else envelope.model) or None
    if model is not None and len(model) > _LONGEST_NAME:
        model = model[:_LONGEST_NAME]
    record = replace(
        kind.record,
        request_id=exchange.request_id,
        trace_id=exchange.trace.trace_id,
        tenant_id=None if principal is None else principal.tenant_id,
        user_id=None if principal is None else principal.user_id,
        key_id=None if principal is None else principal.key_id,
        model=model,
        input_tokens=None if usage is None else usage.input_total,
        cached_input_tokens=None if usage is None else usage.cached_input_tokens,
        output_tokens=None if usage is None else usage.output_total,
        reasoning_tokens=None if usage is None else usage.reasoning_tokens,
        total_tokens=exchange.used_tokens,
        cost_nano_usd=exchange.cost_nano_usd,
        first_byte_ms=None if first_byte_ms is None else _thousandths(first_byte_ms),
        total_ms=_thousandths((ended - exchange.started) * 1000),
    )
    as_usual = (
        exchange.outcome is _COMPLETED
        and exchange.status == 200
        and exchange.attempts == 1
        and exchange.source is _PROVIDER
        and exchange.error is None
        and not inbound.tags
        and not exchange.replayed
    )
    if as_usual:
        return record
    error = exchange.error
    return replace(
        record,
        attempts=exchange.attempts,
        outcome=exchange.outcome.value,
        status=exchange.status,
        error_code=None if error is None else error.code,
        upstream_status=error.upstream_status if isinstance(error, UpstreamError) else None,
        usage_source=exchange.source.value,
        tags=dict(inbound.tags),
        replayed=exchange.replayed,
    )


def _thousandths(value: float) -> float:
    """Rounded to three places: in a third of the time that `round` takes."""
    return (value * 1000 + 0.5) // 1 / 1000
