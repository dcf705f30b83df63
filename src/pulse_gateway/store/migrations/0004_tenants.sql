-- Tenants: limits of their own and of keys, addresses that are unique within a tenant, and a second wall between tenants.

-- Of types.identity.Allowance: requests and tokens as [amount, seconds] or "off", concurrency, budget_nano_usd. What is left out
-- is not said, and what is configured more generally holds.
alter table tenant add column limits jsonb not null default '{}' check (jsonb_typeof(limits) = 'object');
alter table api_key add column limits jsonb not null default '{}' check (jsonb_typeof(limits) = 'object');

-- Both words mean something else in app.tenant_id.
alter table tenant add check (id not in ('', '*'));

create unique index app_user_tenant_email on app_user (tenant_id, lower(email));
drop index app_user_email;

-- The second wall. A session says in app.tenant_id whose rows it may see and write; '*' is everybody's, nothing is nobody's. After
-- a transaction that said it for itself alone the setting is '', not null. Partitions are protected one by one: the policy of
-- the whole does not hold for a query that names a part. Whoever adds a table with rows of tenants, or a partition to one, calls
-- this for it; called again it changes nothing and takes no lock that anybody would feel.
create function pulse_protect(target regclass, tenant_column text default 'tenant_id') returns void language plpgsql as $$
declare
    part regclass;
begin
    for part in select target union select tree.relid from pg_partition_tree(target) as tree loop
        continue when exists (
            select from pg_class
            join pg_policy on pg_policy.polrelid = pg_class.oid and pg_policy.polname = 'tenant'
            where pg_class.oid = part and pg_class.relrowsecurity and pg_class.relforcerowsecurity
        );
        execute format('alter table %s enable row level security', part);
        execute format('alter table %s force row level security', part);
        execute format('drop policy if exists tenant on %s', part);
        -- The settings stand in subqueries so that they are read once a statement rather than once a row.
        execute format(
            'create policy tenant on %s'
            ' using (%I = (select nullif(current_setting(''app.tenant_id'', true), ''''))'
            '        or (select current_setting(''app.tenant_id'', true)) = ''*'')',
            part, tenant_column
        );
    end loop;
end
$$;

select
    pulse_protect('tenant', 'id'), pulse_protect('app_user'), pulse_protect('api_key'), pulse_protect('usage_entry'),
    pulse_protect('usage_balance'), pulse_protect('usage_hourly'), pulse_protect('usage_daily'), pulse_protect('open_permit'),
    pulse_protect('budget_alert');
