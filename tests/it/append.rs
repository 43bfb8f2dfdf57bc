//! The append function, case by case: what DESIGN of the log promises about repeats, locks, grants, cards and batches.

use std::sync::Arc;

use parlour::domain::draft::Draft;
use parlour::domain::policy::{Edit, Note, Offer, Redact, Select, Send};
use parlour::domain::revision::{self, Revisable, Target, Whose};
use parlour::domain::selection::{Choice, decide};
use parlour::domain::text::MessageText;
use parlour::store::cards;
use parlour::store::log::append::{Appended, Verdict, Wait, call};
use parlour::store::log::{AppendError, CommitHook, Log, append_in};
use parlour_protocol::card::{CardKind, CardOption, Offer as CardOffer};
use parlour_protocol::entry::Entry;
use parlour_protocol::id::{CardId, ClientId};
use sqlx::{Connection, PgConnection, Row};
use tokio_util::task::TaskTracker;

use parlour_testkit::database::Database;
use parlour_testkit::seed::Tenant;
use parlour_testkit::until::refused;

fn silent() -> CommitHook {
    Arc::new(|_| Box::pin(async {}))
}

fn text(words: &str) -> MessageText {
    MessageText::parse(words.into()).expect("a text")
}

fn offer(label: &str) -> CardOffer {
    let option = |id: &str| CardOption {
        id: id.into(),
        label: format!("{label} {id}"),
        description: None,
        price: None,
        price_note: None,
        facts: Vec::new(),
        route: None,
    };
    CardOffer {
        kind: CardKind::Choice,
        title: label.into(),
        subtitle: None,
        options: vec![option("a"), option("b")],
        details: Vec::new(),
        note: None,
    }
}

async fn one_tenant() -> (Database, Tenant, Log) {
    let database = Database::fresh().await;
    let tenant = Tenant::create(&database, "lagon").await;
    let log = Log::start(&tenant.store, &silent(), &TaskTracker::new());
    (database, tenant, log)
}

async fn message(tenant: &Tenant, client_id: ClientId, words: &str) -> Draft {
    Draft::message(&tenant.staff_grant::<Send>().await, client_id, text(words))
}

async fn append(log: &Log, draft: Draft) -> Verdict {
    log.append(draft).await.expect("a verdict")
}

fn numbers(verdict: &Verdict) -> (i64, Option<i64>) {
    match verdict {
        Verdict::Accepted(entry) => (entry.seq, entry.guest_seq),
        Verdict::Repeat(Appended { seq, guest_seq, .. }) => (*seq, *guest_seq),
        other => panic!("neither accepted nor a repeat: {other:?}"),
    }
}

#[tokio::test]
async fn both_views_are_numbered_densely_and_notes_leave_no_hole_for_guests() {
    let (_, tenant, log) = one_tenant().await;
    let first = append(&log, message(&tenant, ClientId::generate(), "one").await).await;
    let note = Draft::note(&tenant.staff_grant::<Note>().await, ClientId::generate(), text("two, for staff"));
    let note = append(&log, note).await;
    let third = append(&log, message(&tenant, ClientId::generate(), "three").await).await;
    assert_eq!([numbers(&first), numbers(&note), numbers(&third)], [(1, Some(1)), (2, None), (3, Some(2))]);
}

#[tokio::test]
async fn a_repeat_gives_the_first_result_and_another_body_is_a_mismatch() {
    let (_, tenant, log) = one_tenant().await;
    let key = ClientId::generate();
    let first = append(&log, message(&tenant, key, "hello").await).await;
    let again = append(&log, message(&tenant, key, "hello").await).await;
    assert!(matches!(again, Verdict::Repeat(_)));
    assert_eq!(numbers(&first), numbers(&again));
    assert_eq!(append(&log, message(&tenant, key, "other").await).await, Verdict::Mismatch);
    let next = append(&log, message(&tenant, ClientId::generate(), "next").await).await;
    assert_eq!(numbers(&next).0, 2, "neither took a number");
}

