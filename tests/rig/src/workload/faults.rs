//! The faults that clients are themselves: readers who do not read, and people whose rights end while they write.
//!
//! Every step has a bound. What is noted is what was done and when; whether it had the promised effect is for checkers. Look
//! next in `cast.rs`.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::history::{Nanos, Op, Outcome, Revocation, Room, Strike, nanos};
use crate::plan::Fault;
use crate::workload::cast::{LazyRoom, Mortal, Parts, mortal_guest, mortal_staff};
use crate::workload::lazy::Mood;
use crate::workload::reader::Door;
use crate::workload::stage::Credential;
use crate::workload::troupe::Troupe;
use crate::workload::writer::Order;

/// What is said to those who do not read, in bytes of text: C12 asks for more than a mebibyte. That is more than the server
/// keeps for a socket, its kernel and ours hold, several times over.
const FLOOD_BYTES: usize = 1_300_000;
/// Messages of a flood: so much, and some more, because a few may be lost on the way.
const FLOOD: u32 = 180;
/// How long a flood may take where little else gets on, either.
const FLOOD_MAX: Duration = Duration::from_secs(20);
/// How long readers that are to be lazy may take to be there at all.
const ATTACH_MAX: Duration = Duration::from_secs(5);
/// Between two looks at how far things are.
const LOOK: Duration = Duration::from_millis(50);
/// How long what was lazy may take to hold everything.
const CATCH_UP_MAX: Duration = Duration::from_secs(15);
/// How long the end of somebody's rights is asked for.
const END_MAX: Duration = Duration::from_secs(30);
/// How far ahead an end is put.
const EXPIRY: Duration = Duration::from_secs(1);

/// Readers of a room do not read, read byte by byte, or say that they will write no more.
pub async fn lazy_clients(troupe: &Troupe, room: &LazyRoom, fault: &Fault) {
    let recorder = troupe.stage.recorder();
    let is_here = |door: &Arc<Door>| door.is_attached.load(Ordering::Relaxed);
    until(ATTACH_MAX, || room.doors.iter().all(is_here)).await;
    let injected = recorder.now();
    let first = recorder.with(|history| history.ops.len());
    match fault.number % 3 {
        0 => room.doors.iter().for_each(|door| door.moods.set(Mood::Stalled)),
        1 => room.doors.iter().for_each(|door| door.moods.set(Mood::ByteByByte)),
        _ => {
            room.doors[0].half_close.notify_one();
            room.doors[1].moods.set(Mood::Stalled);
        }
    }
    // The flooder lives as long as the run.
    let _ = room.flooder.send(Order::Flood(FLOOD));
    let is_flooded = || said_since(troupe, room.room, first) > FLOOD_BYTES;
    tokio::join!(sleep(fault.lasts()), until(FLOOD_MAX, is_flooded));
    room.doors.iter().for_each(|door| door.moods.set(Mood::Eager));
    let healed = recorder.now();
    let recovered = has_caught_up(troupe, room).await.then(|| recorder.now());
    recorder.with(|history| history.strikes.push(Strike { fault: fault.clone(), injected, healed, recovered }));
}

/// Waits until something is so, for a while.
async fn until(patience: Duration, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + patience;
    while !is_so() && Instant::now() < deadline {
        sleep(LOOK).await;
    }
}

/// How much was acknowledged in a room, in bytes of text, of what was begun from an operation on.
fn said_since(troupe: &Troupe, room: Room, first: usize) -> usize {
    troupe.stage.recorder().with(|history| {
        let is_said = |op: &&Op| op.room == room && matches!(op.outcome, Outcome::Ok { .. });
        history.ops[first..].iter().filter(is_said).map(|op| op.text.len()).sum()
    })
}

/// Waits until the lazy ones hold what was there when they stopped being lazy.
async fn has_caught_up(troupe: &Troupe, room: &LazyRoom) -> bool {
    let deadline = Instant::now() + CATCH_UP_MAX;
    let conversation = troupe.stage.conversation(room.room).0;
    let mut head = None;
    while Instant::now() < deadline {
        if head.is_none() {
            head = guest_head(&troupe.stage.database.admin_url, conversation).await;
        }
        let holds = |head: i64| room.doors.iter().all(|door| door.seq.load(Ordering::Relaxed) >= head);
        if head.is_some_and(holds) {
            return true;
        }
        sleep(LOOK).await;
    }
    false
}

