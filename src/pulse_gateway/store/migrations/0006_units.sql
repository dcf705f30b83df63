-- What is not sold by the token: classes of Usage that came with images, video, speech and reranking. Null: unknown, as for every
-- class; rows from before know nothing of them. Only the catalog is changed, no row is written.
--
-- `images` stays the one count of images, the one that quotas go by. variant: what the units were where their price depends on it,
-- `1024x1024/high`, `1080p`.
alter table usage_entry
    add column image_input_tokens  bigint,
    add column video_input_tokens  bigint,
    add column video_output_tokens bigint,
    add column video_ms            bigint,
    add column audio_ms            bigint,
    add column characters          bigint,
    add column searches            bigint,
    add column variant             text;

-- The defaults stay: a gateway of the version before, still running beside one of this version, adds rows without these columns.
alter table usage_hourly
    add column image_input_tokens  bigint not null default 0,
    add column video_input_tokens  bigint not null default 0,
    add column video_output_tokens bigint not null default 0,
    add column video_ms            bigint not null default 0,
    add column audio_ms            bigint not null default 0,
    add column characters          bigint not null default 0,
    add column searches            bigint not null default 0;

alter table usage_daily
    add column image_input_tokens  bigint not null default 0,
    add column video_input_tokens  bigint not null default 0,
    add column video_output_tokens bigint not null default 0,
    add column video_ms            bigint not null default 0,
    add column audio_ms            bigint not null default 0,
    add column characters          bigint not null default 0,
    add column searches            bigint not null default 0;
