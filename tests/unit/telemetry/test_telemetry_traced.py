"""Which traces are sampled, and what is kept of them."""

from __future__ import annotations

import pytest

from pulse_gateway.ids import new_trace_id
from pulse_gateway.telemetry.trace import TraceContext, read_trace
from pulse_gateway.telemetry.traced import Recording, Sampler, TracedExchange
from pulse_gateway.testing import FakeClock

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


def nobody(traced: TracedExchange) -> None:
    raise AssertionError("nothing has ended")


def begin(ratio: float, trace: TraceContext) -> TraceContext:
    clock = FakeClock()
    return Sampler(ratio, nobody, clock).begin(trace, clock.monotonic())


@pytest.mark.parametrize(
    ("ratio", "low_half", "sampled"),
    [
        (0.0, "0" * 16, False),
        (1.0, "f" * 16, True),
        (0.5, "7" + "f" * 15, True),
        (0.5, "8" + "0" * 15, False),
        (0.01, "028f5c28f5000000", True),
        (0.01, "028f5c28f6000000", False),
    ],
)
def test_a_trace_that_starts_here_is_chosen_by_the_lower_half_of_its_id(
    ratio: float, low_half: str, sampled: bool
) -> None:
    trace = TraceContext("f" * 16 + low_half, PARENT)
    found = begin(ratio, trace)
    assert found.recording is sampled
    assert found is trace or found.flags == "01"


def test_about_the_share_that_is_wanted_is_sampled() -> None:
    sampled = sum(begin(0.2, TraceContext(new_trace_id(), PARENT)).recording for _ in range(2000))
    assert 300 < sampled < 500


@pytest.mark.parametrize(("flags", "sampled"), [("01", True), ("03", True), ("00", False), ("02", False)])
@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_a_caller_who_has_decided_is_followed_and_its_flags_go_on(ratio: float, flags: str, sampled: bool) -> None:
    found = begin(ratio, read_trace(f"00-{TRACE}-{PARENT}-{flags}", "vendor=1", None))
    assert found.recording is sampled
    assert (found.flags, found.parent_id, found.tracestate) == (flags, PARENT, "vendor=1")


@pytest.mark.parametrize(
    ("said", "ratio", "sampled"),
    [
        (";Sampled=1", 0.0, True),
        (";Sampled=0", 1.0, False),
        (";Sampled=?", 1.0, True),
        ("", 1.0, True),
        ("", 0.0, False),
    ],
)
def test_amazons_header_decides_where_it_says_so(said: str, ratio: float, sampled: bool) -> None:
    header = f"Root=1-67891233-abcdef012345678912345678;Parent=53995C3F42CD8AD8{said}"
    found = begin(ratio, read_trace(None, None, header))
    assert found.recording is sampled
    assert found.parent_id == "53995c3f42cd8ad8"
    assert dict(found.upstream_headers())["x-amzn-trace-id"] == header


def test_what_is_not_sampled_goes_on_as_it_did() -> None:
    trace = read_trace(None, None, None)
    found = begin(0.0, trace)
    assert found is trace
    assert found.upstream_headers() == (("traceparent", f"00-{trace.trace_id}-{trace.span_id}-00"),)


def test_each_attempt_is_the_parent_of_what_its_provider_does() -> None:
    found = begin(1.0, read_trace(f"00-{TRACE}-{PARENT}-01", "vendor=1", None))
    assert isinstance(found, Recording)
    for _ in range(2):
        headers = dict(found.upstream_headers())
        assert headers == {"traceparent": f"00-{TRACE}-{found.attempt_id}-01", "tracestate": "vendor=1"}
    assert len({found.span_id, *found.span_ids}) == 3


def test_the_beginning_is_told_in_seconds_since_the_epoch() -> None:
    clock = FakeClock()
    started, at = clock.monotonic(), clock.now()
    clock.advance(2.0)
    found = Sampler(1.0, nobody, clock).begin(read_trace(None, None, None), started)
    assert isinstance(found, Recording)
    assert found.started_at == pytest.approx(at)
