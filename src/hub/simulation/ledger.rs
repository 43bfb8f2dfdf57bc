//! The log of a simulated world: one truth, and each node's own way to it, which may be slow, cut or hung.
//!
//! It is the yardstick of every check, so it must stay simple: a list per room, and when each entry was committed and by whom.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use parlour_protocol::entry::{Audience, Content, Entry, NumberedEntry, Redaction, Text, Who, WhoKind};
use parlour_protocol::id::{ClientId, EntryId};
use parlour_protocol::limits::PAGE_BYTES_MAX;
use parlour_protocol::time::Timestamp;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::domain::policy::{Grant, Read};
use crate::domain::principal::View;
use crate::domain::room::{Committed, Head, RoomKey};
use crate::hub::locked;
use crate::hub::room::weight;
use crate::hub::simulation::plan::{Plan, Trouble, mix};
use crate::store::error::StoreError;
use crate::store::log::{Bounds, LogFuture, LogPage, Range, ReadLog};

/// How a text that only staff may read begins.
pub const SECRET: &str = "staff-only";

/// One committed entry.
#[derive(Clone)]
pub struct Line {
    /// As it is now: blanked, if it was redacted.
    pub committed: Committed,
    pub at: Instant,
    /// Through which node.
    pub by: usize,
    /// Its node does not know of it.
    pub is_unsure: bool,
    /// When its text was redacted.
    pub ended: Option<Instant>,
    /// Where the guest view stands after it.
    guest_head: i64,
}

/// The truth.
pub struct Ledger {
    rooms: Mutex<BTreeMap<RoomKey, Vec<Line>>>,
    /// A planted defect: redactions take no text out of it.
    keeps_texts: bool,
}

impl Ledger {
    pub fn new(rooms: &[RoomKey], keeps_texts: bool) -> Arc<Self> {
        Arc::new(Self { rooms: Mutex::new(rooms.iter().map(|room| (*room, Vec::new())).collect()), keeps_texts })
    }

    /// Commits a message of so many bytes, or a note every third time.
    pub fn say(&self, room: RoomKey, by: usize, bytes: u64) -> Committed {
        let seq = self.with(room, |lines| lines.len() as u64 + 1);
        let is_note = seq.is_multiple_of(3);
        let padding = "x".repeat(usize::try_from(bytes).unwrap_or(0));
        let text = Text::new(format!("{} {seq} {padding}", if is_note { SECRET } else { "entry" }));
        match is_note {
            true => self.commit(room, by, Content::Note(text), Audience::Staff),
            false => self.commit(room, by, Content::Message(text), Audience::Everyone),
        }
    }

    /// Redacts one of the entries with a text; none when there is none.
    pub fn redact(&self, room: RoomKey, by: usize, pick: u64) -> Option<Committed> {
        let (target, audience) = self.with(room, |lines| {
            let open = lines.iter().filter(|line| line.ended.is_none());
            let open: Vec<&Line> =
                open.filter(|line| !matches!(line.committed.entry.content, Content::Redaction(_))).collect();
            let index = usize::try_from(pick).unwrap_or(0) % open.len().max(1);
            open.get(index).map(|line| (line.committed.entry.id, line.committed.entry.audience))
        })?;
        let redaction = self.commit(room, by, Content::Redaction(Redaction { entry_id: target }), audience);
        self.with(room, |lines| {
            for line in lines.iter_mut() {
                if line.committed.entry.id == target {
                    line.ended = Some(Instant::now());
                }
                if !self.keeps_texts {
                    line.committed.forget(target);
                }
            }
        });
        Some(redaction)
    }

    fn commit(&self, room: RoomKey, by: usize, content: Content, audience: Audience) -> Committed {
        self.with(room, |lines| {
            let seq = lines.len() as i64 + 1;
            let guest_head = head(lines).guest_seq;
            let id = Uuid::from_u64_pair(room.conversation.0.as_u64_pair().1, seq as u64);
            let entry = Entry {
                id: EntryId(id),
                client_id: ClientId(id),
                content,
                audience,
                author: Who { kind: WhoKind::Staff, id: "author".to_owned(), name: "Ada".to_owned() },
                at: Timestamp(OffsetDateTime::UNIX_EPOCH),
            };
            let guest_seq = (audience == Audience::Everyone).then_some(guest_head + 1);
            let committed = Committed { room, epoch: 1, seq, guest_seq, entry: Arc::new(entry) };
            let guest_head = guest_seq.unwrap_or(guest_head);
            let at = Instant::now();
            lines.push(Line { committed: committed.clone(), at, by, is_unsure: false, ended: None, guest_head });
            committed
        })
    }

