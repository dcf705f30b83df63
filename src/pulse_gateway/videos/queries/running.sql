select count(*) from video_job where tenant_id = $1 and user_id = $2 and not over
