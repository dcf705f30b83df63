-- The rows are locked while they are taken, so that two servers take different ones.
update video_job set look_at = now() + make_interval(secs => $2)
where id in (
    select id from video_job where not over and look_at <= now() order by look_at limit $1 for update skip locked)
returning job
