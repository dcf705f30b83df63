"""The command `pulse`."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import Callable, Coroutine
from datetime import date
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click
import msgspec

from pulse_gateway import __version__
from pulse_gateway.config import Config
from pulse_gateway.environment import find_config_file, load_config
from pulse_gateway.errors import ConfigError
from pulse_host.limit_options import limit_options

if TYPE_CHECKING:
    from pulse_gateway.store.limits_json import LimitsChange
    from pulse_host.reload import Source

__all__ = ["main"]

_WAIT_S = 5.0  # for a database, where somebody sits and waits

P = ParamSpec("P")
T = TypeVar("T")

_config_option = click.option(
    "--config", "config_file", metavar="FILE", help="TOML file; default: PULSE_CONFIG, else ./pulse.toml if it exists."
)


def _plain_errors(command: Callable[P, T]) -> Callable[P, T]:
    """What the operator can mend is one line on stderr and exit code 1, not a traceback."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except ConfigError as error:
            raise click.ClickException(str(error)) from error

    return run


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
@_config_option
@_plain_errors
def dev(host: str | None, port: int | None, data_dir: str, config_file: str | None) -> None:
    """A working gateway in one command, with nothing to install first.

    Brings its own Postgres and Valkey, below the data dir, unless PULSE_DATABASE_URL or PULSE_REDIS_URL names another. Uses the
    provider keys it finds in the environment; the built-in `echo` model answers without any. Prints the address, an API key
    and a curl line. State survives a restart.

    Environment: PULSE_DEV_API_KEY uses this key instead of a generated one; PULSE_DEV_PLAN puts its user on this plan.
    """
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
@_config_option
@_plain_errors
def serve(host: str | None, port: int | None, workers: int, config_file: str | None) -> None:
    """The production server.

    Needs PULSE_DATABASE_URL, a migrated database (`pulse migrate`) and PULSE_REDIS_URL; refuses to start otherwise, saying what to
    do. SIGTERM drains: no new work, running streams finish, usage is settled, exit 0. With several workers a process of its own
    watches over them, starts another when one dies, and passes signals on.
    """
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
@_config_option
@_plain_errors
def migrate(only_check: bool, config_file: str | None) -> None:
    """Apply database migrations. Safe to run from many replicas at once."""
    from pulse_host.database import migrate as migrations
    from pulse_host.database.pool import open_connection

    url = _database_url(load_config(config_file))

    async def check() -> int:
        async with open_connection(url, wait_s=_WAIT_S) as connection:
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
@_config_option
@_plain_errors
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


@main.group()
def keys() -> None:
    """API keys: create, list, revoke. A key is shown once, when it is made."""


