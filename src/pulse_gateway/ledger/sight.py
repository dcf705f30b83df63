"""Whether a connection may write for every tenant: row-level security lets a session see those it names (0004_tenants.sql)."""

from __future__ import annotations

from typing import Any

from pulse_gateway.errors import ConfigError

__all__ = ["ADVICE", "require_sight"]

ADVICE = 'open the pool with server_settings={"app.tenant_id": "*"}, or run `alter role … set app.tenant_id = \'*\'` for its role'
_SIGHT = """
select coalesce(current_setting('app.tenant_id', true), '') = '*'
    or (select rolsuper or rolbypassrls from pg_roles where rolname = current_user)
"""


async def require_sight(connection: Any, timeout_s: float) -> None:
    """Raises: ConfigError when row-level security will refuse what is written; what the driver raises."""
    if not await connection.fetchval(_SIGHT, timeout=timeout_s):
        raise ConfigError(
            f"the ledger's connections do not say for whom they write, so row-level security refuses it: {ADVICE}"
        )
