"""Connections to Postgres: how they are opened, what bounds them, whose rows they see, and what is said when they cannot be.

A session sees the rows of the tenant it names in `app.tenant_id` (see 0004_tenants.sql). What works for everybody, such as the
ledger's writer, connects with `*`. What works for one caller uses a pool that sees nothing, and `tenant_scope` for each look: a
query that forgets its scope finds nothing rather than everything.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from pulse_gateway.errors import ConfigError, StoreUnavailable

__all__ = [
    "POSTGRES_ERRORS",
    "DatabaseUnusable",
    "create_pool",
    "ignores_policies",
    "open_connection",
    "tenant_scope",
]

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

_OLDEST_MAJOR_VERSION = 14
# What may pass by itself: nobody listens yet, the server starts or stops, all its connections are taken.
_PASSING = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.TooManyConnectionsError,
)
POSTGRES_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
# All the ways in which Postgres can fail to answer: refused, cut, too slow, or an error of its own.
_FAILURES = (*POSTGRES_ERRORS, OSError, TimeoutError)
_TENANT = "app.tenant_id"
_EVERY_TENANT = "*"


class DatabaseUnusable(ConfigError):
    """No connection to Postgres can be had; the message says where it was sought and what to do, never the password."""


async def create_pool(
    url: str,
    *,
    max_size: int = 10,
    query_timeout_s: float = 0.5,
    connect_timeout_s: float = 5.0,
    wait_s: float = 30.0,
    statement_cache_size: int = 100,
    every_tenant: bool = True,
) -> Any:
    """A pool whose queries end after `query_timeout_s` unless they are given another bound; jsonb is decoded and encoded.

    It sees the rows of every tenant; with `every_tenant=False` none, but through `tenant_scope`.

    Waits up to `wait_s` for a server that does not answer yet. The server itself ends any statement after 10 s, should the
    gateway have gone. Behind PgBouncer in transaction mode: `statement_cache_size=0`, `statement_timeout` and `app.tenant_id` in
    its `ignore_startup_parameters`, and `alter role … set app.tenant_id = '*'` for the role. Close it with `await pool.close()`.

    Raises: DatabaseUnusable.
    """

    async def open_pool() -> Any:
        # No smallest size: asyncpg would try to hold it in the background, and log each failure, while Postgres is away.
        pool = await asyncpg.create_pool(
            url,
            min_size=0,
            max_size=max_size,
            max_inactive_connection_lifetime=300.0,
            timeout=connect_timeout_s,
            command_timeout=query_timeout_s,
            statement_cache_size=statement_cache_size,
            server_settings=_session(every_tenant) | {"statement_timeout": "10s"},
            init=_prepare,
        )
        try:
            async with pool.acquire() as connection:
                _check_version(url, connection)
                await _check_sight(url, connection, every_tenant)
        except BaseException:  # also an interrupt: its connections would outlive it
            pool.terminate()
            raise
        return pool

    return await _reach(url, open_pool, wait_s)


@asynccontextmanager
async def open_connection(url: str, *, connect_timeout_s: float = 5.0, wait_s: float = 30.0) -> AsyncIterator[Any]:
    """One connection without a bound on its statements, which sees every tenant: for migrations and the command line.

    Raises: DatabaseUnusable.
    """

    async def connect() -> Any:
        return await asyncpg.connect(
            url, timeout=connect_timeout_s, command_timeout=None, server_settings=_session(every_tenant=True)
        )

    connection = await _reach(url, connect, wait_s)
    try:
        _check_version(url, connection)
        await _check_sight(url, connection, every_tenant=True)
        await _prepare(connection)
        yield connection
    finally:
        await connection.close(timeout=connect_timeout_s)


@asynccontextmanager
async def tenant_scope(pool: Any, tenant_id: str, *, wait_s: float = 1.0) -> AsyncIterator[Any]:
    """A connection that sees the rows of one tenant and changes none, within one transaction.

    Raises: StoreUnavailable when there is no connection within `wait_s`, or Postgres fails to answer.
    """
    if tenant_id in {"", _EVERY_TENANT}:
        raise ValueError(f"{tenant_id!r} is no tenant")
    try:
        async with pool.acquire(timeout=wait_s) as connection, connection.transaction(readonly=True):
            await connection.execute("select set_config($1, $2, true)", _TENANT, tenant_id)
            yield connection
    except _FAILURES as error:
        _log.warning("a look for a tenant failed: %s: %s", type(error).__name__, error)
        raise StoreUnavailable("this cannot be read at the moment", retry_after_s=1.0) from error


async def ignores_policies(connection: Any) -> bool:
    """Whether the role of this connection is let past every policy: then nothing but our own queries keeps tenants apart."""
    found: bool = await connection.fetchval(
        "select rolsuper or rolbypassrls from pg_roles where rolname = current_user"
    )
    return found


def _session(every_tenant: bool) -> dict[str, str]:
    return {"application_name": "pulse", _TENANT: _EVERY_TENANT if every_tenant else ""}


async def _check_sight(url: str, connection: Any, every_tenant: bool) -> None:
    """A pooler in between may keep settings of a session to itself: then no key would be found, and nobody could tell why."""
    seen = await connection.fetchval("select current_setting($1, true)", _TENANT)
    if every_tenant and seen != _EVERY_TENANT:
        raise DatabaseUnusable(
            f"the setting {_TENANT} does not reach Postgres at {_place(url)}: a pooler in between keeps it; "
            f"run `alter role … set {_TENANT} = '{_EVERY_TENANT}'` for the role that Pulse uses"
        )
    if not every_tenant and seen:
        _log.warning(
            "connections to %s begin with %s = %r: a look without a scope sees more than it may",
            _place(url),
            _TENANT,
            seen,
        )


def _check_version(url: str, connection: Any) -> None:
    major = connection.get_server_version().major
    if major < _OLDEST_MAJOR_VERSION:
        raise DatabaseUnusable(
            f"Postgres at {_place(url)} is version {major}; {_OLDEST_MAJOR_VERSION} or newer is needed"
        )


async def _prepare(connection: Any) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: msgspec.json.encode(value).decode(),
        decoder=msgspec.json.decode,
    )


async def _reach(url: str, attempt: Callable[[], Awaitable[_T]], wait_s: float) -> _T:
    """The outcome of `attempt`, repeated while the failure may pass by itself."""
    place = _place(url)

    def announce(state: RetryCallState) -> None:
        if state.attempt_number == 1:
            _log.warning("Postgres does not answer yet at %s; waiting up to %g s", place, wait_s)

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(_PASSING),
        stop=stop_after_delay(wait_s),
        wait=wait_exponential_jitter(initial=0.05, max=1.0, jitter=0.05),
        before_sleep=announce,
        reraise=True,
    )
    try:
        return await retrying(attempt)
    except _PASSING as error:
        raise DatabaseUnusable(f"Postgres does not answer at {place}: {_cause(error)}") from error
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as error:
        raise DatabaseUnusable(f"Postgres at {place} refuses the user or the password: {error}") from error
    except asyncpg.InvalidCatalogNameError as error:
        raise DatabaseUnusable(f"Postgres at {place} has no such database; create it first: {error}") from error
    except (asyncpg.ClientConfigurationError, ValueError):
        # Their messages quote parts of the address, which may be parts of the password.
        raise DatabaseUnusable(_unreadable()) from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise DatabaseUnusable(f"Postgres at {place} refuses the connection: {error}") from error


def _cause(error: BaseException) -> str:
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)


def _place(url: str) -> str:
    """Where `url` points, for messages: `host:port (database d, user u)`, never the password.

    Raises: DatabaseUnusable for an address that cannot be read without doubt.
    """
    try:
        parts = urlsplit(url)
        readable = "," in parts.netloc or parts.port != 0  # reading the port is what finds a malformed one
    except ValueError:
        raise DatabaseUnusable(_unreadable()) from None
    hosts = parts.netloc.rpartition("@")[2] or ",".join(parse_qs(parts.query).get("host", ["the default host"]))
    # A `/`, `?` or `#` that was not escaped in the password ends the authority early: what follows holds the `@`.
    misread = parts.fragment or (parts.netloc and "@" in parts.path + parts.query)
    if not readable or misread or parts.scheme not in {"postgresql", "postgres"}:
        raise DatabaseUnusable(_unreadable())
    database = unquote(parts.path.removeprefix("/")) or "the default database"
    user = unquote(parts.username) if parts.username else "the default user"
    return f"{hosts} (database {database}, user {user})"


def _unreadable() -> str:
    return (
        "the database address cannot be read; it is postgresql://USER:PASSWORD@HOST:PORT/DATABASE, and in the password "
        "the characters @ : / ? # % [ ] are written percent-encoded"
    )
