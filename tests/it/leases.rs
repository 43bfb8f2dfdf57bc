//! Rights that change while sockets are open: who is closed and with which code, how soon, and what is withheld while nobody
//! can say who is allowed in.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parlour::domain::policy::{self, Facts};
use parlour::domain::principal::{Actor, HolderKey, Organization, Principal};
use parlour::domain::role::Role;
use parlour::hub::catch_up::Welcome;
use parlour::hub::outbox::{Outbox, Sink};
use parlour::hub::session::Session;
use parlour_protocol::codec::Codec;
use parlour_protocol::entry::WhoKind;
use parlour_protocol::id::{OrganizationId, PersonId};
use parlour_protocol::reply::ConversationRef;
use parlour_protocol::share::Right;
use serde_json::json;

use parlour_testkit::app::TestApp;
use parlour_testkit::until::until;

/// A sweep, its deadline, and what a busy machine adds.
const ONE_SWEEP: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_out_everywhere_closes_the_persons_sockets_within_a_sweep_and_nobody_elses() {
    let app = TestApp::start().await;
    let tenancy = app.people.tenancy("lagon").await;
    let conversation = tenancy.admin.conversation("Maria").await;
    let bruno = app.people.staff(tenancy.organization, "dmc_manager", "Bruno").await;
    let (his, other, hers) = (
        bruno.attached(conversation).await,
        bruno.attached(conversation).await,
        tenancy.admin.attached(conversation).await,
    );
    app.arrange(
        "update persons set session_version = session_version + 1
          where id in (select person_id from memberships where role = 'dmc_manager')",
    )
    .await;
    let began = Instant::now();
    assert_eq!((his.closed().await, other.closed().await), (4401, 4401), "he may log in again");
    assert!(began.elapsed() < ONE_SWEEP, "{:?}", began.elapsed());
    assert_eq!(bruno.connect_refused().await, 4401, "the old token says the same");
    hers.say(conversation, "still here").await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_who_is_removed_is_closed_for_good() {
    let app = TestApp::start().await;
    let tenancy = app.people.tenancy("lagon").await;
    let bruno = app.people.staff(tenancy.organization, "dmc_manager", "Bruno").await;
    let socket = bruno.connect(Codec::Json).await;
    app.arrange(
        "update memberships set status = 'disabled', version = version + 1 where role = 'dmc_manager';
         update persons set session_version = session_version + 1
          where id in (select person_id from memberships where role = 'dmc_manager')",
    )
    .await;
    assert_eq!(socket.closed().await, 4503);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_heard_of_is_felt_at_once() {
    let app = TestApp::start().await;
    let tenancy = app.people.tenancy("lagon").await;
    let conversation = tenancy.admin.conversation("Maria").await;
    // One of them a sweep could have met by chance, hardly all of them.
    for n in 0..6 {
        let link = tenancy.admin.share(conversation, json!({})).await;
        let guest = link.claim("Maria").await.attached().await;
        app.arrange("update shares set revoked_at = now(), version = version + 1 where revoked_at is null").await;
        let began = Instant::now();
        let id = link.id.parse().expect("a UUID");
        app.app.hub().rights_changed(HolderKey { kind: WhoKind::Guest, organization: tenancy.organization, id });
        assert_eq!(guest.closed().await, 4510);
        assert!(began.elapsed() < Duration::from_secs(1), "{n}: {:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_withheld_while_rights_cannot_be_confirmed_and_nothing_is_missed() {
    let app = TestApp::start().await;
    let tenancy = app.people.tenancy("lagon").await;
    let conversation = tenancy.admin.conversation("Maria").await;
    let service = app.people.service(tenancy.organization, &["conversations:*"]).await;
    let socket = tenancy.admin.attached(conversation).await;
    socket.command(json!({ "type": "subscribe", "topic": "inbox" })).await.ok();
    let path = format!("/api/v1/conversations/{conversation}/entries");
    let push = async |text: &str| service.post(&path, json!({ "kind": "message", "text": text })).await;
    push("before").await;
    let first = socket.push("entry").await["seq"].as_i64().expect("a number");

    // The one query of the leases cannot be answered; a service's writes can.
    let mut database = app.database.admin().await;
    sqlx::raw_sql("begin; lock table persons in access exclusive mode").execute(&mut database).await.expect("a lock");
    let began = Instant::now();
    assert_eq!(socket.push("paused").await["conversation"], json!(conversation));
    assert!(began.elapsed() >= Duration::from_secs(6), "not for a short trouble: {:?}", began.elapsed());
    assert!(began.elapsed() <= Duration::from_secs(11), "in time: {:?}", began.elapsed());
    push("during").await;
    let history = socket.command(json!({ "type": "history", "conversation": conversation })).await;
    assert_eq!(history.code(), "UNAVAILABLE");
    assert_eq!(socket.attach(conversation, Some((1, first))).await.code(), "UNAVAILABLE");
    socket.command(json!({ "type": "ping" })).await.ok();
    let heard = socket.pushes_so_far().await;
    assert!(heard.iter().all(|push| push["type"] != "entry" && push["type"] != "inbox"), "{heard:?}");

    sqlx::raw_sql("rollback").execute(&mut database).await.expect("the end of the lock");
    assert_eq!(socket.push("head").await["seq"], json!(first + 1));
    let attached = socket.attach(conversation, Some((1, first))).await.ok();
    assert_eq!(attached["entries"].as_array().expect("entries").len(), 1, "{attached}");
    push("after").await;
    assert_eq!(socket.push("entry").await["seq"], json!(first + 2));
    assert_eq!(socket.push("inbox").await["conversation"]["head"], json!(first + 2), "rows that moved meanwhile, too");
}

/// Takes everything and keeps nothing.
struct Nowhere;

impl Sink for Nowhere {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_sessions_of_one_organization_are_brought_in_line_at_once_and_pause_nobody() {
    const SESSIONS: u128 = 1_000;
    let app = TestApp::start().await;
    let tenancy = app.people.tenancy("lagon").await;
    let conversation = tenancy.admin.conversation("Maria").await;
    app.arrange(
        "insert into persons (id, email, name) select uuid(lpad(n::text, 32, '0')), n || '@crowd.test', 'Somebody'
           from generate_series(1, 1000) n;
         insert into memberships (organization_id, person_id, role)
           select o.id, p.id, 'dmc_admin' from organizations o, persons p where p.email like '%@crowd.test'",
    )
    .await;
    let mut sessions = Vec::new();
    for n in 1..=SESSIONS {
        let person = format!("{n:032}").parse().expect("a UUID");
        let session = enter(&app, tenancy.organization, person);
        attach(&app, &session, conversation).await;
        sessions.push(session);
    }
    let began = Instant::now();
    app.arrange("update organizations set status = 'suspended', version = version + 1").await;
    until("every session knows", async || {
        let is_current = |session: &Arc<Session>| !session.principal().organization.active && session.is_settled();
        sessions.iter().all(is_current).then_some(())
    })
    .await;
    println!("a thousand sessions in {:?}, the wait for the sweep included", began.elapsed());
    assert!(began.elapsed() < 2 * ONE_SWEEP, "{:?}", began.elapsed());
    assert!(app.app.hub().flow().is_ok(), "nobody was paused for it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_sessions_than_one_sweep_can_bring_in_line_are_brought_in_line_by_several() {
    const SESSIONS: u128 = 10_000;
    let app = TestApp::start().await;
    let tenancy = app.people.tenancy("lagon").await;
    app.arrange(
        "insert into persons (id, email, name) select uuid(lpad(n::text, 32, '0')), n || '@crowd.test', 'Somebody'
           from generate_series(1, 10000) n;
         insert into memberships (organization_id, person_id, role)
           select o.id, p.id, 'dmc_admin' from organizations o, persons p where p.email like '%@crowd.test'",
    )
    .await;
    let person = |n: u128| format!("{n:032}").parse().expect("a UUID");
    let sessions: Vec<_> = (1..=SESSIONS).map(|n| enter(&app, tenancy.organization, person(n))).collect();
    app.arrange("update organizations set status = 'suspended', version = version + 1").await;
    let began = Instant::now();
    until("every session knows", async || {
        let is_current = |session: &Arc<Session>| !session.principal().organization.active && session.is_settled();
        sessions.iter().all(is_current).then_some(())
    })
    .await;
    println!("ten thousand sessions in {:?}, the wait for the sweep included", began.elapsed());
    until("entries flow", async || app.app.hub().flow().is_ok().then_some(())).await;
}

fn enter(app: &TestApp, organization: OrganizationId, person: PersonId) -> Arc<Session> {
    let role = Role::find("dmc_admin").expect("a built-in role");
    let principal = Principal {
        organization: Organization { id: organization, name: "Lagon & Savane".into(), active: true, version: 1 },
        name: "Somebody".into(),
        version: 1,
        ends_at: None,
        actor: Actor::Staff { person, role, permissions: role.permissions(), session_version: 1 },
    };
    app.app.hub().open(Arc::new(principal), Codec::Json, Arc::new(Outbox::new(Arc::new(Nowhere))))
}

async fn attach(app: &TestApp, session: &Arc<Session>, conversation: parlour_protocol::id::ConversationId) {
    let organization = session.organization();
    let facts =
        Facts { organization, conversation, user_id: None, assigned_to: None, watchers: Vec::new(), access_version: 1 };
    let grant = policy::authorize(&session.principal(), &facts).expect("an administrator");
    let reference = ConversationRef { id: conversation, title: "Maria".into(), status: None, stage: None };
    let welcome =
        async { Ok(Welcome { conversation: reference, rights: vec![Right::Read], receipts: Vec::new(), seen: None }) };
    app.app.hub().attach(session, 1, grant, None, welcome).await.expect("attached");
}
