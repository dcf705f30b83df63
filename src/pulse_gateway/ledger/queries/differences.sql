-- Balances that are not the sum of their entries. $1: the period, or null for all.
with summed as (
    select entry.user_id, entry.period, used.kind, sum(used.amount)::bigint as amount
    from usage_entry as entry
    cross join lateral (values
        ('tokens', entry.tokens),
        ('images', entry.images),
        ('videos', entry.videos),
        ('cost_nano_usd', entry.cost_nano_usd)
    ) as used (kind, amount)
    where used.amount > 0 and ($1::integer is null or entry.period = $1)
    group by 1, 2, 3
),
kept as (
    select user_id, period, kind, amount from usage_balance where $1::integer is null or period = $1
)
select user_id, period, kind, coalesce(kept.amount, 0) as balance, coalesce(summed.amount, 0) as entries
from kept full join summed using (user_id, period, kind)
where coalesce(kept.amount, 0) <> coalesce(summed.amount, 0)
order by 1, 2, 3
