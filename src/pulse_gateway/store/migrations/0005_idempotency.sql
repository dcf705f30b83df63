-- Requests with an Idempotency-Key: who runs one, and, once it has ended well, its answer.
-- user_id has no foreign key: a row outlives nobody by more than a day.

create table idempotency (
    tenant_id    text not null,
    user_id      text not null,
    key          text not null,
    fingerprint  bytea not null check (octet_length(fingerprint) = 32),
    owner        uuid not null,
    locked_until timestamptz,             -- when whoever runs it must have renewed; null: it has ended, and the answer is here
    doubted      boolean not null default false,  -- it did not, somebody else has asked, and locked_until is its last chance
    created_at   timestamptz not null default now(),
    expires_at   timestamptz not null,
    request_id   text,
    status       smallint,
    headers      text[],
    streamed     boolean,
    body         bytea,                   -- null in a row with an answer: it was too large to be kept
    deflated     boolean,
    primary key (tenant_id, user_id, key)
);

-- Bodies come compressed where that pays.
alter table idempotency alter column body set storage external;

create index idempotency_expires_at on idempotency (expires_at);

select pulse_protect('idempotency');
