"""The command `pulse`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from pulse_gateway import __version__
from pulse_gateway.config import Config
from pulse_gateway.environment import find_config_file, load_config
from pulse_host.account_commands import keys, tenants
from pulse_host.command_line import WAIT_S, config_option, database_url, plain_errors
from pulse_host.usage.commands import usage

if TYPE_CHECKING:
    from pulse_host.reload import Source

__all__ = ["main"]


def _not_empty(context: click.Context, option: click.Parameter, value: str) -> str:
    """An empty word, which an unset variable of a shell leaves behind, would mean the working directory itself."""
    if not value.strip():
        raise click.BadParameter("it is empty")
    return value


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="pulse")
def main() -> None:
    """Pulse: an AI gateway. It routes, translates, limits and meters model calls.

    Exit codes: 0 done, 1 failed, 2 wrong usage.
    """


@main.command()
@click.option("--host", default=None, help="Address to bind. Default: 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Port; 0 takes a free one. Default: 8000.")
@click.option(
    "--data-dir",
    default=".pulse",
    show_default=True,
    callback=_not_empty,
    help="Where everything is kept: database, key, files.",
)
@config_option
@plain_errors
def dev(host: str | None, port: int | None, data_dir: str, config_file: str | None) -> None:
    """A working gateway in one command, with nothing to install first.

    Brings its own Postgres and Valkey, below the data dir, unless PULSE_DATABASE_URL or PULSE_REDIS_URL names another. Uses the
    provider keys it finds in the environment; the built-in `echo` model answers without any. Prints the address, an API key
    and a curl line. State survives a restart.

    Environment: PULSE_DEV_API_KEY uses this key instead of a generated one; PULSE_DEV_PLAN puts its user on this plan.
    """
    from pulse_host.lean_imports import load_structlog

    load_structlog()
    from pulse_host.dev.run import run_dev
    from pulse_host.server import run_async

    source = _source(config_file, host, port)
    api_key = os.environ.get("PULSE_DEV_API_KEY") or None
    plan = os.environ.get("PULSE_DEV_PLAN") or "unlimited"
    run_async(lambda signals: run_dev(source, signals, Path(data_dir), api_key=api_key, plan=plan))


@main.command()
@click.option("--host", default=None, help="Address to bind. Default: server.host of the config, 127.0.0.1.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=None, help="Port. Default: server.port of the config, 8000."
)
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes that share the port."
)
@config_option
@plain_errors
def serve(host: str | None, port: int | None, workers: int, config_file: str | None) -> None:
    """The production server.

    Needs PULSE_DATABASE_URL, a migrated database (`pulse migrate`) and PULSE_REDIS_URL; refuses to start otherwise, saying what to
    do. SIGTERM drains: no new work, running streams finish, usage is settled, exit 0. With several workers a process of its own
    watches over them, starts another when one dies, and passes signals on.
    """
    from pulse_host.lean_imports import load_structlog

    load_structlog()
    from pulse_host.serve import run_serve, run_workers
    from pulse_host.server import run_async

    source = _source(config_file, host, port)
    if workers > 1:
        sys.exit(run_workers(source, workers))
    run_async(lambda signals: run_serve(source, signals))


@main.command()
@click.option(
    "--check", "only_check", is_flag=True, help="List what is missing and change nothing; exit 1 if anything is."
)
@config_option
@plain_errors
def migrate(only_check: bool, config_file: str | None) -> None:
    """Apply database migrations. Safe to run from many replicas at once."""
    from pulse_host.database import migrate as migrations
    from pulse_host.database.pool import open_connection

    url = database_url(load_config(config_file))

    async def check() -> int:
        async with open_connection(url, wait_s=WAIT_S) as connection:
            todo = await migrations.pending(connection)
        for migration in todo:
            click.echo(f"missing  {migration.label}")
        click.echo("the database is up to date" if not todo else f"{len(todo)} to apply; run `pulse migrate`")
        return 1 if todo else 0

    async def apply() -> int:
        done = await migrations.migrate(url)
        for migration in done:
            click.echo(f"applied  {migration.label}")
        click.echo("the database is up to date")
        return 0

    sys.exit(asyncio.run(check() if only_check else apply()))


@main.command()
@config_option
@plain_errors
def check(config_file: str | None) -> None:
    """Validate the config and reach every dependency and provider key. Prints a table; exit 0 if all is well, else 1."""
    from pulse_host.check import check_everything

    config = load_config(config_file)
    rows = asyncio.run(check_everything(config))
    width = max(len(row.name) for row in rows)
    for row in rows:
        word = ("WARN  " if row.warning else "ok    ") if row.well else "FAILED"
        click.echo(f"{word}  {row.name:<{width}}  {row.detail}")
    sys.exit(0 if all(row.well for row in rows) else 1)


main.add_command(keys)
main.add_command(tenants)
main.add_command(usage)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to bind.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=9100, show_default=True, help="Port; 0 takes a free one."
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same answers.")
@click.option("--config", "config_file", metavar="FILE", help="TOML file with the simulator's own settings.")
@plain_errors
def simulate(host: str, port: int, seed: int, config_file: str | None) -> None:
    """The provider simulator: vendors' protocols, faults on demand.

    OpenAI's, Anthropic's and Google's, on one port, deterministic. Faults are asked for by model name or by the header
    x-simulate; GET /_stats counts what was served and what it would cost.
    """
    from pulse_gateway.testing import simulator

    sys.exit(simulator.run(host=host, port=port, seed=seed, config=Path(config_file) if config_file else None))


@main.command()
@config_option
@plain_errors
def openapi(config_file: str | None) -> None:
    """Print the OpenAPI document."""
    from pulse_host.app import offline_document

    click.echo(msgspec.json.format(msgspec.json.encode(offline_document(load_config(config_file)))).decode())


def _source(config_file: str | None, host: str | None, port: int | None) -> Source:
    """The configuration with the options of the command line put over it, now and at every reload."""
    from pulse_host.reload import Source

    options = {name: value for name, value in (("host", host), ("port", port)) if value is not None}

    def read() -> Config:
        config = load_config(config_file)
        return msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, **options))

    return Source(read, find_config_file(config_file, os.environ))
