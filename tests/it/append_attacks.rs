//! Attacks on the log's promises: lost answers, locks in unkind places, rights that end between two tries, floods, and
//! several nodes on one database. What must hold is in the name of each test.
//!
//! Tests here arrange trouble with a superuser's connection and look only at verdicts, stored rows and the hook.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use parlour::domain::draft::Draft;
use parlour::domain::policy::{Grant, Note, Offer, Send};
use parlour::domain::principal::{Actor, Principal};
use parlour::domain::room::Committed;
use parlour::domain::text::MessageText;
use parlour::store::error::StoreError;
use parlour::store::log::append::{Verdict, Wait, call};
use parlour::store::log::{AppendError, CommitHook, Handover, Log, Submission};
use parlour_protocol::card::{CardKind, CardOption, Offer as CardOffer};
use parlour_protocol::id::{ClientId, ConversationId, GuestId};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use parlour_testkit::database::Database;
use parlour_testkit::proxy::Proxy;
use parlour_testkit::seed::Tenant;
use parlour_testkit::until::{refused, until};

type Seen = Arc<Mutex<Vec<Committed>>>;

fn recording() -> (CommitHook, Seen) {
    let seen = Seen::default();
    let record = Arc::clone(&seen);
    let hook: CommitHook = Arc::new(move |handover| {
        if let Handover::Committed(committed) = handover {
            record.lock().expect("no panic").extend(committed);
        }
        Box::pin(async {})
    });
    (hook, seen)
}

async fn one_tenant() -> (Database, Tenant, Log, Seen) {
    let database = Database::fresh().await;
    let tenant = Tenant::create(&database, "lagon").await;
    let (hook, seen) = recording();
    let log = Log::start(&tenant.store, &hook, &TaskTracker::new());
    (database, tenant, log, seen)
}

fn text(words: &str) -> MessageText {
    MessageText::parse(words.into()).expect("a text")
}

async fn message(tenant: &Tenant, words: &str) -> Draft {
    Draft::message(&tenant.staff_grant::<Send>().await, ClientId::generate(), text(words))
}

async fn message_in(tenant: &Tenant, conversation: ConversationId, words: &str) -> Draft {
    let mut draft = message(tenant, words).await;
    draft.room.conversation = conversation;
    draft
}

fn seq(verdict: Result<Verdict, AppendError>) -> i64 {
    match verdict {
        Ok(Verdict::Accepted(entry)) => entry.seq,
        other => panic!("not accepted: {other:?}"),
    }
}

/// A connection that holds what `query` locks until it is given a `commit`.
async fn holding(database: &Database, query: &str) -> PgConnection {
    let mut holder = database.admin().await;
    sqlx::raw_sql(AssertSqlSafe(format!("begin; {query}"))).execute(&mut holder).await.expect("the lock");
    holder
}

async fn holding_conversation(database: &Database, conversation: ConversationId) -> PgConnection {
    holding(database, &format!("select from conversations where id = '{conversation}' for update")).await
}

async fn let_go(holder: &mut PgConnection) {
    sqlx::raw_sql("commit").execute(holder).await.expect("commit");
}

/// Conversations of one tenant that share a committer with the first.
async fn neighbours(tenant: &Tenant, count: usize) -> Vec<ConversationId> {
    let mut found = Vec::new();
    while found.len() < count {
        let other = tenant.another_conversation().await;
        if other.0.as_u128() % 2 == tenant.conversation.0.as_u128() % 2 {
            found.push(other);
        }
    }
    found
}

#[tokio::test]
async fn an_earlier_try_of_the_same_draft_is_acknowledged_even_if_rights_ended_since() {
    let (database, tenant, ..) = one_tenant().await;
    let mut app = PgConnection::connect(&database.app_url).await.expect("the app's connection");
    let draft = Draft::message(&tenant.guest_grant::<Send>().await, ClientId::generate(), text("just in time"));
    let first = call(&mut app, &[&draft], Wait::Skip).await.expect("a verdict");
    for change in [
        "update shares set version = version + 1",
        "update shares set revoked_at = now()",
        "update organizations set version = version + 1",
    ] {
        sqlx::raw_sql(change).execute(&mut database.admin().await).await.expect("a change");
        let again = call(&mut app, &[&draft], Wait::Skip).await.expect("a verdict");
        assert_eq!(first, again, "what was committed stays acknowledged after: {change}");
    }
}