@keys.command("create")
@click.option("--user", required=True, help="E-mail address of the user; made if new.")
@click.option("--tenant", default="default", show_default=True, help="Whom the user belongs to; see `pulse tenants`.")
@click.option("--name", default="default", show_default=True, help="What the key is for.")
@click.option(
    "--plan", default=None, help="Put the user on this plan. Default: default_plan of the config for a new user."
)
@limit_options
@click.option(
    "--test", "environment", flag_value="test", default=False, help="A pls_test_ key instead of a pls_live_ one."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@_config_option
@_plain_errors
def keys_create(
    user: str,
    tenant: str,
    name: str,
    plan: str | None,
    limits: LimitsChange,
    environment: str | None,
    as_json: bool,
    config_file: str | None,
) -> None:
    """Make a key and print it. It is not kept anywhere: this is the one time it is shown.

    The limits are the key's own and hold for everything that is done with it, beside those of its user and its tenant.
    """
    from pulse_host import key_admin

    config = load_config(config_file)
    created = _with_database(
        config,
        lambda pool: key_admin.create(
            pool, config, user, name, plan, environment or "live", tenant_id=tenant, limits=limits
        ),
    )
    row = created.row
    if as_json:
        shown = {"key": created.secret, "key_id": row.key_id, "user": user, "tenant": row.tenant, "plan": row.plan}
        click.echo(msgspec.json.encode({**shown, "limits": row.limits}).decode())
    else:
        click.echo(created.secret)
        click.echo(f"key {row.key_id} of {user} on the plan {row.plan}; shown this once", err=True)


@keys.command("list")
@click.option("--user", default=None, help="Only this user's.")
@click.option("--tenant", default=None, help="Only this tenant's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
@_config_option
@_plain_errors
def keys_list(user: str | None, tenant: str | None, as_json: bool, config_file: str | None) -> None:
    """List keys: never the secret, only its id and last four characters."""
    from pulse_host import key_admin

    rows = _with_database(load_config(config_file), lambda pool: key_admin.rows(pool, user, tenant))
    if rows and not as_json:
        click.echo(key_admin.KeyRow.HEADINGS)
    for row in rows:
        click.echo(msgspec.json.encode(row).decode() if as_json else row.line())
    if not rows and not as_json:
        click.echo("no keys; make one with `pulse keys create --user you@example.com`")


@keys.command("update")
@click.argument("key_id")
@limit_options
@_config_option
@_plain_errors
def keys_update(key_id: str, limits: LimitsChange, config_file: str | None) -> None:
    """Change the limits of the key KEY_ID; those not named stay. Servers notice within a minute."""
    from pulse_host import key_admin

    _with_database(load_config(config_file), lambda pool: key_admin.limit(pool, key_id, limits))
    click.echo(f"changed {key_id}")


@keys.command("revoke")
@click.argument("key_id")
@_config_option
@_plain_errors
def keys_revoke(key_id: str, config_file: str | None) -> None:
    """Revoke the key KEY_ID. Servers notice within a minute."""
    from pulse_host import key_admin

    if not _with_database(load_config(config_file), lambda pool: key_admin.revoke(pool, key_id)):
        raise ConfigError(f"there is no live key {key_id!r}; see `pulse keys list`")
    click.echo(f"revoked {key_id}")


@main.group()
def tenants() -> None:
    """Tenants: whom users and keys belong to, and what they may do together."""


@tenants.command("create")
@click.argument("tenant_id", metavar="NAME")
@click.option("--name", "title", default=None, help="What people call it. Default: NAME.")
@limit_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@_config_option
@_plain_errors
def tenants_create(
    tenant_id: str, title: str | None, limits: LimitsChange, as_json: bool, config_file: str | None
) -> None:
    """Make the tenant NAME. Its limits hold for all its users together; those not named are as configured."""
    from pulse_host import tenants as tenant_admin

    row = _with_database(load_config(config_file), lambda pool: tenant_admin.create(pool, tenant_id, title, limits))
    click.echo(msgspec.json.encode(row).decode() if as_json else f"made {row.tenant}; limits: {row.limits.line()}")


@tenants.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
@_config_option
@_plain_errors
def tenants_list(as_json: bool, config_file: str | None) -> None:
    """List tenants and their limits; what is not listed is as configured."""
    from pulse_host import tenants as tenant_admin

    rows = _with_database(load_config(config_file), tenant_admin.rows)
    if not as_json:
        click.echo(tenant_admin.TenantRow.HEADINGS)
    for row in rows:
        click.echo(msgspec.json.encode(row).decode() if as_json else row.line())


@tenants.command("update")
@click.argument("tenant_id", metavar="NAME")
@click.option("--name", "title", default=None, help="What people call it.")
@limit_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@_config_option
@_plain_errors
def tenants_update(
    tenant_id: str, title: str | None, limits: LimitsChange, as_json: bool, config_file: str | None
) -> None:
    """Change the tenant NAME; what is not named stays. Servers notice within a minute."""
    from pulse_host import tenants as tenant_admin

    row = _with_database(load_config(config_file), lambda pool: tenant_admin.update(pool, tenant_id, title, limits))
    click.echo(msgspec.json.encode(row).decode() if as_json else f"changed {row.tenant}; limits: {row.limits.line()}")


@main.group()
def usage() -> None:
    """What was used: the ledger and the counters."""


def _day(context: click.Context, option: click.Parameter, value: str | None) -> date | None:
    from pulse_gateway.errors import InvalidRequest
    from pulse_host.usage.history import read_day

    if value is None:
        return None
    try:
        return read_day(value, option.opts[0])
    except InvalidRequest as error:
        raise click.BadParameter(error.message) from error


@usage.command("export")
@click.option(
    "--from", "first", callback=_day, metavar="DAY", help="First day (UTC), such as 2026-11-01. Default: all."
)
@click.option("--to", "last", callback=_day, metavar="DAY", help="Last day (UTC). Default: all.")
@click.option("--tenant", default=None, help="Only this tenant's.")
@click.option("--format", "form", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True)
@click.option("--output", default="-", metavar="FILE", help="Where to; - is standard output.  [default: -]")
@click.option("--bom", is_flag=True, help="CSV: begin with the mark that lets Excel show every alphabet.")
@_config_option
@_plain_errors
def usage_export(
    first: date | None,
    last: date | None,
    tenant: str | None,
    form: str,
    output: str,
    bom: bool,
    config_file: str | None,
) -> None:
    """Write the ledger's entries out, one row an attempt, corrections as rows of their own.

    Money is in integer nano-USD, moments are in UTC. The file is complete or not there at all.
    """
    from pulse_host.database.migrate import require_migrated
    from pulse_host.database.pool import open_connection
    from pulse_host.usage.csv_sink import CsvSink
    from pulse_host.usage.export import Wanted, export, output_file
    from pulse_host.usage.parquet_sink import ParquetSink

    if first is not None and last is not None and first > last:
        raise click.UsageError(f"--from {first} is after --to {last}")
    if bom and form != "csv":
        raise click.UsageError("--bom is for CSV")
    if form == "parquet" and output == "-" and sys.stdout.isatty():
        raise click.UsageError("Parquet is not for a terminal; name a file with --output")
    url = _database_url(load_config(config_file))
    wanted = Wanted(first=first, last=last, tenant_id=tenant)

    async def write() -> int:
        async with open_connection(url, wait_s=_WAIT_S) as connection:
            await require_migrated(connection)
            with output_file(output) as file:
                return await export(connection, wanted, CsvSink(file, bom=bom) if form == "csv" else ParquetSink(file))

    count = asyncio.run(write())
    click.echo(f"{count} entries", err=True)


def _period(context: click.Context, option: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    if not re.fullmatch(r"2\d{3}-?(0[1-9]|1[0-2])", value):
        raise click.BadParameter("a month (UTC) is written 202611 or 2026-11")
    return int(value.replace("-", ""))


@usage.command("verify")
@click.option(
    "--period", callback=_period, metavar="MONTH", help="This month (UTC) alone, such as 202611. Default: all."
)
@click.option("--tenant", default=None, help="This tenant alone.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
@_config_option
@_plain_errors
def usage_verify(period: int | None, tenant: str | None, as_json: bool, config_file: str | None) -> None:
    """Prove that Redis counts what ledger, journal and open holds say, and that balances and roll-ups are sums of the entries.

    Prints a line for each difference; exit 0 if there is none, else 1. May run beside traffic: only what a second look
    confirms is a difference. Journals are read in stores.journal_dir of this machine.
    """
    from pulse_host.usage.audit import audited

    found = asyncio.run(audited(load_config(config_file), period=period, tenant=tenant))
    for each in found:
        click.echo(msgspec.json.encode(each).decode() if as_json else f"{each.about}: {each.text}")
    if not as_json:
        click.echo(f"{len(found)} differences" if found else "everything agrees", err=True)
    sys.exit(1 if found else 0)


@usage.command("rebuild")
@click.option(
    "--period", callback=_period, metavar="MONTH", help="The month (UTC), such as 202611. Default: the current one."
)
@click.option("--dry-run", is_flag=True, help="Say what differs, and change nothing.")
@_config_option
@_plain_errors
def usage_rebuild(period: int | None, dry_run: bool, config_file: str | None) -> None:
    """Set a month's balances and roll-ups to the sums of its entries, and the counters in Redis to those and the journal.

    What is held for calls under way stays. Safe to repeat, and beside traffic.
    """
    from pulse_gateway.limits.periods import month_of
    from pulse_host.usage.audit import audited, repaired

    config = load_config(config_file)
    month = period or month_of(time.time()).period
    if dry_run:
        for each in asyncio.run(audited(config, period=month, tenant=None)):
            click.echo(f"{each.about}: {each.text}")
        return
    done = asyncio.run(repaired(config, month))
    click.echo(
        f"{month}: {done.counters} counters set, {done.balances} balances and {done.roll_ups} rows of the roll-ups corrected"
    )


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to bind.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=9100, show_default=True, help="Port; 0 takes a free one."
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same answers.")
@click.option("--config", "config_file", metavar="FILE", help="TOML file with the simulator's own settings.")
@_plain_errors
def simulate(host: str, port: int, seed: int, config_file: str | None) -> None:
    """The provider simulator: vendors' protocols, faults on demand.

    OpenAI's, Anthropic's and Google's, on one port, deterministic. Faults are asked for by model name or by the header
    x-simulate; GET /_stats counts what was served and what it would cost.
    """
    from pulse_gateway.testing import simulator

    sys.exit(simulator.run(host=host, port=port, seed=seed, config=Path(config_file) if config_file else None))


@main.command()
@_config_option
@_plain_errors
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


def _database_url(config: Config) -> str:
    if config.stores.database_url is None:
        raise ConfigError("no database: set PULSE_DATABASE_URL, or stores.database_url in the config file")
    return config.stores.database_url


def _with_database(config: Config, action: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
    from pulse_host.database.migrate import require_migrated
    from pulse_host.database.pool import create_pool

    url = _database_url(config)

    async def run() -> T:
        pool = await create_pool(url, max_size=1, query_timeout_s=5.0, wait_s=_WAIT_S)
        try:
            async with pool.acquire() as connection:
                await require_migrated(connection)
            return await action(pool)
        finally:
            await pool.close()

    return asyncio.run(run())
