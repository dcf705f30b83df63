-- Tell of attempts under way, or what is now known of them; one array a column. $5: seconds until somebody else may end them.
insert into open_permit (entry_id, tenant_id, opened_at, deadline, entry)
select e.entry_id, e.tenant_id, to_timestamp(e.at), now() + make_interval(secs => $5::double precision), e.entry
from unnest($1::uuid[], $2::text[], $3::double precision[], $4::bytea[]) as e (entry_id, tenant_id, at, entry)
order by e.entry_id
on conflict (entry_id) do update set deadline = excluded.deadline, entry = excluded.entry
