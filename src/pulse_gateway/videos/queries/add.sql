insert into video_job (id, tenant_id, user_id, provider, upstream_id, over, created_at, job)
values ($1, $2, $3, $4, $5, $6, to_timestamp($7), $8)
on conflict (id) do nothing
