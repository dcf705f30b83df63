-- Note that a key is in use, at most once a minute however many replicas see it. $1: key_id.
update api_key set last_used_at = now()
where key_id = $1 and (last_used_at is null or last_used_at < now() - interval '1 minute')
