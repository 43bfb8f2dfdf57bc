//! Catching up: attach reads what was missed and goes live without hole or repeat (SPEC §3).
//!
//! The order is everything: first the member joins the room, buffering; then the log is read; then the reply goes into the
//! outbox and the buffered turns follow it, atomically against delivery. Reading first would lose what is committed between.

use std::sync::Arc;
use std::time::Duration;

use parlour_protocol::close::CloseCode;
use parlour_protocol::entry::{NumberedEntry, Position};
use parlour_protocol::error::{ErrorBody, ErrorCode};
use parlour_protocol::id::EntryId;
use parlour_protocol::limits::{PAGE_BYTES_MAX, PAGE_ENTRIES_DEFAULT, PAGE_ENTRIES_MAX};
use parlour_protocol::reply::{Attached, AttachedPage, CardSeen, ConversationRef, Outcome, Receipt, Reply, Reset};
use parlour_protocol::share::Right;
use tokio::time::{Instant, timeout};

use crate::domain::policy::{Grant, Read};
use crate::domain::revision;
use crate::domain::room::{Head, RoomKey};
use crate::hub::Hub;
use crate::hub::agenda::Due;
use crate::hub::frame;
use crate::hub::member::{Member, WentLive};
use crate::hub::room::{NotJoined, Room, weight};
use crate::hub::session::Session;
use crate::store::error::StoreError;
use crate::store::log::{Bounds, LogPage, Range};

/// A log that takes longer to answer is not available.
const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// Tries at a room that is closed under the attach's feet.
const JOIN_TRIES: usize = 8;

/// What a live attach tells besides the entries.
#[derive(Clone, Debug)]
pub struct Welcome {
    /// What the conversation is.
    pub conversation: ConversationRef,
    /// What the session may do here.
    pub rights: Vec<Right>,
    /// How far others have read.
    pub receipts: Vec<Receipt>,
    /// What guests have seen of cards; none for guests.
    pub seen: Option<Vec<CardSeen>>,
}

/// Undoes a half-way attach: dropped before it is kept, the session is not attached.
struct Attaching<'a> {
    hub: &'a Hub,
    member: Arc<Member>,
    is_kept: bool,
}

impl Drop for Attaching<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.hub.part(&self.member);
        }
    }
}

impl Hub {
    /// Attaches a session to the conversation of the grant and answers the command `id`. `welcome` is awaited only after the
    /// log was read, and only when the session goes live.
    ///
    /// # Errors
    /// `LIMIT`, `NOT_FOUND`, `UNAVAILABLE` (also while entries are withheld), or what `welcome` says; then nothing was answered and nothing is attached.
    pub async fn attach(
        &self,
        session: &Arc<Session>,
        id: u64,
        grant: Grant<Read>,
        since: Option<Position>,
        welcome: impl Future<Output = Result<Welcome, ErrorBody>>,
    ) -> Result<(), ErrorBody> {
        let key = RoomKey { organization: grant.principal().organization.id, conversation: grant.conversation() };
        debug_assert_eq!(key.organization, session.organization(), "a grant is the session's own");
        // Before anything is given up for it: a paused attachment is told when to attach again.
        drop(self.flow()?);
        let member = self.join(session, key)?;
        let mut attaching = Attaching { hub: self, member: Arc::clone(&member), is_kept: false };
        self.start(member.room()).await?;
        let page = match self.read(&member, &grant, since).await? {
            Start::Reset(reset) => {
                let reset = Attached::Reset { resumed: false, reset };
                session.reply(&Reply { id: Some(id), outcome: Outcome::Ok(reset) });
                return Ok(());
            }
            Start::Page(page) => page,
        };
        if page.has_more {
            let _flowing = self.flow()?;
            session.reply(&Reply { id: Some(id), outcome: Outcome::Ok(Attached::Page(page)) });
            return Ok(());
        }
        let welcome = welcome.await?;
        attaching.is_kept = self.go_live(&member, id, page, welcome)?;
        Ok(())
    }

    /// Registers a buffering member; from then on no turn passes it.
    fn join(&self, session: &Arc<Session>, key: RoomKey) -> Result<Arc<Member>, ErrorBody> {
        let mut older = None;
        let joined = self.try_join(session, key, &mut older);
        if let (Err(_), Some(older)) = (&joined, older) {
            // It was given up for nothing, with everything that hung on it.
            self.stop_typing(session, key);
            self.leave_presence(&older);
        }
        joined
    }

