-- What the entries of `fresh` add to the roll-ups, by hour (UTC).
by_hour as (
    select
        tenant_id, date_trunc('hour', at, 'UTC') as hour, user_id, coalesce(key_id, '') as key_id, alias, provider, model,
        sum(requests) as requests,
        count(*) filter (where reverses is null) as attempts,
        sum(failed) as failed,
        sum(unpriced) as unpriced,
        coalesce(sum(input_tokens), 0) as input_tokens,
        coalesce(sum(cached_input_tokens), 0) as cached_input_tokens,
        coalesce(sum(cache_write_tokens), 0) as cache_write_tokens,
        coalesce(sum(cache_write_long_tokens), 0) as cache_write_long_tokens,
        coalesce(sum(audio_input_tokens), 0) as audio_input_tokens,
        coalesce(sum(image_input_tokens), 0) as image_input_tokens,
        coalesce(sum(video_input_tokens), 0) as video_input_tokens,
        coalesce(sum(output_tokens), 0) as output_tokens,
        coalesce(sum(reasoning_tokens), 0) as reasoning_tokens,
        coalesce(sum(audio_output_tokens), 0) as audio_output_tokens,
        coalesce(sum(image_output_tokens), 0) as image_output_tokens,
        coalesce(sum(video_output_tokens), 0) as video_output_tokens,
        coalesce(sum(video_ms), 0) as video_ms,
        coalesce(sum(audio_ms), 0) as audio_ms,
        coalesce(sum(characters), 0) as characters,
        coalesce(sum(searches), 0) as searches,
        sum(tokens) as tokens,
        sum(images) as images,
        sum(videos) as videos,
        coalesce(sum(cost_nano_usd), 0) as cost_nano_usd
    from fresh
    group by 1, 2, 3, 4, 5, 6, 7
)