#[tokio::test]
async fn repeats_at_once_in_one_batch_and_over_two_logs_store_one_entry() {
    let (_, tenant, log) = one_tenant().await;
    let other_node = Log::start(&tenant.store, &silent(), &TaskTracker::new());
    let key = ClientId::generate();
    let mut tries = Vec::new();
    for n in 0..20 {
        let draft = message(&tenant, key, "only once").await;
        tries.push(if n % 2 == 0 { log.append(draft) } else { other_node.append(draft) });
    }
    let verdicts = futures_util::future::join_all(tries).await;
    let accepted = verdicts.iter().filter(|verdict| matches!(verdict, Ok(Verdict::Accepted(_)))).count();
    let repeats = verdicts.iter().filter(|verdict| matches!(verdict, Ok(Verdict::Repeat(_)))).count();
    assert_eq!((accepted, repeats), (1, 19), "{verdicts:?}");
}

#[tokio::test]
async fn a_nul_is_refused_before_the_database_and_harms_no_neighbour() {
    let (_, tenant, log) = one_tenant().await;
    let poisoned = Draft::card(&tenant.staff_grant::<Offer>().await, ClientId::generate(), offer("nul \u{0}"));
    let neighbour = message(&tenant, ClientId::generate(), "unharmed").await;
    let (poisoned, neighbour) = tokio::join!(log.append(poisoned), log.append(neighbour));
    assert!(matches!(refused(poisoned), AppendError::Nul));
    assert_eq!(numbers(&neighbour.expect("a verdict")), (1, Some(1)));
    let escaped = Draft::card(&tenant.staff_grant::<Offer>().await, ClientId::generate(), offer("a literal \\u0000"));
    assert_eq!(numbers(&append(&log, escaped).await).0, 2, "the six characters are no NUL");
}

