-- The ledger by months, with corrections; balances by account; roll-ups by hour and day; calls under way; alerts.
--
-- Every number of usage_entry adds up: the sum over an entry and its corrections is the truth. Balances and roll-ups are sums of
-- its rows, kept by the statement that adds them (ledger/queries), and can be rebuilt from it.

alter table usage_entry rename to usage_entry_0002;
alter index usage_entry_pkey rename to usage_entry_0002_pkey;
alter table usage_balance rename to usage_balance_0002;
alter index usage_balance_pkey rename to usage_balance_0002_pkey;

-- `at` is when the attempt began, and the same however often an entry is written: with the id it is what makes an entry one.
-- recovered: null when the process that made the call has written the entry; else what somebody else wrote it from, the journal
-- that process left, or the open permit. Such an entry is an estimate, and the first better word on it becomes a correction.
-- requests, failed, unpriced: what the row adds to the counts: 1 or 0, in a correction the difference.
create table usage_entry (
    entry_id                uuid not null,
    request_id              text not null,
    trace_id                text not null,
    tenant_id               text not null,
    user_id                 text not null,
    key_id                  text,
    accounts                text[] not null,
    period                  integer not null,
    operation               text not null,
    dialect                 text not null,
    alias                   text not null,
    provider                text not null,
    model                   text not null,
    attempt                 integer not null,
    outcome                 text not null,
    source                  text not null,
    recovered               text check (recovered in ('journal', 'permit')),
    reverses                uuid,
    requests                smallint not null,
    failed                  smallint not null,
    unpriced                smallint not null,
    input_tokens            bigint,
    cached_input_tokens     bigint,
    cache_write_tokens      bigint,
    cache_write_long_tokens bigint,
    audio_input_tokens      bigint,
    output_tokens           bigint,
    reasoning_tokens        bigint,
    audio_output_tokens     bigint,
    image_output_tokens     bigint,
    tokens                  bigint not null,
    cost_nano_usd           bigint,
    price_source            text,
    price_version           text,
    images                  integer not null,
    videos                  integer not null,
    first_byte_ms           double precision,
    total_ms                double precision not null,
    at                      timestamptz not null,
    recorded_at             timestamptz not null default now(),
    error_code              text,
    meta                    jsonb not null,
    primary key (at, entry_id),
    constraint only_corrections_take_back check (
        reverses is not null
        or (tokens >= 0 and images >= 0 and videos >= 0 and coalesce(cost_nano_usd, 0) >= 0)
    )
) partition by range (at);

create index usage_entry_tenant_at on usage_entry (tenant_id, at);
-- Nearly all rows of a partition have one period, so this costs next to nothing, and spares the other months when one is summed.
create index usage_entry_period on usage_entry using brin (period) with (autosummarize = on);

-- The net below the months: what falls into it is found by the job that makes months, which says so.
create table usage_entry_default partition of usage_entry default;

do $$
declare
    month timestamp;
