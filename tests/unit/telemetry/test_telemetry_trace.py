"""Trace headers are taken over when they are valid, and made when they are not."""

from __future__ import annotations

import re

import pytest

from pulse_gateway.telemetry.trace import read_trace

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


def test_a_traceparent_is_taken_over_and_this_exchange_becomes_the_parent() -> None:
    trace = read_trace(f"00-{TRACE}-{PARENT}-01", "vendor=1", None)
    headers = dict(trace.upstream_headers())
    assert trace.trace_id == TRACE
    assert headers["traceparent"] == f"00-{TRACE}-{trace.span_id}-01"
    assert trace.span_id != PARENT
    assert headers["tracestate"] == "vendor=1"


def test_a_higher_version_with_more_fields_is_read_by_its_first_four() -> None:
    assert read_trace(f"01-{TRACE}-{PARENT}-01-more", None, None).trace_id == TRACE


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "garbage",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE.upper()}-{PARENT}-01",
    ],
)
def test_an_invalid_traceparent_is_replaced_and_its_tracestate_dropped(bad: str) -> None:
    trace = read_trace(bad, "vendor=1", None)
    assert re.fullmatch(r"[0-9a-f]{32}", trace.trace_id)
    assert trace.trace_id != TRACE
    assert "tracestate" not in dict(trace.upstream_headers())


def test_amazons_header_gives_the_trace_id_and_goes_on_unchanged() -> None:
    header = "Self=1-00000001-aaaaaaaaaaaaaaaaaaaaaaaa;Root=1-67891233-abcdef012345678912345678;Sampled=1;Lineage=a:b"
    trace = read_trace(None, None, header)
    assert trace.trace_id == "67891233abcdef012345678912345678"
    assert trace.flags == "01"
    assert dict(trace.upstream_headers())["x-amzn-trace-id"] == header


def test_the_standards_header_wins_over_amazons_and_both_go_on() -> None:
    trace = read_trace(f"00-{TRACE}-{PARENT}-00", None, "Root=1-67891233-abcdef012345678912345678")
    assert trace.trace_id == TRACE
    assert "x-amzn-trace-id" in dict(trace.upstream_headers())
