"""What exchanges came to, counted as they end and told when somebody asks.

Prometheus' own counters take a lock, and a call for every label and bucket, each time. Here an exchange is one look-up and a few
additions; the series that the page shows are sums over these, and are made when it is made.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

from prometheus_client import Counter
from prometheus_client.metrics_core import Metric
from prometheus_client.utils import floatToGoString

from pulse_gateway.telemetry.record import ExchangeRecord

__all__ = ["ExchangeCounts"]

_SECONDS: Final = tuple(0.01 * 2**power for power in range(14))  # the buckets of OpenTelemetry's GenAI conventions
_BOUNDS: Final = tuple(map(floatToGoString, (*_SECONDS, float("inf"))))


class _Tally:
    """What the exchanges came to that have all labels in common. A class of slots: nothing is added to more quickly."""

    __slots__ = (
        "attempts",
        "cost_nano_usd",
        "durations",
        "exchanges",
        "first_bytes",
        "first_bytes_s",
        "input_tokens",
        "output_tokens",
        "since",
        "total_s",
    )

    def __init__(self) -> None:
        self.since = time.time()
        self.exchanges = self.attempts = 0
        self.input_tokens = self.output_tokens = self.cost_nano_usd = 0
        self.total_s = self.first_bytes_s = 0.0
        self.durations = [0] * len(_BOUNDS)  # by the first bound that they do not exceed
        self.first_bytes = [0] * len(_BOUNDS)


class ExchangeCounts:
    """`observe` each exchange, on one thread; `collect` makes the families that a registry of Prometheus' client asks for."""

    def __init__(self) -> None:
        # By dialect, provider, outcome, status and the source of the usage: configuration and enumerations, so there are few.
        self._tallies: dict[tuple[str, str | None, str, int, str], _Tally] = {}
        [family] = Counter("created", "", registry=None).collect()
        self._tells_since = (
            len(family.samples) > 1
        )  # as the client does for its own series: its environment may forbid it

    def observe(self, record: ExchangeRecord) -> None:
        labels = (record.dialect, record.provider, record.outcome, record.status, record.usage_source)
        tally = self._tallies.get(labels)
        if tally is None:
            tally = self._tallies[labels] = _Tally()
        tally.exchanges += 1
        tally.attempts += record.attempts
        seconds = record.total_ms / 1000
        tally.total_s += seconds
        tally.durations[bisect_left(_SECONDS, seconds)] += 1
        if (first_byte_ms := record.first_byte_ms) is not None:
            seconds = first_byte_ms / 1000
            tally.first_bytes_s += seconds
            tally.first_bytes[bisect_left(_SECONDS, seconds)] += 1
        if tokens := record.input_tokens:
            tally.input_tokens += tokens
        if tokens := record.output_tokens:
            tally.output_tokens += tokens
        if cost := record.cost_nano_usd:
            tally.cost_nano_usd += cost

    def collect(self) -> Iterable[Metric]:
        exchanges = _Sums("pulse_exchanges", "Exchanges that ended", "dialect", "provider", "outcome", "status")
        attempts = _Sums("pulse_attempts", "Upstream calls", "provider")
        tokens = _Sums("pulse_tokens", "Tokens used", "provider", "direction", "source")
        cost = _Sums("pulse_cost_nano_usd", "Cost in nano-dollars, of models with a price", "provider")
        durations = _Times("pulse_exchange_duration_seconds", "Time of an exchange", "dialect", "provider")
        first_bytes = _Times("pulse_first_byte_seconds", "Time to the first byte of an answer", "provider")
        for (dialect, named, outcome, status, source), tally in self._tallies.items():
            provider, since = named or "none", tally.since
            exchanges.add((dialect, provider, outcome, str(status)), since, tally.exchanges)
            attempts.add((provider,), since, tally.attempts)
            tokens.add((provider, "input", source), since, tally.input_tokens)
            tokens.add((provider, "output", source), since, tally.output_tokens)
            cost.add((provider,), since, tally.cost_nano_usd)
            durations.add((dialect, provider), since, tally.durations, tally.total_s)
            first_bytes.add((provider,), since, tally.first_bytes, tally.first_bytes_s)
        for family in (exchanges, attempts, tokens, cost, durations, first_bytes):
            yield family.metric(tells_since=self._tells_since)


class _Sums:
    """A counter by its labels. What nothing was added to is not told."""

    def __init__(self, name: str, documentation: str, *labels: str) -> None:
        self._name, self._documentation, self._labels = name, documentation, labels
        self._series: dict[tuple[str, ...], tuple[float, int]] = {}

    def add(self, labels: tuple[str, ...], since: float, count: int) -> None:
        if count:
            before, sum_before = self._series.get(labels, (since, 0))
            self._series[labels] = (min(since, before), sum_before + count)

    def metric(self, *, tells_since: bool) -> Metric:
        metric = Metric(self._name, self._documentation, "counter")
        for values, (since, count) in self._series.items():
            labels = dict(zip(self._labels, values, strict=True))
            metric.add_sample(f"{self._name}_total", labels, count)
            if tells_since:
                metric.add_sample(f"{self._name}_created", labels, since)
        return metric


class _Times:
    """A histogram by its labels, in seconds. What has no observation is not told."""

    def __init__(self, name: str, documentation: str, *labels: str) -> None:
        self._name, self._documentation, self._labels = name, documentation, labels
        self._series: dict[tuple[str, ...], tuple[float, list[int], float]] = {}

    def add(self, labels: tuple[str, ...], since: float, counts: list[int], seconds: float) -> None:
        if any(counts):
            before, counts_before, sum_before = self._series.get(labels, (since, [0] * len(counts), 0.0))
            added = [one + other for one, other in zip(counts_before, counts, strict=True)]
            self._series[labels] = (min(since, before), added, sum_before + seconds)

    def metric(self, *, tells_since: bool) -> Metric:
        metric = Metric(self._name, self._documentation, "histogram")
        for values, (since, counts, seconds) in self._series.items():
            labels = dict(zip(self._labels, values, strict=True))
            up_to = 0
            for bound, count in zip(_BOUNDS, counts, strict=True):
                up_to += count
                metric.add_sample(f"{self._name}_bucket", {**labels, "le": bound}, up_to)
            metric.add_sample(f"{self._name}_count", labels, up_to)
            metric.add_sample(f"{self._name}_sum", labels, seconds)
            if tells_since:
                metric.add_sample(f"{self._name}_created", labels, since)
        return metric