#[tokio::test]
async fn a_link_writes_only_into_its_own_conversation_and_only_as_its_own_guests() {
    let (_, tenant, log, _) = one_tenant().await;
    let grant = tenant.guest_grant::<Send>().await;
    let attempt = || Draft::message(&grant, ClientId::generate(), text("hello"));
    let mut elsewhere = attempt();
    elsewhere.room.conversation = tenant.another_conversation().await;
    assert_eq!(log.append(elsewhere).await.expect("a verdict"), Verdict::Ended);

    let mut stranger = attempt();
    let mut principal = Principal::clone(&tenant.guest);
    if let Actor::Guest { guest, .. } = &mut principal.actor {
        *guest = GuestId::generate();
    }
    stranger.principal = Arc::new(principal);
    assert_eq!(log.append(stranger).await.expect("a verdict"), Verdict::Ended);
    assert_eq!(seq(log.append(attempt()).await), 1);
}

#[tokio::test]
async fn a_locked_link_membership_or_organization_delays_nobody_else_and_its_room_keeps_its_order() {
    let database = Database::fresh().await;
    let (tenant, other) = (Tenant::create(&database, "lagon").await, Tenant::create(&database, "savane").await);
    let (hook, _) = recording();
    let log = Log::start(&tenant.store, &hook, &TaskTracker::new());
    let id = tenant.organization;
    for (round, lock) in [
        format!("update shares set opens = opens + 1 where organization_id = '{id}'"),
        format!("update memberships set created_at = now() where organization_id = '{id}'"),
        format!("update organizations set updated_at = now() where id = '{id}'"),
    ]
    .iter()
    .enumerate()
    {
        let mut holder = holding(&database, lock).await;
        let guest = Draft::message(&tenant.guest_grant::<Send>().await, ClientId::generate(), text("first"));
        let staff = message(&tenant, "second").await;
        let mut waiting = vec![log.submit(guest).expect("a place"), log.submit(staff).expect("a place")];
        let began = Instant::now();
        for _ in 0..20 {
            seq(log.append(message(&other, "passes").await).await);
        }
        assert!(began.elapsed() < Duration::from_millis(450), "held up for {:?} by: {lock}", began.elapsed());
        let_go(&mut holder).await;
        let second = waiting.pop().expect("two").verdict();
        let first = waiting.pop().expect("two").verdict();
        let base = i64::try_from(round * 2).expect("small");
        assert_eq!((seq(first.await), seq(second.await)), (base + 1, base + 2), "{lock}");
    }
}

#[tokio::test]
async fn a_room_locked_for_long_does_not_hold_up_one_locked_for_a_moment() {
    let (database, tenant, log, seen) = one_tenant().await;
    let brief = neighbours(&tenant, 1).await[0];
    let mut long_holder = holding_conversation(&database, tenant.conversation).await;
    let mut brief_holder = holding_conversation(&database, brief).await;
    let stuck = log.submit(message(&tenant, "stuck").await).expect("a place");
    let waits = log.submit(message_in(&tenant, brief, "waits a moment").await).expect("a place");
    seq(log.append(message_in(&tenant, neighbours(&tenant, 1).await[0], "passes").await).await);
    let_go(&mut brief_holder).await;
    let began = Instant::now();
    assert_eq!(seq(waits.verdict().await), 1);
    assert!(began.elapsed() < Duration::from_millis(700), "held up for {:?}", began.elapsed());
    let error = refused(stuck.verdict().await);
    assert!(matches!(error, AppendError::Store(StoreError::Unavailable(_))), "known not to be stored: {error:?}");
    let_go(&mut long_holder).await;
    let after =
        until("the room leaves the patient lane", async || log.append(message(&tenant, "free again").await).await.ok())
            .await;
    assert_eq!(seq(Ok(after)), 1);
    assert_eq!(seen.lock().expect("no panic").len(), 3);
}

