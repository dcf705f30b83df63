"""A collector of traces that speaks OTLP over HTTP, and does as it is told."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

__all__ = ["Collector", "Received"]

_PATIENCE_S = 20.0


class Received(msgspec.Struct, frozen=True):
    """A span as it came."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    state: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    events: dict[str, int]
    is_error: bool
    resource: dict[str, Any]


class Collector:
    """Use it as a context manager. `status` is what it answers; while that is not 200 nothing is kept."""

    def __init__(self, port: int = 0) -> None:
        self.status = 200
        self.requests = 0
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.spans: list[Received] = []
        self._changed = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = collector._take(self.path, dict(self.headers), body)
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def environment(self, **more: str) -> dict[str, str]:
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "50", **more}

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def of(self, trace_id: str, count: int) -> tuple[Received, list[Received]]:
        """The server's span of a trace and those of its attempts in order, once `count` have come."""
        found: list[Received] = []

        def there() -> bool:
            found[:] = [span for span in self.spans if span.trace_id == trace_id]
            return len(found) >= count

        with self._changed:
            assert self._changed.wait_for(there, _PATIENCE_S), [span.name for span in found]
        (server,) = [span for span in found if span.kind == "SERVER"]
        attempts = sorted((span for span in found if span.kind == "CLIENT"), key=lambda span: span.start_ns)
        assert len(attempts) == count - 1
        return server, attempts

    def wait_for_requests(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.requests >= count, _PATIENCE_S)

    def _take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        status = self.status if path == "/v1/traces" else 404
        with self._changed:
            self.requests += 1
            if status == 200:
                if headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                self.bodies.append(body)
                self.headers.append(headers)
                self.spans += _spans(body)
            self._changed.notify_all()
        return status


def _spans(body: bytes) -> list[Received]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        Received(
            name=span.name,
            kind=span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            state=span.trace_state,
            start_ns=span.start_time_unix_nano,
            end_ns=span.end_time_unix_nano,
            attributes=_attributes(span.attributes),
            events={event.name: event.time_unix_nano for event in span.events},
            is_error=span.status.code == 2,
            resource=_attributes(resource.resource.attributes),
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_value(each) for each in value.array_value.values] if kind == "array_value" else getattr(value, kind)
