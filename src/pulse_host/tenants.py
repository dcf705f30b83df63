"""What `pulse tenants` does."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from pulse_gateway.errors import ConfigError
from pulse_gateway.store.limits_json import LimitsChange
from pulse_gateway.store.tenants import TENANT_ID, Tenant, add_tenant, list_tenants, update_tenant
from pulse_host.limit_options import LimitsShown, shown

__all__ = ["TenantRow", "create", "rows", "update"]


class TenantRow(msgspec.Struct, frozen=True):
    """What is shown of one tenant."""

    HEADINGS: ClassVar[str] = f"{'tenant':<24} {'users':>6}  {'limits':<40} name"

    tenant: str
    name: str
    users: int
    limits: LimitsShown
    created_at: str

    def line(self) -> str:
        return f"{self.tenant:<24} {self.users:>6}  {self.limits.line():<40} {self.name}"


async def create(pool: Any, tenant_id: str, name: str | None, limits: LimitsChange) -> TenantRow:
    """Raises: ConfigError for an id that is taken or cannot be one."""
    if not TENANT_ID.fullmatch(tenant_id):
        raise ConfigError(
            f"{tenant_id!r} cannot name a tenant: up to 64 letters, digits and . _ - and a letter or a digit first"
        )
    _check_name(name)
    async with pool.acquire() as connection:
        made = await add_tenant(connection, tenant_id, name=name, limits=limits.put)
    if made is None:
        raise ConfigError(f"there is a tenant {tenant_id!r} already; change it with `pulse tenants update {tenant_id}`")
    return _row(made)


async def rows(pool: Any) -> list[TenantRow]:
    async with pool.acquire() as connection:
        return [_row(tenant) for tenant in await list_tenants(connection)]


async def update(pool: Any, tenant_id: str, name: str | None, limits: LimitsChange) -> TenantRow:
    """Raises: ConfigError when there is no such tenant, or nothing to change."""
    if name is None and limits == LimitsChange():
        raise ConfigError("nothing to change; name a limit, or --name")
    _check_name(name)
    async with pool.acquire() as connection:
        if not await update_tenant(connection, tenant_id, name=name, change=limits):
            raise ConfigError(f"there is no tenant {tenant_id!r}; see `pulse tenants list`")
        (changed,) = await list_tenants(connection, tenant_id)
    return _row(changed)


def _check_name(name: str | None) -> None:
    if name is not None and not (name.strip() and name.isprintable()):
        raise ConfigError("--name may hold printable characters only, and some")


def _row(tenant: Tenant) -> TenantRow:
    return TenantRow(
        tenant=tenant.tenant_id,
        name=tenant.name,
        users=tenant.users,
        limits=shown(tenant.limits),
        created_at=tenant.created_at.isoformat(),
    )