#[tokio::test]
async fn a_room_back_from_the_patient_lane_is_handed_over_in_the_order_of_its_numbers() {
    let database = Database::fresh().await;
    let tenant = Tenant::create(&database, "lagon").await;
    let (gate, order) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(Vec::new())));
    let gated = tenant.conversation;
    let hook: CommitHook = {
        let (gate, order) = (Arc::clone(&gate), Arc::clone(&order));
        Arc::new(move |handover| {
            let Handover::Committed(committed) = handover else { panic!("everything is known: {handover:?}") };
            let (gate, order) = (Arc::clone(&gate), Arc::clone(&order));
            Box::pin(async move {
                for entry in committed {
                    if entry.room.conversation == gated && entry.seq == 1 {
                        gate.acquire().await.expect("open").forget();
                    }
                    order.lock().expect("no panic").push(entry.seq);
                }
            })
        })
    };
    let log = Log::start(&tenant.store, &hook, &TaskTracker::new());
    let mut holder = holding_conversation(&database, tenant.conversation).await;
    let first = log.submit(message(&tenant, "waits").await).expect("a place");
    seq(log.append(message_in(&tenant, neighbours(&tenant, 1).await[0], "passes").await).await);
    let_go(&mut holder).await;
    assert_eq!(seq(first.verdict().await), 1);
    let second = log.submit(message(&tenant, "right behind").await).expect("a place");
    let second = tokio::time::timeout(Duration::from_millis(300), second.verdict()).await;
    gate.add_permits(1);
    assert!(second.is_err() || second.is_ok_and(|verdict| verdict.is_ok()));
    until("both handed over", async || (order.lock().expect("no panic").len() == 3).then_some(())).await;
    let handed: Vec<i64> = order.lock().expect("no panic").clone();
    assert_eq!(handed.last(), Some(&2), "{handed:?}");
}

/// Waits until a call of the append function stands before a gate: an advisory lock of that number.
async fn stands_before(admin: &mut PgConnection, gate: i64) {
    let query = "select exists (select from pg_locks where locktype = 'advisory' and not granted and objid::bigint = $1
                                   and database = (select oid from pg_database where datname = current_database()))";
    let admin = tokio::sync::Mutex::new(admin);
    until("a call before the gate", async || {
        let mut admin = admin.lock().await;
        let is_so: bool = sqlx::query_scalar(query).bind(gate).fetch_one(&mut **admin).await.expect("an answer");
        is_so.then_some(())
    })
    .await;
}

fn broken_card(grant: &Grant<Offer>) -> Draft {
    let option = CardOption {
        id: "a".into(),
        label: "a".into(),
        description: None,
        price: None,
        price_note: None,
        facts: Vec::new(),
        route: None,
    };
    let offer = CardOffer {
        kind: CardKind::Choice,
        title: "broken".into(),
        subtitle: None,
        options: vec![option],
        details: Vec::new(),
        note: None,
    };
    let mut draft = Draft::card(grant, ClientId::generate(), offer);
    draft.card.as_mut().expect("a card").change["state"] = "bogus".into();
    draft
}

