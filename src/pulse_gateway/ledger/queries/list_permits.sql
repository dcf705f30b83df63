-- Attempts under way. $1: their tenant, or null for all.
select opened_at, deadline, entry from open_permit where $1::text is null or tenant_id = $1 order by opened_at, entry_id
