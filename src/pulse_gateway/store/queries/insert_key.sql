-- Add a key for a user. A key whose digest is already there, given once more by an operator, moves to that user and lives
-- again; its limits stay unless others are given.
-- $1 key_id, $2 digest, $3 prefix, $4 last4, $5 user id, $6 name, $7 scopes, $8 expires_at, $9 limits as JSON, or null.
with saved as (
    insert into api_key as kept (key_id, digest, prefix, last4, user_id, tenant_id, name, scopes, expires_at, limits)
    select $1, $2, $3, $4, app_user.id, app_user.tenant_id, $6, $7, $8, coalesce($9::text::jsonb, '{}')
    from app_user where app_user.id = $5::uuid
    on conflict (digest) do update set
        user_id = excluded.user_id, tenant_id = excluded.tenant_id, name = excluded.name, scopes = excluded.scopes,
        expires_at = excluded.expires_at, revoked_at = null,
        limits = case when $9::text is null then kept.limits else excluded.limits end
    returning *
)
select saved.key_id, saved.prefix, saved.last4, saved.user_id::text as user_id, saved.tenant_id, app_user.email, app_user.plan,
       saved.name, saved.scopes, saved.limits::text as limits, saved.created_at, saved.expires_at, saved.revoked_at,
       saved.last_used_at
from saved
join app_user on app_user.tenant_id = saved.tenant_id and app_user.id = saved.user_id
