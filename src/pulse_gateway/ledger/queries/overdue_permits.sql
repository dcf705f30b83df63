-- Attempts of which nothing was heard in time, the longest overdue first. $1: how many at most. They are not locked: who records one of
-- them meanwhile holds what we would wait for. Both come to the same, whoever is first.
select entry_id::text, entry from open_permit where deadline < now() order by deadline limit $1
