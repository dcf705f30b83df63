delete from video_job where id = $3 and tenant_id = $1 and user_id = $2 returning true
