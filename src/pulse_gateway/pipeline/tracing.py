"""What a sampled trace keeps of an attempt that has ended."""

from __future__ import annotations

from pulse_gateway.errors import PulseError, UpstreamError
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.telemetry.trace import TraceContext
from pulse_gateway.telemetry.traced import Recording, TracedAttempt
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.usage import UsageSource
from pulse_gateway.wire.reading import Reading

__all__ = ["keep_attempt"]


def keep_attempt(
    trace: TraceContext,
    entry: UsageEntry,
    deployment: Deployment,
    reading: Reading | None,
    error: PulseError | None,
    *,
    accepted: bool,
) -> None:
    """Nothing of a trace that is not sampled. `accepted`: a 2xx head was here."""
    if not isinstance(trace, Recording):
        return
    status = error.upstream_status if isinstance(error, UpstreamError) else None
    trace.attempts.append(
        TracedAttempt(
            span_id=trace.attempt_id,
            number=entry.attempt,
            provider=entry.provider,
            kind=deployment.kind,
            model=entry.model,
            base_url=deployment.base_url,
            started_at=entry.at,
            first_byte_ms=entry.first_byte_ms,
            total_ms=entry.total_ms,
            outcome=entry.outcome.value,
            status=200 if status is None and accepted else status,
            error_code=entry.error_code,
            usage=None if entry.source is UsageSource.NONE else entry.usage,
            usage_source=entry.source.value,
            cost_nano_usd=entry.cost_nano_usd,
            response_id=reading.id or None if reading else None,
            response_model=reading.model or None if reading else None,
            finish_reason=reading.finish_reason.value if reading and reading.finish_reason else None,
        )
    )
