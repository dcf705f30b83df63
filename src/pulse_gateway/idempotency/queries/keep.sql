-- A run has its answer. $1 tenant, $2 user, $3 key, $4 owner, $5 request, $6 status, $7 headers (name, value, name, value …),
-- $8 streamed, $9 body, $10 whether the body is deflated, $11 for how many seconds it is kept.
update idempotency set
    locked_until = null, request_id = $5, status = $6, headers = $7, streamed = $8, body = $9, deflated = $10,
    expires_at = now() + make_interval(secs => $11)
where tenant_id = $1 and user_id = $2 and key = $3 and owner = $4 and locked_until is not null
returning true
