-- What the entries of `fresh` add to the roll-ups, by day (UTC), after by_hour.sql.
by_day as (
    select
        tenant_id, (hour at time zone 'UTC')::date as day, user_id, key_id, alias, provider, model,
        sum(requests) as requests,
        sum(attempts) as attempts,
        sum(failed) as failed,
        sum(unpriced) as unpriced,
        sum(input_tokens) as input_tokens,
        sum(cached_input_tokens) as cached_input_tokens,
        sum(cache_write_tokens) as cache_write_tokens,
        sum(cache_write_long_tokens) as cache_write_long_tokens,
        sum(audio_input_tokens) as audio_input_tokens,
        sum(image_input_tokens) as image_input_tokens,
        sum(video_input_tokens) as video_input_tokens,
        sum(output_tokens) as output_tokens,
        sum(reasoning_tokens) as reasoning_tokens,
        sum(audio_output_tokens) as audio_output_tokens,
        sum(image_output_tokens) as image_output_tokens,
        sum(video_output_tokens) as video_output_tokens,
        sum(video_ms) as video_ms,
        sum(audio_ms) as audio_ms,
        sum(characters) as characters,
        sum(searches) as searches,
        sum(tokens) as tokens,
        sum(images) as images,
        sum(videos) as videos,
        sum(cost_nano_usd) as cost_nano_usd
    from by_hour
    group by 1, 2, 3, 4, 5, 6, 7
)
