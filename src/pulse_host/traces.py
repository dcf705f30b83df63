"""Traces leave for a collector where the standard `OTEL_*` variables name one. Where none is named, nothing of OpenTelemetry is even
imported."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import structlog

from pulse_gateway.telemetry.traced import OnTraced
from pulse_host.metrics import Metrics

__all__ = ["exporting", "why_not"]

_log = structlog.get_logger("pulse")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SPOKEN = "http/protobuf"
_FLUSH_S = 5.0


@asynccontextmanager
async def exporting(metrics: Metrics, *, drain_s: float) -> AsyncIterator[OnTraced | None]:
    """What takes exchanges to be traced; None: nobody wants them. What waits at the end is sent within `drain_s`, but one second at least and five at most.

    In a worker of several it has to be entered after the fork: what sends is a thread.
    """
    named, reason = why_not(os.environ)
    if reason is not None:
        if named:
            _log.warning("no traces are exported", reason=reason)
        yield None
        return
    from pulse_host.otel import SpanExport  # imported late: a server without a collector need not know OpenTelemetry

    try:
        export = SpanExport()
    except (ValueError, RuntimeError, OSError) as error:
        _log.warning("no traces are exported", reason=f"OpenTelemetry refuses its settings: {type(error).__name__}")
        yield None
        return
    metrics.count("pulse_spans_exported", "Spans that the collector has taken", lambda: export.exported)
    metrics.counts("pulse_spans_dropped", "Spans that were given up", "reason", lambda: export.dropped)
    metrics.gauge("pulse_spans_waiting", "Spans not yet sent", lambda: export.waiting)
    _log.info("traces are exported")
    try:
        yield export
    finally:
        await export.aclose(within_s=min(max(drain_s, 1.0), _FLUSH_S))


def why_not(environ: Mapping[str, str]) -> tuple[bool, str | None]:
    """Whether a collector is named, and why nothing is exported; None: it is.

    Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ (read 2026-11-24)
    """
    endpoint = _first(environ, _ENDPOINTS)
    if not endpoint:
        return False, "no collector is named"
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False, "OTEL_SDK_DISABLED is true"
    exporters = [word.strip() for word in (environ.get("OTEL_TRACES_EXPORTER") or "otlp").split(",")]
    if exporters == ["none"]:
        return False, "OTEL_TRACES_EXPORTER is none"
    if "otlp" not in exporters:
        return True, "OTEL_TRACES_EXPORTER names none that is known here; leave it out, or write otlp"
    protocol = _first(environ, _PROTOCOLS) or _SPOKEN
    if protocol != _SPOKEN:
        return (
            True,
            f"OTEL_EXPORTER_OTLP_PROTOCOL: only {_SPOKEN} is spoken here; a collector listens for it on port 4318",
        )
    if not endpoint.lower().startswith(("http://", "https://")):
        return True, "OTEL_EXPORTER_OTLP_ENDPOINT is no http:// or https:// address"
    return True, None


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((value for name in names if (value := environ.get(name, "").strip())), "")
