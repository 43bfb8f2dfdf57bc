//! The committers under trouble: lost connections, a database that is gone, broken drafts among good ones, many at once.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use parlour::domain::draft::Draft;
use parlour::domain::policy::Send;
use parlour::domain::room::Committed;
use parlour::domain::text::MessageText;
use parlour::store::error::StoreError;
use parlour::store::log::append::Verdict;
use parlour::store::log::{AppendError, CommitHook, Handover, Log};
use parlour_protocol::id::ClientId;
use sqlx::Row;
use tokio_util::task::TaskTracker;

use parlour_testkit::database::{Database, durable_cluster};
use parlour_testkit::seed::Tenant;
use parlour_testkit::until::{refused, until};

fn recording() -> (CommitHook, Arc<Mutex<Vec<Committed>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let hook: CommitHook = Arc::new(move |handover| {
        if let Handover::Committed(committed) = handover {
            record.lock().expect("no panic").extend(committed);
        }
        Box::pin(async {})
    });
    (hook, seen)
}

async fn draft(tenant: &Tenant, words: String) -> Draft {
    let grant = tenant.staff_grant::<Send>().await;
    Draft::message(&grant, ClientId::generate(), MessageText::parse(words).expect("a text"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_at_once_are_acked_stored_and_handed_over_once_in_order() {
    let database = Database::fresh().await;
    let tenant = Tenant::create(&database, "lagon").await;
    let (hook, seen) = recording();
    let log = Arc::new(Log::start(&tenant.store, &hook, &TaskTracker::new()));
    let grant = tenant.staff_grant::<Send>().await;
    let tasks: Vec<_> = (0..1_000)
        .map(|n| {
            let text = MessageText::parse(format!("message {n}")).expect("a text");
            let draft = Draft::message(&grant, ClientId::generate(), text);
            let log = Arc::clone(&log);
            tokio::spawn(async move { log.append(draft).await })
        })
        .collect();
    let mut acked = Vec::new();
    for task in tasks {
        match task.await.expect("no panic").expect("a verdict") {
            Verdict::Accepted(entry) => acked.push(entry.seq),
            other => panic!("not accepted: {other:?}"),
        }
    }
    acked.sort_unstable();
    assert_eq!(acked, (1..=1_000).collect::<Vec<_>>());
    until("everything handed over", async || (seen.lock().expect("no panic").len() == 1_000).then_some(())).await;
    let handed: Vec<i64> = seen.lock().expect("no panic").iter().map(|entry| entry.seq).collect();
    assert_eq!(handed, (1..=1_000).collect::<Vec<_>>(), "in the order of their numbers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_connections_lose_and_repeat_nothing() {
    let database = Database::fresh().await;
    let tenant = Tenant::create(&database, "lagon").await;
    let (hook, seen) = recording();
    let log = Arc::new(Log::start(&tenant.store, &hook, &TaskTracker::new()));
    let mut admin = database.admin().await;
    let mut accepted = 0;
    for round in 0..30 {
        let appending = {
            let log = Arc::clone(&log);
            let draft = draft(&tenant, format!("round {round}")).await;
            tokio::spawn(async move { log.append(draft).await })
        };
        sqlx::raw_sql(
            "select pg_terminate_backend(pid) from pg_stat_activity
              where datname = current_database() and application_name = 'parlour' and query like '%append_v2%'",
        )
        .execute(&mut admin)
        .await
        .expect("the kill");
        match appending.await.expect("no panic") {
            Ok(Verdict::Accepted(_)) => accepted += 1,
            other => panic!("the same batch must be run again: {other:?}"),
        }
    }
    let stored: i64 = sqlx::query("select count(*) from entries").fetch_one(&mut admin).await.expect("rows").get(0);
    assert_eq!((accepted, stored), (30, 30));
    until("everything handed over", async || (seen.lock().expect("no panic").len() == 30).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_database_writes_are_refused_in_time_and_come_back_by_themselves() {
    let (mut cluster, data_dir) = durable_cluster().await;
    let database = Database::create_on(&cluster).await;
    let tenant = Tenant::create(&database, "lagon").await;
    let (hook, _) = recording();
    let log = Log::start(&tenant.store, &hook, &TaskTracker::new());
    let grant = tenant.staff_grant::<Send>().await;
    let attempt = || Draft::message(&grant, ClientId::generate(), MessageText::parse("hello".into()).expect("a text"));
    assert!(matches!(log.append(attempt()).await, Ok(Verdict::Accepted(_))));

    cluster.kill().await.expect("the kill");
    let began = Instant::now();
    let error = refused(log.append(attempt()).await);
    assert!(began.elapsed().as_millis() < 3_000, "answered after {:?}", began.elapsed());
    assert!(
        matches!(error, AppendError::Store(StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_))),
        "{error:?}"
    );
    let error = refused(log.append(attempt()).await);
    assert!(matches!(error, AppendError::Store(StoreError::Unavailable(_))), "never sent, so known: {error:?}");

    cluster.restart().await.expect("the restart");
    let seq = until("writes come back", async || match log.append(attempt()).await {
        Ok(Verdict::Accepted(entry)) => Some(entry.seq),
        _ => None,
    })
    .await;
    assert!(seq >= 2);
    cluster.stop().await.expect("a clean stop");
    std::fs::remove_dir_all(data_dir).expect("the directory goes");
}