async fn guest_head(url: &str, conversation: Uuid) -> Option<i64> {
    let ask = async {
        let mut connection = PgConnection::connect(url).await.ok()?;
        let query = sqlx::query_scalar("select guest_seq from conversations where id = $1").bind(conversation);
        query.fetch_one(&mut connection).await.ok()
    };
    timeout(Duration::from_secs(3), ask).await.ok().flatten()
}

/// Somebody's rights end, one way or another, and somebody else comes in their place.
pub async fn end_rights(troupe: &Troupe, parts: &Parts, fault: &Fault) {
    let recorder = troupe.stage.recorder();
    let injected = recorder.now();
    let ways = ["revoked", "expired", "cut", "disabled"];
    let count = recorder.with(|history| history.revocations.len());
    let how = ways[(count + fault.number as usize) % ways.len()];
    let victim = {
        let mut mortals = parts.mortals.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |mortal: &Mortal| mortal.link.is_none() == (how == "disabled");
        mortals.iter().position(wanted).map(|at| mortals.remove(at))
    };
    let Some(victim) = victim else {
        return recorder.with(|history| {
            history.strikes.push(Strike {
                fault: fault.clone(),
                injected,
                healed: injected,
                recovered: Some(injected),
            });
        });
    };
    let effective = end(troupe, parts, &victim, how).await;
    let healed = recorder.now();
    let by = parts.witnesses.iter().find(|witnesses| witnesses.room == victim.room).expect("every room has some");
    let fresh = match victim.link {
        Some(_) => mortal_guest(troupe, &by.staff, victim.room, victim.player.codec).await,
        None => mortal_staff(troupe, &by.staff, victim.room, victim.player.codec).await,
    };
    parts.mortals.lock().unwrap_or_else(PoisonError::into_inner).extend(fresh);
    let recovered = effective.map(|effective| effective.max(healed));
    recorder.with(|history| history.strikes.push(Strike { fault: fault.clone(), injected, healed, recovered }));
}

/// Ends somebody's rights; when that was sure.
async fn end(troupe: &Troupe, parts: &Parts, victim: &Mortal, how: &str) -> Option<Nanos> {
    let (stage, person) = (&troupe.stage, victim.player.person);
    stage.ending.lock().unwrap_or_else(PoisonError::into_inner).insert(person);
    let invoked = stage.recorder().now();
    let at = stage.recorder().with(|history| {
        history.revocations.push(Revocation { person, how: how.to_owned(), invoked, effective: None });
        history.revocations.len() - 1
    });
    let by = parts.witnesses.iter().find(|witnesses| witnesses.room == victim.room).expect("every room has some");
    let share = match victim.player.credential() {
        Credential::Guest { share, .. } => share,
        Credential::Staff { .. } | Credential::Service { .. } => String::new(),
    };
    let path = format!("/api/v1/shares/{share}");
    let deadline = Instant::now() + END_MAX;
    let mut effective = None;
    while effective.is_none() && Instant::now() < deadline {
        let is_done = match how {
            "revoked" => troupe.insist(Method::DELETE, &path, Some(&by.staff), &Value::Null).await.is_some(),
            "cut" => {
                let body = json!({ "permissions": ["view"] });
                troupe.insist(Method::PATCH, &path, Some(&by.staff), &body).await.is_some()
            }
            "expired" => {
                let sql =
                    "update shares set expires_at = clock_timestamp() + interval '1 second', version = version + 1
                           where id = $1";
                operate(troupe, sql, &share).await
            }
            _ => {
                let sql = "update memberships set status = 'disabled', version = version + 1 where person_id = $1";
                operate(troupe, sql, &victim.player.id).await
            }
        };
        let ahead = if how == "expired" { nanos(EXPIRY) } else { 0 };
        effective = is_done.then(|| stage.recorder().now() + ahead);
    }
    stage.recorder().with(|history| history.revocations[at].effective = effective);
    effective
}

/// What an operator does by SQL; whether it was done.
async fn operate(troupe: &Troupe, sql: &'static str, id: &str) -> bool {
    let id: Uuid = id.parse().expect("ids of links and staff are UUIDs");
    let work = async {
        let mut connection = PgConnection::connect(&troupe.stage.database.admin_url).await.ok()?;
        sqlx::query(sql).bind(id).execute(&mut connection).await.ok()
    };
    let done = timeout(Duration::from_secs(5), work).await.ok().flatten();
    if done.is_none() {
        sleep(Duration::from_millis(200)).await;
    }
    done.is_some_and(|done| done.rows_affected() == 1)
}
