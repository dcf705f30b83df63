"""The exposition of one process, and of several."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pulse_gateway.telemetry.alert import BudgetAlert
from pulse_gateway.telemetry.record import ExchangeRecord
from pulse_host.metrics import Metrics
from pulse_host.siblings import Siblings

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
    first_byte_ms=1.0,
    total_ms=2.0,
)
ALERT = BudgetAlert(
    tenant_id="default",
    account="u",
    kind="tokens",
    period=202611,
    percent=80,
    limit=10,
    used=8,
    request_id="r",
    at=0.0,
)


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="pulse-") as name:  # pytest's own are too deep for a socket
        yield Path(name)


async def samples(metrics: Metrics) -> dict[tuple[str, str | None], float]:
    """Name and worker → value, of everything but the moments of creation."""
    page = (await metrics.page()).decode()
    return {
        (sample.name, sample.labels.get("worker")): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if not sample.name.endswith(("_created", "_bucket"))
    }


async def test_one_process_tells_its_own_figures_without_a_worker() -> None:
    metrics = Metrics()
    metrics.observe(RECORD)
    metrics.alert(ALERT)
    metrics.gauge("pulse_level", "A level", lambda: 2.5)
    metrics.count("pulse_done", "A count", lambda: 3)
    metrics.counts("pulse_sorted", "Counts", "kind", lambda: {"a": 1})
    found = await samples(metrics)
    assert found["pulse_exchanges_total", None] == 1
    assert found["pulse_budget_alerts_total", None] == 1
    assert found["pulse_level", None] == 2.5
    assert found["pulse_done_total", None] == 3
    assert found["pulse_sorted_total", None] == 1


async def test_whichever_worker_is_asked_tells_the_figures_of_all(folder: Path) -> None:
    first, second = Metrics(worker=1), Metrics(worker=2)
    for metrics, times in ((first, 2), (second, 3)):
        for _ in range(times):
            metrics.observe(RECORD)
        metrics.gauge("pulse_level", "A level", lambda times=times: times)
    async with (
        Siblings(folder, 1, first.snapshot) as first.others,
        Siblings(folder, 2, second.snapshot) as second.others,
    ):
        found = await samples(first)
        assert found == await samples(second)
    assert (found["pulse_exchanges_total", "1"], found["pulse_exchanges_total", "2"]) == (2, 3)
    assert (found["pulse_level", "1"], found["pulse_level", "2"]) == (2, 3)
    assert all(worker is not None for _, worker in found)


async def test_each_family_is_told_once_with_its_type(folder: Path) -> None:
    first, second = Metrics(worker=1), Metrics(worker=2)
    second.count("pulse_second_alone", "Only the second has it", lambda: 1)
    async with (
        Siblings(folder, 1, first.snapshot) as first.others,
        Siblings(folder, 2, second.snapshot),
    ):
        page = (await first.page()).decode()
    types = re.findall(r"(?m)^# TYPE (\S+)", page)
    assert len(types) == len(set(types))
    assert 'pulse_second_alone_total{worker="2"} 1.0' in page


async def test_a_worker_that_has_died_is_left_out(folder: Path) -> None:
    first = Metrics(worker=1)
    first.observe(RECORD)
    (folder / "2").touch()  # what a killed one leaves: a name that nobody answers to
    async with Siblings(folder, 1, first.snapshot) as first.others:
        assert {worker for _, worker in await samples(first)} == {"1"}


async def test_a_worker_takes_the_place_of_the_one_that_died(folder: Path) -> None:
    (folder / "1").touch()
    async with Siblings(folder, 1, lambda: b"x"), Siblings(folder, 2, lambda: b"y") as other:
        assert await other.told() == [b"x"]
