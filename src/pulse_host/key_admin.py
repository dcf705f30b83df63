"""What `pulse keys` does."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal

import msgspec

from pulse_gateway.config import Config
from pulse_gateway.errors import ConfigError
from pulse_gateway.store.postgres import KeyRecord, add_key, find_user, list_keys, revoke_key, save_user

__all__ = ["Created", "KeyRow", "create", "revoke", "rows"]


_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")


class Created(msgspec.Struct, frozen=True):
    secret: str
    record: KeyRecord
    plan: str


class KeyRow(msgspec.Struct, frozen=True):
    """What a list shows of one key."""

    HEADINGS: ClassVar[str] = f"{'key id':<12} {'key':<18} {'state':<8} {'plan':<10} {'user':<30} name"

    key_id: str
    key: str
    user: str
    plan: str
    name: str
    state: str
    created_at: str

    def line(self) -> str:
        return f"{self.key_id:<12} {self.key:<18} {self.state:<8} {self.plan:<10} {self.user:<30} {self.name}"


async def create(
    pool: Any, config: Config, email: str, name: str, plan: str | None, environment: Literal["live", "test"] | str
) -> Created:
    """A key for the user with this address, who is made if new. An existing user keeps the plan unless one is named.

    Raises: ConfigError for an address or a plan that cannot be.
    """
    if not _EMAIL.fullmatch(email):
        raise ConfigError(f"--user {email!r} is not an e-mail address")
    if not name.isprintable():
        raise ConfigError("--name may hold printable characters only")
    async with pool.acquire() as connection:
        known = await find_user(connection, email)
        asked = plan or (known.plan if known else config.default_plan)
        chosen = config.plan_named(asked)
        if chosen is None:
            raise ConfigError(f"there is no plan {asked!r}; known: {', '.join(config.plan_table())}")
        user = known if known and known.plan == chosen else await save_user(connection, email=email, plan=chosen)
        secret, record = await add_key(
            connection, user_id=user.user_id, name=name, environment="test" if environment == "test" else "live"
        )
    return Created(secret, record, chosen)


async def rows(pool: Any, user: str | None) -> list[KeyRow]:
    """Raises: ConfigError when there is no such user."""
    async with pool.acquire() as connection:
        user_id = None
        if user is not None:
            found = await find_user(connection, user)
            if found is None:
                raise ConfigError(f"there is no user {user!r}")
            user_id = found.user_id
        return [_row(record) for record in await list_keys(connection, user_id=user_id)]


async def revoke(pool: Any, key_id: str) -> bool:
    async with pool.acquire() as connection:
        return await revoke_key(connection, key_id)


def _row(record: KeyRecord) -> KeyRow:
    return KeyRow(
        key_id=record.key_id,
        key=f"{record.prefix}…{record.last4}",
        user=record.email or record.user_id,
        plan=record.plan,
        name=record.name,
        state="revoked" if record.revoked_at else "live",
        created_at=record.created_at.isoformat(),
    )