    /// The node through which this was committed last does not know of it.
    pub fn forget_author(&self, room: RoomKey) {
        self.with(room, |lines| lines.last_mut().into_iter().for_each(|line| line.is_unsure = true));
    }

    /// The entry of a number of a view.
    pub fn line(&self, room: RoomKey, view: View, seq: i64) -> Option<Line> {
        self.with(room, |lines| {
            let index = match view {
                View::Staff => usize::try_from(seq - 1).ok()?,
                View::Guest => lines.partition_point(|line| line.guest_head < seq),
            };
            lines.get(index).filter(|line| line.committed.seq_in(view) == Some(seq)).cloned()
        })
    }

    /// Where a room stands.
    pub fn head(&self, room: RoomKey) -> Head {
        self.with(room, |lines| head(lines))
    }

    fn with<T>(&self, room: RoomKey, act: impl FnOnce(&mut Vec<Line>) -> T) -> T {
        act(locked(&self.rooms).entry(room).or_default())
    }

    fn page(&self, room: RoomKey, view: View, range: Range, limit: usize) -> LogPage {
        self.with(room, |lines| {
            let all = lines.iter().filter_map(|line| Some((line.committed.seq_in(view)?, &line.committed.entry)));
            let mut wanted: Vec<_> = match range {
                Range::After(after) => all.filter(|(seq, _)| *seq > after).collect(),
                _ => all.rev().collect(),
            };
            let (count, mut bytes) = (wanted.len(), 0);
            wanted.truncate(limit);
            // A page is cut at its far end.
            wanted.retain(|(_, entry)| {
                bytes += weight(entry);
                bytes <= PAGE_BYTES_MAX
            });
            let has_more = wanted.len() < count;
            if !matches!(range, Range::After(_)) {
                wanted.reverse();
            }
            let entries = wanted.into_iter().map(|(seq, entry)| NumberedEntry { seq, entry: entry.as_ref().clone() });
            let head = head(lines).seq_in(view);
            LogPage { entries: entries.collect(), bounds: Bounds { epoch: 1, floor: 1, head }, has_more }
        })
    }
}

fn head(lines: &[Line]) -> Head {
    let guest_seq = lines.last().map_or(0, |line| line.guest_head);
    Head { epoch: 1, seq: lines.len() as i64, guest_seq }
}

/// One node's way to the log.
pub struct Way {
    pub ledger: Arc<Ledger>,
    pub plan: Arc<Plan>,
    pub start: Instant,
    pub node: usize,
}

impl Way {
    fn trouble(&self) -> Option<Trouble> {
        self.plan.trouble(self.node, self.millis())
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// What a read goes through, before and after the log is looked at.
    async fn travel(&self, about: u64) -> Result<(), StoreError> {
        let trouble = self.trouble();
        let roll = mix(&[self.plan.seed, self.millis(), self.node as u64, about]);
        let millis = match trouble {
            Some(Trouble::Hung) => return std::future::pending().await,
            Some(Trouble::Slow) => 100 + roll % 1_100,
            Some(Trouble::Down) | None => roll % 5,
        };
        if millis > 0 {
            sleep(Duration::from_millis(millis)).await;
        }
        match trouble {
            Some(Trouble::Down) => Err(StoreError::Unavailable("down".to_owned())),
            Some(Trouble::Slow | Trouble::Hung) | None => Ok(()),
        }
    }
}

impl ReadLog for Way {
    fn page(&self, grant: &Grant<Read>, range: Range, limit: u32) -> LogFuture<'_, Option<LogPage>> {
        let view = grant.principal().view();
        let organization = grant.principal().organization.id;
        let room = RoomKey { organization, conversation: grant.conversation() };
        Box::pin(async move {
            self.travel(1).await?;
            let page = self.ledger.page(room, view, range, limit as usize);
            self.travel(2).await?;
            Ok(Some(page))
        })
    }

    fn after(&self, room: RoomKey, seq: i64) -> LogFuture<'_, Vec<Committed>> {
        Box::pin(async move {
            self.travel(3).await?;
            let after = usize::try_from(seq).unwrap_or(0);
            let entries = self
                .ledger
                .with(room, |lines| lines.iter().skip(after).take(200).map(|line| line.committed.clone()).collect());
            self.travel(4).await?;
            Ok(entries)
        })
    }

    fn heads(&self, rooms: Vec<RoomKey>) -> LogFuture<'_, Vec<(RoomKey, Head)>> {
        Box::pin(async move {
            self.travel(5).await?;
            let heads = rooms.into_iter().map(|room| (room, self.ledger.head(room))).collect();
            self.travel(6).await?;
            Ok(heads)
        })
    }
}
