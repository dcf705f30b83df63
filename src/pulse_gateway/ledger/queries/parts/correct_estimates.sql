-- Better word on entries that somebody else had to estimate: a correction for each, so that the sum of all is what is said now.
-- After incoming.sql; by_hour.sql, by_day.sql and fold.sql follow. $47 and $48 are the ids of the corrections
-- that the journal and the process itself make of each. Nothing happens to an entry whose making process has written it, nor a
-- second time, nor for word that is no better: the journal is better than the open permit, and the process itself is better than
-- both. Whoever runs this holds the lock that corrections share, taken before.
standing as (
    select
        e.entry_id,
        min(coalesce(array_position(array['journal', 'permit'], kept.recovered), 0)) as worth,
        coalesce(sum(kept.failed), 0) as failed,
        coalesce(sum(kept.unpriced), 0) as unpriced,
        coalesce(sum(kept.input_tokens), 0) as input_tokens,
        coalesce(sum(kept.cached_input_tokens), 0) as cached_input_tokens,
        coalesce(sum(kept.cache_write_tokens), 0) as cache_write_tokens,
        coalesce(sum(kept.cache_write_long_tokens), 0) as cache_write_long_tokens,
        coalesce(sum(kept.audio_input_tokens), 0) as audio_input_tokens,
        coalesce(sum(kept.image_input_tokens), 0) as image_input_tokens,
        coalesce(sum(kept.video_input_tokens), 0) as video_input_tokens,
        coalesce(sum(kept.output_tokens), 0) as output_tokens,
        coalesce(sum(kept.reasoning_tokens), 0) as reasoning_tokens,
        coalesce(sum(kept.audio_output_tokens), 0) as audio_output_tokens,
        coalesce(sum(kept.image_output_tokens), 0) as image_output_tokens,
        coalesce(sum(kept.video_output_tokens), 0) as video_output_tokens,
        coalesce(sum(kept.video_ms), 0) as video_ms,
        coalesce(sum(kept.audio_ms), 0) as audio_ms,
        coalesce(sum(kept.characters), 0) as characters,
        coalesce(sum(kept.searches), 0) as searches,
        coalesce(sum(kept.tokens), 0) as tokens,
        coalesce(sum(kept.cost_nano_usd), 0) as cost_nano_usd,
        coalesce(sum(kept.images), 0) as images,
        coalesce(sum(kept.videos), 0) as videos
    from incoming as e
    join usage_entry as kept
        on kept.at = to_timestamp(e.at)
        and kept.entry_id = any(array[e.entry_id, ($47::uuid[])[e.place], ($48::uuid[])[e.place]])
    group by e.entry_id
),
fresh as (
    insert into usage_entry (
        entry_id, request_id, trace_id, tenant_id, user_id, key_id, accounts, period, operation, dialect, alias, provider,
        model, attempt, outcome, source, recovered, reverses, requests, failed, unpriced, input_tokens, cached_input_tokens,
        cache_write_tokens, cache_write_long_tokens, audio_input_tokens, image_input_tokens, video_input_tokens,
        output_tokens, reasoning_tokens, audio_output_tokens, image_output_tokens, video_output_tokens, video_ms, audio_ms,
        characters, searches, variant, tokens, cost_nano_usd, price_source, price_version, images, videos, first_byte_ms,
        total_ms, at, error_code, meta)
    select
        case when e.recovered is null then ($48::uuid[])[e.place] else ($47::uuid[])[e.place] end, e.request_id, e.trace_id, e.tenant_id, e.user_id, e.key_id, e.accounts::text[], e.period,
        e.operation, e.dialect, e.alias, e.provider, e.model, e.attempt, e.outcome, e.source, e.recovered, e.entry_id,
        0, (e.outcome in ('failed', 'interrupted'))::integer - s.failed, (e.cost_nano_usd is null)::integer - s.unpriced,
        coalesce(e.input_tokens, 0) - s.input_tokens,
        coalesce(e.cached_input_tokens, 0) - s.cached_input_tokens,
        coalesce(e.cache_write_tokens, 0) - s.cache_write_tokens,
        coalesce(e.cache_write_long_tokens, 0) - s.cache_write_long_tokens,
        coalesce(e.audio_input_tokens, 0) - s.audio_input_tokens,
        coalesce(e.image_input_tokens, 0) - s.image_input_tokens,
        coalesce(e.video_input_tokens, 0) - s.video_input_tokens,
        coalesce(e.output_tokens, 0) - s.output_tokens,
        coalesce(e.reasoning_tokens, 0) - s.reasoning_tokens,
        coalesce(e.audio_output_tokens, 0) - s.audio_output_tokens,
        coalesce(e.image_output_tokens, 0) - s.image_output_tokens,
        coalesce(e.video_output_tokens, 0) - s.video_output_tokens,
        coalesce(e.video_ms, 0) - s.video_ms,
        coalesce(e.audio_ms, 0) - s.audio_ms,
        coalesce(e.characters, 0) - s.characters,
        coalesce(e.searches, 0) - s.searches,
        e.variant,
        e.tokens - s.tokens,
        coalesce(e.cost_nano_usd, 0) - s.cost_nano_usd,
        e.price_source, e.price_version,
        e.images - s.images,
        e.videos - s.videos,
        e.first_byte_ms, e.total_ms, to_timestamp(e.at), e.error_code, e.meta::jsonb
    from incoming as e
    join standing as s using (entry_id)
    where coalesce(array_position(array['journal', 'permit'], e.recovered), 0) < s.worth
    order by to_timestamp(e.at), 1
    on conflict (at, entry_id) do nothing
    returning *
)
