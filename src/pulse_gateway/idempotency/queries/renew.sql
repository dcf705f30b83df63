-- Hold a key for another lease. $1 tenant, $2 user, $3 key, $4 owner, $5 lease in seconds.
update idempotency set locked_until = now() + make_interval(secs => $5)
where tenant_id = $1 and user_id = $2 and key = $3 and owner = $4 and locked_until is not null
returning true
