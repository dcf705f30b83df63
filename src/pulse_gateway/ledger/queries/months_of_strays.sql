-- When the entries that have found no month began: the first moment of each month (UTC).
select distinct date_trunc('month', at, 'UTC') as month from usage_entry_default where at > '1000-01-01' and at < '9000-01-01'
