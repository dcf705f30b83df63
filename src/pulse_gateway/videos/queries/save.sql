update video_job set job = $2, over = $3, upstream_id = $4 where id = $1 and not over returning true