begin
    for month in
        select date_trunc('month', at at time zone 'UTC') from usage_entry_0002 where isfinite(at)
        union
        select date_trunc('month', now() at time zone 'UTC') + make_interval(months => ahead)
        from generate_series(0, 3) as ahead
        order by 1
    loop
        execute format(
            'create table %I partition of usage_entry for values from (%L) to (%L)',
            to_char(month, '"usage_entry_"YYYY"_"MM'),
            to_char(month, 'YYYY-MM-DD') || ' 00:00:00+00',
            to_char(month + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00'
        );
    end loop;
end
$$;

-- As limits/accounts.py writes a name: percent-encoded, but for ASCII letters, digits and -._~@
create function pg_temp.escaped(name text) returns text language sql immutable as $$
    select coalesce(string_agg(
        case
            when letter collate "C" ~ '^[A-Za-z0-9._~@-]$' then letter
            else upper(regexp_replace(encode(convert_to(letter, 'UTF8'), 'hex'), '(..)', '%\1', 'g'))
        end, '' order by place), '%')
    from regexp_split_to_table(name, '') with ordinality as letters (letter, place)
    where name <> ''
$$;

insert into usage_entry (
    entry_id, request_id, trace_id, tenant_id, user_id, key_id, accounts, period, operation, dialect, alias, provider, model,
    attempt, outcome, source, requests, failed, unpriced, input_tokens, cached_input_tokens, cache_write_tokens,
    cache_write_long_tokens, audio_input_tokens, output_tokens, reasoning_tokens, audio_output_tokens, image_output_tokens,
    tokens, cost_nano_usd, price_source, images, videos, first_byte_ms, total_ms, at, recorded_at, error_code, meta)
select
    entry_id, request_id, trace_id, tenant_id, user_id, key_id,
    array_remove(array[
        pg_temp.escaped(user_id),
        case when key_id is not null then 'key/' || pg_temp.escaped(key_id) end,
        'tenant/' || pg_temp.escaped(tenant_id)], null),
    period, operation, dialect, alias, provider, model, attempt, outcome, source,
    (attempt = 1)::integer, (outcome in ('failed', 'interrupted'))::integer, (cost_nano_usd is null)::integer, input_tokens,
    cached_input_tokens, cache_write_tokens, cache_write_long_tokens, audio_input_tokens, output_tokens, reasoning_tokens,
    audio_output_tokens, image_output_tokens, tokens, cost_nano_usd, price_source, images, videos, first_byte_ms, total_ms, at,
    recorded_at, error_code, meta
from usage_entry_0002;

-- kind: tokens, images, videos, or cost_nano_usd. period: the month of the grant, 202611. The rows are changed all the time, so
-- pages keep room for their next versions.
create table usage_balance (
    tenant_id  text not null,
    account    text not null,
    period     integer not null,
    kind       text not null,
    amount     bigint not null,
    updated_at timestamptz not null default now(),
    primary key (tenant_id, account, period, kind)
) with (fillfactor = 70);

insert into usage_balance (tenant_id, account, period, kind, amount)
select entry.tenant_id, account, entry.period, used.kind, sum(used.amount)
from usage_entry as entry
cross join lateral unnest(entry.accounts) as account
cross join lateral (values
    ('tokens', entry.tokens),
    ('images', entry.images),
    ('videos', entry.videos),
    ('cost_nano_usd', entry.cost_nano_usd)
) as used (kind, amount)
where used.amount <> 0
group by 1, 2, 3, 4;

-- A balance whose entries somebody has removed stays as it was.
insert into usage_balance (tenant_id, account, period, kind, amount, updated_at)
select
    coalesce((select tenant_id from app_user where id::text = old.user_id), 'default'), pg_temp.escaped(old.user_id),
    old.period, old.kind, old.amount, old.updated_at
from usage_balance_0002 as old
where not exists (select from usage_entry as entry where entry.user_id = old.user_id and entry.period = old.period);

drop function pg_temp.escaped(text);
drop table usage_entry_0002, usage_balance_0002;

-- What was used in an hour, or on a day (UTC), of the moment the attempt began. key_id is '' for calls without a key. requests are
-- those whose first attempt it was, attempts all of them; failed: the provider failed or broke off; unpriced: no price was known.
create table usage_hourly (
    tenant_id               text not null,
    hour                    timestamptz not null,
    user_id                 text not null,
    key_id                  text not null,
    alias                   text not null,
    provider                text not null,
    model                   text not null,
    requests                bigint not null,
    attempts                bigint not null,
    failed                  bigint not null,
    unpriced                bigint not null,
    input_tokens            bigint not null,
    cached_input_tokens     bigint not null,
    cache_write_tokens      bigint not null,
    cache_write_long_tokens bigint not null,
    audio_input_tokens      bigint not null,
    output_tokens           bigint not null,
    reasoning_tokens        bigint not null,
    audio_output_tokens     bigint not null,
    image_output_tokens     bigint not null,
    tokens                  bigint not null,
    images                  bigint not null,
    videos                  bigint not null,
    cost_nano_usd           bigint not null,
    primary key (tenant_id, hour, user_id, key_id, alias, provider, model)
) with (fillfactor = 70);

create table usage_daily (like usage_hourly);
alter table usage_daily rename column hour to day;
alter table usage_daily alter column day type date;
alter table usage_daily add primary key (tenant_id, day, user_id, key_id, alias, provider, model);
alter table usage_daily set (fillfactor = 70);

create index usage_daily_user on usage_daily (tenant_id, user_id, day);
create index usage_daily_key on usage_daily (tenant_id, key_id, day);

insert into usage_hourly
select
    tenant_id, date_trunc('hour', at, 'UTC'), user_id, coalesce(key_id, ''), alias, provider, model,
    sum(requests), count(*), sum(failed), sum(unpriced), coalesce(sum(input_tokens), 0), coalesce(sum(cached_input_tokens), 0),
    coalesce(sum(cache_write_tokens), 0), coalesce(sum(cache_write_long_tokens), 0), coalesce(sum(audio_input_tokens), 0),
    coalesce(sum(output_tokens), 0), coalesce(sum(reasoning_tokens), 0), coalesce(sum(audio_output_tokens), 0),
    coalesce(sum(image_output_tokens), 0), sum(tokens), sum(images), sum(videos), coalesce(sum(cost_nano_usd), 0)
from usage_entry
group by 1, 2, 3, 4, 5, 6, 7;

insert into usage_daily
select
    tenant_id, (hour at time zone 'UTC')::date, user_id, key_id, alias, provider, model,
    sum(requests), sum(attempts), sum(failed), sum(unpriced), sum(input_tokens), sum(cached_input_tokens),
    sum(cache_write_tokens), sum(cache_write_long_tokens), sum(audio_input_tokens), sum(output_tokens),
    sum(reasoning_tokens), sum(audio_output_tokens), sum(image_output_tokens), sum(tokens), sum(images), sum(videos),
    sum(cost_nano_usd)
from usage_hourly
group by 1, 2, 3, 4, 5, 6, 7;

-- Calls under way, for the day a journal is lost with its disk: who had them, and the last that was known of them (`entry`, JSON
-- in UTF-8, as ledger.UsageEntry). A row goes in the transaction that adds the entry; past its deadline it becomes an estimate.
create table open_permit (
    entry_id  uuid primary key,
    tenant_id text not null,
    opened_at timestamptz not null,
    deadline  timestamptz not null,
    entry     bytea not null
);

create index open_permit_deadline on open_permit (deadline);

-- Which alerts on monthly caps have been given: each once.
create table budget_alert (
    tenant_id text not null,
    account   text not null,
    period    integer not null,
    kind      text not null,
    percent   integer not null,
    given_at  timestamptz not null default now(),
    primary key (tenant_id, account, period, kind, percent)
);