#[tokio::test]
async fn a_broken_draft_in_the_batch_does_not_put_a_locked_room_out_of_order() {
    let (database, tenant, log, _) = one_tenant().await;
    let [other, stuck] = *neighbours(&tenant, 2).await else { panic!("two") };
    let mut admin = database.admin().await;
    sqlx::raw_sql(
        "create sequence gates; grant usage on gates to public;
         create function stop() returns trigger language plpgsql as $$ begin
           perform set_config('lock_timeout', '0', true);
           perform pg_advisory_xact_lock(nextval('gates'));
           return new;
         end $$;
         create trigger stop before insert on cards for each row execute function stop();
         select pg_advisory_lock(1), pg_advisory_lock(2)",
    )
    .execute(&mut admin)
    .await
    .expect("a table with gates");
    let mut broken = broken_card(&tenant.staff_grant::<Offer>().await);
    broken.room.conversation = other;
    let (first, second) = (message(&tenant, "first").await, message(&tenant, "second").await);
    // Another locked room keeps the patient lane waiting.
    let _holder_of_stuck = holding_conversation(&database, stuck).await;
    let _never = log.submit(message_in(&tenant, stuck, "waits for ever").await).expect("a place");
    seq(log.append(message_in(&tenant, other, "passes").await).await);
    let mut holder = holding_conversation(&database, tenant.conversation).await;
    let submissions: Vec<Submission> =
        [first, broken, second].map(|draft| log.submit(draft).expect("a place")).into_iter().collect();
    // The whole batch fails behind the first gate; before the second stands the broken draft on its own, and meanwhile the
    // room is let go.
    stands_before(&mut admin, 1).await;
    sqlx::raw_sql("select pg_advisory_unlock(1)").execute(&mut admin).await.expect("the first gate opens");
    stands_before(&mut admin, 2).await;
    let_go(&mut holder).await;
    sqlx::raw_sql("select pg_advisory_unlock(2)").execute(&mut admin).await.expect("the second gate opens");
    let mut verdicts = Vec::new();
    for submission in submissions {
        verdicts.push(submission.verdict().await);
    }
    let second = verdicts.pop().expect("three");
    assert!(matches!(refused(verdicts.pop().expect("three")), AppendError::Store(StoreError::Unexpected(_))));
    assert_eq!((seq(verdicts.pop().expect("three")), seq(second)), (1, 2));
}

#[tokio::test]
async fn an_answer_lost_after_the_commit_is_acknowledged_and_handed_over_once() {
    let database = Database::fresh().await;
    let tenant = Tenant::create(&database, "lagon").await;
    let (hook, seen) = recording();
    let proxy = Proxy::start(&database.app_url).await;
    let log = Log::start(&proxy.store(), &hook, &TaskTracker::new());
    assert_eq!(seq(log.append(message(&tenant, "one").await).await), 1);
    proxy.lose_next_answer();
    let second = log.submit(message(&tenant, "two").await).expect("a place");
    proxy.answer_lost().await;
    proxy.go_on();
    assert_eq!(seq(second.verdict().await), 2);
    assert_eq!(seq(log.append(message(&tenant, "three").await).await), 3);
    until("all handed over", async || (seen.lock().expect("no panic").len() == 3).then_some(())).await;
}

#[tokio::test]
async fn an_answer_lost_before_the_room_is_locked_is_never_called_not_stored() {
    let database = Database::fresh().await;
    let tenant = Tenant::create(&database, "lagon").await;
    let (hook, _) = recording();
    let proxy = Proxy::start(&database.app_url).await;
    let log = Log::start(&proxy.store(), &hook, &TaskTracker::new());
    assert_eq!(seq(log.append(message(&tenant, "one").await).await), 1);
    proxy.lose_next_answer();
    let second = log.submit(message(&tenant, "stored, and nobody knows").await).expect("a place");
    proxy.answer_lost().await;
    let mut holder = holding_conversation(&database, tenant.conversation).await;
    proxy.go_on();
    let began = Instant::now();
    let error = refused(second.verdict().await);
    assert!(began.elapsed() < Duration::from_secs(3), "answered after {:?}", began.elapsed());
    let_go(&mut holder).await;
    assert!(matches!(error, AppendError::Store(StoreError::OutcomeUnknown(_))), "it is stored: {error:?}");
}

