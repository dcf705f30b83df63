"""What `pulse keys` does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import msgspec

from pulse_gateway.config import Config
from pulse_gateway.errors import ConfigError
from pulse_gateway.store.limits_json import LimitsChange
from pulse_gateway.store.postgres import (
    KeyRecord,
    add_key,
    find_users,
    limit_key,
    list_keys,
    revoke_key,
    save_user,
)
from pulse_host.limit_options import LimitsShown, shown

__all__ = ["Created", "KeyRow", "create", "limit", "revoke", "rows"]


_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")


class KeyRow(msgspec.Struct, frozen=True):
    """What a list shows of one key."""

    HEADINGS: ClassVar[str] = (
        f"{'key id':<12} {'key':<18} {'state':<8} {'plan':<10} {'tenant':<12} {'user':<30} {'user id':<36} {'limits':<20} {'scopes':<8} name"
    )

    key_id: str
    key: str
    user: str
    user_id: str
    tenant: str
    plan: str
    limits: LimitsShown
    name: str
    state: str
    created_at: str
    scopes: list[str] = []

    def line(self) -> str:
        return (
            f"{self.key_id:<12} {self.key:<18} {self.state:<8} {self.plan:<10} {self.tenant:<12} {self.user:<30} "
            f"{self.user_id:<36} {self.limits.line():<20} {','.join(self.scopes) or '-':<8} {self.name}"
        )


class Created(msgspec.Struct, frozen=True):
    secret: str
    row: KeyRow


async def create(
    pool: Any,
    config: Config,
    email: str,
    name: str,
    plan: str | None,
    environment: Literal["live", "test"] | str,
    *,
    tenant_id: str,
    limits: LimitsChange,
    scopes: Sequence[str] = (),
) -> Created:
    """A key for the user of a tenant with this address, who is made if new. An existing user keeps the plan unless one is named.

    Raises: ConfigError for an address, a plan or a tenant that cannot be.
    """
    if not _EMAIL.fullmatch(email) or not email.isprintable():
        raise ConfigError(f"--user {email!r} is not an e-mail address")
    if not name.isprintable():
        raise ConfigError("--name may hold printable characters only")
    async with pool.acquire() as connection:
        known = next(iter(await find_users(connection, email, tenant_id=tenant_id)), None)
        asked = plan or (known.plan if known else config.default_plan)
        chosen = config.plan_named(asked)
        if chosen is None:
            raise ConfigError(f"there is no plan {asked!r}; known: {', '.join(config.plan_table())}")
        try:
            user = (
                known
                if known and known.plan == chosen
                else await save_user(connection, email=email, plan=chosen, tenant_id=tenant_id)
            )
        except LookupError as error:
            raise ConfigError(f"{error}; make it with `pulse tenants create {tenant_id}`") from error
        secret, record = await add_key(
            connection,
            user_id=user.user_id,
            name=name,
            limits=limits.put,
            scopes=scopes,
            environment="test" if environment == "test" else "live",
        )
    return Created(secret, _row(record))


async def rows(pool: Any, user: str | None, tenant_id: str | None) -> list[KeyRow]:
    """Raises: ConfigError when there is no such user."""
    async with pool.acquire() as connection:
        user_ids = None
        if user is not None:
            user_ids = [found.user_id for found in await find_users(connection, user, tenant_id=tenant_id)]
            if not user_ids:
                raise ConfigError(f"there is no user {user!r}")
        return [_row(record) for record in await list_keys(connection, user_ids=user_ids, tenant_id=tenant_id)]


async def limit(pool: Any, key_id: str, limits: LimitsChange) -> None:
    """Raises: ConfigError when there is no such live key, or nothing to change."""
    if limits == LimitsChange():
        raise ConfigError("nothing to change; name a limit")
    async with pool.acquire() as connection:
        if not await limit_key(connection, key_id, limits):
            raise ConfigError(f"there is no live key {key_id!r}; see `pulse keys list`")


async def revoke(pool: Any, key_id: str) -> bool:
    async with pool.acquire() as connection:
        return await revoke_key(connection, key_id)


def _row(record: KeyRecord) -> KeyRow:
    return KeyRow(
        key_id=record.key_id,
        key=f"{record.prefix}…{record.last4}",
        user=record.email or record.user_id,
        user_id=record.user_id,
        tenant=record.tenant_id,
        plan=record.plan,
        limits=shown(record.limits),
        name=record.name,
        state="revoked" if record.revoked_at else "live",
        created_at=record.created_at.isoformat(),
        scopes=list(record.scopes),
    )
