-- The roles of a Parlour installation. Cluster-wide, so all carry the prefix; run once by a superuser, before the first
-- `parlour migrate`. May be run again. `parlour dev` and the tests run it themselves.
--
-- parlour_owner       owns every object; nobody logs in as it
-- parlour_migrator    logs in for `parlour migrate`, becomes parlour_owner
-- parlour_app         logs in for `parlour serve`; no DDL, no ownership, no BYPASSRLS
-- parlour_log_writer  owns the append function: the only inserter of entries
-- parlour_directory   owns the few functions that answer across organizations
do $$
declare
  role_name text;
begin
  foreach role_name in array array['parlour_owner', 'parlour_log_writer', 'parlour_directory'] loop
    if not exists (select from pg_roles where rolname = role_name) then
      execute format('create role %I nologin nosuperuser nobypassrls', role_name);
    end if;
  end loop;
  foreach role_name in array array['parlour_migrator', 'parlour_app'] loop
    if not exists (select from pg_roles where rolname = role_name) then
      execute format('create role %I login nosuperuser nobypassrls', role_name);
    end if;
  end loop;
end
$$;
grant parlour_owner, parlour_log_writer, parlour_directory to parlour_migrator;
grant parlour_log_writer, parlour_directory to parlour_owner;
