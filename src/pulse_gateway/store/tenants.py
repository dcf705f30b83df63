"""Tenants in Postgres: whom users and keys belong to, and what all of a tenant's users may do together."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec

from pulse_gateway.store.limits_json import LimitsChange, decode_limits, encode_limits
from pulse_gateway.store.statements import statement
from pulse_gateway.types.identity import NO_ALLOWANCE, Allowance

__all__ = ["TENANT_ID", "Tenant", "add_tenant", "list_tenants", "update_tenant"]

TENANT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a new tenant may be called in keys, logs and addresses."""


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """`users` is how many there are."""

    tenant_id: str
    name: str
    limits: Allowance
    created_at: datetime
    users: int


async def add_tenant(
    connection: Any, tenant_id: str, *, name: str | None = None, limits: Allowance = NO_ALLOWANCE
) -> Tenant | None:
    """Make a tenant; None if there is one with this id. `name` is for people; default: the id.

    Raises: ValueError for an id that is not of the form `TENANT_ID`.
    """
    if not TENANT_ID.fullmatch(tenant_id):
        raise ValueError(f"{tenant_id!r} cannot be the id of a tenant")
    row = await connection.fetchrow(statement("insert_tenant"), tenant_id, name or tenant_id, encode_limits(limits))
    return None if row is None else _tenant(row)


async def list_tenants(connection: Any, tenant_id: str | None = None) -> list[Tenant]:
    """Every tenant, by id, or the one with this id."""
    return [_tenant(row) for row in await connection.fetch(statement("list_tenants"), tenant_id)]


async def update_tenant(connection: Any, tenant_id: str, *, name: str | None, change: LimitsChange) -> bool:
    """Rename a tenant, unless `name` is None, and change its limits; False if there is none. Gateways notice within a minute."""
    changed = await connection.fetchval(
        statement("update_tenant"), tenant_id, name, list(change.forget), encode_limits(change.put)
    )
    return changed is not None


def _tenant(row: Any) -> Tenant:
    return msgspec.convert({**row, "limits": decode_limits(row["limits"])}, Tenant)
