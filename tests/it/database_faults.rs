//! A database that is reached through a network which loses its way: what was asked is never answered, and nothing is closed.

use std::time::{Duration, Instant};

use parlour::domain::principal::HolderKey;
use parlour::store::Store;
use parlour_protocol::entry::WhoKind;
use parlour_protocol::id::OrganizationId;
use serde_json::json;
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
