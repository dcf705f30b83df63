"""What a program that embeds the gateway is told of sampled traces."""

from __future__ import annotations

import asyncio
import logging

import pytest
from msgspec.structs import replace

from pulse_gateway import Config, Gateway, Inbound
from pulse_gateway.config import TelemetryConfig
from pulse_gateway.telemetry.spans import spans_of
from pulse_gateway.telemetry.trace import read_trace
from pulse_gateway.telemetry.traced import TracedExchange

ALL = Config(telemetry=TelemetryConfig(traces_sample=1.0))
NONE = Config(telemetry=TelemetryConfig(traces_sample=0.0))
HELLO = [{"role": "user", "content": "مرحبا"}]
BODY = b'{"model":"echo","messages":[{"role":"user","content":"one two three"}]}'
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


async def test_an_exchange_is_told_once_with_its_attempts() -> None:
    told: list[TracedExchange] = []
    async with Gateway(ALL, on_traced=told.append) as gateway:
        reply = await gateway.chat(model="echo", messages=HELLO, user="u1")
    (traced,) = told
    (attempt,) = traced.attempts
    assert attempt.usage == reply.usage
    assert (traced.record.outcome, attempt.outcome, attempt.finish_reason) == ("completed", "completed", "stop")
    assert traced.started_at <= attempt.started_at
    served, called = spans_of(traced)
    assert (served.kind, called.parent_id) == ("internal", served.span_id)


async def test_a_stream_is_told_when_it_has_been_left() -> None:
    told: list[TracedExchange] = []
    async with Gateway(ALL, on_traced=told.append) as gateway:
        stream = gateway.stream(model="echo", messages=HELLO, user="u1")
        await anext(stream)
        assert not told
        await stream.aclose()
    assert [traced.record.stream for traced in told] == [True]
    assert len(told[0].attempts) == 1


async def test_the_trace_of_the_program_goes_on_in_the_gateway() -> None:
    told: list[TracedExchange] = []
    async with Gateway(NONE, on_traced=told.append) as gateway:
        for flags in ("00", "01"):
            trace = read_trace(f"00-{TRACE}-{PARENT}-{flags}", None, None)
            asked = Inbound(dialect="openai.chat", body=BODY, principal=gateway.principal("u1"), trace=trace)
            async with await gateway.handle(asked):
                pass
    assert [(traced.record.trace_id, traced.parent_id) for traced in told] == [(TRACE, PARENT)]


async def test_a_new_share_holds_from_the_next_request_on() -> None:
    told: list[TracedExchange] = []
    async with Gateway(NONE, on_traced=told.append) as gateway:
        await gateway.chat(model="echo", messages=HELLO, user="u1")
        assert not told
        gateway.reload(ALL)
        await gateway.chat(model="echo", messages=HELLO, user="u1")
        assert len(told) == 1
        gateway.reload(replace(ALL, telemetry=TelemetryConfig(traces_sample=0.0)))
        await gateway.chat(model="echo", messages=HELLO, user="u1")
    assert len(told) == 1


async def test_one_that_fails_costs_no_request(caplog: pytest.LogCaptureFixture) -> None:
    def broken(traced: TracedExchange) -> None:
        raise RuntimeError("no such collector")

    async with Gateway(ALL, on_traced=broken) as gateway:
        with caplog.at_level(logging.ERROR):
            reply = await gateway.chat(model="echo", messages=HELLO, user="u1")
    assert reply.text
    assert "an observer failed" in caplog.text


async def test_repeats_that_come_together_have_spans_of_their_own() -> None:
    told: list[TracedExchange] = []
    async with Gateway(ALL, on_traced=told.append) as gateway:

        async def ask() -> None:
            trace = read_trace(f"00-{TRACE}-{PARENT}-01", None, None)
            asked = Inbound(
                dialect="openai.chat", body=BODY, principal=gateway.principal("u1"), trace=trace, idempotency_key="k"
            )
            async with await gateway.handle(asked):
                pass

        await asyncio.gather(ask(), ask(), ask())
    assert sorted(len(traced.attempts) for traced in told) == [0, 0, 1]
    assert len({traced.span_id for traced in told}) == 3