#[tokio::test]
async fn a_locked_conversation_waits_alone_and_keeps_its_order() {
    let (database, tenant, log) = one_tenant().await;
    let other = tenant.another_conversation().await;
    let mut holder = database.admin().await;
    sqlx::raw_sql("begin").execute(&mut holder).await.expect("begin");
    sqlx::query("select from conversations where id = $1 for update")
        .bind(tenant.conversation.0)
        .execute(&mut holder)
        .await
        .expect("the lock");

    let log = Arc::new(log);
    let waiting: Vec<_> = {
        let mut waiting = Vec::new();
        for n in 0..5 {
            let draft = message(&tenant, ClientId::generate(), &format!("waits {n}")).await;
            let log = Arc::clone(&log);
            waiting.push(tokio::spawn(async move { log.append(draft).await.expect("a verdict") }));
            tokio::task::yield_now().await;
        }
        waiting
    };
    let free = Tenant { conversation: other, ..tenant };
    for n in 1..=20 {
        let passed = append(&log, message(&free, ClientId::generate(), "passes").await).await;
        assert_eq!(numbers(&passed).0, n, "others are not held up");
    }
    assert!(waiting.iter().all(|task| !task.is_finished()));
    sqlx::raw_sql("commit").execute(&mut holder).await.expect("commit");
    let mut seqs = Vec::new();
    for task in waiting {
        seqs.push(numbers(&task.await.expect("no panic")).0);
    }
    assert_eq!(seqs, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_batch_spans_organizations_and_a_foreign_conversation_is_not_found() {
    let database = Database::fresh().await;
    let (a, b) = (Tenant::create(&database, "tenant-a").await, Tenant::create(&database, "tenant-b").await);
    let log = Log::start(&a.store, &silent(), &TaskTracker::new());
    let (of_a, of_b) = (message(&a, ClientId::generate(), "a").await, message(&b, ClientId::generate(), "b").await);
    let mut foreign = message(&a, ClientId::generate(), "into b").await;
    foreign.room.conversation = b.conversation;
    let (of_a, of_b, foreign) = tokio::join!(log.append(of_a), log.append(of_b), log.append(foreign));
    assert_eq!(numbers(&of_a.expect("a verdict")).0, 1);
    assert_eq!(numbers(&of_b.expect("a verdict")).0, 1);
    assert_eq!(foreign.expect("a verdict"), Verdict::NotFound);
}

#[tokio::test]
async fn a_revoked_or_expired_share_writes_nothing_and_a_changed_one_asks_again() {
    let (database, tenant, log) = one_tenant().await;
    let mut admin = database.admin().await;
    let grant = tenant.guest_grant::<Send>().await;
    let attempt = || Draft::message(&grant, ClientId::generate(), text("let me in"));
    assert_eq!(numbers(&append(&log, attempt()).await), (1, Some(1)));

    sqlx::raw_sql("update shares set version = version + 1").execute(&mut admin).await.expect("a change");
    assert_eq!(append(&log, attempt()).await, Verdict::StaleGrant);
    sqlx::raw_sql("update shares set version = 1, expires_at = now()").execute(&mut admin).await.expect("an end");
    assert_eq!(append(&log, attempt()).await, Verdict::Ended);
    sqlx::raw_sql("update shares set expires_at = now() + interval '1 hour', revoked_at = now()")
        .execute(&mut admin)
        .await
        .expect("a revocation");
    assert_eq!(append(&log, attempt()).await, Verdict::Ended);
    let stored: i64 = sqlx::query("select count(*) from entries").fetch_one(&mut admin).await.expect("rows").get(0);
    assert_eq!(stored, 1);
}

#[tokio::test]
async fn a_demoted_member_a_moved_conversation_and_a_suspended_organization_ask_again() {
    let (database, tenant, log) = one_tenant().await;
    let mut admin = database.admin().await;
    let grant = tenant.staff_grant::<Send>().await;
    let attempt = || Draft::message(&grant, ClientId::generate(), text("hello"));
    for change in [
        "update memberships set version = version + 1",
        "update memberships set version = 1; update conversations set access_version = access_version + 1",
        "update conversations set access_version = 1; update organizations set version = version + 1",
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(change)).execute(&mut admin).await.expect("a change");
        assert_eq!(append(&log, attempt()).await, Verdict::StaleGrant, "{change}");
    }
    sqlx::raw_sql("update organizations set version = 1; update memberships set status = 'disabled'")
        .execute(&mut admin)
        .await
        .expect("a change");
    assert_eq!(append(&log, attempt()).await, Verdict::Ended);
}

async fn offered(tenant: &Tenant, log: &Log) -> CardId {
    let draft = Draft::card(&tenant.staff_grant::<Offer>().await, ClientId::generate(), offer("Flights"));
    let card = draft.card.as_ref().expect("a card").card;
    append(log, draft).await;
    card
}

async fn choose(tenant: &Tenant, card: CardId, key: ClientId, option: &str) -> Draft {
    let mut tx = tenant.store.tenant(tenant.guest.scope()).await.expect("a transaction");
    let record = cards::find(&mut tx, tenant.conversation, card).await.expect("a card").expect("the card");
    let choice = Choice { card, version: record.version, options: vec![option.into()] };
    let decision = decide(&record, &tenant.guest.who(), &choice);
    Draft::selection(&tenant.guest_grant::<Select>().await, key, &choice, &record, decision).expect("a valid choice")
}

#[tokio::test]
async fn of_two_choices_decided_on_the_same_revision_one_wins_and_the_other_decides_again() {
    let (_, tenant, log) = one_tenant().await;
    let card = offered(&tenant, &log).await;
    let (left, right) = (ClientId::generate(), ClientId::generate());
    let (first, second) = (choose(&tenant, card, left, "a").await, choose(&tenant, card, right, "b").await);
    let (first, second) = tokio::join!(log.append(first), log.append(second));
    assert!(matches!(first, Ok(Verdict::Accepted(_))), "{first:?}");
    assert!(matches!(second, Ok(Verdict::StaleCard)), "{second:?}");

    let late = choose(&tenant, card, right, "b").await;
    let Verdict::Refused(facts) = append(&log, late).await else { panic!("the card is decided") };
    assert_eq!(facts["state"], "decided");
    assert_eq!(facts["holder"]["options"][0], "a");
}

#[tokio::test]
async fn a_refusal_is_remembered_even_if_the_card_opens_again() {
    let (database, tenant, log) = one_tenant().await;
    let card = offered(&tenant, &log).await;
    append(&log, choose(&tenant, card, ClientId::generate(), "a").await).await;
    let key = ClientId::generate();
    assert!(matches!(append(&log, choose(&tenant, card, key, "b").await).await, Verdict::Refused(_)));
    sqlx::raw_sql("update cards set state = 'open', holder = null, revision = revision + 1")
        .execute(&mut database.admin().await)
        .await
        .expect("a reopening");
    let retried = append(&log, choose(&tenant, card, key, "b").await).await;
    assert!(matches!(&retried, Verdict::RepeatRefused(facts) if facts["state"] == "decided"), "{retried:?}");
}

#[tokio::test]
async fn a_repeated_choice_is_the_first_result() {
    let (_, tenant, log) = one_tenant().await;
    let card = offered(&tenant, &log).await;
    let key = ClientId::generate();
    let first = append(&log, choose(&tenant, card, key, "a").await).await;
    let again = append(&log, choose(&tenant, card, key, "a").await).await;
    assert!(matches!(again, Verdict::Repeat(_)), "{again:?}");
    assert_eq!(numbers(&first), numbers(&again));
}

#[tokio::test]
async fn inside_a_transaction_nothing_is_true_before_its_commit() {
    let (_, tenant, log) = one_tenant().await;
    let draft = message(&tenant, ClientId::generate(), "never").await;
    let mut tx = tenant.store.tenant(tenant.staff.scope()).await.expect("a transaction");
    let verdict = append_in(&mut tx, &draft).await.expect("a verdict");
    assert_eq!(numbers(&verdict).0, 1);
    drop(tx);
    let next = append(&log, message(&tenant, ClientId::generate(), "first").await).await;
    assert_eq!(numbers(&next), (1, Some(1)), "a rolled back number leaves no hole");
}

#[tokio::test]
async fn an_earlier_try_that_was_redacted_since_is_handed_over_without_its_text() {
    let (database, tenant, log) = one_tenant().await;
    let mut app = PgConnection::connect(&database.app_url).await.expect("the app's connection");
    let mut tried = async |draft: &Draft| match call(&mut app, &[draft], Wait::Skip).await.expect("verdicts").pop() {
        Some(Verdict::Accepted(committed)) => committed,
        other => panic!("expected an entry, got {other:?}"),
    };
    let draft = message(&tenant, ClientId::generate(), "canary").await;
    let first = tried(&draft).await;
    let target = Target { seq: first.seq, entry: Entry::clone(&first.entry), is_recent: true };
    let theirs = |draft: Result<Revisable, _>| draft.expect("a text of their own");
    let edit = Draft::edit(
        &tenant.staff_grant::<Edit>().await,
        ClientId::generate(),
        theirs(revision::edit(&tenant.staff, &target)),
        text("canary, too"),
    );
    tried(&edit).await;
    let redactable = theirs(revision::redact(&tenant.staff, &target, Whose::Anybodys));
    append(&log, Draft::redaction(&tenant.staff_grant::<Redact>().await, ClientId::generate(), redactable)).await;
    // As after an answer that the network lost: whoever delivers it must not know more than the log.
    for (draft, seq) in [(&draft, 1), (&edit, 2)] {
        let again = tried(draft).await;
        assert_eq!(again.seq, seq);
        assert!(!format!("{again:?}").contains("canary"), "{again:?}");
    }
}
