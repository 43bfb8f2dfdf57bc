//! A node without a database: a log in memory and a desk that knows three kinds of tokens.
//!
//! Tokens: `staff`, `staff:<uuid>` (a certain person), `guest`, `brief` (staff whose token ends in a moment), `ending` (a guest
//! whose link ends in a moment). Everything else is refused.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use parlour::bus::Line;
use parlour::domain::limits::LimitsProfile;
use parlour::domain::policy::{Facts, Grant, Read};
use parlour::domain::principal::{Actor, Organization, Principal, View};
use parlour::domain::role::Role;
use parlour::domain::room::{Committed, Head, RoomKey};
use parlour::hub::limits::HubLimits;
use parlour::hub::{Hub, HubConfig};
use parlour::listener::{self, ListenerConfig, Stopping};
use parlour::store::log::{Bounds, LogFuture, LogPage, Range, ReadLog};
use parlour::ws::desk::{Answer, Authenticated, Desk};
use parlour::ws::upgrade::upgrade;
use parlour::ws::{Gate, WsConfig};
use parlour_protocol::command;
use parlour_protocol::entry::{Audience, Content, Entry, NumberedEntry, Text, Who, WhoKind};
use parlour_protocol::error::{ErrorBody, ErrorCode};
use parlour_protocol::id::{ClientId, ConversationId, EntryId, GuestId, OrganizationId, PersonId, ShareId};
use parlour_protocol::reply::{Appended, CardSeen, ConversationRef, Empty, Page, Receipt, Selected, Watermarks};
use parlour_protocol::share::Permission;
use parlour_protocol::time::Timestamp;
use time::OffsetDateTime;
use tokio::net::TcpListener;

/// How long the credentials of those who are about to go last.
const MOMENT: Duration = Duration::from_millis(60);

/// The log of one conversation.
pub struct MemoryLog {
    pub key: RoomKey,
    entries: Mutex<Vec<Committed>>,
    /// The guest view, by number.
    everyone: Mutex<Vec<Committed>>,
    /// Pages that were read.
    pub pages: AtomicUsize,
}

impl MemoryLog {
    /// Commits an entry: a note, or a message for everyone.
    pub fn commit(&self, text: &str, is_note: bool) -> Committed {
        let (mut entries, mut everyone) = (self.entries.lock().unwrap(), self.everyone.lock().unwrap());
        let text = Text::new(text);
        let (content, audience) = match is_note {
            true => (Content::Note(text), Audience::Staff),
            false => (Content::Message(text), Audience::Everyone),
        };
        let author = Who { kind: WhoKind::Staff, id: "author".to_owned(), name: "Ada".to_owned() };
        let at = Timestamp(OffsetDateTime::UNIX_EPOCH);
        let (id, client_id) = (EntryId::generate(), ClientId::generate());
        let entry = Arc::new(Entry { id, client_id, content, audience, author, at });
        let guest_seq = (!is_note).then_some(everyone.len() as i64 + 1);
        let committed = Committed { room: self.key, epoch: 1, seq: entries.len() as i64 + 1, guest_seq, entry };
        entries.push(committed.clone());
        if !is_note {
            everyone.push(committed.clone());
        }
        committed
    }

    pub fn head(&self) -> Head {
        let (seq, guest_seq) = (self.entries.lock().unwrap().len(), self.everyone.lock().unwrap().len());
        Head { epoch: 1, seq: seq as i64, guest_seq: guest_seq as i64 }
    }

    fn slice(&self, view: View, range: Range, limit: usize) -> LogPage {
        let entries = match view {
            View::Staff => self.entries.lock().unwrap(),
            View::Guest => self.everyone.lock().unwrap(),
        };
        let (start, end) = match range {
            Range::After(after) => (after as usize, entries.len().min(after as usize + limit)),
            _ => (entries.len().saturating_sub(limit), entries.len()),
        };
        let page = entries.get(start..end).unwrap_or_default().iter();
        let numbered =
            page.map(|one| NumberedEntry { seq: one.seq_in(view).unwrap(), entry: one.entry.as_ref().clone() });
        let bounds = Bounds { epoch: 1, floor: 1, head: entries.len() as i64 };
        LogPage { entries: numbered.collect(), bounds, has_more: end < entries.len() }
    }
}

