-- Whether a run still holds its key. $1 tenant, $2 user, $3 key, $4 owner.
select exists (
    select from idempotency where tenant_id = $1 and user_id = $2 and key = $3 and owner = $4 and locked_until > now()
)
