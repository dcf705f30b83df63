-- Entries whose attempts began in a span of time, for what is to be summed again. $1: from, $2: up to, not including.
with fresh as (
    select * from usage_entry where at >= $1 and at < $2
)
