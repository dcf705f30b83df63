-- What accounts of a tenant have used in a month. $1 tenant_id, $2 accounts, $3 the period, 202611.
select account, kind, amount from usage_balance where tenant_id = $1 and account = any($2::text[]) and period = $3
