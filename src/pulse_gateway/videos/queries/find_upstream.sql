select job from video_job where provider = $1 and upstream_id = $2 order by created_at desc limit 1
