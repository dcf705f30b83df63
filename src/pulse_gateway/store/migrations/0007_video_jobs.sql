-- Videos under way, and those that are done: what to ask the vendor, and what the ledger was told when it took the job.
-- user_id has no foreign key: a job outlives nobody by more than a month.

create table video_job (
    id           text primary key,
    tenant_id    text not null,
    user_id      text not null,
    provider     text not null,
    upstream_id  text not null,
    over         boolean not null default false,
    created_at   timestamptz not null,
    look_at      timestamptz not null default now(), -- when a server that has nothing better to do looks at it next
    job          text not null
);

create index video_job_user on video_job (tenant_id, user_id, created_at, id);
create index video_job_upstream on video_job (provider, upstream_id);
create index video_job_due on video_job (look_at) where not over;

select pulse_protect('video_job');
