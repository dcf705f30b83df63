"""Prometheus metrics. Labels come from configuration and enumerations alone, never from a request, so that they stay few."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from pulse_gateway.telemetry.record import ExchangeRecord

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = CONTENT_TYPE_LATEST.replace("; charset=utf-8", "")  # Litestar adds it
_SECONDS = tuple(0.01 * 2**power for power in range(14))  # the buckets of OpenTelemetry's GenAI conventions


class Metrics:
    """`observe` each exchange; `render` the exposition."""

    def __init__(self, *, ledger_backlog: Callable[[], float], open_permits: Callable[[], float]) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        self._exchanges = Counter(
            "pulse_exchanges", "Exchanges that ended", ("dialect", "provider", "outcome", "status"), registry=registry
        )
        self._attempts = Counter("pulse_attempts", "Upstream calls", ("provider",), registry=registry)
        self._tokens = Counter("pulse_tokens", "Tokens used", ("provider", "direction", "source"), registry=registry)
        self._cost = Counter(
            "pulse_cost_nano_usd", "Cost in nano-dollars, of models with a price", ("provider",), registry=registry
        )
        self._duration = Histogram(
            "pulse_exchange_duration_seconds",
            "Time of an exchange",
            ("dialect", "provider"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._first_byte = Histogram(
            "pulse_first_byte_seconds",
            "Time to the first byte of an answer",
            ("provider",),
            buckets=_SECONDS,
            registry=registry,
        )
        Gauge("pulse_ledger_backlog", "Ledger entries not yet stored", registry=registry).set_function(ledger_backlog)
        Gauge("pulse_open_permits", "Holds not yet settled", registry=registry).set_function(open_permits)

    def observe(self, record: ExchangeRecord) -> None:
        provider = record.provider or "none"
        self._exchanges.labels(record.dialect, provider, record.outcome, str(record.status)).inc()
        self._duration.labels(record.dialect, provider).observe(record.total_ms / 1000)
        if record.attempts:
            self._attempts.labels(provider).inc(record.attempts)
        if record.first_byte_ms is not None:
            self._first_byte.labels(provider).observe(record.first_byte_ms / 1000)
        for direction, tokens in (("input", record.input_tokens), ("output", record.output_tokens)):
            if tokens:
                self._tokens.labels(provider, direction, record.usage_source).inc(tokens)
        if record.cost_nano_usd:
            self._cost.labels(provider).inc(record.cost_nano_usd)

    def render(self) -> bytes:
        return generate_latest(self._registry)
