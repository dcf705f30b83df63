-- Change what a live key may do. Answers nothing if there is no such key. $1 key_id, $2 the limits to forget, $3 those to set, as JSON.
update api_key set limits = (limits - $2::text[]) || $3::text::jsonb where key_id = $1 and revoked_at is null returning key_id
