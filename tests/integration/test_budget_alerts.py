"""Alerts on monthly limits: each is given once, whoever notices it and whatever becomes of Postgres."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import structlog

from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.telemetry.alert import BudgetAlert
from pulse_host.alerts import Alerts

ALERT = BudgetAlert(
    tenant_id="default",
    account="u1",
    kind="cost_nano_usd",
    period=202611,
    percent=80,
    limit=100,
    used=81,
    request_id="r1",
    at=1.0,
)


class Server:
    """One that notices alerts; `told` are those it gave."""

    def __init__(self, pool: Any) -> None:
        self.told: list[BudgetAlert] = []
        self.alerts = Alerts(pool, count=self.told.append)

    async def notice(self, *alerts: BudgetAlert) -> None:
        for alert in alerts:
            self.alerts(alert)
        await self.alerts.aclose()


@pytest.fixture
def server(pool: Any) -> Callable[[], Server]:
    return lambda: Server(pool)


async def rows(pool: Any) -> list[tuple[str, int]]:
    found = await pool.fetch("select account, percent from budget_alert order by account, percent")
    return [tuple(row) for row in found]


async def test_an_alert_is_given_once_by_all_servers_together(server: Callable[[], Server], pool: Any) -> None:
    first, second = server(), server()
    with structlog.testing.capture_logs() as logs:
        await first.notice(ALERT, msgspec.structs.replace(ALERT, percent=100, used=100))
        await second.notice(ALERT)
        await first.notice(ALERT)
    assert [each.percent for each in first.told] == [80, 100]
    assert second.told == []
    assert [(line["event"], line["log_level"], line["percent"], line["account"]) for line in logs] == [
        ("budget alert", "warning", 80, "u1"),
        ("budget alert", "warning", 100, "u1"),
    ]
    assert await rows(pool) == [("u1", 80), ("u1", 100)]


async def test_without_postgres_it_is_given_at_once_and_written_later_without_being_given_again(
    server: Callable[[], Server], pool: Any, database: Any
) -> None:
    one = server()
    await database.go_away()
    await one.notice(ALERT)
    assert one.told == [ALERT]
    with pytest.raises(StoreUnavailable):
        await one.alerts.flush()
    assert one.told == [ALERT]
    await database.come_back()
    await one.alerts.flush()
    assert one.told == [ALERT]
    assert await rows(pool) == [("u1", 80)]
    other = server()
    await other.notice(ALERT)
    assert other.told == []
