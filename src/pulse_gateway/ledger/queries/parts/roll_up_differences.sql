-- Rows of the roll-ups that are not the sum of their entries, after entries_between.sql, by_hour.sql and by_day.sql.
-- $1 and $2 begin a day (UTC).
kept_hours as (
    select * from usage_hourly where hour >= $1 and hour < $2
),
kept_days as (
    select * from usage_daily where day >= ($1 at time zone 'UTC')::date and day < ($2 at time zone 'UTC')::date
)
select
    'usage_hourly' as roll_up, tenant_id, hour::text as starts_at, user_id, key_id, alias, provider, model,
    coalesce(kept.tokens, 0)::bigint as kept_tokens, coalesce(summed.tokens, 0)::bigint as entries_tokens,
    coalesce(kept.cost_nano_usd, 0)::bigint as kept_cost_nano_usd,
    coalesce(summed.cost_nano_usd, 0)::bigint as entries_cost_nano_usd
from by_hour as summed
full join kept_hours as kept using (tenant_id, hour, user_id, key_id, alias, provider, model)
where
    (
        summed.requests, summed.attempts, summed.failed, summed.unpriced, summed.input_tokens, summed.cached_input_tokens,
        summed.cache_write_tokens, summed.cache_write_long_tokens, summed.audio_input_tokens, summed.image_input_tokens,
        summed.video_input_tokens, summed.output_tokens, summed.reasoning_tokens, summed.audio_output_tokens,
        summed.image_output_tokens, summed.video_output_tokens, summed.video_ms, summed.audio_ms, summed.characters,
        summed.searches, summed.tokens, summed.images, summed.videos, summed.cost_nano_usd
    ) is distinct from (
        kept.requests, kept.attempts, kept.failed, kept.unpriced, kept.input_tokens, kept.cached_input_tokens,
        kept.cache_write_tokens, kept.cache_write_long_tokens, kept.audio_input_tokens, kept.image_input_tokens,
        kept.video_input_tokens, kept.output_tokens, kept.reasoning_tokens, kept.audio_output_tokens,
        kept.image_output_tokens, kept.video_output_tokens, kept.video_ms, kept.audio_ms, kept.characters, kept.searches,
        kept.tokens, kept.images, kept.videos, kept.cost_nano_usd
    )
union all
select
    'usage_daily' as roll_up, tenant_id, day::text as starts_at, user_id, key_id, alias, provider, model,
    coalesce(kept.tokens, 0)::bigint as kept_tokens, coalesce(summed.tokens, 0)::bigint as entries_tokens,
    coalesce(kept.cost_nano_usd, 0)::bigint as kept_cost_nano_usd,
    coalesce(summed.cost_nano_usd, 0)::bigint as entries_cost_nano_usd
from by_day as summed
full join kept_days as kept using (tenant_id, day, user_id, key_id, alias, provider, model)
where
    (
        summed.requests, summed.attempts, summed.failed, summed.unpriced, summed.input_tokens, summed.cached_input_tokens,
        summed.cache_write_tokens, summed.cache_write_long_tokens, summed.audio_input_tokens, summed.image_input_tokens,
        summed.video_input_tokens, summed.output_tokens, summed.reasoning_tokens, summed.audio_output_tokens,
        summed.image_output_tokens, summed.video_output_tokens, summed.video_ms, summed.audio_ms, summed.characters,
        summed.searches, summed.tokens, summed.images, summed.videos, summed.cost_nano_usd
    ) is distinct from (
        kept.requests, kept.attempts, kept.failed, kept.unpriced, kept.input_tokens, kept.cached_input_tokens,
        kept.cache_write_tokens, kept.cache_write_long_tokens, kept.audio_input_tokens, kept.image_input_tokens,
        kept.video_input_tokens, kept.output_tokens, kept.reasoning_tokens, kept.audio_output_tokens,
        kept.image_output_tokens, kept.video_output_tokens, kept.video_ms, kept.audio_ms, kept.characters, kept.searches,
        kept.tokens, kept.images, kept.videos, kept.cost_nano_usd
    )
order by 1, 2, 3, 4, 5, 6, 7, 8
