"""The commands `pulse usage`."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from datetime import date

import click
import msgspec

from pulse_gateway.environment import load_config
from pulse_host.command_line import WAIT_S, config_option, database_url, plain_errors

__all__ = ["usage"]


@click.group()
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
@config_option
@plain_errors
def usage_export(
    first: date | None,
    last: date | None,
    tenant: str | None,
    form: str,
    output: str,
    bom: bool,
    config_file: str | None,
) -> None:
    """Write the entries of the ledger to a file.

    One row an attempt, corrections as rows of their own. Money is in integer nano-USD, moments are in UTC. The file is complete
    or not there at all.
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
    url = database_url(load_config(config_file))
    wanted = Wanted(first=first, last=last, tenant_id=tenant)

    async def write() -> int:
        async with open_connection(url, wait_s=WAIT_S) as connection:
            await require_migrated(connection)
            with output_file(output) as file:
                return await export(connection, wanted, CsvSink(file, bom=bom) if form == "csv" else ParquetSink(file))

    count = asyncio.run(write())
    click.echo("1 entry" if count == 1 else f"{count} entries", err=True)


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
@config_option
@plain_errors
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
        count = "1 difference" if len(found) == 1 else f"{len(found)} differences"
        click.echo(count if found else "everything agrees", err=True)
    sys.exit(1 if found else 0)


@usage.command("rebuild")
@click.option(
    "--period", callback=_period, metavar="MONTH", help="The month (UTC), such as 202611. Default: the current one."
)
@click.option("--dry-run", is_flag=True, help="Say what differs, and change nothing.")
@config_option
@plain_errors
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
