-- Set balances to the sums found for them, one array a column: tenant_id, account, period, kind, amount.
insert into usage_balance (tenant_id, account, period, kind, amount)
select * from unnest($1::text[], $2::text[], $3::integer[], $4::text[], $5::bigint[])
on conflict (tenant_id, account, period, kind) do update set amount = excluded.amount, updated_at = now()
