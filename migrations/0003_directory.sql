-- The directory: the few named functions that answer across organizations, because the caller's organization is what is
-- being asked (who is behind this credential), or because a node asks for all its rooms and sessions at once.
-- Each returns only what its name says. Versioned by name like append_v1. Nothing else crosses organizations.

set role parlour_owner;
grant create on schema public to parlour_directory;
do $$ begin if to_regclass('_sqlx_migrations') is not null then grant select on _sqlx_migrations to parlour_directory; end if; end $$;
set role parlour_directory;

-- Log-in: the person and the organization they entered first.
create function person_by_email_v1(p_email text)
returns table (person_id uuid, name text, password_hash text, session_version integer, organization_id uuid)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select p.id, p.name, p.password_hash, p.session_version,
         (select m.organization_id from memberships m
            join organizations o on o.id = m.organization_id
           where m.person_id = p.id and m.status = 'active' and o.status <> 'deleted'
           order by m.created_at, m.organization_id limit 1)
    from persons p where p.email = lower(p_email)
$$;

create function person_v1(p_person uuid)
returns table (email text, name text)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select p.email, p.name from persons p where p.id = p_person
$$;

-- What a member of staff's rights are decided on. No row: not a member (any more).
create function staff_v1(p_organization uuid, p_person uuid)
returns table (name text, role text, version integer, session_version integer,
               organization_name text, organization_status text, organization_version integer)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select p.name, m.role, m.version, p.session_version, o.name, o.status, o.version
    from memberships m join persons p on p.id = m.person_id join organizations o on o.id = m.organization_id
   where m.organization_id = p_organization and m.person_id = p_person and m.status = 'active' and o.status <> 'deleted'
$$;

-- The link behind a secret, live or not; which is for the caller to tell.
create function share_by_digest_v1(p_digest bytea)
returns table (organization_id uuid, share_id uuid, revoked boolean, expired boolean)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select s.organization_id, s.id, s.revoked_at is not null or o.status <> 'active', s.expires_at <= clock_timestamp()
    from shares s join organizations o on o.id = s.organization_id
   where s.digest = p_digest and o.status <> 'deleted'
$$;

-- An attempt after the link's end.
create function share_blocked_v1(p_digest bytea) returns void
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  update shares set blocked = blocked + 1 where digest = p_digest
$$;

-- What a guest's rights are decided on. No row: the link is over, or no such guest.
create function guest_v1(p_organization uuid, p_share uuid, p_guest uuid)
returns table (name text, conversation_id uuid, permissions text[], expires_at timestamptz, expires_in_ms bigint,
               version integer, organization_name text, organization_status text, organization_version integer)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select g.name, s.conversation_id, s.permissions, s.expires_at,
         (extract(epoch from s.expires_at - clock_timestamp()) * 1000)::bigint, s.version, o.name, o.status, o.version
    from guests g
    join shares s on s.organization_id = g.organization_id and s.id = g.share_id
    join organizations o on o.id = s.organization_id
   where g.organization_id = p_organization and g.id = p_guest and s.id = p_share
     and s.revoked_at is null and s.expires_at > clock_timestamp() and o.status = 'active'
$$;

-- What a service's rights are decided on. No row: unknown, ended or revoked key. Notes the use, at most once a minute.
create function api_key_v1(p_digest bytea)
returns table (organization_id uuid, key_id uuid, lineage uuid, name text, permissions text[], expires_at timestamptz,
               expires_in_ms bigint, version integer,
               organization_name text, organization_status text, organization_version integer)
language sql volatile security definer set search_path = pg_catalog, public, pg_temp as $$
  update api_keys set last_used_at = now()
   where digest = p_digest and revoked_at is null and coalesce(last_used_at < now() - interval '1 minute', true);
  select k.organization_id, k.id, k.lineage, k.name, k.permissions, k.expires_at,
         (extract(epoch from k.expires_at - clock_timestamp()) * 1000)::bigint, k.version, o.name, o.status, o.version
    from api_keys k join organizations o on o.id = k.organization_id
   where k.digest = p_digest and k.revoked_at is null and coalesce(k.expires_at > clock_timestamp(), true)
     and o.status <> 'deleted'
$$;

create function api_key_by_id_v1(p_organization uuid, p_key uuid)
returns table (lineage uuid, name text, permissions text[], expires_at timestamptz, expires_in_ms bigint, version integer,
               organization_name text, organization_status text, organization_version integer)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select k.lineage, k.name, k.permissions, k.expires_at,
         (extract(epoch from k.expires_at - clock_timestamp()) * 1000)::bigint, k.version, o.name, o.status, o.version
    from api_keys k join organizations o on o.id = k.organization_id
   where k.organization_id = p_organization and k.id = p_key and k.revoked_at is null
     and coalesce(k.expires_at > clock_timestamp(), true) and o.status <> 'deleted'
$$;

-- The lease query: whether what the open sessions' rights were decided on still stands. Holders that are gone have no row.
create function leases_v1(p_kind text[], p_organization uuid[], p_holder uuid[])
returns table (kind text, organization_id uuid, holder uuid, version integer, organization_version integer,
               ends_in_ms bigint, ended boolean)
