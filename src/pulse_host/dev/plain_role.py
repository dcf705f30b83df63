"""The role as which `pulse dev` uses its own Postgres: the owner of the database and of all that is in it, and no superuser.

A superuser passes by every row-level policy. What an earlier version made belongs to the superuser; it is handed over here.
"""

from __future__ import annotations

from pulse_host.database.pool import open_connection

__all__ = ["PLAIN_ROLE", "hand_over"]

PLAIN_ROLE = "pulse"  # written out below: a block takes no parameters

_HAND_OVER = """
do $body$
declare
    database name := current_database();
    each record;
begin
    if not exists (select from pg_roles where rolname = 'pulse') then
        create role pulse login nosuperuser nobypassrls nocreatedb nocreaterole noreplication;
    end if;
    if (select pg_get_userbyid(datdba) from pg_database where datname = database) <> 'pulse' then
        execute format('alter database %I owner to pulse', database);
    end if;
    for each in
        select object.command
        from (
            select oid, 'pg_namespace'::regclass as catalog, oid as namespace, nspowner as owner, false as sequence,
                format('alter schema %I', nspname) as command
            from pg_namespace where nspname <> 'public'
            union all
            select oid, 'pg_class'::regclass, relnamespace, relowner, relkind = 'S',
                format('alter %s %s', case relkind
                    when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
                    when 'f' then 'foreign table' when 'c' then 'type' else 'table' end, oid::regclass)
            from pg_class where relkind in ('r', 'p', 'v', 'm', 'S', 'f', 'c')
            union all
            select oid, 'pg_proc'::regclass, pronamespace, proowner, false,
                format('alter routine %s', oid::regprocedure)
            from pg_proc where prokind <> 'a'
            union all
            select oid, 'pg_type'::regclass, typnamespace, typowner, false,
                format('alter %s %s', case typtype when 'd' then 'domain' else 'type' end, oid::regtype)
            from pg_type where typtype in ('d', 'e')
        ) as object
        join pg_namespace as home on home.oid = object.namespace
        where object.owner = (select oid from pg_roles where rolname = current_user)
        and home.nspname !~ '^pg_' and home.nspname <> 'information_schema'
        and not exists (  -- what belongs to an extension, or a sequence to a column, goes with that
            select from pg_depend as parent
            where parent.classid = object.catalog and parent.objid = object.oid
            and (parent.deptype = 'e' or object.sequence and parent.deptype in ('a', 'i')))
    loop
        execute each.command || ' owner to pulse';
    end loop;
end
$body$
"""


async def hand_over(superuser_url: str) -> None:
    """Make the role if need be, and give it the database with all that the superuser owns in it. Does nothing the second time.

    Raises: DatabaseUnusable.
    """
    async with open_connection(superuser_url) as connection:
        await connection.execute(_HAND_OVER)
