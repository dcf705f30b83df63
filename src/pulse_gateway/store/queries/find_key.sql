-- The key with this digest, the plan of its user, and what the key and its tenant may do, if any. $1: the SHA-256 of the whole key.
select api_key.key_id, api_key.digest, api_key.user_id::text as user_id, api_key.tenant_id, app_user.plan,
       api_key.scopes, api_key.expires_at, api_key.revoked_at, api_key.limits::text as key_limits, tenant.limits::text as tenant_limits
from api_key
join app_user on app_user.tenant_id = api_key.tenant_id and app_user.id = api_key.user_id
join tenant on tenant.id = api_key.tenant_id
where api_key.digest = $1
