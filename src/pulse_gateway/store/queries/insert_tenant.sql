-- Add a tenant; answers nothing if there is one with this id. $1 id, $2 name, $3 limits, as JSON.
insert into tenant (id, name, limits) values ($1, $2, $3::text::jsonb)
on conflict (id) do nothing
returning id as tenant_id, name, limits::text as limits, created_at, 0 as users
