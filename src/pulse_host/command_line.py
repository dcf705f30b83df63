"""What the commands of `pulse` share: the configuration's option, errors in one line, and a database to work on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click

from pulse_gateway.config import Config
from pulse_gateway.errors import ConfigError

__all__ = ["WAIT_S", "config_option", "database_url", "plain_errors", "with_database"]

WAIT_S = 5.0  # for a database, where somebody sits and waits

P = ParamSpec("P")
T = TypeVar("T")

config_option = click.option(
    "--config", "config_file", metavar="FILE", help="TOML file; default: PULSE_CONFIG, else ./pulse.toml if it exists."
)


def plain_errors(command: Callable[P, T]) -> Callable[P, T]:
    """What the operator can mend is one line on stderr and exit code 1, not a traceback."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except ConfigError as error:
            raise click.ClickException(str(error)) from error

    return run


def database_url(config: Config) -> str:
    if config.stores.database_url is None:
        raise ConfigError("no database: set PULSE_DATABASE_URL, or stores.database_url in the config file")
    return config.stores.database_url


def with_database(config: Config, action: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
    from pulse_host.database.migrate import require_migrated
    from pulse_host.database.pool import create_pool

    url = database_url(config)

    async def run() -> T:
        pool = await create_pool(url, max_size=1, query_timeout_s=5.0, wait_s=WAIT_S)
        try:
            async with pool.acquire() as connection:
                await require_migrated(connection)
            return await action(pool)
        finally:
            await pool.close()

    return asyncio.run(run())
