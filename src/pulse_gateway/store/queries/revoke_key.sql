-- End a key now. Answers nothing if there is no such key or it was revoked before. $1: key_id.
update api_key set revoked_at = now() where key_id = $1 and revoked_at is null returning key_id
