"""`pulse check`: does everything that the configuration names answer?"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from functools import partial
from pathlib import Path

import msgspec

from pulse_gateway.config import AliasConfig, Config
from pulse_gateway.errors import ConfigError, ModelNotFound, UpstreamError
from pulse_gateway.gateway import Gateway
from pulse_gateway.pipeline.answer import MAX_ERROR_BYTES, read_whole
from pulse_gateway.providers.registry import provider
from pulse_gateway.routing.router import Router
from pulse_gateway.routing.targets import ProviderRow
from pulse_gateway.transport.network import NetworkTransport
from pulse_gateway.transport.redis import RedisClient, RedisRefused
from pulse_gateway.transport.redis_address import read_address
from pulse_gateway.types.catalog import Deployment, Model
from pulse_gateway.types.http import HttpAnswer, HttpRequest, Timeouts
from pulse_host.client_address import ClientAddresses
from pulse_host.database.migrate import require_migrated
from pulse_host.database.pool import ignores_policies, open_connection
from pulse_host.redis_reach import reached_redis
from pulse_host.traces import why_not

__all__ = ["Row", "check_everything"]

_OLDEST_REDIS = (6, 2)
_TIMEOUTS = Timeouts(connect_s=5.0, first_byte_s=10.0, idle_s=10.0)


class Row(msgspec.Struct, frozen=True):
    """One line of the table. `warning`: it works, and should be mended all the same."""

    name: str
    well: bool
    detail: str
    warning: bool = False


async def check_everything(config: Config) -> list[Row]:
    """The configuration itself, where each alias leads, the stores, and one call to each provider that costs nothing.

    Raises: ConfigError for a configuration that no gateway can be made of.
    """
    router = Gateway(config).router
    ClientAddresses(config.server.trusted_proxies)
    transport = NetworkTransport()
    try:
        answers = await asyncio.gather(
            _database(config),
            _redis(config),
            asyncio.to_thread(_journal, config),
            *([asyncio.to_thread(_traces)] if why_not(os.environ)[0] else []),
            *(_provider(transport, row) for row in router.providers() if row.kind != "echo"),
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
            superuser = await ignores_policies(connection)
    except ConfigError as error:
        return Row("postgres", False, str(error))
    wall = "; its role passes row-level security: better use one that is no superuser" if superuser else ""
    return Row("postgres", True, f"PostgreSQL {version}, migrated{wall}", warning=superuser)


async def _redis(config: Config) -> Row:
    url = config.stores.redis_url
    if config.limits.store == "local":
        return Row("redis", True, 'not used: limits.store = "local"; run one process only')
    if url is None:
        return Row("redis", False, 'no Redis: set PULSE_REDIS_URL, or stores.redis_url; or limits.store = "local"')
    try:
        async with reached_redis(url) as redis:
            return await _judge_redis(redis, f"{config.stores.redis_prefix}:check:{{{os.getpid()}}}")
    except ConfigError as error:
        return Row("redis", False, str(error))
    except RedisRefused as error:
        return Row("redis", False, f"{read_address(url)}: {error.message}")


async def _judge_redis(redis: RedisClient, key: str) -> Row:
    """Raises: RedisUnavailable, RedisRefused."""
    lines = (await redis.command("INFO", "server")).decode().splitlines()
    told = dict(line.split(":", 1) for line in lines if ":" in line)
    spoken = told.get("redis_version", "0")
    name = f"Valkey {told['valkey_version']}" if "valkey_version" in told else f"Redis {spoken}"
    if _numbers(spoken) < _OLDEST_REDIS:
        return Row("redis", False, f"{name}; {'.'.join(map(str, _OLDEST_REDIS))} or newer is needed")
    await redis.command("SET", key, "1", "PX", 1000)
    try:
        reply = await redis.command("CONFIG", "GET", "maxmemory-policy")
    except RedisRefused:
        return Row("redis", True, f"{name}, writable; its maxmemory-policy cannot be read: make sure it is noeviction")
    policy = reply[1].decode() if reply else "unknown"
    if policy != "noeviction":
        advice = f"{name}, writable; maxmemory-policy is {policy}: counters may be evicted, set noeviction"
        return Row("redis", True, advice, warning=True)
    return Row("redis", True, f"{name}, writable, noeviction")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())


def _journal(config: Config) -> Row:
    """Whether a server could keep its journal there. What is made to find out is removed again."""
    folder = Path(config.stores.journal_dir).expanduser()
    try:
        above = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        with tempfile.TemporaryFile(dir=above):
            free = shutil.disk_usage(above).free
    except OSError as error:
        return Row("journal", False, f"{folder} is not writable: {error.strerror}; see stores.journal_dir")
    if free < config.stores.journal_max_mb * 1_000_000:
        advice = f"{folder}: only {free // 1_000_000} MB are free, less than stores.journal_max_mb"
        return Row("journal", True, advice, warning=True)
    return Row("journal", True, f"{folder} is writable")


def _traces() -> Row:
    """A server runs without its collector, so this is a warning at most."""
    _, reason = why_not(os.environ)
    if reason is None:
        from pulse_host.otel import refusal  # imported late, as everywhere: it is dear, and seldom needed

        try:
            reason = refusal()
        except (ValueError, RuntimeError, OSError) as error:
            reason = f"OpenTelemetry refuses its settings: {type(error).__name__}"
    if reason is None:
        return Row("traces", True, "the collector takes them")
    return Row("traces", True, f"are not exported: {reason}", warning=True)


async def _provider(transport: NetworkTransport, row: ProviderRow) -> Row:
    name = f"provider {row.name}"
    described = provider(row.kind)
    request = described.probe(row.base_url, row.key, row.headers)
    try:
        if described.authorize is not None:
            request = await described.authorize(request, _deployment(row), partial(_whole, transport, row))
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


def _deployment(row: ProviderRow) -> Deployment:
    """Of no model: all that a signature needs."""
    model = Model(provider=row.name, name="")
    return Deployment(
        provider=row.name, kind=row.kind, model=model, base_url=row.base_url, key=row.key, headers=row.headers
    )


async def _whole(transport: NetworkTransport, row: ProviderRow, request: HttpRequest) -> HttpAnswer:
    response = await transport.send(request, _TIMEOUTS, proxy=row.proxy)
    try:
        return HttpAnswer(response.status, response.headers, await read_whole(response, MAX_ERROR_BYTES, cut=True))
    finally:
        await response.aclose()


def _cause(error: BaseException | None) -> str | None:
    """What the operating system said: `Connection refused`, `Name or service not known`."""
    while error is not None:
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
        error = error.__cause__ or error.__context__
    return None


def _origin(request: HttpRequest) -> str:
    return request.url.partition("?")[0]
