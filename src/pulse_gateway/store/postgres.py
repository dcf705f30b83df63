"""Keys in Postgres: the look-up that authenticates requests, and the few actions of those who manage keys."""

from __future__ import annotations

import asyncio
import hmac
import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar

import asyncpg
import msgspec

from pulse_gateway.clock import Clock, SystemClock
from pulse_gateway.errors import PermissionDenied, StoreUnavailable, Unauthenticated
from pulse_gateway.store.keys import create_key, key_digest, key_parts, mistyped
from pulse_gateway.store.limits_json import LimitsChange, decode_limits, encode_limits
from pulse_gateway.store.statements import statement
from pulse_gateway.types.identity import Allowance, Plan, Principal

__all__ = [
    "KeyRecord",
    "PostgresKeyStore",
    "User",
    "add_key",
    "find_users",
    "limit_key",
    "list_keys",
    "revoke_key",
    "save_user",
]

_T = TypeVar("_T")

_log = logging.getLogger(__name__)

# All the ways in which Postgres can fail to answer: refused, cut, too slow, or an error of its own.
_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)


# ── authentication ────────────────────────────────────────────────────────────────────────────────────────────────────


class _Found(msgspec.Struct, kw_only=True):
    """A live key and its user, as last read. `key` and `tenant` are what all calls with this key, and of this tenant, may do.
    `principal` is what was made of them last: whoever prepares something for a caller knows it again at a glance.
    """

    key_id: str
    user_id: str
    tenant_id: str
    plan: str
    scopes: tuple[str, ...]
    key: Allowance
    tenant: Allowance
    expires_at: float | None  # seconds since the epoch
    read_at: float  # by the monotonic clock
    principal: Principal | None = None


