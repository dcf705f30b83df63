"""All that was used in a month, for a server that counts in its own memory."""

from __future__ import annotations

from typing import Any

__all__ = ["month_balances"]

_BALANCES = "select tenant_id, account, kind, amount from usage_balance where period = $1"
_PATIENCE_S = 30.0


async def month_balances(pool: Any, period: int) -> dict[str, dict[str, dict[str, int]]]:
    """By tenant, account and kind, for a month (`202611`)."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for tenant_id, account, kind, amount in await pool.fetch(_BALANCES, period, timeout=_PATIENCE_S):
        found.setdefault(tenant_id, {}).setdefault(account, {})[kind] = amount
    return found