impl ReadLog for MemoryLog {
    fn page(&self, grant: &Grant<Read>, range: Range, limit: u32) -> LogFuture<'_, Option<LogPage>> {
        let view = grant.principal().view();
        self.pages.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move { Ok(Some(self.slice(view, range, limit as usize))) })
    }

    fn after(&self, _room: RoomKey, seq: i64) -> LogFuture<'_, Vec<Committed>> {
        Box::pin(async move { Ok(self.entries.lock().unwrap().iter().skip(seq as usize).take(200).cloned().collect()) })
    }

    fn heads(&self, rooms: Vec<RoomKey>) -> LogFuture<'_, Vec<(RoomKey, Head)>> {
        Box::pin(async move { Ok(rooms.into_iter().map(|room| (room, self.head())).collect()) })
    }
}

/// Authentication and commands as far as these tests need them.
pub struct TestDesk {
    log: Arc<MemoryLog>,
    hub: OnceLock<Arc<Hub>>,
    organization: Organization,
}

impl TestDesk {
    fn principal(&self, actor: Actor) -> Arc<Principal> {
        let organization = self.organization.clone();
        Arc::new(Principal { organization, name: "Somebody".to_owned(), version: 1, ends_at: None, actor })
    }

    fn staff(&self, person: PersonId) -> Arc<Principal> {
        let role = Role::find("dmc_admin").unwrap();
        self.principal(Actor::Staff { person, role, permissions: role.permissions(), session_version: 1 })
    }

    fn guest(&self) -> Arc<Principal> {
        let permissions = vec![Permission::View, Permission::Respond];
        let (guest, share) = (GuestId::generate(), ShareId::generate());
        self.principal(Actor::Guest { guest, share, conversation: self.log.key.conversation, permissions })
    }

    fn append(&self, text: String, is_note: bool) -> Answer<'_, Answer<'_, Appended>> {
        Box::pin(async move {
            assert_ne!(text, "panic", "as a defect would");
            if text == "refuse" {
                return Err(ErrorBody::new(ErrorCode::Forbidden, "refused"));
            }
            let committed = self.log.commit(&text, is_note);
            let appended = Appended { entry_id: committed.entry.id, seq: committed.seq, duplicate: false };
            let answer: Answer<'_, Appended> = Box::pin(async move {
                tokio::task::yield_now().await;
                self.hub.get().unwrap().deliver(vec![committed]).await;
                Ok(appended)
            });
            Ok(answer)
        })
    }
}

impl Desk for TestDesk {
    fn authenticate(&self, token: String) -> Answer<'_, Authenticated> {
        Box::pin(async move {
            let (principal, expires_in) = match token.as_str() {
                "staff" => (self.staff(PersonId::generate()), None),
                "brief" => (self.staff(PersonId::generate()), Some(MOMENT)),
                "guest" => (self.guest(), Some(Duration::from_secs(600))),
                "ending" => (self.guest(), Some(MOMENT)),
                other => match other.strip_prefix("staff:").map(str::parse) {
                    Some(Ok(person)) => (self.staff(person), Some(Duration::from_secs(900))),
                    _ => return Err(ErrorBody::new(ErrorCode::Unauthenticated, "unknown token")),
                },
            };
            Ok(Authenticated { principal, expires_in })
        })
    }

    fn reload(&self, _principal: Arc<Principal>) -> Answer<'_, Option<Arc<Principal>>> {
        Box::pin(async { Ok(None) })
    }

    fn guest_token(&self, _principal: &Principal) -> Result<(String, Duration), ErrorBody> {
        Ok(("guest".to_owned(), Duration::from_secs(600)))
    }

    fn facts(&self, _principal: Arc<Principal>, conversation: ConversationId) -> Answer<'_, (Facts, ConversationRef)> {
        Box::pin(async move {
            if conversation != self.log.key.conversation {
                return Err(ErrorBody::new(ErrorCode::NotFound, "not found"));
            }
            let organization = self.organization.id;
            let facts = Facts {
                organization,
                conversation,
                user_id: None,
                assigned_to: None,
                watchers: vec![],
                access_version: 1,
            };
            let reference = ConversationRef { id: conversation, title: "Lisbon".to_owned(), status: None, stage: None };
            Ok((facts, reference))
        })
    }

    fn remembered_facts(&self, _principal: &Principal, _conversation: ConversationId) -> Option<Facts> {
        None
    }

    fn readers(&self, _grant: Grant<Read>) -> Answer<'_, (Vec<Receipt>, Option<Vec<CardSeen>>)> {
        Box::pin(async { Ok((Vec::new(), None)) })
    }

    fn redeem(&self, _ticket: String, _origin: Option<String>) -> Answer<'_, Authenticated> {
        Box::pin(async { Err(refused()) })
    }

    fn seen(&self, _principal: Arc<Principal>, _command: command::Seen) -> Answer<'_, Empty> {
        Box::pin(async { Err(refused()) })
    }

    fn edit(&self, _principal: Arc<Principal>, _command: command::Edit) -> Answer<'_, Answer<'_, Appended>> {
        Box::pin(async { Err(refused()) })
    }

    fn redact(&self, _principal: Arc<Principal>, _command: command::Redact) -> Answer<'_, Answer<'_, Appended>> {
        Box::pin(async { Err(refused()) })
    }

    fn send(&self, _principal: Arc<Principal>, command: command::Send) -> Answer<'_, Answer<'_, Appended>> {
        self.append(command.text, false)
    }

    fn note(&self, _principal: Arc<Principal>, command: command::Note) -> Answer<'_, Answer<'_, Appended>> {
        self.append(command.text, true)
    }

    fn select(&self, _principal: Arc<Principal>, _command: command::Select) -> Answer<'_, Answer<'_, Selected>> {
        Box::pin(async { Err(refused()) })
    }

    fn read(&self, _principal: Arc<Principal>, command: command::Read) -> Answer<'_, Watermarks> {
        let (received, read) = (command.received.unwrap_or(0), command.read.unwrap_or(0));
        Box::pin(async move { Ok(Watermarks { received, read }) })
    }

    fn history(
        &self,
        principal: Arc<Principal>,
        _conversation: ConversationId,
        range: Range,
        limit: u32,
    ) -> Answer<'_, Page> {
        Box::pin(async move {
            let page = self.log.slice(principal.view(), range, limit as usize);
            Ok(Page { entries: page.entries, epoch: 1, head: page.bounds.head, has_more: page.has_more })
        })
    }
}

