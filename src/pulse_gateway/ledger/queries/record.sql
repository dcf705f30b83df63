-- Add a batch of entries, one array a column; answers how many were new.
-- Entries already there are left alone, and balances grow only by rows really inserted, so a batch may come any number of
-- times. Rows are taken in one order everywhere, so that writers running side by side cannot deadlock.
with fresh as (
    insert into usage_entry (
        entry_id, request_id, trace_id, tenant_id, user_id, key_id, period, operation, dialect, alias, provider, model,
        attempt, outcome, source, input_tokens, cached_input_tokens, cache_write_tokens, cache_write_long_tokens,
        audio_input_tokens, output_tokens, reasoning_tokens, audio_output_tokens, image_output_tokens, tokens,
        cost_nano_usd, price_source, images, videos, first_byte_ms, total_ms, at, error_code, meta)
    select
        e.entry_id, e.request_id, e.trace_id, e.tenant_id, e.user_id, e.key_id, e.period, e.operation, e.dialect, e.alias,
        e.provider, e.model, e.attempt, e.outcome, e.source, e.input_tokens, e.cached_input_tokens, e.cache_write_tokens,
        e.cache_write_long_tokens, e.audio_input_tokens, e.output_tokens, e.reasoning_tokens, e.audio_output_tokens,
        e.image_output_tokens, e.tokens, e.cost_nano_usd, e.price_source, e.images, e.videos, e.first_byte_ms, e.total_ms,
        to_timestamp(e.at), e.error_code, e.meta::jsonb
    from unnest(
        $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::integer[], $8::text[], $9::text[],
        $10::text[], $11::text[], $12::text[], $13::integer[], $14::text[], $15::text[], $16::bigint[], $17::bigint[],
        $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[], $22::bigint[], $23::bigint[], $24::bigint[],
        $25::bigint[], $26::bigint[], $27::text[], $28::integer[], $29::integer[], $30::double precision[],
        $31::double precision[], $32::double precision[], $33::text[], $34::text[]
    ) as e (
        entry_id, request_id, trace_id, tenant_id, user_id, key_id, period, operation, dialect, alias, provider, model,
        attempt, outcome, source, input_tokens, cached_input_tokens, cache_write_tokens, cache_write_long_tokens,
        audio_input_tokens, output_tokens, reasoning_tokens, audio_output_tokens, image_output_tokens, tokens,
        cost_nano_usd, price_source, images, videos, first_byte_ms, total_ms, at, error_code, meta)
    order by e.entry_id
    on conflict (entry_id) do nothing
    returning user_id, period, tokens, images, videos, cost_nano_usd
),
rolled as (
    insert into usage_balance as balance (user_id, period, kind, amount)
    select fresh.user_id, fresh.period, used.kind, sum(used.amount)
    from fresh
    cross join lateral (values
        ('tokens', fresh.tokens),
        ('images', fresh.images),
        ('videos', fresh.videos),
        ('cost_nano_usd', fresh.cost_nano_usd)
    ) as used (kind, amount)
    where used.amount > 0
    group by 1, 2, 3
    order by 1, 2, 3
    on conflict (user_id, period, kind) do update set amount = balance.amount + excluded.amount, updated_at = now()
)
select count(*) from fresh
