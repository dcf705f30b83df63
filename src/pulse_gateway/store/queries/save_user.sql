-- The user of a tenant with this e-mail address, made if there is none, and put on this plan; answers nothing if there is no such
-- tenant. $1 email, $2 plan, $3 tenant_id.
insert into app_user (email, plan, tenant_id) select $1, $2, tenant.id from tenant where tenant.id = $3
on conflict (tenant_id, lower(email)) do update set plan = excluded.plan
returning id::text as user_id, tenant_id, email, plan, created_at