    /// The same; `replaced` is the attachment that was given up for it.
    fn try_join(
        &self,
        session: &Arc<Session>,
        key: RoomKey,
        replaced: &mut Option<Arc<Member>>,
    ) -> Result<Arc<Member>, ErrorBody> {
        for _ in 0..JOIN_TRIES {
            let Some(room) = self.room_or_new(key) else {
                // Another node may have a place, and what was heard here is resumed there.
                session.close(CloseCode::TryAgainLater);
                return Err(unavailable("this node holds as many conversations as it can"));
            };
            let member = Arc::new(Member::new(Arc::clone(session), Arc::clone(&room)));
            let older = session.add_attachment(&member).map_err(|full| {
                self.evict(key, Instant::now());
                ErrorBody::new(ErrorCode::Limit, format!("a session may be attached to {} conversations", full.max))
                    .with("rooms", full.max)
            })?;
            if let Some(older) = older {
                self.leave_room(&older);
                // Looking ends with the attachment; whoever still looks says so again.
                self.tell_settled(key, self.presence.view(key, session.who(), session.id(), false));
                *replaced = Some(older);
            }
            let joined = room.join(&member, self.config.limits.members);
            if joined.is_err() {
                session.remove_attachment(member.id());
            }
            match joined {
                Ok(()) => return Ok(member),
                Err(NotJoined::Closed) => self.forget_room(&room),
                Err(NotJoined::Full { max }) => {
                    return Err(
                        ErrorBody::new(ErrorCode::Limit, "too many listen to this conversation").with("members", max)
                    );
                }
            }
        }
        Err(unavailable("the conversation is being rebuilt; try again"))
    }

    /// Makes sure that the room knows where its log stands.
    async fn start(&self, room: &Arc<Room>) -> Result<(), ErrorBody> {
        if room.head().is_some() {
            return Ok(());
        }
        let key = room.key();
        // Before the log is asked, or what a peer commits between would be missed.
        room.hears_others(self.config.channel_patience).await;
        room.start(self.log_head(key).await?);
        // What was early may be next now, or still wait for something.
        self.deliver_to(room, Vec::new()).await;
        Ok(())
    }

    async fn log_head(&self, key: RoomKey) -> Result<Head, ErrorBody> {
        let heads = timeout(READ_TIMEOUT, self.log.heads(vec![key])).await;
        let heads = heads.map_err(|_| log_unavailable(key, "no answer in time"))?;
        let heads = heads.map_err(|error| log_unavailable(key, &error.to_string()))?;
        heads.into_iter().find(|(other, _)| *other == key).map(|(_, head)| head).ok_or_else(not_found)
    }

    /// Whether memory knows all that the log does: what it missed may be the redaction of a text it still has.
    async fn is_level(&self, room: &Room) -> Result<bool, ErrorBody> {
        let head = self.log_head(room.key()).await?;
        let Some(known) = room.head().filter(|known| known.epoch == head.epoch) else { return Ok(false) };
        if room.learn(head) {
            self.agenda.at(Instant::now() + self.config.repair_after, Due::Repair(room.key()));
        }
        Ok(known.seq >= head.seq)
    }

    /// The entries after `since`, from memory where it provably holds them, else from the log.
    async fn read(&self, member: &Member, grant: &Grant<Read>, since: Option<Position>) -> Result<Start, ErrorBody> {
        let room = member.room();
        if let Some(since) = since
            && recent(room, member, since).is_some()
            && self.is_level(room).await?
            && let Some(start) = recent(room, member, since)
        {
            return Ok(start);
        }
        let (range, limit) = match since {
            Some(since) => (Range::After(since.seq.max(0)), PAGE_ENTRIES_MAX),
            None => (Range::Newest, PAGE_ENTRIES_DEFAULT),
        };
        let page = timeout(READ_TIMEOUT, self.log.page(grant, range, limit)).await;
        let page = page.map_err(|_| log_unavailable(room.key(), "no answer in time"))?;
        let page = page.map_err(|error| match error {
            StoreError::Unexpected(error) => unreadable(room.key(), &error),
            error => log_unavailable(room.key(), &error.to_string()),
        })?;
        let page = page.ok_or_else(not_found)?;
        if room.head().is_none_or(|head| head.epoch != page.bounds.epoch) {
            self.give_up(room, None);
            return Err(unavailable("the conversation was restored from a backup; attach again"));
        }
        Ok(place(page, since))
    }

