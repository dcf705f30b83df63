-- What a user has used of each model in a range of days (UTC). $1 tenant_id, $2 user_id, $3 first day, $4 last day.
select
    provider, model,
    sum(requests)::bigint as requests,
    sum(
        input_tokens + cached_input_tokens + cache_write_tokens + cache_write_long_tokens + audio_input_tokens
        + image_input_tokens + video_input_tokens
    )::bigint as input_tokens,
    sum(cached_input_tokens)::bigint as cached_input_tokens,
    sum(
        output_tokens + reasoning_tokens + audio_output_tokens + image_output_tokens + video_output_tokens
    )::bigint as output_tokens,
    sum(reasoning_tokens)::bigint as reasoning_tokens,
    sum(tokens)::bigint as tokens, sum(images)::bigint as images, sum(videos)::bigint as videos,
    sum(video_ms)::bigint as video_ms, sum(audio_ms)::bigint as audio_ms, sum(characters)::bigint as characters,
    sum(searches)::bigint as searches,
    sum(cost_nano_usd)::bigint as cost_nano_usd, sum(unpriced)::bigint as unpriced
from usage_daily
where tenant_id = $1 and user_id = $2 and day between $3 and $4
group by provider, model
order by provider, model