/// What this desk says to everything it has no part of.
fn refused() -> ErrorBody {
    ErrorBody::new(ErrorCode::Forbidden, "not here")
}

/// A node on a port of its own.
pub struct Node {
    pub address: SocketAddr,
    pub log: Arc<MemoryLog>,
    pub hub: Arc<Hub>,
    pub stopping: Stopping,
}

impl Node {
    pub async fn start(config: WsConfig) -> Self {
        Self::start_with(config, ListenerConfig::default()).await
    }

    pub async fn start_with(config: WsConfig, listener_config: ListenerConfig) -> Self {
        let organization = OrganizationId::generate();
        let key = RoomKey { organization, conversation: ConversationId::generate() };
        let log = Arc::new(MemoryLog {
            key,
            entries: Mutex::default(),
            everyone: Mutex::default(),
            pages: AtomicUsize::new(0),
        });
        let hub_config = HubConfig { limits: HubLimits::under(config.limits), ..HubConfig::default() };
        let hub = Arc::new(Hub::new(Arc::clone(&log) as _, Line::alone(), hub_config));
        let organization = Organization { id: organization, name: "Meridian".to_owned(), active: true, version: 1 };
        let desk = Arc::new(TestDesk { log: Arc::clone(&log), hub: OnceLock::from(Arc::clone(&hub)), organization });
        let stopping = Stopping::default();
        let tokens = (stopping.drain.clone(), stopping.abort.clone());
        let gate = Arc::new(Gate::new(config, Arc::clone(&hub), desk, stopping.tracker.clone(), tokens));
        let router = Router::new().route("/api/v1/ws", get(upgrade)).with_state(gate);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        stopping.tracker.spawn(Arc::clone(&hub).run(stopping.drain.clone()));
        tokio::spawn(listener::serve(listener, router, listener_config, stopping.clone()));
        Self { address, log, hub, stopping }
    }

    /// Without abuse limits.
    pub async fn unlimited() -> Self {
        Self::start(WsConfig { limits: LimitsProfile::Test, ..WsConfig::default() }).await
    }

    pub fn conversation(&self) -> String {
        self.log.key.conversation.to_string()
    }

    /// Commits and delivers a message.
    pub async fn say(&self, text: &str) -> Committed {
        let committed = self.log.commit(text, false);
        self.hub.deliver(vec![committed.clone()]).await;
        committed
    }
}
