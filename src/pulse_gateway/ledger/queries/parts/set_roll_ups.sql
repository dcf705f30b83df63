-- Fill the roll-ups, emptied for a span of time before, after entries_between.sql, by_hour.sql and by_day.sql.
hourly as (
    insert into usage_hourly (
        tenant_id, hour, user_id, key_id, alias, provider, model, requests, attempts, failed, unpriced, input_tokens,
        cached_input_tokens, cache_write_tokens, cache_write_long_tokens, audio_input_tokens, image_input_tokens,
        video_input_tokens, output_tokens, reasoning_tokens, audio_output_tokens, image_output_tokens, video_output_tokens,
        video_ms, audio_ms, characters, searches, tokens, images, videos, cost_nano_usd)
    select
        tenant_id, hour, user_id, key_id, alias, provider, model, requests, attempts, failed, unpriced, input_tokens,
        cached_input_tokens, cache_write_tokens, cache_write_long_tokens, audio_input_tokens, image_input_tokens,
        video_input_tokens, output_tokens, reasoning_tokens, audio_output_tokens, image_output_tokens, video_output_tokens,
        video_ms, audio_ms, characters, searches, tokens, images, videos, cost_nano_usd
    from by_hour
)
insert into usage_daily (
    tenant_id, day, user_id, key_id, alias, provider, model, requests, attempts, failed, unpriced, input_tokens,
    cached_input_tokens, cache_write_tokens, cache_write_long_tokens, audio_input_tokens, image_input_tokens,
    video_input_tokens, output_tokens, reasoning_tokens, audio_output_tokens, image_output_tokens, video_output_tokens,
    video_ms, audio_ms, characters, searches, tokens, images, videos, cost_nano_usd)
select
    tenant_id, day, user_id, key_id, alias, provider, model, requests, attempts, failed, unpriced, input_tokens,
    cached_input_tokens, cache_write_tokens, cache_write_long_tokens, audio_input_tokens, image_input_tokens,
    video_input_tokens, output_tokens, reasoning_tokens, audio_output_tokens, image_output_tokens, video_output_tokens,
    video_ms, audio_ms, characters, searches, tokens, images, videos, cost_nano_usd
from by_day
