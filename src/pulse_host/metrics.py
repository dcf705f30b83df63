"""Prometheus metrics. Labels come from configuration and enumerations alone, never from a request, so that they stay few.

With several workers each series carries the label `worker`, and whichever worker is asked answers with the figures of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Protocol

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric

from pulse_gateway.telemetry.alert import BudgetAlert
from pulse_gateway.telemetry.record import ExchangeRecord

__all__ = ["CONTENT_TYPE", "Metrics", "Others"]

CONTENT_TYPE = CONTENT_TYPE_LATEST.replace("; charset=utf-8", "")  # Litestar adds it
_SECONDS = tuple(0.01 * 2**power for power in range(14))  # the buckets of OpenTelemetry's GenAI conventions
_CHILDREN = 1024  # of one metric at hand; more are looked up


class Others(Protocol):
    """The other workers of this server."""

    async def told(self) -> list[bytes]:
        """What `Metrics.snapshot` of each of them said, without those that did not answer."""
        ...


class _Family(msgspec.Struct, frozen=True, array_like=True):
    """One metric with its samples: name, labels, value."""

    name: str
    documentation: str
    type: str
    samples: list[tuple[str, dict[str, str], float]]


_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.Decoder(list[_Family]).decode


class Metrics:
    """`observe` each exchange, `alert` each alert, `gauge` what else there is to look at; `page` is the exposition.

    `worker` is this process's number, where there are several; `others` are then to be set.
    """

    def __init__(self, *, worker: int | None = None) -> None:
        self._worker = worker
        self.others: Others | None = None
        self._registry = CollectorRegistry()
        registry = self._registry
        exchanges = Counter(
            "pulse_exchanges", "Exchanges that ended", ("dialect", "provider", "outcome", "status"), registry=registry
        )
        attempts = Counter("pulse_attempts", "Upstream calls", ("provider",), registry=registry)
        tokens = Counter("pulse_tokens", "Tokens used", ("provider", "direction", "source"), registry=registry)
        cost = Counter(
            "pulse_cost_nano_usd", "Cost in nano-dollars, of models with a price", ("provider",), registry=registry
        )
        duration = Histogram(
            "pulse_exchange_duration_seconds",
            "Time of an exchange",
            ("dialect", "provider"),
            buckets=_SECONDS,
            registry=registry,
        )
        first_byte = Histogram(
            "pulse_first_byte_seconds",
            "Time to the first byte of an answer",
            ("provider",),
            buckets=_SECONDS,
            registry=registry,
        )
        # The child of given labels stays the same one; the client would look for it under a lock each time.
        self._exchanges = lru_cache(_CHILDREN)(exchanges.labels)
        self._attempts = lru_cache(_CHILDREN)(attempts.labels)
        self._tokens = lru_cache(_CHILDREN)(tokens.labels)
        self._cost = lru_cache(_CHILDREN)(cost.labels)
        self._duration = lru_cache(_CHILDREN)(duration.labels)
        self._first_byte = lru_cache(_CHILDREN)(first_byte.labels)
        self._alerts = Counter(
            "pulse_budget_alerts", "Monthly limits used up to so many percent", ("kind", "percent"), registry=registry
        )

    def gauge(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """A figure that is read when somebody asks."""
        Gauge(name, documentation, registry=self._registry).set_function(read)

    def count(self, name: str, documentation: str, read: Callable[[], int]) -> None:
        """A count that somebody else keeps; it only grows."""
        self._registry.register(_Counts(name, documentation, lambda: [({}, read())]))

    def counts(self, name: str, documentation: str, label: str, read: Callable[[], Mapping[str, int]]) -> None:
        """The same by one label."""
        self._registry.register(
            _Counts(name, documentation, lambda: [({label: value}, count) for value, count in read().items()])
        )

    def alert(self, alert: BudgetAlert) -> None:
        self._alerts.labels(alert.kind, str(alert.percent)).inc()

    def observe(self, record: ExchangeRecord) -> None:
        provider = record.provider or "none"
        self._exchanges(record.dialect, provider, record.outcome, record.status).inc()
        self._duration(record.dialect, provider).observe(record.total_ms / 1000)
        if record.attempts:
            self._attempts(provider).inc(record.attempts)
        if record.first_byte_ms is not None:
            self._first_byte(provider).observe(record.first_byte_ms / 1000)
        for direction, tokens in (("input", record.input_tokens), ("output", record.output_tokens)):
            if tokens:
                self._tokens(provider, direction, record.usage_source).inc(tokens)
        if record.cost_nano_usd:
            self._cost(provider).inc(record.cost_nano_usd)

    def snapshot(self) -> bytes:
        """This process's figures, for another worker to show."""
        labels = {} if self._worker is None else {"worker": str(self._worker)}
        return _encode(
            [
                _Family(
                    metric.name,
                    metric.documentation,
                    metric.type,
                    [(each.name, {**each.labels, **labels}, each.value) for each in metric.samples],
                )
                for metric in self._registry.collect()
            ]
        )

    async def page(self) -> bytes:
        if self.others is None:
            return generate_latest(self._registry)
        merged = CollectorRegistry(auto_describe=False)
        snapshots = [self.snapshot(), *await self.others.told()]
        merged.register(_Merged(snapshots))
        return generate_latest(merged)


class _Counts:
    """Counts that are kept elsewhere, as Prometheus' client wants to read them."""

    def __init__(self, name: str, documentation: str, read: Callable[[], list[tuple[dict[str, str], int]]]) -> None:
        self._name, self._documentation, self._read = name, documentation, read

    def collect(self) -> Iterable[Metric]:
        metric = Metric(self._name, self._documentation, "counter")
        for labels, count in self._read():
            metric.add_sample(f"{self._name}_total", labels, count)
        yield metric


class _Merged:
    """The families of several processes, each family once."""

    def __init__(self, snapshots: list[bytes]) -> None:
        self._snapshots = snapshots

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for snapshot in self._snapshots:
            for family in _decode(snapshot):
                metric = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for name, labels, value in family.samples:
                    metric.add_sample(name, labels, value)
        yield from families.values()
