-- The nodes that serve this database, so that each knows whose beacons it must hear. One row per run of a server, kept alive by
-- the database's clock. It belongs to the platform, not to a tenant, and decides nothing but when to look into the log.

set role parlour_owner;

create table nodes (
  id uuid primary key,
  started_at timestamptz not null default now(),
  seen_at timestamptz not null default clock_timestamp()
);
comment on table nodes is 'Running servers; a row that was not seen for a minute is removed by whoever comes next.';

grant select, insert, update, delete on nodes to parlour_directory;
grant create on schema public to parlour_directory;
set role parlour_directory;

-- "I am alive": notes it and tells who else is, with the age of each one's last word in milliseconds.
create function node_alive_v1(p_node uuid)
returns table (node_id uuid, age_ms bigint)
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
begin
  insert into nodes (id) values (p_node) on conflict (id) do update set seen_at = clock_timestamp();
  -- Several may tidy up at once; none waits for another.
  delete from nodes n
   using (select id from nodes where seen_at < clock_timestamp() - interval '1 minute' for update skip locked) old
   where n.id = old.id;
  return query
    select n.id, (extract(epoch from clock_timestamp() - n.seen_at) * 1000)::bigint
      from nodes n where n.id <> p_node order by n.id limit 1000;
end
$$;

-- "I have stopped."
create function node_gone_v1(p_node uuid) returns void
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  delete from nodes where id = p_node
$$;

revoke all on function node_alive_v1(uuid), node_gone_v1(uuid) from public;
grant execute on function node_alive_v1(uuid), node_gone_v1(uuid) to parlour_app;

reset role;
set role parlour_owner;
revoke create on schema public from parlour_directory;
reset role;
