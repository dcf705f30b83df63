delete from video_job where over and created_at < now() - make_interval(secs => $1)
