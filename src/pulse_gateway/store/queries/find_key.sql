-- The key with this digest and the plan of its user, if any. $1: the SHA-256 of the whole key.
select api_key.key_id, api_key.digest, api_key.user_id::text as user_id, api_key.tenant_id, app_user.plan,
       api_key.expires_at, api_key.revoked_at
from api_key
join app_user on app_user.id = api_key.user_id
where api_key.digest = $1