    /// Answers and goes live; whether the session is attached now. Refused when the right to read was lost meanwhile.
    fn go_live(
        &self,
        member: &Arc<Member>,
        id: u64,
        mut page: Box<AttachedPage>,
        welcome: Welcome,
    ) -> Result<bool, ErrorBody> {
        let _flowing = self.flow()?;
        let (session, key) = (member.session(), member.room().key());
        self.tell_settled(key, self.presence.enter(key, session.who(), session.id()));
        let known = self.known(member.room());
        let next = page.position.seq + 1;
        member.set_rights(&welcome.rights);
        page.conversation = Some(welcome.conversation);
        page.permissions = Some(welcome.rights);
        page.members = Some(known.in_view(session.view()));
        page.receipts = Some(welcome.receipts.clone());
        page.seen = welcome.seen;
        let reply = |page| Reply { id: Some(id), outcome: Outcome::Ok(Attached::Page(page)) };
        let ready = frame::message(session.codec(), &reply(page.clone()));
        let went = self.go_live_knowing(member, &known, || {
            member.go_live(next, |redacted| match forget(&mut page.entries, redacted) {
                true => frame::message(session.codec(), &reply(page.clone())),
                false => ready,
            })
        });
        match went {
            WentLive::Yes => {
                self.tell_seen_since(member, &page.seen.unwrap_or_default());
                self.tell_receipts(member, welcome.receipts);
                Ok(true)
            }
            WentLive::TooMuch => {
                session.reply(&reply(Box::new(AttachedPage {
                    has_more: true,
                    conversation: None,
                    permissions: None,
                    members: None,
                    receipts: None,
                    seen: None,
                    ..*page
                })));
                Ok(false)
            }
            WentLive::Gone => {
                // Whoever ended it may have done so before it was counted as present, which others were told.
                self.leave_presence(member);
                Err(not_found())
            }
        }
    }

    /// Gives an attachment up, with everything that hangs on it.
    pub(super) fn part(&self, member: &Arc<Member>) {
        let (session, key) = (member.session(), member.room().key());
        if session.remove_attachment(member.id()) {
            self.leave_room(member);
            self.stop_typing(session, key);
            self.leave_presence(member);
        }
    }

    fn leave_presence(&self, member: &Member) {
        let (session, key) = (member.session(), member.room().key());
        let leaves_at = Instant::now() + self.config.offline_grace;
        let (was_last, settled) = self.presence.leave(key, session.who(), session.id(), leaves_at);
        self.tell_settled(key, settled);
        if was_last {
            self.agenda.at(leaves_at, Due::Offline(key, session.who().clone()));
        }
    }
}

/// Where a reader starts.
enum Start {
    /// With these entries.
    Page(Box<AttachedPage>),
    /// Anew.
    Reset(Reset),
}

fn recent(room: &Room, member: &Member, since: Position) -> Option<Start> {
    let view = member.session().view();
    let (entries, head) = room.recent(view, since.epoch, since.seq, PAGE_ENTRIES_MAX as usize)?;
    let bytes: usize = entries.iter().map(|entry| weight(&entry.entry)).sum();
    if bytes > PAGE_BYTES_MAX {
        return None;
    }
    let position = Position { epoch: head.epoch, seq: head.seq_in(view) };
    Some(Start::Page(plain_page(true, position, entries, false)))
}

/// Holds a page against what the reader asked for.
fn place(page: LogPage, since: Option<Position>) -> Start {
    let Bounds { epoch, floor, head } = page.bounds;
    let Some(since) = since else {
        let position = page.position(head);
        return Start::Page(plain_page(false, position, page.entries, false));
    };
    if since.epoch != epoch || since.seq > head || since.seq + 1 < floor {
        return Start::Reset(Reset { epoch, floor, head });
    }
    let position = page.position(since.seq);
    Start::Page(plain_page(true, position, page.entries, page.has_more))
}

/// Takes the texts out that were ended since the page was read; whether it held any.
fn forget(page: &mut [NumberedEntry], redacted: &[EntryId]) -> bool {
    let mut held_any = false;
    for numbered in page {
        for target in redacted {
            held_any |= revision::forget(*target, &mut numbered.entry);
        }
    }
    held_any
}

fn plain_page(resumed: bool, position: Position, entries: Vec<NumberedEntry>, has_more: bool) -> Box<AttachedPage> {
    Box::new(AttachedPage {
        resumed,
        position,
        entries,
        has_more,
        conversation: None,
        permissions: None,
        members: None,
        receipts: None,
        seen: None,
    })
}

fn not_found() -> ErrorBody {
    ErrorBody::new(ErrorCode::NotFound, "no such conversation")
}

fn unavailable(message: &str) -> ErrorBody {
    ErrorBody::new(ErrorCode::Unavailable, message).with("retry_after_ms", 500)
}

/// Somebody must look at it; until then nobody reads the conversation from there.
fn unreadable(key: RoomKey, error: &str) -> ErrorBody {
    let conversation = key.conversation;
    tracing::error!(conversation.id = %conversation, error, "conversation {conversation} cannot be attached to: its log cannot be read");
    unavailable("the conversation cannot be read right now; try again")
}

fn log_unavailable(key: RoomKey, error: &str) -> ErrorBody {
    let conversation = key.conversation;
    tracing::warn!(conversation.id = %conversation, error, "conversation {conversation} cannot be attached to: its log cannot be read");
    unavailable("the conversation cannot be read right now; try again")
}
