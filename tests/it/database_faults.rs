//! A database that is reached through a network which loses its way: what was asked is never answered, and nothing is closed.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use parlour::domain::principal::{HolderKey, OrgScope};
use parlour::store::Store;
use parlour_protocol::entry::WhoKind;
use parlour_protocol::id::OrganizationId;
use serde_json::json;
use tokio::task::yield_now;
use tokio::time::timeout;

use parlour_testkit::app::TestApp;
use parlour_testkit::database::Database;
use parlour_testkit::tunnel::Tunnel;
use parlour_testkit::until::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_connection_is_lost_to_an_answer_that_never_comes() {
    let database = Database::fresh().await;
    let (tunnel, url) = Tunnel::to_database(&database.app_url).await;
    let store = Store::new(&url, 2).expect("a store");
    let holder = HolderKey { kind: WhoKind::Guest, organization: OrganizationId::generate(), id: uuid::Uuid::nil() };
    let holders = [holder];
    for _ in 0..2 {
        store.leases(&holders).await.expect("an answer");
        store.durability().await.expect("an answer");
        tunnel.swallow();
        let moment = Duration::from_millis(50);
        let asked = async { tokio::join!(store.leases(&holders), store.durability(), store.durability()) };
        assert!(timeout(moment, asked).await.is_err());
        tunnel.pass();
        until("the leases are read again", async || store.leases(&holders).await.ok()).await;
        until("so is everything else", async || store.durability().await.ok()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_ends_soon_after_the_network_carries_again() {
    let database = Database::fresh().await;
    let (tunnel, url) = Tunnel::to_database(&database.app_url).await;
    let app = TestApp::start_on(database, |config| config.database_url = url.into()).await;
    let tenancy = app.people.tenancy("lagon").await;
    let conversation = tenancy.admin.conversation("Maria").await;
    let socket = tenancy.admin.attached(conversation).await;
    // A log-out is felt, so the leases were read, on a connection that is there from now on.
    let bruno = app.people.staff(tenancy.organization, "dmc_manager", "Bruno").await;
    let his = bruno.attached(conversation).await;
    app.arrange(
        "update persons set session_version = session_version + 1
          where id in (select person_id from memberships where role = 'dmc_manager')",
    )
    .await;
    assert_eq!(his.closed().await, 4401);
    tunnel.swallow();
    assert_eq!(socket.push("paused").await["conversation"], json!(conversation));
    tunnel.pass();
    let began = Instant::now();
    socket.push("head").await;
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    socket.attach(conversation, None).await.ok();
    tenancy.admin.conversation("Somebody else").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_nobody_waited_for_is_not_given_to_the_next_one() {
    let database = Database::fresh().await;
    let store = Store::new(&database.app_url, 1).expect("a store");
    let scope = OrgScope::for_platform(OrganizationId::generate());
    let mut admin = database.admin().await;
    // Given up sooner and later: before the connection is there, while it begins, and after.
    for patience in (0..300).map(|n| 4 * n) {
        let mut asked = Box::pin(store.tenant(scope));
        for _ in 0..patience {
            if asked.as_mut().now_or_never().is_some() {
                break;
            }
            yield_now().await;
        }
        drop(asked);
        // One statement by itself, which would otherwise wait for a commit of somebody else's.
        store.durability().await.expect("an answer");
        let open: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity
              where datname = current_database() and state like 'idle in transaction%'",
        )
        .fetch_one(&mut admin)
        .await
        .expect("a count");
        assert_eq!(open, 0, "a connection that is in a transaction was given to whoever came next, at {patience}");
    }
}
