"""The commands `pulse keys` and `pulse tenants`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from pulse_gateway.environment import load_config
from pulse_gateway.errors import ConfigError
from pulse_host.command_line import config_option, plain_errors, with_database
from pulse_host.limit_options import limit_options

if TYPE_CHECKING:
    from pulse_gateway.store.limits_json import LimitsChange

__all__ = ["keys", "tenants"]


@click.group()
def keys() -> None:
    """API keys: create, list, update, revoke. A key is shown once, when it is made."""


@keys.command("create")
@click.option("--user", required=True, help="E-mail address of the user; made if new.")
@click.option("--tenant", default="default", show_default=True, help="Whom the user belongs to; see `pulse tenants`.")
@click.option("--name", default="default", show_default=True, help="What the key is for.")
@click.option(
    "--plan", default=None, help="Put the user on this plan. Default: default_plan of the config for a new user."
)
@limit_options
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["admin"]),
    help="What the key is for beside calls of models. admin: what operators see, /v1/admin.",
)
@click.option(
    "--test", "environment", flag_value="test", default=False, help="A pls_test_ key instead of a pls_live_ one."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@config_option
@plain_errors
def keys_create(
    user: str,
    tenant: str,
    name: str,
    plan: str | None,
    limits: LimitsChange,
    scopes: tuple[str, ...],
    environment: str | None,
    as_json: bool,
    config_file: str | None,
) -> None:
    """Make a key and print it. It is not kept anywhere: this is the one time it is shown.

    The limits are the key's own and hold for everything that is done with it, beside those of its user and its tenant.
    """
    from pulse_host import key_admin

    config = load_config(config_file)
    created = with_database(
        config,
        lambda pool: key_admin.create(
            pool, config, user, name, plan, environment or "live", tenant_id=tenant, limits=limits, scopes=scopes
        ),
    )
    row = created.row
    if as_json:
        shown = {"key": created.secret, "key_id": row.key_id, "user": user, "tenant": row.tenant, "plan": row.plan}
        click.echo(msgspec.json.encode({**shown, "limits": row.limits, "scopes": row.scopes}).decode())
    else:
        click.echo(created.secret)
        click.echo(f"key {row.key_id} of {user} on the plan {row.plan}; shown this once", err=True)


@keys.command("list")
@click.option("--user", default=None, help="Only this user's.")
@click.option("--tenant", default=None, help="Only this tenant's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
@config_option
@plain_errors
def keys_list(user: str | None, tenant: str | None, as_json: bool, config_file: str | None) -> None:
    """List keys: never the secret, only its id and last four characters."""
    from pulse_host import key_admin

    rows = with_database(load_config(config_file), lambda pool: key_admin.rows(pool, user, tenant))
    if rows and not as_json:
        click.echo(key_admin.KeyRow.HEADINGS)
    for row in rows:
        click.echo(msgspec.json.encode(row).decode() if as_json else row.line())
    if not rows and not as_json:
        click.echo("no keys; make one with `pulse keys create --user you@example.com`")


@keys.command("update")
@click.argument("key_id")
@limit_options
@config_option
@plain_errors
def keys_update(key_id: str, limits: LimitsChange, config_file: str | None) -> None:
    """Change the limits of the key KEY_ID; those not named stay. Servers notice within a minute."""
    from pulse_host import key_admin

    with_database(load_config(config_file), lambda pool: key_admin.limit(pool, key_id, limits))
    click.echo(f"changed {key_id}")


@keys.command("revoke")
@click.argument("key_id")
@config_option
@plain_errors
def keys_revoke(key_id: str, config_file: str | None) -> None:
    """Revoke the key KEY_ID. Servers notice within a minute."""
    from pulse_host import key_admin

    if not with_database(load_config(config_file), lambda pool: key_admin.revoke(pool, key_id)):
        raise ConfigError(f"there is no live key {key_id!r}; see `pulse keys list`")
    click.echo(f"revoked {key_id}")


@click.group()
def tenants() -> None:
    """Tenants: make them, list them, change their limits.

    Users and keys belong to one; its limits hold for all of them together.
    """


@tenants.command("create")
@click.argument("tenant_id", metavar="NAME")
@click.option("--name", "title", default=None, help="What people call it. Default: NAME.")
@limit_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@config_option
@plain_errors
def tenants_create(
    tenant_id: str, title: str | None, limits: LimitsChange, as_json: bool, config_file: str | None
) -> None:
    """Make the tenant NAME. Its limits hold for all its users together; those not named are as configured."""
    from pulse_host import tenants as tenant_admin

    row = with_database(load_config(config_file), lambda pool: tenant_admin.create(pool, tenant_id, title, limits))
    click.echo(msgspec.json.encode(row).decode() if as_json else f"made {row.tenant}; limits: {row.limits.line()}")


@tenants.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
@config_option
@plain_errors
def tenants_list(as_json: bool, config_file: str | None) -> None:
    """List tenants and their limits; what is not listed is as configured."""
    from pulse_host import tenants as tenant_admin

    rows = with_database(load_config(config_file), tenant_admin.rows)
    if not as_json:
        click.echo(tenant_admin.TenantRow.HEADINGS)
    for row in rows:
        click.echo(msgspec.json.encode(row).decode() if as_json else row.line())


@tenants.command("update")
@click.argument("tenant_id", metavar="NAME")
@click.option("--name", "title", default=None, help="What people call it.")
@limit_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@config_option
@plain_errors
def tenants_update(
    tenant_id: str, title: str | None, limits: LimitsChange, as_json: bool, config_file: str | None
) -> None:
    """Change the tenant NAME; what is not named stays. Servers notice within a minute."""
    from pulse_host import tenants as tenant_admin

    row = with_database(load_config(config_file), lambda pool: tenant_admin.update(pool, tenant_id, title, limits))
    click.echo(msgspec.json.encode(row).decode() if as_json else f"changed {row.tenant}; limits: {row.limits.line()}")
