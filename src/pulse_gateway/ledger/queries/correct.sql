-- Set balances to the sums found for them, one array a column: user_id, period, kind, amount.
insert into usage_balance as balance (user_id, period, kind, amount)
select * from unnest($1::text[], $2::integer[], $3::text[], $4::bigint[])
on conflict (user_id, period, kind) do update set amount = excluded.amount, updated_at = now()
