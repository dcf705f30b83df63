-- Take a key that is new, whose time is over, or whose holder was doubted and did not answer; else say what has become of it.
-- $1 tenant, $2 user, $3 key, $4 fingerprint, $5 owner, $6 for how many seconds it is held,
-- $7 seconds until an unfinished row may be removed.
-- Nothing at all is answered when somebody else took it while this statement ran: ask again.
with mine as (
    insert into idempotency as held (tenant_id, user_id, key, fingerprint, owner, locked_until, expires_at)
    values ($1, $2, $3, $4, $5, now() + make_interval(secs => $6), now() + make_interval(secs => $7))
    on conflict (tenant_id, user_id, key) do update set
        fingerprint = excluded.fingerprint, owner = excluded.owner, locked_until = excluded.locked_until, doubted = false,
        created_at = now(), expires_at = excluded.expires_at,
        request_id = null, status = null, headers = null, streamed = null, body = null, deflated = null
    where (held.doubted and held.locked_until <= now()) or held.expires_at <= now()
    returning held.owner
)
select true as mine, null::bytea as fingerprint, owner, null::boolean as running, null::boolean as lapsed,
    null::text as request_id, null::smallint as status, null::text[] as headers, null::boolean as streamed, null::boolean as has_body
from mine
union all
select false, fingerprint, owner, locked_until is not null, locked_until <= now(),
    request_id, status, headers, streamed, body is not null
from idempotency
where tenant_id = $1 and user_id = $2 and key = $3 and not exists (select from mine)
