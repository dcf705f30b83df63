-- Change a tenant. Answers nothing if there is none with this id.
-- $1 id, $2 name or null to keep it, $3 the limits to forget, $4 those to set, as JSON.
update tenant set name = coalesce($2, name), limits = (limits - $3::text[]) || $4::text::jsonb where id = $1 returning id
