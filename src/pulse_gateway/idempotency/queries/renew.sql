-- Hold a key again, beyond any doubt. $1 tenant, $2 user, $3 key, $4 owner, $5 for how many seconds.
update idempotency set locked_until = now() + make_interval(secs => $5), doubted = false
where tenant_id = $1 and user_id = $2 and key = $3 and owner = $4 and locked_until is not null
returning true