#[tokio::test]
async fn a_flood_on_a_locked_room_is_bounded_and_leaves_room_for_others() {
    let (database, tenant, log, _) = one_tenant().await;
    let other = neighbours(&tenant, 1).await[0];
    let mut holder = holding_conversation(&database, tenant.conversation).await;
    let grant = tenant.staff_grant::<Send>().await;
    let mut places = Vec::new();
    for n in 0..6_000 {
        let draft = Draft::message(&grant, ClientId::generate(), text("flood"));
        places.extend(log.submit(draft).ok().map(Submission::verdict).map(tokio::spawn));
        if n % 50 == 0 {
            tokio::task::yield_now().await;
        }
        if n % 1_000 == 999 {
            seq(log.append(message_in(&tenant, other, "passes").await).await);
        }
    }
    let waiting = places.iter().filter(|place| !place.is_finished()).count();
    assert!(waiting <= 1_024, "{waiting} wait for one room");
    let_go(&mut holder).await;
    let mut seqs = Vec::new();
    for place in places {
        match place.await.expect("no panic") {
            Ok(Verdict::Accepted(entry)) => seqs.push(entry.seq),
            Err(AppendError::Store(StoreError::Unavailable(_))) => {}
            other => panic!("neither accepted nor refused: {other:?}"),
        }
    }
    assert!(!seqs.is_empty());
    assert_eq!(seqs, (1..=i64::try_from(seqs.len()).expect("small")).collect::<Vec<_>>(), "in order, without hole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_number_both_views_densely_and_keep_the_order_of_each_node() {
    let database = Database::fresh().await;
    let tenant = Tenant::create(&database, "lagon").await;
    let rooms = [tenant.conversation, tenant.another_conversation().await, tenant.another_conversation().await];
    let (say, note) = (tenant.staff_grant::<Send>().await, tenant.staff_grant::<Note>().await);
    let mut nodes = Vec::new();
    for _ in 0..3 {
        let (hook, seen) = recording();
        nodes.push((Log::start(&tenant.store, &hook, &TaskTracker::new()), seen));
    }
    let mut places = Vec::new();
    for n in 0..144_usize {
        for (node, (log, _)) in nodes.iter().enumerate() {
            let key = ClientId::generate();
            let mut draft = match n % 3 {
                0 => Draft::note(&note, key, text(&format!("{n}"))),
                _ => Draft::message(&say, key, text(&format!("{n}"))),
            };
            draft.room.conversation = rooms[(n / 3) % 3];
            places.push((node, draft.room.conversation, log.submit(draft).expect("a place").verdict()));
        }
        tokio::task::yield_now().await;
    }
    let mut of_node = std::collections::HashMap::<_, Vec<i64>>::new();
    for (node, room, verdict) in places {
        of_node.entry((node, room)).or_default().push(seq(verdict.await));
    }
    assert!(of_node.values().all(|seqs| seqs.is_sorted()), "{of_node:?}");
    for (_, seen) in &nodes {
        until("all handed over", async || (seen.lock().expect("no panic").len() == 144).then_some(())).await;
    }
    let holes: i64 = sqlx::query(
        "select count(*) from conversations c where c.seq <> 144 or c.guest_seq <> 96
            or c.seq <> (select count(*) from entries e where e.conversation_id = c.id)
            or c.seq <> (select max(seq) from entries e where e.conversation_id = c.id)
            or c.guest_seq <> (select max(guest_seq) from entries e where e.conversation_id = c.id)
            or exists (select from entries e where e.conversation_id = c.id and e.guest_seq is not null
                        and e.guest_seq <> (select count(*) from entries b where b.conversation_id = c.id
                                             and b.seq <= e.seq and b.guest_seq is not null))",
    )
    .fetch_one(&mut database.admin().await)
    .await
    .expect("rows")
    .get(0);
    assert_eq!(holes, 0);
}

#[tokio::test]
async fn the_app_cannot_move_the_numbers_of_a_log() {
    let mut admin = Database::fresh().await.admin().await;
    let writable: Vec<String> = sqlx::query_scalar(
        "select column_name::text from unnest('{epoch,seq,guest_seq,floor,guest_floor,last_entry_at}'::text[]) column_name
          where has_column_privilege('parlour_app', 'conversations', column_name, 'INSERT')
             or has_column_privilege('parlour_app', 'conversations', column_name, 'UPDATE')",
    )
    .fetch_all(&mut admin)
    .await
    .expect("the catalogue");
    assert_eq!(writable, Vec::<String>::new());
}
