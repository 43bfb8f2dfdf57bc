-- The lease query, second version: it also tells a person's session version, which moves at logout-everywhere and password
-- change, so that sockets opened with older tokens close within one sweep. Version 1 stays for nodes that still ask for it.

set role parlour_owner;
grant create on schema public to parlour_directory;
set role parlour_directory;

-- Whether what the open sessions' rights were decided on still stands. Holders that are gone have no row.
create function leases_v2(p_kind text[], p_organization uuid[], p_holder uuid[])
returns table (kind text, organization_id uuid, holder uuid, version integer, organization_version integer,
               session_version integer, ends_in_ms bigint, ended boolean)
language sql stable security definer
set search_path = pg_catalog, public, pg_temp set enable_hashjoin = off set enable_mergejoin = off as $$
  select d.kind, d.organization, d.holder, g.version, o.version, g.session_version,
         (extract(epoch from g.expires_at - clock_timestamp()) * 1000)::bigint, g.ended
    from unnest(p_kind, p_organization, p_holder) d(kind, organization, holder)
    join organizations o on o.id = d.organization
    join lateral (
      select m.version, p.session_version, null::timestamptz as expires_at, m.status <> 'active' as ended
        from memberships m join persons p on p.id = m.person_id
        where d.kind = 'staff' and m.organization_id = d.organization and m.person_id = d.holder
      union all
      select a.version, null::integer, a.expires_at,
             a.revoked_at is not null or coalesce(a.expires_at <= clock_timestamp(), false)
        from api_keys a where d.kind = 'service' and a.organization_id = d.organization and a.id = d.holder
      union all
      select s.version, null::integer, s.expires_at,
             s.revoked_at is not null or s.expires_at <= clock_timestamp() or o.status <> 'active'
        from shares s where d.kind = 'guest' and s.organization_id = d.organization and s.id = d.holder
    ) g on true
$$;

revoke all on function leases_v2(text[], uuid[], uuid[]) from public;
grant execute on function leases_v2(text[], uuid[], uuid[]) to parlour_app;

reset role;
set role parlour_owner;
revoke create on schema public from parlour_directory;
reset role;
