-- Add a batch of entries, after incoming.sql; $47 are the ids whose open permits end with it.
-- by_hour.sql, by_day.sql and fold.sql follow. Entries already there are left alone, so a batch may come any number of times.
fresh as (
    insert into usage_entry (
        entry_id, request_id, trace_id, tenant_id, user_id, key_id, accounts, period, operation, dialect, alias, provider,
        model, attempt, outcome, source, recovered, reverses, requests, failed, unpriced, input_tokens, cached_input_tokens,
        cache_write_tokens, cache_write_long_tokens, audio_input_tokens, image_input_tokens, video_input_tokens,
        output_tokens, reasoning_tokens, audio_output_tokens, image_output_tokens, video_output_tokens, video_ms, audio_ms,
        characters, searches, variant, tokens, cost_nano_usd, price_source, price_version, images, videos, first_byte_ms,
        total_ms, at, error_code, meta)
    select
        e.entry_id, e.request_id, e.trace_id, e.tenant_id, e.user_id, e.key_id, e.accounts::text[], e.period, e.operation,
        e.dialect, e.alias, e.provider, e.model, e.attempt, e.outcome, e.source, e.recovered, e.reverses,
        (e.reverses is null and e.attempt = 1)::integer,
        (e.reverses is null and e.outcome in ('failed', 'interrupted'))::integer,
        (e.reverses is null and e.cost_nano_usd is null)::integer,
        e.input_tokens, e.cached_input_tokens, e.cache_write_tokens, e.cache_write_long_tokens, e.audio_input_tokens,
        e.image_input_tokens, e.video_input_tokens, e.output_tokens, e.reasoning_tokens, e.audio_output_tokens,
        e.image_output_tokens, e.video_output_tokens, e.video_ms, e.audio_ms, e.characters, e.searches, e.variant,
        e.tokens, e.cost_nano_usd, e.price_source, e.price_version, e.images, e.videos, e.first_byte_ms, e.total_ms,
        to_timestamp(e.at), e.error_code, e.meta::jsonb
    from incoming as e
    order by e.at, e.entry_id
    on conflict (at, entry_id) do nothing
    returning *
),
closed as (
    delete from open_permit where entry_id = any($47::uuid[])
)
