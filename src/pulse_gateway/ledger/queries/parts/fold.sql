-- The end of every statement that adds entries, after by_hour.sql and by_day.sql: those really inserted, `fresh`, are added to balances and
-- roll-ups. The answer is how many they are and, unless they are all of the batch ($1), their ids.
-- Rows are taken in one order everywhere, so that writers running side by side cannot deadlock.
balanced as (
    insert into usage_balance as kept (tenant_id, account, period, kind, amount)
    select fresh.tenant_id, account, fresh.period, used.kind, sum(used.amount)
    from fresh
    cross join lateral unnest(fresh.accounts) as account
    cross join lateral (values
        ('tokens', fresh.tokens),
        ('images', fresh.images),
        ('videos', fresh.videos),
        ('cost_nano_usd', fresh.cost_nano_usd)
    ) as used (kind, amount)
    where used.amount <> 0
    group by 1, 2, 3, 4
    order by 1, 2, 3, 4
    on conflict (tenant_id, account, period, kind) do update set amount = kept.amount + excluded.amount, updated_at = now()
),
hourly as (
    insert into usage_hourly as kept (
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
    order by 1, 2, 3, 4, 5, 6, 7
    on conflict (tenant_id, hour, user_id, key_id, alias, provider, model) do update set
        requests = kept.requests + excluded.requests,
        attempts = kept.attempts + excluded.attempts,
        failed = kept.failed + excluded.failed,
        unpriced = kept.unpriced + excluded.unpriced,
        input_tokens = kept.input_tokens + excluded.input_tokens,
        cached_input_tokens = kept.cached_input_tokens + excluded.cached_input_tokens,
        cache_write_tokens = kept.cache_write_tokens + excluded.cache_write_tokens,
        cache_write_long_tokens = kept.cache_write_long_tokens + excluded.cache_write_long_tokens,
        audio_input_tokens = kept.audio_input_tokens + excluded.audio_input_tokens,
        image_input_tokens = kept.image_input_tokens + excluded.image_input_tokens,
        video_input_tokens = kept.video_input_tokens + excluded.video_input_tokens,
        output_tokens = kept.output_tokens + excluded.output_tokens,
        reasoning_tokens = kept.reasoning_tokens + excluded.reasoning_tokens,
        audio_output_tokens = kept.audio_output_tokens + excluded.audio_output_tokens,
        image_output_tokens = kept.image_output_tokens + excluded.image_output_tokens,
        video_output_tokens = kept.video_output_tokens + excluded.video_output_tokens,
        video_ms = kept.video_ms + excluded.video_ms,
        audio_ms = kept.audio_ms + excluded.audio_ms,
        characters = kept.characters + excluded.characters,
        searches = kept.searches + excluded.searches,
        tokens = kept.tokens + excluded.tokens,
        images = kept.images + excluded.images,
        videos = kept.videos + excluded.videos,
        cost_nano_usd = kept.cost_nano_usd + excluded.cost_nano_usd
),
daily as (
    insert into usage_daily as kept (
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
    order by 1, 2, 3, 4, 5, 6, 7
    on conflict (tenant_id, day, user_id, key_id, alias, provider, model) do update set
        requests = kept.requests + excluded.requests,
        attempts = kept.attempts + excluded.attempts,
        failed = kept.failed + excluded.failed,
        unpriced = kept.unpriced + excluded.unpriced,
        input_tokens = kept.input_tokens + excluded.input_tokens,
        cached_input_tokens = kept.cached_input_tokens + excluded.cached_input_tokens,
        cache_write_tokens = kept.cache_write_tokens + excluded.cache_write_tokens,
        cache_write_long_tokens = kept.cache_write_long_tokens + excluded.cache_write_long_tokens,
        audio_input_tokens = kept.audio_input_tokens + excluded.audio_input_tokens,
        image_input_tokens = kept.image_input_tokens + excluded.image_input_tokens,
        video_input_tokens = kept.video_input_tokens + excluded.video_input_tokens,
        output_tokens = kept.output_tokens + excluded.output_tokens,
        reasoning_tokens = kept.reasoning_tokens + excluded.reasoning_tokens,
        audio_output_tokens = kept.audio_output_tokens + excluded.audio_output_tokens,
        image_output_tokens = kept.image_output_tokens + excluded.image_output_tokens,
        video_output_tokens = kept.video_output_tokens + excluded.video_output_tokens,
        video_ms = kept.video_ms + excluded.video_ms,
        audio_ms = kept.audio_ms + excluded.audio_ms,
        characters = kept.characters + excluded.characters,
        searches = kept.searches + excluded.searches,
        tokens = kept.tokens + excluded.tokens,
        images = kept.images + excluded.images,
        videos = kept.videos + excluded.videos,
        cost_nano_usd = kept.cost_nano_usd + excluded.cost_nano_usd
)
select count(*), case when count(*) < cardinality($1::text::uuid[]) then coalesce(array_agg(entry_id::text), '{}') end
from fresh
