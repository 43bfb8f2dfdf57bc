-- Tickets for sockets of plain browsers, and what guests have seen of cards.

set role parlour_owner;

-- A ticket stands for a credential for half a minute and works once, on any node. Unlogged: after a crash nobody misses one.
create unlogged table tickets (
  organization_id uuid not null references organizations (id) on delete cascade,
  digest bytea not null,
  holder_kind text not null check (holder_kind in ('staff', 'guest', 'service')),
  -- The person, the guest or the API key.
  holder_id uuid not null,
  -- The guest's link.
  share_id uuid,
  session_version integer,
  -- Where the page that asked came from; null when it was no page.
  origin text,
  -- The end of the credential it stands for; null when that has none.
  admits_until timestamptz,
  expires_at timestamptz not null,
  primary key (organization_id, digest),
  unique (digest)
);

-- How long each option of a card version was visible to each guest: evidence, for staff alone.
create table card_views (
  organization_id uuid not null,
  conversation_id uuid not null,
  card_id uuid not null,
  version integer not null,
  guest_id uuid not null,
  guest_name text not null,
  option_id text not null,
  visible_ms bigint not null check (visible_ms >= 0),
  first_at timestamptz not null default clock_timestamp(),
  last_at timestamptz not null default clock_timestamp(),
  primary key (organization_id, conversation_id, card_id, version, guest_id, option_id),
  foreign key (organization_id, conversation_id) references conversations (organization_id, id) on delete cascade,
  foreign key (organization_id, card_id) references cards (organization_id, id) on delete cascade
);

do $$
declare
  table_name text;
begin
  foreach table_name in array array['tickets', 'card_views'] loop
    execute format('alter table %I enable row level security', table_name);
    execute format('alter table %I force row level security', table_name);
    execute format('create policy tenant on %I for all to parlour_app, parlour_owner using (organization_id = current_organization_id())
                    with check (organization_id = current_organization_id())', table_name);
    execute format('create policy directory on %I for all to parlour_directory using (true) with check (true)', table_name);
  end loop;
end
$$;

grant select, insert, update on card_views to parlour_app;
-- `for update` asks for the UPDATE privilege.
grant select, insert, update, delete on tickets to parlour_directory;

grant create on schema public to parlour_directory;
set role parlour_directory;

create function ticket_issue_v1(p_organization uuid, p_digest bytea, p_kind text, p_holder uuid, p_share uuid,
                                p_session_version integer, p_origin text, p_admits_ms bigint, p_life_ms bigint)
returns void language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  -- Several may tidy up at once; none waits for another.
  delete from tickets t
   using (select digest from tickets where expires_at < clock_timestamp() limit 100 for update skip locked) old
   where t.digest = old.digest;
  insert into tickets (organization_id, digest, holder_kind, holder_id, share_id, session_version, origin, admits_until,
                       expires_at)
  values (p_organization, p_digest, p_kind, p_holder, p_share, p_session_version, p_origin,
          clock_timestamp() + p_admits_ms * interval '1 millisecond', clock_timestamp() + p_life_ms * interval '1 millisecond');
end
$$;

-- Takes a ticket away, and tells what it stood for. Of many at once one is told; a late one is gone, too.
create function ticket_redeem_v1(p_digest bytea)
returns table (organization_id uuid, holder_kind text, holder_id uuid, share_id uuid, session_version integer,
               origin text, admits_ms bigint)
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  with taken as (delete from tickets t where t.digest = p_digest returning t.*)
  select t.organization_id, t.holder_kind, t.holder_id, t.share_id, t.session_version, t.origin,
         (extract(epoch from t.admits_until - clock_timestamp()) * 1000)::bigint
    from taken t where t.expires_at > clock_timestamp() and coalesce(t.admits_until > clock_timestamp(), true)
$$;

revoke all on function ticket_issue_v1(uuid, bytea, text, uuid, uuid, integer, text, bigint, bigint), ticket_redeem_v1(bytea)
  from public;
grant execute on function ticket_issue_v1(uuid, bytea, text, uuid, uuid, integer, text, bigint, bigint), ticket_redeem_v1(bytea)
  to parlour_app;

reset role;
set role parlour_owner;
revoke create on schema public from parlour_directory;
reset role;
