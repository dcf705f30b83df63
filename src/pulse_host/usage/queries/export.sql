-- Every entry of a span of time, corrections included, in the order the attempts began. $1: from, or null. $2: before, or null.
-- $3: tenant_id, or null for all.
select
    entry_id, reverses, recovered, at, recorded_at, period, tenant_id, user_id, key_id, accounts::text as accounts,
    request_id, trace_id, operation, dialect, alias, provider, model, attempt, outcome, error_code, source,
    input_tokens, cached_input_tokens, cache_write_tokens, cache_write_long_tokens, audio_input_tokens, image_input_tokens,
    video_input_tokens, output_tokens, reasoning_tokens, audio_output_tokens, image_output_tokens, video_output_tokens, tokens,
    images, videos, video_ms, audio_ms, characters, searches, variant, cost_nano_usd, price_source, price_version,
    requests, failed, unpriced, first_byte_ms, total_ms, meta::text as meta
from usage_entry
where at >= coalesce($1::timestamptz, '-infinity') and at < coalesce($2::timestamptz, 'infinity')
    and ($3::text is null or tenant_id = $3)
order by at, entry_id
