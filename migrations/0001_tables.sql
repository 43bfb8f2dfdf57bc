-- The tables. Every tenant row carries organization_id, keys are (organization_id, …), foreign keys carry it too, and
-- row-level security is forced; tests/it/catalogue.rs fails on a table that misses one of these.
-- persons and refresh_tokens belong to the platform, not to a tenant: only the directory's functions touch them.

set role parlour_owner;

-- The platform's own -------------------------------------------------------------------------------------------------

create table persons (
  id uuid primary key,
  email text not null check (email = lower(email) and length(email) between 3 and 254),
  name text not null check (length(name) between 1 and 120),
  password_hash text,
  -- Moves at logout-everywhere and password change: tokens of an older version are refused.
  session_version integer not null default 1,
  created_at timestamptz not null default now(),
  unique (email)
);

create table refresh_tokens (
  digest bytea primary key,
  -- All tokens that descend from one log-in; the reuse of a spent one ends the family.
  family uuid not null,
  person_id uuid not null references persons (id) on delete cascade,
  organization_id uuid not null,
  session_version integer not null,
  expires_at timestamptz not null,
  used_at timestamptz,
  revoked_at timestamptz
);
create index refresh_tokens_family on refresh_tokens (family);

-- Tenants ------------------------------------------------------------------------------------------------------------

create table organizations (
  id uuid primary key,
  name text not null check (length(name) between 1 and 120),
  slug text not null check (slug ~ '^[a-z0-9-]{3,50}$'),
  status text not null default 'active' check (status in ('setup', 'active', 'suspended', 'deleted')),
  -- Moves when anything that rights depend on changes.
  version integer not null default 1,
  contact_email text,
  contact_phone text,
  logo text,
  primary_color text not null default '#4f46e5' check (primary_color ~ '^#[0-9a-f]{6}$'),
  share_hours_max integer not null default 168 check (share_hours_max between 1 and 720),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (slug)
);

create table memberships (
  organization_id uuid not null references organizations (id) on delete cascade,
  person_id uuid not null references persons (id) on delete cascade,
  role text not null,
  status text not null default 'active' check (status in ('active', 'disabled')),
  -- Moves with role and status.
  version integer not null default 1,
  created_at timestamptz not null default now(),
  primary key (organization_id, person_id)
);
create index memberships_person on memberships (person_id);

create table api_keys (
  organization_id uuid not null references organizations (id) on delete cascade,
  id uuid not null,
  -- The first key of the line: what a service is known by as an author, over rotations.
  lineage uuid not null,
  name text not null check (length(name) between 1 and 120),
  prefix text not null,
  digest bytea not null,
  pepper_id smallint not null,
  permissions text[] not null,
  version integer not null default 1,
  last_used_at timestamptz,
  expires_at timestamptz,
  revoked_at timestamptz,
  created_at timestamptz not null default now(),
  primary key (organization_id, id),
  unique (digest)
);

create table conversations (
  organization_id uuid not null references organizations (id) on delete cascade,
  id uuid not null,
  title text not null check (length(title) between 1 and 200),
  user_id uuid,
  assigned_to uuid,
  assigned_at timestamptz,
  watchers uuid[] not null default '{}',
  status text not null default 'open' check (status in ('open', 'snoozed', 'closed')),
  stage text not null default 'lead',
  channel text not null default 'web' check (channel in ('web', 'link', 'api', 'phone', 'walk_in', 'ota', 'agent')),
  -- Moves with user_id, assigned_to and watchers.
  access_version integer not null default 1,
  epoch bigint not null default 1,
  -- Newest numbers in the staff view and in the guest view, and the oldest ones kept.
  seq bigint not null default 0,
  guest_seq bigint not null default 0,
  floor bigint not null default 1,
  guest_floor bigint not null default 1,
  last_entry_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (organization_id, id),
  foreign key (organization_id, user_id) references memberships (organization_id, person_id) on delete set null (user_id),
  foreign key (organization_id, assigned_to) references memberships (organization_id, person_id)
    on delete set null (assigned_to)
) with (fillfactor = 80);
create index conversations_list on conversations (organization_id, last_entry_at desc nulls last, id);
create index conversations_created on conversations (organization_id, created_at desc, id);

create table shares (
  organization_id uuid not null,
  id uuid not null,
  conversation_id uuid not null,
  label text check (length(label) <= 120),
  digest bytea not null,
  pepper_id smallint not null,
  permissions text[] not null check ('view' = any (permissions) and permissions <@ '{view,respond,select_options}'),
  created_by uuid,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  revoked_at timestamptz,
  seats integer not null default 5 check (seats between 1 and 25),
  -- Moves with permissions, expires_at and revoked_at.
  version integer not null default 1,
  opens bigint not null default 0,
  access_count bigint not null default 0,
  blocked bigint not null default 0,
  last_accessed timestamptz,
  primary key (organization_id, id),
  unique (digest),
  foreign key (organization_id, conversation_id) references conversations (organization_id, id) on delete cascade
);
create index shares_conversation on shares (organization_id, conversation_id, created_at);

create table guests (
  organization_id uuid not null,
  id uuid not null,
  share_id uuid not null,
  name text not null check (length(name) between 1 and 60),
  device_digest bytea not null,
  created_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  primary key (organization_id, id),
  unique (organization_id, share_id, device_digest),
  foreign key (organization_id, share_id) references shares (organization_id, id) on delete cascade
);

