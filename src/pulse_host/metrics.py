"""Prometheus metrics. Labels come from configuration and enumerations alone, never from a request, so that they stay few.

With several workers each series carries the label `worker`, and whichever worker is asked answers with the figures of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric

from pulse_gateway.telemetry.alert import BudgetAlert
from pulse_gateway.telemetry.record import ExchangeRecord
from pulse_host.exchange_counts import ExchangeCounts

__all__ = ["CONTENT_TYPE", "Metrics", "Others"]

CONTENT_TYPE = CONTENT_TYPE_LATEST.replace("; charset=utf-8", "")  # Litestar adds it


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
        exchanges = ExchangeCounts()
        self._registry.register(exchanges)
        self.observe: Callable[[ExchangeRecord], None] = exchanges.observe
        """To be called with each exchange that has ended, on the event loop."""
        self._alerts = Counter(
            "pulse_budget_alerts",
            "Monthly limits used up to so many percent",
            ("kind", "percent"),
            registry=self._registry,
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
