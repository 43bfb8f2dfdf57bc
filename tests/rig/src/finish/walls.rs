//! The walls between tenants in the database, tried as the server's own role: what a tenant sees, and what it could write.
//!
//! Both come from the catalogue, so a new table is tried without a word here. Every try is rolled back. Look next in
//! `migrations/0001_tables.sql`.

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use uuid::Uuid;

use crate::history::{Leak, Recorder};
use crate::machine::Machine;
use crate::workload::words::BEGINNING;

/// A foreign key within tenants: the child's columns and the parent's, in the same order.
struct ForeignKey {
    name: String,
    child: String,
    parent: String,
    child_columns: Vec<String>,
    parent_columns: Vec<String>,
}

/// Tries every table under every tenant's setting.
pub async fn climb(machine: &Machine, recorder: &Recorder) {
    let database = machine.database();
    let mut admin = database.admin().await;
    let mut app = PgConnection::connect(&database.app_url).await.expect("everything works again");
    let tenants: Vec<Uuid> =
        recorder.with(|history| history.cast.tenants.iter().map(|info| info.organization.0).collect());
    let mut found = Vec::new();
    for (table, column) in tables(&mut admin).await {
        look_without_setting(&mut app, &table, &mut found).await;
        for (number, tenant) in tenants.iter().enumerate() {
            look(&mut app, (&table, &column), (number, *tenant), &mut found).await;
        }
    }
    for key in foreign_keys(&mut admin).await {
        let (ours, theirs) = (tenants[0], tenants[1]);
        reach_across(&mut admin, &mut app, &key, (ours, theirs), &mut found).await;
    }
    recorder.with(|history| history.leaks.extend(found));
}

fn leak(found: &mut Vec<Leak>, place: String, what: impl Into<String>) {
    found.push(Leak { place, what: what.into() });
}

/// Tables with rows of tenants that the server may read, and the column that names the tenant; whether or not they have
/// row-level security: one that was forgotten is what this is for.
async fn tables(admin: &mut PgConnection) -> Vec<(String, String)> {
    let query = "select c.relname::text, case when c.relname = 'organizations' then 'id' else 'organization_id' end
                   from pg_class c join pg_namespace n on n.oid = c.relnamespace
                  where n.nspname = 'public' and c.relkind in ('r', 'p')
                    and (c.relname = 'organizations' or exists (select from pg_attribute a
                           where a.attrelid = c.oid and a.attname = 'organization_id' and not a.attisdropped))
                    and has_table_privilege('parlour_app', c.oid, 'select')
                  order by 1";
    sqlx::query_as(query).fetch_all(admin).await.expect("the catalogue")
}

async fn look_without_setting(app: &mut PgConnection, table: &str, found: &mut Vec<Leak>) {
    let count = sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {table}"))).fetch_one(app).await;
    let count: i64 = count.expect("a table it may read");
    if count > 0 {
        leak(found, format!("table {table}"), format!("{count} rows are seen by nobody in particular"));
    }
}

/// Looks through a table as one tenant, for rows and words of any other.
async fn look(
    app: &mut PgConnection,
    (table, column): (&str, &str),
    (number, tenant): (usize, Uuid),
    found: &mut Vec<Leak>,
) {
    let mut tx = app.begin().await.expect("a transaction");
    set_tenant(&mut tx, tenant).await;
    let own = format!("{BEGINNING}[ts]{number}-");
    let query = format!(
        "select count(*) as seen, count(*) filter (where {column} <> $1) as foreign_rows,
                count(*) filter (where regexp_replace(t::text, $2, '', 'g') like '%{BEGINNING}%') as foreign_words
           from {table} t"
    );
    let row = sqlx::query(AssertSqlSafe(query)).bind(tenant).bind(own).fetch_one(&mut *tx).await.expect("a count");
    let (seen, rows, words): (i64, i64, i64) = (row.get("seen"), row.get("foreign_rows"), row.get("foreign_words"));
    if rows > 0 || words > 0 {
        leak(found, format!("table {table}"), format!("tenant {number} sees {rows} rows and {words} words of others"));
    }
    if seen == 0 && matches!(table, "entries" | "conversations" | "shares" | "guests" | "memberships") {
        leak(found, format!("table {table}"), format!("tenant {number} sees nothing, so nothing was checked"));
    }
}

async fn set_tenant(connection: &mut PgConnection, tenant: Uuid) {
    sqlx::query("select set_config('app.current_organization_id', $1, true)")
        .bind(tenant.to_string())
        .execute(connection)
        .await
        .expect("a setting");
}