-- The log ------------------------------------------------------------------------------------------------------------

create table entries (
  organization_id uuid not null,
  conversation_id uuid not null,
  seq bigint not null,
  -- Number in the guest view; null when guests never see it.
  guest_seq bigint,
  id uuid not null,
  client_id uuid not null,
  kind text not null,
  audience text not null check (audience in ('everyone', 'staff')),
  author_kind text not null check (author_kind in ('staff', 'guest', 'service')),
  author_id uuid not null,
  author_name text not null,
  at timestamptz not null,
  body jsonb not null,
  -- The inserting transaction: the organization's feed relays below the commit horizon.
  xid xid8 not null default pg_current_xact_id(),
  primary key (organization_id, conversation_id, seq),
  check ((audience = 'everyone') = (guest_seq is not null)),
  foreign key (organization_id, conversation_id) references conversations (organization_id, id) on delete cascade
);
create unique index entries_guest_seq on entries (organization_id, conversation_id, guest_seq) where guest_seq is not null;

-- Idempotency for ever: a key names at most one outcome. Never partitioned, never expired.
create table entry_keys (
  organization_id uuid not null,
  conversation_id uuid not null,
  -- The person, the guest or the API key's lineage.
  author_id uuid not null,
  client_id uuid not null,
  hash bytea not null,
  entry_id uuid not null,
  -- Null when the outcome is a definite refusal.
  seq bigint,
  guest_seq bigint,
  at timestamptz not null,
  outcome jsonb,
  primary key (organization_id, conversation_id, author_id, client_id),
  foreign key (organization_id, conversation_id) references conversations (organization_id, id) on delete cascade
);

create table cards (
  organization_id uuid not null,
  id uuid not null,
  conversation_id uuid not null,
  kind text not null,
  version integer not null default 1,
  state text not null check (state in ('open', 'decided')),
  -- Moves with every change; what compare-and-set compares.
  revision integer not null default 1,
  offer jsonb not null,
  -- Who holds the choice, and which options: {"who":{…},"options":[…]}.
  holder jsonb,
  primary key (organization_id, id),
  foreign key (organization_id, conversation_id) references conversations (organization_id, id) on delete cascade
);
create index cards_conversation on cards (organization_id, conversation_id);

-- How far a reader has come, in the reader's own numbering.
create table watermarks (
  organization_id uuid not null,
  conversation_id uuid not null,
  reader_kind text not null check (reader_kind in ('staff', 'guest', 'service')),
  reader_id uuid not null,
  reader_name text not null,
  received bigint not null default 0,
  read bigint not null default 0,
  updated_at timestamptz not null default now(),
  primary key (organization_id, conversation_id, reader_kind, reader_id),
  foreign key (organization_id, conversation_id) references conversations (organization_id, id) on delete cascade
);

-- Walls --------------------------------------------------------------------------------------------------------------

revoke all on schema public from public;
grant usage on schema public to parlour_app, parlour_log_writer, parlour_directory;

-- The tenant's own rows for the app role. The setting is '' after a transaction that used it, hence the nullif.
create function current_organization_id() returns uuid
  language sql stable parallel safe
  return nullif(current_setting('app.current_organization_id', true), '')::uuid;
grant execute on function current_organization_id() to parlour_app;

do $$
declare
  table_name text;
  tenant_column text;
begin
  foreach table_name in array array['organizations', 'memberships', 'api_keys', 'conversations', 'shares', 'guests',
                                    'entries', 'entry_keys', 'cards', 'watermarks'] loop
    tenant_column := case table_name when 'organizations' then 'id' else 'organization_id' end;
    execute format('alter table %I enable row level security', table_name);
    execute format('alter table %I force row level security', table_name);
    execute format('create policy tenant on %I for all to parlour_app, parlour_owner using (%I = current_organization_id())
                    with check (%I = current_organization_id())', table_name, tenant_column, tenant_column);
    execute format('create policy log_writer on %I for all to parlour_log_writer using (true) with check (true)', table_name);
    execute format('create policy directory on %I for all to parlour_directory using (true) with check (true)', table_name);
  end loop;
end
$$;

grant select on organizations, memberships, entries, cards, entry_keys to parlour_app;
grant insert, update, select on shares, guests, watermarks to parlour_app;
-- Everything but the numbers of the log, which only the append function moves.
grant select,
      insert (organization_id, id, title, user_id, assigned_to, assigned_at, watchers, status, stage, channel, created_at,
              updated_at),
      update (title, user_id, assigned_to, assigned_at, watchers, status, stage, channel, access_version, updated_at)
  on conversations to parlour_app;
grant select, insert, update on api_keys to parlour_app;

-- `for share` needs the UPDATE privilege and an UPDATE policy; with SELECT alone PostgreSQL returns no row.
grant select, update (version) on organizations, memberships, api_keys, shares to parlour_log_writer;
grant select, update on conversations to parlour_log_writer;
grant select on guests to parlour_log_writer;
grant select, insert on entries, entry_keys to parlour_log_writer;
grant select, insert, update on cards to parlour_log_writer;

grant select on organizations, memberships, api_keys, conversations, shares, guests to parlour_directory;
grant select, insert, update on persons, refresh_tokens to parlour_directory;
grant insert on organizations, memberships to parlour_directory;
grant update (last_used_at) on api_keys to parlour_directory;
grant update (blocked) on shares to parlour_directory;
