"""Counting exchanges in a quick way of our own: the page is the one that Prometheus' own client makes."""

from __future__ import annotations

import re
import time
from itertools import product
from typing import Any

import prometheus_client
import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from pulse_gateway.telemetry.record import ExchangeRecord
from pulse_host.exchange_counts import ExchangeCounts

BUCKETS = tuple(0.01 * 2**power for power in range(14))
RECORD = ExchangeRecord(
    request_id="r",
    trace_id="t",
    tenant_id="default",
    user_id="u",
    key_id=None,
    dialect="openai.chat",
    operation="chat",
    stream=False,
    model="echo",
    provider="echo",
    provider_model="echo",
    attempts=1,
    outcome="completed",
    status=200,
    error_code=None,
    upstream_status=None,
    input_tokens=3,
    cached_input_tokens=None,
    output_tokens=4,
    reasoning_tokens=None,
    total_tokens=7,
    usage_source="provider",
    cost_nano_usd=12,
    first_byte_ms=250.0,  # sums of such seconds are exact in any order
    total_ms=500.0,
)


class ByTheClient:
    """The same with the client's own counters."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        labels: tuple[str, ...] = ("dialect", "provider", "outcome", "status")
        self.exchanges = Counter("pulse_exchanges", "Exchanges that ended", labels, registry=registry)
        self.attempts = Counter("pulse_attempts", "Upstream calls", ("provider",), registry=registry)
        labels = ("provider", "direction", "source")
        self.tokens = Counter("pulse_tokens", "Tokens used", labels, registry=registry)
        said = "Cost in nano-dollars, of models with a price"
        self.cost = Counter("pulse_cost_nano_usd", said, ("provider",), registry=registry)
        settings: dict[str, Any] = {"buckets": BUCKETS, "registry": registry}
        name, labels = "pulse_exchange_duration_seconds", ("dialect", "provider")
        self.duration = Histogram(name, "Time of an exchange", labels, **settings)
        name, said = "pulse_first_byte_seconds", "Time to the first byte of an answer"
        self.first_byte = Histogram(name, said, ("provider",), **settings)

    def observe(self, record: ExchangeRecord) -> None:
        provider = record.provider or "none"
        self.exchanges.labels(record.dialect, provider, record.outcome, record.status).inc()
        self.duration.labels(record.dialect, provider).observe(record.total_ms / 1000)
        if record.attempts:
            self.attempts.labels(provider).inc(record.attempts)
        if record.first_byte_ms is not None:
            self.first_byte.labels(provider).observe(record.first_byte_ms / 1000)
        for direction, tokens in (("input", record.input_tokens), ("output", record.output_tokens)):
            if tokens:
                self.tokens.labels(provider, direction, record.usage_source).inc(tokens)
        if record.cost_nano_usd:
            self.cost.labels(provider).inc(record.cost_nano_usd)


def _page(counts: ExchangeCounts) -> str:
    registry = CollectorRegistry()
    registry.register(counts)
    return generate_latest(registry).decode()


def _without_moments(page: str) -> list[str]:
    return sorted(re.sub(r"(_created(\{.*\})? ).*", r"\1", line) for line in page.splitlines())


@pytest.fixture
def records() -> list[ExchangeRecord]:
    bounds_ms = [bound * 1000 for bound in BUCKETS]
    times = [0.0, 0.5, *bounds_ms, *(bound + 0.25 for bound in bounds_ms), 1e6]
    made = [replace(RECORD, total_ms=ms, first_byte_ms=ms) for ms in times]
    several = product(
        ("openai.chat", "anthropic"), ('q"uo\\te\n', None), (("completed", 200), ("failed", 502)), ("provider", "none")
    )
    for dialect, provider, (outcome, status), source in several:
        same = {"dialect": dialect, "provider": provider, "outcome": outcome, "status": status, "usage_source": source}
        made.append(replace(RECORD, **same, attempts=2))
        made.append(replace(RECORD, **same, attempts=0, first_byte_ms=None, input_tokens=None, output_tokens=0))
        made.append(replace(RECORD, **same, cost_nano_usd=None, output_tokens=10**12))
    return made


def test_the_page_is_the_one_that_the_client_makes(records: list[ExchangeRecord]) -> None:
    counts, client = ExchangeCounts(), ByTheClient()
    assert _without_moments(_page(counts)) == _without_moments(generate_latest(client.registry).decode())
    for record in records:
        counts.observe(record)
        client.observe(record)
    assert _without_moments(_page(counts)) == _without_moments(generate_latest(client.registry).decode())


def test_what_was_never_used_is_not_told() -> None:
    counts = ExchangeCounts()
    counts.observe(replace(RECORD, provider=None, attempts=0, input_tokens=0, cost_nano_usd=None, first_byte_ms=None))
    page = _page(counts)
    assert "pulse_attempts_total{" not in page
    assert "pulse_cost_nano_usd_total{" not in page
    assert "pulse_first_byte_seconds_count{" not in page
    assert 'direction="input"' not in page
    assert 'pulse_tokens_total{direction="output",provider="none",source="provider"} 4.0' in page


def test_a_series_says_since_when_it_is_counted() -> None:
    before = time.time()
    counts = ExchangeCounts()
    counts.observe(RECORD)
    counts.observe(replace(RECORD, status=201))
    [told] = re.findall(r'pulse_attempts_created\{provider="echo"\} (\S+)', _page(counts))
    assert before <= float(told) <= time.time()


def test_moments_are_not_told_where_the_client_is_told_not_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus_client.metrics, "_use_created", False)
    counts = ExchangeCounts()
    counts.observe(RECORD)
    assert "_created" not in _page(counts)