class _Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A digest that authenticates nobody, and what to say about it."""

    message: str
    read_at: float


class PostgresKeyStore:
    """Authenticates by the digest of the whole key, mostly from memory.

    A key that was found is believed for `found_s` (so a revocation takes at most that long to be noticed everywhere), one
    that was not for `refused_s`. While Postgres does not answer, keys seen within `outage_s` still work and all others get
    StoreUnavailable; after a failed look-up the next is tried `retry_s` later, so that an outage costs callers no waiting.
    Concurrent look-ups of one key are one query. All four in seconds, as is `timeout_s`, which bounds a look-up, the wait for
    a connection included.

    `plans` maps the plan names in the database to their caps; assign a new mapping when the configuration changes.
    `given_keys` are keys an operator chose; they are exempt from the checksum that keys of our form must carry.
    """

    def __init__(
        self,
        pool: Any,
        plans: Mapping[str, Plan],
        *,
        given_keys: Iterable[str] = (),
        clock: Clock | None = None,
        found_s: float = 60.0,
        refused_s: float = 5.0,
        outage_s: float = 3600.0,
        retry_s: float = 1.0,
        timeout_s: float = 0.5,
        max_cached: int = 20_000,
    ) -> None:
        self.plans = plans
        self._pool = pool
        self._clock = clock or SystemClock()
        self._found_s, self._refused_s, self._outage_s, self._retry_s = found_s, refused_s, outage_s, retry_s
        self._timeout_s = timeout_s
        self._max_cached = max_cached
        self._given = frozenset(map(key_digest, given_keys))
        self._found: dict[bytes, _Found] = {}
        self._refused: dict[bytes, _Refused] = {}
        self._look_ups: dict[bytes, asyncio.Task[_Found | _Refused]] = {}
        self._touches: set[asyncio.Task[None]] = set()
        self._away_until = float("-inf")

    async def authenticate(self, secret: str, /) -> Principal:
        digest = key_digest(secret)
        now = self._clock.monotonic()
        found = self._found.get(digest)
        if found is not None and now - found.read_at < self._found_s:
            return self._principal(found)
        refused = self._refused.get(digest)
        if refused is not None and now - refused.read_at < self._refused_s:
            raise Unauthenticated(refused.message)
        if mistyped(secret) and digest not in self._given:
            raise Unauthenticated("the API key is mistyped: its checksum does not match")
        try:
            answer = await self._look_up_once(digest, now)
        except StoreUnavailable:
            if found is None or now - found.read_at >= self._outage_s:
                raise
            answer = found
        if isinstance(answer, _Refused):
            raise Unauthenticated(answer.message)
        return self._principal(answer)

    async def aclose(self) -> None:
        """Wait for what runs in the background. The pool stays open: it belongs to whoever made it."""
        await asyncio.gather(*self._look_ups.values(), *self._touches, return_exceptions=True)

    def _principal(self, found: _Found) -> Principal:
        if found.expires_at is not None and found.expires_at <= self._clock.now():
            raise Unauthenticated("the API key has expired")
        plan = self.plans.get(found.plan)
        if plan is None:
            raise PermissionDenied(f"this account is on the plan {found.plan!r}, which is not configured")
        known = found.principal
        if known is None or known.plan is not plan:
            known = found.principal = Principal(
                user_id=found.user_id,
                plan=plan,
                tenant_id=found.tenant_id,
                key_id=found.key_id,
                scopes=found.scopes,
                key=found.key,
                tenant=found.tenant,
            )
        return known

    async def _look_up_once(self, digest: bytes, now: float) -> _Found | _Refused:
        """The answer of the look-up for `digest` that is under way, or of a new one; it outlives a caller who leaves."""
        task = self._look_ups.get(digest)
        if task is None:
            if now < self._away_until:
                raise self._unavailable()
            task = asyncio.create_task(self._look_up(digest))
            self._look_ups[digest] = task
            task.add_done_callback(lambda done: self._looked_up(digest, done))
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.shield(task)
        except TimeoutError:
            self._away_until = self._clock.monotonic() + self._retry_s
            raise self._unavailable() from None

    def _unavailable(self) -> StoreUnavailable:
        return StoreUnavailable("keys cannot be checked at the moment", retry_after_s=self._retry_s)

    def _looked_up(self, digest: bytes, task: asyncio.Task[_Found | _Refused]) -> None:
        del self._look_ups[digest]
        if not task.cancelled():
            task.exception()  # marks it as seen, should every caller have left

    async def _look_up(self, digest: bytes) -> _Found | _Refused:
        try:
            async with asyncio.timeout(self._timeout_s), self._pool.acquire(timeout=self._timeout_s) as connection:
                row = await connection.fetchrow(statement("find_key"), digest)
        except _FAILURES as error:
            self._away_until = self._clock.monotonic() + self._retry_s
            _log.warning("a key could not be looked up: %s: %s", type(error).__name__, error)
            raise self._unavailable() from error
        try:
            answer = self._judge(digest, row)
        except msgspec.ValidationError as error:
            # Written past Pulse. Letting the key through without its limits would be worse than not letting it through.
            _log.error("the limits of key %s or its tenant %s are none: %s", row["key_id"], row["tenant_id"], error)
            raise self._unavailable() from error
        if isinstance(answer, _Found):
            self._keep(self._found, digest, answer)
            self._refused.pop(digest, None)
            self._touch(answer.key_id)
        else:
            self._keep(self._refused, digest, answer)
            self._found.pop(digest, None)
        return answer

    def _judge(self, digest: bytes, row: Any) -> _Found | _Refused:
        read_at = self._clock.monotonic()
        if row is None or not hmac.compare_digest(row["digest"], digest):
            return _Refused(message="the API key is not valid", read_at=read_at)
        if row["revoked_at"] is not None:
            return _Refused(message="the API key has been revoked", read_at=read_at)
        expires_at = row["expires_at"]
        return _Found(
            key_id=row["key_id"],
            user_id=row["user_id"],
            tenant_id=row["tenant_id"],
            plan=row["plan"],
            scopes=tuple(row["scopes"]),
            key=decode_limits(row["key_limits"]),
            tenant=decode_limits(row["tenant_limits"]),
            expires_at=None if expires_at is None else expires_at.timestamp(),
            read_at=read_at,
        )

    def _keep(self, cached: dict[bytes, _T], digest: bytes, value: _T) -> None:
        """Remember `value` as the newest; beyond `max_cached` the oldest goes."""
        cached.pop(digest, None)
        if len(cached) >= self._max_cached:
            del cached[next(iter(cached))]
        cached[digest] = value

    def _touch(self, key_id: str) -> None:
        """Note the use in the background. A key is looked up about once a minute while in use, and so is noted as often."""
        task = asyncio.create_task(self._write_touch(key_id))
        self._touches.add(task)
        task.add_done_callback(self._touches.discard)

    async def _write_touch(self, key_id: str) -> None:
        try:
            async with asyncio.timeout(self._timeout_s), self._pool.acquire(timeout=self._timeout_s) as connection:
                await connection.execute(statement("touch_key"), key_id)
        except _FAILURES as error:
            _log.warning("the last use of key %s was not noted: %s: %s", key_id, type(error).__name__, error)


# ── management ────────────────────────────────────────────────────────────────────────────────────────────────────────


class User(msgspec.Struct, frozen=True, kw_only=True):
    user_id: str
    tenant_id: str
    email: str | None
    plan: str
    created_at: datetime


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What can be shown of a key. `prefix` + … + `last4` is how it looks; `prefix` is empty for keys of another form."""

    key_id: str
    prefix: str
    last4: str
    user_id: str
    tenant_id: str
    email: str | None
    plan: str
    name: str
    scopes: list[str]
    limits: Allowance
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


