-- The body of a kept answer. $1 tenant, $2 user, $3 key, $4 owner.
select body, deflated from idempotency where tenant_id = $1 and user_id = $2 and key = $3 and owner = $4 and body is not null
