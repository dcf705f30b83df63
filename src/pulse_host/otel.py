"""Spans handed to OpenTelemetry's SDK, whose thread sends them in batches. The one file that imports it.

The SDK is told of finished spans alone: nothing of it is on the way of a request.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from pulse_gateway import __version__
from pulse_gateway.store.keys import redact
from pulse_gateway.telemetry.spans import AttributeValue, Span, spans_of
from pulse_gateway.telemetry.traced import TracedExchange
from pulse_host.endpoints import route_of

__all__ = ["SpanExport", "refusal"]

_log = structlog.get_logger("pulse")
_SCOPE = InstrumentationScope("pulse", __version__)
_KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT, "internal": SpanKind.INTERNAL}
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_UNNAMED = "unknown_service"
_MOST_WAITING = 2048  # spans, as the SDK has it too
_MOST = 2**63 - 1
_PROBE_S = 5.0
_SILENCE_S = 60.0  # between two lines that say the same


class SpanExport:
    """Called with traced exchanges, on the event loop, it never waits: their spans are queued, or dropped and counted where the queue
    is full. An outage of the collector is logged once a minute, and its end.

    Everything about the collector is said by the standard `OTEL_*` variables. It has to be made on the event loop that it is called on.

    Raises: ValueError, RuntimeError, OSError for settings that the SDK refuses.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reasons = _Reasons(self._soon)
        _take_over(self._reasons)
        self._most = _number(os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE"), _MOST_WAITING)
        self._resource = _resource()
        self._given = 0
        self._too_many = 0
        self._said_at = float("-inf")
        self._is_away = False
        self._exporter = _Counted(OTLPSpanExporter(), self._heard)
        self._processor = BatchSpanProcessor(self._exporter, max_queue_size=self._most)
        self._reasons.is_starting = False

    @property
    def exported(self) -> int:
        return self._exporter.exported

    @property
    def dropped(self) -> Mapping[str, int]:
        """By why."""
        return {"queue_full": self._too_many, "export_failed": self._exporter.failed}

    @property
    def waiting(self) -> int:
        return self._given - self._exporter.taken

    def __call__(self, traced: TracedExchange) -> None:
        record = traced.record
        spans = spans_of(traced, route=route_of(record.dialect, stream=record.stream))
        if self.waiting + len(spans) > self._most:
            self._too_many += len(spans)
            self._complain("more are made than the collector takes")
            return
        self._given += len(spans)
        for span in spans:
            self._processor.on_end(_readable(span, self._resource))

    async def aclose(self, *, within_s: float) -> None:
        """Send what waits. What cannot be sent within that time is dropped."""
        sent, failed_before = asyncio.Event(), self._exporter.failed

        def shut_down() -> None:
            self._processor.shutdown()  # type: ignore[no-untyped-call]
            self._soon(sent.set)

        # A thread that nobody has to wait for: the SDK's own patience is longer.
        threading.Thread(target=shut_down, daemon=True, name="traces").start()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await sent.wait()
        if not sent.is_set():
            self._exporter.shutdown()  # so that it tries no more
        lost = self._given - self._exporter.exported - failed_before
        if lost:
            _log.warning("spans were not exported", spans=lost, reason=self._reasons.last)

    def _heard(self, well: bool) -> None:
        """On the sender's thread, after each batch."""
        self._soon(self._recovered if well else self._failing)

    def _soon(self, told: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(told)

    def _failing(self) -> None:
        self._complain(self._reasons.last)

    def _complain(self, reason: str) -> None:
        now = self._loop.time()
        if now - self._said_at >= _SILENCE_S:
            self._said_at, self._is_away = now, True
            _log.warning(
                "traces are not exported", reason=reason, dropped=sum(self.dropped.values()), waiting=self.waiting
            )

    def _recovered(self) -> None:
        if self._is_away:
            self._is_away = False
            _log.info("traces are exported again", dropped=sum(self.dropped.values()))


def refusal() -> str | None:
    """Why the collector does not take spans; None: it does. It is sent none, and waited for up to 5 s.

    Raises: ValueError, RuntimeError, OSError for settings that the SDK refuses.
    """
    reasons = _Reasons(lambda told: None)
    _take_over(reasons)
    exporter = OTLPSpanExporter(timeout=_PROBE_S)
    try:
        return None if exporter.export([]) is SpanExportResult.SUCCESS else reasons.last
    finally:
        exporter.shutdown()  # type: ignore[no-untyped-call]


class _Counted(SpanExporter):
    """The exporter, with what has become of the spans it was given. The counts are written by the sender's thread alone."""

    def __init__(self, exporter: SpanExporter, heard: Callable[[bool], None]) -> None:
        self.taken = self.exported = self.failed = 0
        self._exporter, self._heard = exporter, heard

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken += len(spans)
        well = False
        try:
            result = self._exporter.export(spans)
            well = result is SpanExportResult.SUCCESS
        finally:
            if well:
                self.exported += len(spans)
            else:
                self.failed += len(spans)
            self._heard(well)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class _Reasons(logging.Handler):
    """Takes what the SDK logs, several lines for each batch that fails. Why is kept; the rest is not written as it is: it may quote an
    address, or a header, with a key in it."""

    def __init__(self, soon: Callable[[Callable[[], object]], None]) -> None:
        super().__init__(logging.WARNING)
        self.last = "the collector was not reached in time"
        self.is_starting = True  # afterwards, what is found wrong is wrong with what a client has sent
        self._soon = soon

    def emit(self, record: logging.LogRecord) -> None:
        said = record.args if isinstance(record.args, tuple) else ()
        if ".exporter." not in record.name or ".exporter.otlp.proto.http._common" in record.name:
            template = str(record.msg).partition(": %s")[0]  # without the value that is found wrong
            if self.is_starting:
                self._soon(lambda: _log.warning("OpenTelemetry finds fault with its settings", detail=template))
        elif error := next((each for each in said if isinstance(each, BaseException)), None):
            self.last = _cause(error)
        elif status := next((each for each in said if isinstance(each, int)), None):
            self.last = f"the collector answers with status {status}"


def _take_over(handler: logging.Handler) -> None:
    logger = logging.getLogger("opentelemetry")
    logger.handlers[:] = [handler]
    logger.propagate = False


def _cause(error: BaseException) -> str:
    """What the operating system said, else what kind of failure it is; never its text, which holds the address."""
    kind = type(error).__name__
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        seen = seen.__cause__ or seen.__context__
    return kind


def _resource() -> Resource:
    """As the environment says; what it leaves open is filled in."""
    said = Resource.create()
    ours = {"service.name": "pulse", "service.version": __version__, "service.instance.id": str(uuid.uuid4())}
    left_open = {
        name: value for name, value in ours.items() if str(said.attributes.get(name, _UNNAMED)).startswith(_UNNAMED)
    }
    return said.merge(Resource(left_open))


def _readable(span: Span, resource: Resource) -> ReadableSpan:
    trace_id = int(span.trace_id, 16)
    state = TraceState.from_header([span.tracestate]) if span.tracestate else None
    parent = None
    if span.parent_id is not None:
        parent = SpanContext(trace_id, int(span.parent_id, 16), span.remote_parent, _SAMPLED, state)
    return ReadableSpan(
        redact(span.name),
        context=SpanContext(trace_id, int(span.span_id, 16), False, _SAMPLED, state),
        parent=parent,
        resource=resource,
        attributes={name: _clean(value) for name, value in span.attributes.items()},
        events=[Event(event.name, timestamp=event.at_ns) for event in span.events],
        kind=_KINDS[span.kind],
        status=Status(StatusCode.ERROR if span.is_error else StatusCode.UNSET),
        start_time=span.start_ns,
        end_time=span.end_ns,
        instrumentation_scope=_SCOPE,
    )


def _clean(value: AttributeValue) -> AttributeValue:
    """What a client wrote in place of a model or a request id may be its key, and a number that no span can hold would take the whole
    batch with it."""
    if isinstance(value, str):
        return redact(value) if "pls_" in value else value
    return min(value, _MOST) if isinstance(value, int) else value


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isdecimal() and int(text) > 0 else otherwise
