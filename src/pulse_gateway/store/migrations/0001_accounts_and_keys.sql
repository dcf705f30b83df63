-- Who may call: tenants, their users, and the keys of those users. Of a key only its SHA-256 digest is kept.

create table tenant (
    id         text primary key,
    name       text not null,
    created_at timestamptz not null default now()
);

insert into tenant (id, name) values ('default', 'Default');

create table app_user (
    id         uuid primary key default gen_random_uuid(),
    tenant_id  text not null references tenant (id),
    email      text,
    plan       text not null,
    created_at timestamptz not null default now(),
    unique (tenant_id, id)
);

create unique index app_user_email on app_user (lower(email));

create table api_key (
    key_id       text primary key,
    digest       bytea not null unique check (octet_length(digest) = 32),
    prefix       text not null,
    last4        text not null,
    user_id      uuid not null,
    tenant_id    text not null,
    name         text not null,
    scopes       text[] not null default '{}',
    expires_at   timestamptz,
    revoked_at   timestamptz,
    created_at   timestamptz not null default now(),
    last_used_at timestamptz,
    foreign key (tenant_id, user_id) references app_user (tenant_id, id)
);

create index api_key_user on api_key (user_id);
