select job from video_job
where tenant_id = $1 and user_id = $2
    and ($3::text is null or (created_at, id) > (select created_at, id from video_job where id = $3 and tenant_id = $1 and user_id = $2))
order by created_at, id
limit $4
