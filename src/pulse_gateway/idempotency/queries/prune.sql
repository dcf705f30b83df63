-- Remove up to $1 rows whose time is over. Several replicas may do so at once.
with old as (
    select tenant_id, user_id, key from idempotency where expires_at <= now() limit $1 for update skip locked
)
delete from idempotency using old
where idempotency.tenant_id = old.tenant_id and idempotency.user_id = old.user_id and idempotency.key = old.key
