-- Keys, oldest first, never with anything to log in by. $1: the id of a user, or null for everybody's.
select api_key.key_id, api_key.prefix, api_key.last4, api_key.user_id::text as user_id, api_key.tenant_id, app_user.email,
       app_user.plan, api_key.name, api_key.scopes, api_key.created_at, api_key.expires_at, api_key.revoked_at,
       api_key.last_used_at
from api_key
join app_user on app_user.id = api_key.user_id
where $1::uuid is null or api_key.user_id = $1
order by api_key.created_at, api_key.key_id
