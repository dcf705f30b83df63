"""The table of the alerts that were given."""

from __future__ import annotations

from typing import Any

import asyncpg

from pulse_gateway.errors import StoreUnavailable
from pulse_gateway.telemetry.alert import BudgetAlert

__all__ = ["add_alert"]

_ADD = """
insert into budget_alert (tenant_id, account, period, kind, percent) values ($1, $2, $3, $4, $5)
on conflict do nothing returning true
"""


async def add_alert(pool: Any, alert: BudgetAlert) -> bool:
    """Whether the alert is new.

    Raises: StoreUnavailable.
    """
    try:
        new: bool | None = await pool.fetchval(
            _ADD, alert.tenant_id, alert.account, alert.period, alert.kind, alert.percent
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise StoreUnavailable(f"Postgres does not answer: {type(error).__name__}") from error
    return new is True