language sql stable security definer
set search_path = pg_catalog, public, pg_temp set enable_hashjoin = off set enable_mergejoin = off as $$
  select d.kind, d.organization, d.holder, g.version, o.version,
         (extract(epoch from g.expires_at - clock_timestamp()) * 1000)::bigint, g.ended
    from unnest(p_kind, p_organization, p_holder) d(kind, organization, holder)
    join organizations o on o.id = d.organization
    join lateral (
      select m.version, null::timestamptz as expires_at, m.status <> 'active' as ended from memberships m
        where d.kind = 'staff' and m.organization_id = d.organization and m.person_id = d.holder
      union all
      select a.version, a.expires_at, a.revoked_at is not null or coalesce(a.expires_at <= clock_timestamp(), false)
        from api_keys a where d.kind = 'service' and a.organization_id = d.organization and a.id = d.holder
      union all
      select s.version, s.expires_at, s.revoked_at is not null or s.expires_at <= clock_timestamp() or o.status <> 'active'
        from shares s where d.kind = 'guest' and s.organization_id = d.organization and s.id = d.holder
    ) g on true
$$;

-- Where the logs of a node's rooms stand.
create function heads_v1(p_organization uuid[], p_conversation uuid[])
returns table (organization_id uuid, conversation_id uuid, epoch bigint, seq bigint, guest_seq bigint)
language sql stable security definer
set search_path = pg_catalog, public, pg_temp set enable_hashjoin = off set enable_mergejoin = off as $$
  select c.organization_id, c.id, c.epoch, c.seq, c.guest_seq
    from unnest(p_organization, p_conversation) d(organization, conversation)
    join conversations c on c.organization_id = d.organization and c.id = d.conversation
$$;

-- Refresh tokens: one use each; the reuse of a spent one ends its family.
create function issue_refresh_v1(p_digest bytea, p_family uuid, p_person uuid, p_organization uuid, p_seconds integer)
returns void
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  insert into refresh_tokens (digest, family, person_id, organization_id, session_version, expires_at)
  select p_digest, p_family, p.id, p_organization, p.session_version, now() + make_interval(secs => p_seconds)
    from persons p where p.id = p_person
$$;

create function rotate_refresh_v1(p_digest bytea, p_next bytea, p_seconds integer)
returns table (person_id uuid, organization_id uuid, session_version integer)
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
#variable_conflict use_column
declare
  v refresh_tokens%rowtype;
begin
  select * into v from refresh_tokens t where t.digest = p_digest for update;
  if not found then
    return;
  end if;
  if v.used_at is not null then
    -- Two tabs may race with one cookie: within ten seconds that is a mere refusal, later it is theft.
    if v.used_at < now() - interval '10 seconds' then
      update refresh_tokens set revoked_at = now() where family = v.family and revoked_at is null;
    end if;
    return;
  end if;
  if v.revoked_at is not null or v.expires_at <= now()
     or v.session_version <> (select p.session_version from persons p where p.id = v.person_id) then
    return;
  end if;
  update refresh_tokens set used_at = now() where digest = p_digest;
  insert into refresh_tokens (digest, family, person_id, organization_id, session_version, expires_at)
  values (p_next, v.family, v.person_id, v.organization_id, v.session_version, now() + make_interval(secs => p_seconds));
  return query select v.person_id, v.organization_id, v.session_version;
end
$$;

create function revoke_refresh_v1(p_digest bytea) returns void
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  update refresh_tokens set revoked_at = now()
   where family = (select family from refresh_tokens where digest = p_digest) and revoked_at is null
$$;

-- Making tenants and people, for the command line and the demo.
create function create_organization_v1(p_id uuid, p_name text, p_slug text, p_color text, p_email text, p_phone text, p_logo text)
returns void
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  insert into organizations (id, name, slug, primary_color, contact_email, contact_phone, logo)
  values (p_id, p_name, p_slug, coalesce(p_color, '#4f46e5'), p_email, p_phone, p_logo)
$$;

create function create_person_v1(p_id uuid, p_email text, p_name text, p_password_hash text) returns void
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  insert into persons (id, email, name, password_hash) values (p_id, lower(p_email), p_name, p_password_hash)
$$;

create function add_membership_v1(p_organization uuid, p_person uuid, p_role text) returns void
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  insert into memberships (organization_id, person_id, role) values (p_organization, p_person, p_role)
$$;

create function organization_by_slug_v1(p_slug text)
returns table (organization_id uuid, name text)
language sql stable security definer set search_path = pg_catalog, public, pg_temp as $$
  select o.id, o.name from organizations o where o.slug = p_slug and o.status <> 'deleted'
$$;

-- The newest migration applied, for readiness.
create function schema_version_v1() returns bigint
language plpgsql stable security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  return coalesce((select max(version) from _sqlx_migrations where success), 0);
end
$$;

do $$
declare
  f regprocedure;
begin
  for f in select p.oid::regprocedure from pg_proc p where p.proowner = 'parlour_directory'::regrole loop
    execute format('revoke all on function %s from public', f);
    execute format('grant execute on function %s to parlour_app', f);
  end loop;
end
$$;

reset role;
set role parlour_owner;
revoke create on schema public from parlour_directory;
reset role;
