"""`pulse dev`: a whole server out of nothing."""

from __future__ import annotations

import re
import shlex
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
import msgspec

from pulse_gateway.config import ServerConfig
from pulse_gateway.errors import ConfigError
from pulse_gateway.gateway import Gateway
from pulse_gateway.store.keys import create_key
from pulse_gateway.store.postgres import add_key, save_user
from pulse_host.app import Services, create_app
from pulse_host.assembly import assembled
from pulse_host.database.migrate import migrate
from pulse_host.database.pool import open_connection
from pulse_host.dev.data_dir import DataDir
from pulse_host.dev.embedded import DevStores
from pulse_host.logs import configure_logs
from pulse_host.reload import Source, reloading
from pulse_host.server import Signals, address_of, bind, serve

__all__ = ["run_dev"]

_DEV_USER = "dev@localhost"
_KEY_FILE = "dev-api-key"


async def run_dev(source: Source, signals: Signals, data_dir: Path, *, api_key: str | None, plan: str) -> None:
    """Bring up the stores below `data_dir`, migrate, serve until told to stop, and take everything down in order.

    Raises: ConfigError.
    """
    config = source.read()
    configure_logs(config.telemetry)
    chosen = config.plan_named(plan)
    if chosen is None:
        raise ConfigError(f"PULSE_DEV_PLAN={plan!r} is not a plan; known: {', '.join(config.plan_table())}")
    Gateway(config)  # what cannot be built is said before anything is started
    if api_key is not None and not re.fullmatch(r"[\x21-\x7e]+( [\x21-\x7e]+)*", api_key):
        raise ConfigError("PULSE_DEV_API_KEY may hold printable ASCII only: it is sent in a header")
    own = config.stores.database_url is not None  # its address may hold a password, and is known to who configured it
    listener = _bind(config.server, data_dir)
    try:
        async with _stores(config.stores.database_url, data_dir) as (data, url):
            await migrate(url)
            key = api_key or data.secret(_KEY_FILE, lambda: create_key("test").secret)
            await _own_key(url, key, chosen)
            settings = msgspec.structs.replace(config, stores=msgspec.structs.replace(config.stores, database_url=url))
            async with assembled(settings, given_keys=(key,)) as assembly:
                services = assembly.services
                async with reloading(source, config, assembly.apply, signals):
                    await serve(
                        create_app(services),
                        listener,
                        services.readiness,
                        signals,
                        drain_s=config.server.drain_s,
                        on_ready=lambda: _welcome(
                            address_of(listener), key, chosen, services, data_dir, "as configured" if own else url
                        ),
                    )
    finally:
        listener.close()


def _bind(server: ServerConfig, data_dir: Path) -> socket.socket:
    """The port first: it is soon tried, and nothing has to be taken down again.

    Raises: ConfigError; where the port is another pulse dev's over the same data dir, it says that.
    """
    try:
        return bind(server.host, server.port)
    except ConfigError:
        if data_dir.exists():
            data = DataDir(data_dir)
            data.acquire()
            data.release()
        raise


@asynccontextmanager
async def _stores(database_url: str | None, data_dir: Path) -> AsyncIterator[tuple[DataDir, str]]:
    """The data dir, locked, and the address of the database: the configured one, or one of our own below the data dir."""
    if database_url is None:
        async with DevStores(data_dir) as stores:
            yield stores.data, stores.database_url
        return
    data = DataDir(data_dir)
    data.acquire()
    try:
        yield data, database_url
    finally:
        data.release()


async def _own_key(url: str, key: str, plan: str) -> None:
    async with open_connection(url) as connection:
        user = await save_user(connection, email=_DEV_USER, plan=plan)
        await add_key(connection, user_id=user.user_id, name="pulse dev", secret=key)


def _welcome(address: str, key: str, plan: str, services: Services, data_dir: Path, database_url: str) -> None:
    providers = sorted(services.gateway.config.providers)
    answering = (
        f"providers: {', '.join(providers)}, and echo"
        if providers
        else "no provider key found: the model `echo` answers"
    )
    header = shlex.quote(f"Authorization: Bearer {key}")
    click.echo(
        f"""
  Pulse is running at  {address}
  API key              {key}
  plan                 {plan}
  data                 {data_dir.resolve()}
  database             {database_url}
  {answering}

  Try it:

  curl {address}/v1/chat/completions -H {header} -H "Content-Type: application/json" \\
    -d '{{"model": "echo", "messages": [{{"role": "user", "content": "مرحبا"}}], "stream": false}}'

  OpenAI(base_url="{address}/v1")   Anthropic(base_url="{address}")   genai: base_url="{address}"
  Ctrl-C stops it.
"""
    )
