"""Traces of a program that embeds the gateway, sent by its own OpenTelemetry SDK. Here they are printed.

    python examples/traces.py

Needs `pip install pulse-gateway opentelemetry-sdk`; the library itself knows nothing of OpenTelemetry.
"""

import asyncio

from msgspec.structs import replace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from pulse_gateway import Gateway, Inbound
from pulse_gateway.environment import load_config
from pulse_gateway.telemetry.spans import Span, spans_of
from pulse_gateway.telemetry.trace import read_trace
from pulse_gateway.telemetry.traced import TracedExchange

processor = SimpleSpanProcessor(ConsoleSpanExporter(formatter=lambda span: f"{span.to_json(indent=None)}\n"))
resource = Resource.create({"service.name": "a program of mine"})
KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT, "internal": SpanKind.INTERNAL}


def tell(traced: TracedExchange) -> None:
    """Called once for each exchange whose trace is sampled, when it has ended. It must not wait: a BatchSpanProcessor does not."""
    for span in spans_of(traced):
        processor.on_end(readable(span))


def readable(span: Span) -> ReadableSpan:
    def context(span_id: str, *, is_remote: bool) -> SpanContext:
        return SpanContext(int(span.trace_id, 16), int(span_id, 16), is_remote, TraceFlags(TraceFlags.SAMPLED))

    return ReadableSpan(
        span.name,
        context=context(span.span_id, is_remote=False),
        parent=context(span.parent_id, is_remote=span.remote_parent) if span.parent_id else None,
        resource=resource,
        attributes=span.attributes,
        events=[Event(event.name, timestamp=event.at_ns) for event in span.events],
        kind=KINDS[span.kind],
        status=Status(StatusCode.ERROR if span.is_error else StatusCode.UNSET),
        start_time=span.start_ns,
        end_time=span.end_ns,
    )


async def main() -> None:
    config = load_config()
    every_one = replace(config, telemetry=replace(config.telemetry, traces_sample=1.0))
    async with Gateway(every_one, on_traced=tell) as gateway:
        await gateway.chat(model="echo", messages=[{"role": "user", "content": "مرحبا"}], user="u1")

        # As part of the trace that this program is in: what it sends on to others goes in as it would go out.
        body = b'{"model": "echo", "messages": [{"role": "user", "content": "hello"}]}'
        trace = read_trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None, None)
        asked = Inbound(dialect="openai.chat", body=body, principal=gateway.principal("u1"), trace=trace)
        async with await gateway.handle(asked):
            pass


if __name__ == "__main__":
    asyncio.run(main())
