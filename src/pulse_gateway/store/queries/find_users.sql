-- The users with this e-mail address, in any case, or this id: at most one in each tenant. $1: either. $2: tenant_id, or null for all.
select id::text as user_id, tenant_id, email, plan, created_at
from app_user
where (lower(email) = lower($1) or id::text = lower($1)) and ($2::text is null or tenant_id = $2)
order by tenant_id
