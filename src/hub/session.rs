//! A session: one authenticated socket, as the rest of the server sees it.
//!
//! It knows who is behind it, what it is attached to and how to give it something. It decides nothing: rights are checked
//! before anything gets here, and what may be dropped is decided by its [`Outbox`]. Reading the socket is `ws::session`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use parlour_protocol::close::CloseCode;
use parlour_protocol::codec::Codec;
use parlour_protocol::entry::Who;
use parlour_protocol::id::{ConversationId, OrganizationId, SessionId};
use parlour_protocol::limits::{ROOMS_GUEST_MAX, ROOMS_STAFF_MAX};
use parlour_protocol::push::Push;
use serde::Serialize;

use crate::domain::principal::{Actor, Principal, View};
use crate::domain::room::RoomKey;
use crate::hub::member::Member;
use crate::hub::outbox::{AttachmentId, Outbox, Sign, SignKey};
use crate::hub::{frame, locked, same_person};

/// One authenticated socket.
pub struct Session {
    id: SessionId,
    organization: OrganizationId,
    who: Who,
    view: View,
    codec: Codec,
    outbox: Arc<Outbox>,
    rights: Mutex<Rights>,
    attachments: Mutex<Vec<Arc<Member>>>,
    attached: AtomicU64,
}

/// What a session may do.
struct Rights {
    principal: Arc<Principal>,
    /// What it hears of each conversation has been brought in line with the principal.
    is_settled: bool,
}

/// How a push travels when something already waits.
enum Lane {
    /// Never dropped.
    Control,
    /// Replaced by a newer one.
    Merged(SignKey),
    /// Dropped.
    Dropped,
}

impl Session {
    /// The session of an authenticated socket.
    pub fn new(principal: Arc<Principal>, codec: Codec, outbox: Arc<Outbox>) -> Self {
        Self {
            id: SessionId::generate(),
            organization: principal.organization.id,
            who: principal.who(),
            view: principal.view(),
            codec,
            outbox,
            rights: Mutex::new(Rights { principal, is_settled: true }),
            attachments: Mutex::default(),
            attached: AtomicU64::new(0),
        }
    }

    /// Identity.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The tenant; never changes.
    pub fn organization(&self) -> OrganizationId {
        self.organization
    }

    /// Who is behind it, as others see them; never changes.
    pub fn who(&self) -> &Who {
        &self.who
    }

    /// The view it reads; never changes.
    pub fn view(&self) -> View {
        self.view
    }

    /// How it writes.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// What waits for its socket.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// The principal with its rights as last read.
    pub fn principal(&self) -> Arc<Principal> {
        Arc::clone(&locked(&self.rights).principal)
    }

    /// Replaces the rights; the person and the organization must be the same. What it is attached to is to be settled next:
    /// who replaces them may fail on the way, or know only the person.
    pub fn set_principal(&self, principal: Arc<Principal>) {
        debug_assert_eq!(principal.organization.id, self.organization, "a session never changes its organization");
        debug_assert!(same_person(&principal.who(), &self.who), "a session never changes its person");
        *locked(&self.rights) = Rights { principal, is_settled: false };
    }

    /// The same, unless others came in between; whether it was done.
    pub fn renew_principal(&self, before: &Arc<Principal>, principal: Arc<Principal>) -> bool {
        let mut rights = locked(&self.rights);
        let is_same = Arc::ptr_eq(&rights.principal, before);
        if is_same {
            *rights = Rights { principal, is_settled: false };
        }
        is_same
    }

    /// Everything it is attached to was told the rights of this principal.
    pub fn settle(&self, principal: &Arc<Principal>) {
        let mut rights = locked(&self.rights);
        rights.is_settled |= Arc::ptr_eq(&rights.principal, principal);
    }

    /// Whether everything it is attached to stands on the rights last read.
    pub fn is_settled(&self) -> bool {
        locked(&self.rights).is_settled
    }

    /// How many rooms it may be attached to at once.
    pub fn rooms_max(&self) -> usize {
        match self.principal().actor {
            Actor::Staff { .. } | Actor::Service { .. } => ROOMS_STAFF_MAX,
            Actor::Guest { .. } => ROOMS_GUEST_MAX,
        }
    }

