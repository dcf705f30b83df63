-- The user with this e-mail address, made if there is none, and put on this plan. $1 email, $2 plan, $3 tenant_id.
insert into app_user (email, plan, tenant_id) values ($1, $2, $3)
on conflict (lower(email)) do update set plan = excluded.plan
returning id::text as user_id, tenant_id, email, plan, created_at
