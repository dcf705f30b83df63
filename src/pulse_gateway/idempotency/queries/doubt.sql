-- The holder of a key did not renew it: if it does not within $5 seconds from now either, whoever asks then may take the key.
-- $1 tenant, $2 user, $3 key, $4 owner.
update idempotency set locked_until = now() + make_interval(secs => $5), doubted = true
where tenant_id = $1 and user_id = $2 and key = $3 and owner = $4 and locked_until <= now() and not doubted
returning true
