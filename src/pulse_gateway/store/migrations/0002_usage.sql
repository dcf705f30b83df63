-- What was used. usage_entry is only ever added to; usage_balance is the sum of its rows, kept by the statement that adds them.
-- user_id has no foreign key: an entry must be kept whatever has become of its user.

create table usage_entry (
    entry_id                uuid primary key,
    request_id              text not null,
    trace_id                text not null,
    tenant_id               text not null,
    user_id                 text not null,
    key_id                  text,
    period                  integer not null,
    operation               text not null,
    dialect                 text not null,
    alias                   text not null,
    provider                text not null,
    model                   text not null,
    attempt                 integer not null,
    outcome                 text not null,
    source                  text not null,
    input_tokens            bigint,
    cached_input_tokens     bigint,
    cache_write_tokens      bigint,
    cache_write_long_tokens bigint,
    audio_input_tokens      bigint,
    output_tokens           bigint,
    reasoning_tokens        bigint,
    audio_output_tokens     bigint,
    image_output_tokens     bigint,
    tokens                  bigint not null check (tokens >= 0),
    cost_nano_usd           bigint check (cost_nano_usd >= 0),
    price_source            text,
    images                  integer not null check (images >= 0),
    videos                  integer not null check (videos >= 0),
    first_byte_ms           double precision,
    total_ms                double precision not null,
    at                      timestamptz not null,
    recorded_at             timestamptz not null default now(),
    error_code              text,
    meta                    jsonb not null
);

create index usage_entry_user_at on usage_entry (user_id, at);

-- kind: tokens, images, videos, or cost_nano_usd. period: the month of the grant, 202611.
create table usage_balance (
    user_id    text not null,
    period     integer not null,
    kind       text not null,
    amount     bigint not null,
    updated_at timestamptz not null default now(),
    primary key (user_id, period, kind)
);

create index usage_balance_period on usage_balance (period);
