"""`pulse dev`: a whole server out of nothing."""

from __future__ import annotations

import re
import shlex
import socket
from pathlib import Path

import click
import msgspec

from pulse_gateway.config import Config, ServerConfig
from pulse_gateway.errors import ConfigError
from pulse_gateway.gateway import Gateway
from pulse_gateway.store.keys import create_key
from pulse_gateway.store.postgres import add_key, save_user
from pulse_host.app import create_app
from pulse_host.assembly import assembled
from pulse_host.database.migrate import migrate
from pulse_host.database.pool import open_connection
from pulse_host.dev.data_dir import DataDir
from pulse_host.dev.stores import DevStores
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
    listener = _bind(config.server, data_dir)
    try:
        async with _stores(config, data_dir) as stores:
            await migrate(stores.database_url)
            key = api_key or stores.data.secret(_KEY_FILE, lambda: create_key("test").secret)
            await _own_key(stores.database_url, key, chosen)
            async with assembled(_with_stores(config, stores), given_keys=(key,)) as assembly:
                services = assembly.services
                async with reloading(source, config, assembly.apply, signals):
                    await serve(
                        create_app(services),
                        listener,
                        services.readiness,
                        signals,
                        drain_s=config.server.drain_s,
                        on_ready=lambda: _welcome(address_of(listener), key, chosen, config, stores),
                        under_way=lambda: services.gateway.under_way,
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


def _stores(config: Config, data_dir: Path) -> DevStores:
    """Of our own, but for those whose address is configured, and for a Valkey that nothing would be counted in."""
    redis_url = config.stores.redis_url
    if config.limits.store == "local":
        redis_url = redis_url or ""
    return DevStores(data_dir, database_url=config.stores.database_url, redis_url=redis_url)


def _with_stores(config: Config, stores: DevStores) -> Config:
    replaced = msgspec.structs.replace(
        config.stores,
        database_url=stores.database_url,
        redis_url=stores.redis_url or None,
        journal_dir=str(stores.data.journal),
    )
    return msgspec.structs.replace(config, stores=replaced)


async def _own_key(url: str, key: str, plan: str) -> None:
    async with open_connection(url) as connection:
        user = await save_user(connection, email=_DEV_USER, plan=plan)
        await add_key(connection, user_id=user.user_id, name="pulse dev", secret=key, scopes=["admin"])


def _welcome(address: str, key: str, plan: str, config: Config, stores: DevStores) -> None:
    providers = sorted(config.providers)
    answering = (
        f"providers: {', '.join(providers)}, and echo"
        if providers
        else "no provider key found: the model `echo` answers"
    )
    # A configured address may hold a password, and is known to who configured it.
    database = stores.database_url if config.stores.database_url is None else "as configured"
    redis = stores.redis_url if config.stores.redis_url is None else "as configured"
    header = shlex.quote(f"Authorization: Bearer {key}")
    click.echo(
        f"""
  Pulse is running at  {address}
  API key              {key}
  plan                 {plan}
  data                 {stores.data.path}
  database             {database}
  redis                {redis or "none: limits are counted in this process"}
  {answering}

  Try it:

  curl {address}/v1/chat/completions -H {header} -H "Content-Type: application/json" \\
    -d '{{"model": "echo", "messages": [{{"role": "user", "content": "مرحبا"}}], "stream": false}}'

  OpenAI(base_url="{address}/v1")   Anthropic(base_url="{address}")   genai: base_url="{address}"
  Ctrl-C stops it.
"""
    )
