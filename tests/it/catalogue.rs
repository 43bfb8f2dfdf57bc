//! The walls, read off the database's own catalogue: a table, key, function or view that misses its part of tenancy fails
//! here the moment it is added.

use sqlx::{Connection, PgConnection, Row};

use parlour_testkit::database::Database;

/// Tables that belong to the platform, not to a tenant; only the directory's functions touch them.
const PLATFORM_TABLES: &[&str] = &["persons", "refresh_tokens", "nodes", "_sqlx_migrations"];

async fn names(admin: &mut PgConnection, query: &'static str) -> Vec<String> {
    let rows = sqlx::query(query).fetch_all(admin).await.expect("the catalogue");
    rows.iter().map(|row| row.get::<String, _>(0)).collect()
}

fn tenant(tables: Vec<String>) -> Vec<String> {
    tables.into_iter().filter(|table| !PLATFORM_TABLES.contains(&table.as_str())).collect()
}

#[tokio::test]
async fn every_tenant_table_is_behind_forced_row_level_security() {
    let mut admin = Database::fresh().await.admin().await;
    let open = names(
        &mut admin,
        "select relname::text from pg_class
          where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace
            and not (relrowsecurity and relforcerowsecurity
                     and exists (select from pg_policy where polrelid = pg_class.oid and polname = 'tenant'
                                   and polqual is not null and polwithcheck is not null))",
    )
    .await;
    assert_eq!(tenant(open), Vec::<String>::new());
}

#[tokio::test]
async fn every_tenant_key_and_index_begins_with_the_organization() {
    let mut admin = Database::fresh().await.admin().await;
    // Unique digests of 256-bit secrets cannot be guessed, so their uniqueness tells nobody anything.
    let loose = names(
        &mut admin,
        "select c.relname || '.' || i.relname from pg_index x
           join pg_class i on i.oid = x.indexrelid join pg_class c on c.oid = x.indrelid
           join pg_attribute a on a.attrelid = c.oid and a.attnum = x.indkey[0]
          where c.relnamespace = 'public'::regnamespace
            and a.attname not in ('organization_id', 'digest')
            and c.relname not in ('persons', 'refresh_tokens', 'nodes', '_sqlx_migrations', 'organizations')
            and i.relname <> 'memberships_person'",
    )
    .await;
    assert_eq!(loose, Vec::<String>::new());
}

#[tokio::test]
async fn every_foreign_key_between_tenant_tables_carries_the_organization() {
    let mut admin = Database::fresh().await.admin().await;
    let loose = names(
        &mut admin,
        "select conrelid::regclass || '.' || conname from pg_constraint
          where contype = 'f' and connamespace = 'public'::regnamespace
            and confrelid not in ('persons'::regclass, 'organizations'::regclass)
            and not exists (select from unnest(conkey) k join pg_attribute a on a.attrelid = conrelid and a.attnum = k
                             where a.attname = 'organization_id')",
    )
    .await;
    assert_eq!(loose, Vec::<String>::new());
}

#[tokio::test]
async fn every_definer_function_fixes_its_search_path_and_is_not_public() {
    let mut admin = Database::fresh().await.admin().await;
    let loose = names(
        &mut admin,
        "select oid::regprocedure::text from pg_proc
          where pronamespace = 'public'::regnamespace and prosecdef
            and (not exists (select from unnest(proconfig) c where c like 'search_path=pg_catalog, public, pg_temp')
                 or exists (select from aclexplode(proacl) g where g.grantee = 0)
                 or proowner not in ('parlour_log_writer'::regrole, 'parlour_directory'::regrole))",
    )
    .await;
    assert_eq!(loose, Vec::<String>::new());
    let views = names(
        &mut admin,
        "select relname::text from pg_class where relkind in ('v', 'm') and relnamespace = 'public'::regnamespace
            and not coalesce('security_invoker=true' = any (reloptions), false)",
    )
    .await;
    assert_eq!(views, Vec::<String>::new());
}

#[tokio::test]
async fn the_roles_have_no_way_around_the_walls() {
    let mut admin = Database::fresh().await.admin().await;
    let mighty = names(
        &mut admin,
        "select rolname::text from pg_roles where rolname like 'parlour%' and (rolsuper or rolbypassrls or rolcreaterole)",
    )
    .await;
    assert_eq!(mighty, Vec::<String>::new());
    let owned = names(
        &mut admin,
        "select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
            and relowner <> 'parlour_owner'::regrole",
    )
    .await;
    assert_eq!(owned, Vec::<String>::new());
    let writable = names(
        &mut admin,
        "select table_name || ' ' || privilege_type from information_schema.role_table_grants
          where grantee = 'parlour_app' and (privilege_type in ('DELETE', 'TRUNCATE', 'TRIGGER', 'REFERENCES')
             or (table_name in ('entries', 'entry_keys', 'cards', 'persons', 'refresh_tokens', 'nodes', 'organizations', 'memberships')
                 and privilege_type <> 'SELECT'))",
    )
    .await;
    assert_eq!(writable, Vec::<String>::new());
}

#[tokio::test]
async fn without_the_setting_the_app_sees_nothing_and_with_it_only_its_own() {
    let database = Database::fresh().await;
    let a = parlour_testkit::seed::Tenant::create(&database, "tenant-a").await;
    let b = parlour_testkit::seed::Tenant::create(&database, "tenant-b").await;
    let mut app = PgConnection::connect(&database.app_url).await.expect("the app's connection");
    let count = "select count(*) from conversations";
    let seen: i64 = sqlx::query_scalar(count).fetch_one(&mut app).await.expect("a count");
    assert_eq!(seen, 0, "unset: nothing");

    sqlx::raw_sql("begin").execute(&mut app).await.expect("begin");
    sqlx::query("select set_config('app.current_organization_id', $1, true)")
        .bind(a.organization.to_string())
        .execute(&mut app)
        .await
        .expect("the setting");
    let own: Vec<uuid::Uuid> =
        sqlx::query_scalar("select organization_id from conversations").fetch_all(&mut app).await.expect("rows");
    assert_eq!(own, vec![a.organization.0]);
    let foreign =
        sqlx::query("insert into conversations (organization_id, id, title) values ($1, gen_random_uuid(), 'x')")
            .bind(b.organization.0)
            .execute(&mut app)
            .await;
    assert!(foreign.is_err(), "a row of another tenant is refused");
    sqlx::raw_sql("rollback").execute(&mut app).await.expect("rollback");

    let after: i64 = sqlx::query_scalar(count).fetch_one(&mut app).await.expect("a count");
    assert_eq!(after, 0, "the setting ended with its transaction, and '' is no error");
}