    /// Gives a reply to a command.
    pub fn reply<T: Serialize>(&self, reply: &T) {
        self.outbox.control(frame::message(self.codec, reply));
    }

    /// Gives a push of any kind but `entry`, which only delivery gives.
    pub fn push(&self, push: &Push) {
        self.push_frame(push, frame::message(self.codec, push));
    }

    /// Gives a push that was already encoded in this session's codec.
    pub(super) fn push_frame(&self, push: &Push, frame: Bytes) {
        match lane(push) {
            Lane::Control => self.outbox.control(frame),
            Lane::Merged(key) => self.outbox.sign(Some(key), frame),
            Lane::Dropped => self.outbox.sign(None, frame),
        }
    }

    /// Ends the socket with a reason; whatever is said later is not.
    pub fn close(&self, code: CloseCode) {
        self.outbox.close(frame::close(code));
    }

    /// Says the `head` of every attachment that became stale, once what waited has been taken. For the session's own task.
    pub fn announce_stale(&self) {
        for stale in self.outbox.take_stale() {
            let member = locked(&self.attachments).iter().find(|member| member.id() == stale).cloned();
            match member {
                Some(member) => member.head_push().iter().for_each(|push| self.push(push)),
                // Its pushes were still waiting when it was let go.
                None => self.outbox.forget(stale),
            }
        }
    }

    /// Whether it hears a room.
    pub fn is_attached(&self, room: RoomKey) -> bool {
        self.attachment(room).is_some_and(|member| member.is_attached())
    }

    /// The conversations it is attached to.
    pub fn attachments(&self) -> Vec<ConversationId> {
        let attachments = locked(&self.attachments);
        attachments
            .iter()
            .filter(|member| member.is_attached())
            .map(|member| member.room().key().conversation)
            .collect()
    }

    pub(super) fn attachment(&self, room: RoomKey) -> Option<Arc<Member>> {
        locked(&self.attachments).iter().find(|member| member.room().key() == room).cloned()
    }

    pub(super) fn next_attachment(&self) -> AttachmentId {
        AttachmentId(self.attached.fetch_add(1, Ordering::Relaxed))
    }

    /// Takes an attachment on, in place of an older one to the same room, which is returned.
    ///
    /// # Errors
    /// When the session is in as many rooms as it may be.
    pub(super) fn add_attachment(&self, member: &Arc<Member>) -> Result<Option<Arc<Member>>, RoomsFull> {
        let max = self.rooms_max();
        let mut attachments = locked(&self.attachments);
        let key = member.room().key();
        if let Some(older) = attachments.iter_mut().find(|older| older.room().key() == key) {
            return Ok(Some(std::mem::replace(older, Arc::clone(member))));
        }
        if attachments.len() >= max {
            return Err(RoomsFull { max });
        }
        attachments.push(Arc::clone(member));
        Ok(None)
    }

    /// Gives an attachment up; whether it still was one.
    pub(super) fn remove_attachment(&self, id: AttachmentId) -> bool {
        let mut attachments = locked(&self.attachments);
        let before = attachments.len();
        attachments.retain(|member| member.id() != id);
        attachments.len() < before
    }

    pub(super) fn all_attachments(&self) -> Vec<Arc<Member>> {
        locked(&self.attachments).clone()
    }
}

/// A session is in as many rooms as it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RoomsFull {
    /// How many that is.
    pub max: usize,
}

fn lane(push: &Push) -> Lane {
    let key = |sign, conversation, who: Option<&Who>| {
        Lane::Merged(SignKey { sign, conversation, who: who.map(|who| (who.kind, who.id.clone())) })
    };
    match push {
        Push::Permission { .. }
        | Push::Head { .. }
        | Push::Paused { .. }
        | Push::Share { .. }
        | Push::Advice { .. } => Lane::Control,
        Push::Presence { conversation, who, .. } => key(Sign::Presence, *conversation, Some(who)),
        Push::Receipt { conversation, who, .. } => key(Sign::Receipt, *conversation, Some(who)),
        Push::Inbox { conversation } => key(Sign::Inbox, conversation.id, None),
        Push::Typing { .. } | Push::Seen { .. } => Lane::Dropped,
        Push::Entry { .. } => {
            debug_assert!(false, "entries are given by delivery, which keeps their order");
            Lane::Dropped
        }
    }
}
