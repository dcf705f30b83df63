-- Balances that are not the sum of their entries. $1: the period, or null for all. $2: the oldest period whose entries are all
-- here; of those before it the balances alone know what they came to.
with summed as (
    select entry.tenant_id, account, entry.period, used.kind, sum(used.amount)::bigint as amount
    from usage_entry as entry
    cross join lateral unnest(entry.accounts) as account
    cross join lateral (values
        ('tokens', entry.tokens),
        ('images', entry.images),
        ('videos', entry.videos),
        ('cost_nano_usd', entry.cost_nano_usd)
    ) as used (kind, amount)
    where used.amount <> 0 and entry.period >= $2 and ($1::integer is null or entry.period = $1)
    group by 1, 2, 3, 4
),
kept as (
    select tenant_id, account, period, kind, amount
    from usage_balance
    where period >= $2 and ($1::integer is null or period = $1)
)
select tenant_id, account, period, kind, coalesce(kept.amount, 0) as balance, coalesce(summed.amount, 0) as entries
from kept full join summed using (tenant_id, account, period, kind)
where coalesce(kept.amount, 0) <> coalesce(summed.amount, 0)
order by 1, 2, 3, 4
