select id from video_job where false
