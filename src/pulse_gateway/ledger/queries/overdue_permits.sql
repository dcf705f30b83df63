-- Attempts of which nothing was heard in time, the longest overdue first. $1: how many at most.
select entry_id::text, entry from open_permit where deadline < now() order by deadline limit $1 for update skip locked
