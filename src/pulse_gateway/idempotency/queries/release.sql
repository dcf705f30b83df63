-- A run has failed: its key is free. $1 tenant, $2 user, $3 key, $4 owner.
delete from idempotency where tenant_id = $1 and user_id = $2 and key = $3 and owner = $4 and locked_until is not null