/// Foreign keys from tables the server may insert into to other rows than the tenant's own; also those that leave it out.
async fn foreign_keys(admin: &mut PgConnection) -> Vec<ForeignKey> {
    let query = "select k.conname::text as name, k.conrelid::regclass::text as child, k.confrelid::regclass::text as parent,
                        array(select a.attname::text from unnest(k.conkey) with ordinality u(n, i)
                              join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.n order by u.i) as child_columns,
                        array(select a.attname::text from unnest(k.confkey) with ordinality u(n, i)
                              join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.n order by u.i) as parent_columns
                   from pg_constraint k join pg_class c on c.oid = k.conrelid
                  where k.contype = 'f' and c.relnamespace = 'public'::regnamespace
                    and exists (select from pg_attribute a where a.attrelid = k.conrelid and a.attnum = any (k.conkey)
                                 and a.attname <> 'organization_id')
                    and has_any_column_privilege('parlour_app', k.conrelid, 'insert')
                  order by 1";
    let rows = sqlx::query(query).fetch_all(admin).await.expect("the catalogue");
    let key = |row: &sqlx::postgres::PgRow| ForeignKey {
        name: row.get("name"),
        child: row.get("child"),
        parent: row.get("parent"),
        child_columns: row.get("child_columns"),
        parent_columns: row.get("parent_columns"),
    };
    rows.iter().map(key).collect()
}

/// As one tenant, inserts a copy of an own row that points at a row of another: the key must refuse it.
async fn reach_across(
    admin: &mut PgConnection,
    app: &mut PgConnection,
    key: &ForeignKey,
    (ours, theirs): (Uuid, Uuid),
    found: &mut Vec<Leak>,
) {
    let place = format!("the foreign key {}", key.name);
    let parent = format!("select to_jsonb(p)::text from {} p where organization_id = $1 limit 1", key.parent);
    let parent = sqlx::query_scalar::<_, String>(AssertSqlSafe(parent)).bind(theirs).fetch_optional(&mut *admin).await;
    let child = format!("select to_jsonb(c)::text from {} c where organization_id = $1 limit 1", key.child);
    let child = sqlx::query_scalar::<_, String>(AssertSqlSafe(child)).bind(ours).fetch_optional(&mut *admin).await;
    let (Ok(Some(parent)), Ok(Some(child))) = (parent, child) else {
        // A table that this run has not filled is tried by the catalogue's test (`tests/it/catalogue.rs`).
        return;
    };
    let columns = insertable(admin, &key.child).await;
    let row = forged(key, &columns, &parent, &child);
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let values: Vec<String> = names.iter().map(|name| format!("f.{name}")).collect();
    let insert = format!(
        "insert into {child} ({}) select {} from jsonb_populate_record(null::{child}, $1::jsonb) f",
        names.join(", "),
        values.join(", "),
        child = key.child,
    );
    let mut tx = app.begin().await.expect("a transaction");
    set_tenant(&mut tx, ours).await;
    let tried = sqlx::query(AssertSqlSafe(insert)).bind(row).execute(&mut *tx).await;
    match tried {
        Ok(_) => leak(found, place, "a row of one tenant may point at a row of another"),
        Err(error) => {
            let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
            // 23503: the foreign key; 42501: no right at all.
            if code != "23503" && code != "42501" {
                leak(found, place, format!("it could not be tried: {error}"));
            }
        }
    }
}

/// Columns the server may insert, and their types.
async fn insertable(admin: &mut PgConnection, table: &str) -> Vec<(String, String)> {
    let query = "select a.attname::text, a.atttypid::regtype::text from pg_attribute a
                  where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped
                    and has_column_privilege('parlour_app', a.attrelid, a.attnum, 'insert')
                  order by a.attnum";
    sqlx::query_as(query).bind(table).fetch_all(admin).await.expect("the catalogue")
}

/// The child's row as JSON, new by itself, but pointing at the parent.
fn forged(key: &ForeignKey, columns: &[(String, String)], parent: &str, child: &str) -> String {
    let parent: serde_json::Value = serde_json::from_str(parent).expect("to_jsonb gives JSON");
    let mut row: serde_json::Value = serde_json::from_str(child).expect("to_jsonb gives JSON");
    for (name, kind) in columns {
        if name == "id" {
            row[name] = Uuid::now_v7().to_string().into();
        } else if kind == "bytea" {
            row[name] = format!("\\x{}", Uuid::now_v7().simple()).into();
        }
    }
    for (own, theirs) in key.child_columns.iter().zip(&key.parent_columns) {
        if own != "organization_id" {
            row[own] = parent[theirs].clone();
        }
    }
    row.to_string()
}
