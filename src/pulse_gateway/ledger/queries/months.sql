-- The months that have a partition, as periods (202611), the oldest first.
select replace(substring(part.relname from '^usage_entry_(\d{4}_\d{2})$'), '_', '')::integer as period
from pg_inherits
join pg_class as part on part.oid = pg_inherits.inhrelid
where pg_inherits.inhparent = 'usage_entry'::regclass and part.relname ~ '^usage_entry_\d{4}_\d{2}$'
order by 1
