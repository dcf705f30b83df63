-- The user with this e-mail address, in any case, or this id. $1: either.
select id::text as user_id, tenant_id, email, plan, created_at from app_user where lower(email) = lower($1) or id::text = lower($1)
