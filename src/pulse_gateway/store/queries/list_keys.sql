-- Keys, oldest first, never with anything to log in by. $1: the ids of users, or null for everybody's. $2: tenant_id, or null for all.
select api_key.key_id, api_key.prefix, api_key.last4, api_key.user_id::text as user_id, api_key.tenant_id, app_user.email,
       app_user.plan, api_key.name, api_key.scopes, api_key.limits::text as limits, api_key.created_at, api_key.expires_at,
       api_key.revoked_at, api_key.last_used_at
from api_key
join app_user on app_user.tenant_id = api_key.tenant_id and app_user.id = api_key.user_id
where ($1::uuid[] is null or api_key.user_id = any($1)) and ($2::text is null or api_key.tenant_id = $2)
order by api_key.created_at, api_key.key_id
