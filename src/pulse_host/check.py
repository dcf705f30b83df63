"""`pulse check`: does everything that the configuration names answer?"""

from __future__ import annotations

import asyncio

import msgspec

from pulse_gateway.config import AliasConfig, Config
from pulse_gateway.errors import ConfigError, ModelNotFound, UpstreamError
from pulse_gateway.gateway import Gateway
from pulse_gateway.providers.registry import provider
from pulse_gateway.routing.router import Router
from pulse_gateway.routing.targets import ProviderRow
from pulse_gateway.transport.httpx_ import HttpxTransport
from pulse_gateway.types.http import HttpRequest, Timeouts
from pulse_host.database.migrate import require_migrated
from pulse_host.database.pool import open_connection

__all__ = ["Row", "check_everything"]

_TIMEOUTS = Timeouts(connect_s=5.0, first_byte_s=10.0, idle_s=10.0)


class Row(msgspec.Struct, frozen=True):
    """One line of the table."""

    name: str
    well: bool
    detail: str


async def check_everything(config: Config) -> list[Row]:
    """The configuration itself, where each alias leads, the database, and one call to each provider that costs nothing.

    Raises: ConfigError for a configuration that no gateway can be made of.
    """
    router = Gateway(config).router
    transport = HttpxTransport()
    try:
        answers = await asyncio.gather(
            _database(config), *(_provider(transport, row) for row in router.providers() if row.kind != "echo")
        )
    finally:
        await transport.aclose()
    aliases = [_alias(router, name, alias) for name, alias in config.models.items()]
    return [Row("config", True, f"{len(config.models)} aliases, {len(config.providers)} providers"), *aliases, *answers]


def _alias(router: Router, name: str, alias: AliasConfig) -> Row:
    row = f"model {name}"
    written = [target if isinstance(target, str) else target.target for target in alias.targets]
    lost = [model for model in (*written, *alias.fallbacks) if not _leads_somewhere(router, model)]
    try:
        leads_to = ", ".join(dict.fromkeys(deployment.name for deployment in router.candidates(name)))
    except ModelNotFound as error:
        return Row(row, False, error.message)
    return Row(row, True, leads_to + (f"; leads nowhere: {', '.join(lost)}" if lost else ""))


def _leads_somewhere(router: Router, model: str) -> bool:
    try:
        router.candidates(model)
    except ModelNotFound:
        return False
    return True


async def _database(config: Config) -> Row:
    url = config.stores.database_url
    if url is None:
        return Row("postgres", False, "no database: set PULSE_DATABASE_URL, or stores.database_url in the config file")
    try:
        async with open_connection(url, wait_s=0.0) as connection:
            await require_migrated(connection)
            version = await connection.fetchval("show server_version")
    except ConfigError as error:
        return Row("postgres", False, str(error))
    return Row("postgres", True, f"PostgreSQL {version}, migrated")


async def _provider(transport: HttpxTransport, row: ProviderRow) -> Row:
    name = f"provider {row.name}"
    request = provider(row.kind).probe(row.base_url, row.key, row.headers)
    try:
        response = await transport.send(request, _TIMEOUTS, proxy=row.proxy)
        try:
            status = response.status
        finally:
            await response.aclose()
    except UpstreamError as error:
        return Row(name, False, f"{_origin(request)}: {_cause(error) or error.message}")
    if status < 300:
        return Row(name, True, f"{_origin(request)} answers, the key is accepted")
    if status in {401, 403} or (status == 400 and row.kind == "google"):
        return Row(name, False, f"{_origin(request)} refuses the key (status {status})")
    return Row(name, False, f"{_origin(request)} answers {request.method} with status {status}")


def _cause(error: BaseException | None) -> str | None:
    """What the operating system said: `Connection refused`, `Name or service not known`."""
    while error is not None:
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
        error = error.__cause__ or error.__context__
    return None


def _origin(request: HttpRequest) -> str:
    return request.url.partition("?")[0]