async def save_user(connection: Any, *, email: str, plan: str, tenant_id: str = "default") -> User:
    """The user of a tenant with this e-mail address, created if need be, and put on `plan`.

    Raises: LookupError when there is no such tenant.
    """
    row = await connection.fetchrow(statement("save_user"), email, plan, tenant_id)
    if row is None:
        raise LookupError(f"there is no tenant {tenant_id!r}")
    return msgspec.convert(dict(row), User)


async def find_users(connection: Any, reference: str, *, tenant_id: str | None = None) -> list[User]:
    """The users with this e-mail address (in any case) or id, at most one in each tenant; with `tenant_id`, at most one."""
    rows = await connection.fetch(statement("find_users"), reference, tenant_id)
    return [msgspec.convert(dict(row), User) for row in rows]


async def add_key(
    connection: Any,
    *,
    user_id: str,
    name: str,
    scopes: Sequence[str] = (),
    limits: Allowance | None = None,
    expires_at: datetime | None = None,
    secret: str | None = None,
    environment: Literal["live", "test"] = "live",
) -> tuple[str, KeyRecord]:
    """Give a user a key; returns the key itself, to be shown once, and what is kept of it.

    With `secret`, that key is used, whatever its form, rather than a new one; given again, it moves to this user and lives
    again, so that a start-up may do this every time. `limits` None: those it has, and a new one has none of its own.

    Raises: ValueError for an empty `secret`; LookupError when there is no such user.
    """
    if secret is None:
        secret = create_key(environment).secret
    elif not secret:
        raise ValueError("an API key may not be empty")
    parts = key_parts(secret)
    row = await connection.fetchrow(
        statement("insert_key"),
        parts.key_id,
        parts.digest,
        parts.prefix,
        parts.last4,
        uuid.UUID(user_id),
        name,
        list(scopes),
        expires_at,
        None if limits is None else encode_limits(limits),
    )
    if row is None:
        raise LookupError(f"there is no user {user_id}")
    return secret, _record(row)


async def list_keys(
    connection: Any, *, user_ids: Sequence[str] | None = None, tenant_id: str | None = None
) -> list[KeyRecord]:
    """Every key, or those of some users, or of one tenant, the oldest first."""
    users = None if user_ids is None else [uuid.UUID(user_id) for user_id in user_ids]
    return [_record(row) for row in await connection.fetch(statement("list_keys"), users, tenant_id)]


async def limit_key(connection: Any, key_id: str, change: LimitsChange) -> bool:
    """Change what a key may do; False if there is no such live key. Gateways that just used it notice within a minute."""
    changed = await connection.fetchval(statement("limit_key"), key_id, list(change.forget), encode_limits(change.put))
    return changed is not None


async def revoke_key(connection: Any, key_id: str) -> bool:
    """End a key; False if there is no such live key. Gateways that just used it may take it for up to a minute more."""
    return await connection.fetchval(statement("revoke_key"), key_id) is not None


def _record(row: Any) -> KeyRecord:
    return msgspec.convert({**row, "limits": decode_limits(row["limits"])}, KeyRecord)
