-- What is brought: one array a column, $1 to $46, each as Postgres writes an array: the driver would look at every single value of an
-- array of its own. `place` is an entry's place in them.
with incoming as (
    select * from unnest(
        $1::text::uuid[], $2::text::text[], $3::text::text[], $4::text::text[], $5::text::text[], $6::text::text[],
        $7::text::text[], $8::text::integer[], $9::text::text[], $10::text::text[], $11::text::text[], $12::text::text[],
        $13::text::text[], $14::text::integer[], $15::text::text[], $16::text::text[], $17::text::text[], $18::text::uuid[],
        $19::text::bigint[], $20::text::bigint[], $21::text::bigint[], $22::text::bigint[], $23::text::bigint[],
        $24::text::bigint[], $25::text::bigint[], $26::text::bigint[], $27::text::bigint[], $28::text::bigint[],
        $29::text::bigint[], $30::text::bigint[], $31::text::bigint[], $32::text::bigint[], $33::text::bigint[],
        $34::text::bigint[], $35::text::text[], $36::text::bigint[], $37::text::bigint[], $38::text::text[],
        $39::text::text[], $40::text::integer[], $41::text::integer[], $42::text::double precision[],
        $43::text::double precision[], $44::text::double precision[], $45::text::text[], $46::text::text[]
    ) with ordinality as e (
        entry_id, request_id, trace_id, tenant_id, user_id, key_id, accounts, period, operation, dialect, alias, provider,
        model, attempt, outcome, source, recovered, reverses, input_tokens, cached_input_tokens, cache_write_tokens,
        cache_write_long_tokens, audio_input_tokens, image_input_tokens, video_input_tokens, output_tokens,
        reasoning_tokens, audio_output_tokens, image_output_tokens, video_output_tokens, video_ms, audio_ms, characters,
        searches, variant, tokens, cost_nano_usd, price_source, price_version, images, videos, first_byte_ms, total_ms, at,
        error_code, meta, place)
)
