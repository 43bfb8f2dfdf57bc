//! Signs: what a room says besides entries (presence, typing, receipts, permissions, shares), and who hears it.
//!
//! Except for permissions and shares they are never stored, never queued behind anything, and may be lost without harm; they
//! must never hold up an entry. Each is encoded at most once per view and codec.

use std::sync::Arc;

use bytes::Bytes;
use parlour_protocol::codec::Codec;
use parlour_protocol::entry::{Who, WhoKind};
use parlour_protocol::id::{ConversationId, ShareId};
use parlour_protocol::limits::TYPING_EXPIRES_MS;
use parlour_protocol::push::Push;
use parlour_protocol::reply::{Member as Present, PresenceState, Receipt};
use parlour_protocol::share::{Right, Share};
use tokio::time::Instant;

use crate::domain::policy::{Grant, Read, ShowTyping};
use crate::domain::principal::{Actor, View};
use crate::domain::room::RoomKey;
use crate::hub::agenda::Due;
use crate::hub::member::Member;
use crate::hub::session::Session;
use crate::hub::{Hub, frame, same_person, typing};

/// How far somebody has received and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Reached a device of theirs.
    pub received: i64,
    /// Was read.
    pub read: i64,
}

impl Hub {
    /// A session's person shows or ends a typing sign.
    pub fn typing(&self, session: &Arc<Session>, grant: &Grant<ShowTyping>, active: bool) {
        let room = RoomKey { organization: session.organization(), conversation: grant.conversation() };
        if !active {
            return self.stop_typing(session, room);
        }
        let now = Instant::now();
        if self.typing.begin(room, session.who(), session.id(), now) {
            self.tell_typing(room, session.who(), true);
            self.agenda.at(now + typing::EXPIRES, Due::TypingEnd(room, session.who().clone()));
        }
    }

    /// Ends a session's typing sign, if it shows one: it sent what it typed, or left.
    pub fn stop_typing(&self, session: &Session, room: RoomKey) {
        if self.typing.end(room, session.id()) {
            self.tell_typing(room, session.who(), false);
        }
    }

    /// Who is present in the grant's conversation.
    pub fn members(&self, grant: &Grant<Read>) -> Vec<Present> {
        let organization = grant.principal().organization.id;
        self.presence.members(RoomKey { organization, conversation: grant.conversation() })
    }

    /// Whether a guest is present.
    pub fn has_guest(&self, room: RoomKey) -> bool {
        self.presence.has_guest(room)
    }

    /// Somebody's watermarks may have moved: in the staff view's numbers, and in the guest view's where guests may know. Only
    /// what is news in a view is heard in it: the reading of a note makes no sound for guests.
    pub fn receipt(&self, room: RoomKey, who: &Who, staff: Mark, guest: Option<Mark>) {
        let receipt = |view| {
            let Mark { received, read } = match view {
                View::Staff => Some(staff),
                View::Guest => guest,
            }?;
            Some(Receipt { who: who.clone(), received, read })
        };
        let hears = |member: &Arc<Member>| {
            !same_person(member.session().who(), who)
                && receipt(member.session().view()).is_some_and(|receipt| member.hears(&receipt))
        };
        self.tell_members(room, |view| Some(receipt_push(room, receipt(view)?)), hears);
    }

    /// Tells a member that was just answered what others have read since the answer was made.
    pub(super) fn tell_receipts(&self, member: &Member, told: Vec<Receipt>) {
        for receipt in member.told_receipts(told) {
            member.session().push(&receipt_push(member.room().key(), receipt));
        }
    }

    /// A share of the conversation was made or changed; staff hear it.
    pub fn push_share(&self, room: RoomKey, share: &Share) {
        let push = |view| match view {
            View::Staff => Some(Push::Share { conversation: room.conversation, share: Box::new(share.clone()) }),
            View::Guest => None,
        };
        self.tell(room, push, |_| true);
    }

    /// A session's rights in a conversation as they now stand. It is told when that is news; without the right to read it
    /// hears nothing more of the conversation.
    pub fn set_rights(&self, session: &Arc<Session>, conversation: ConversationId, rights: &[Right]) {
        let room = RoomKey { organization: session.organization(), conversation };
        let Some(member) = session.attachment(room) else { return };
        if member.set_rights(rights) && member.is_attached() {
            session.push(&Push::Permission { conversation, permissions: rights.to_vec() });
        }
        if !rights.contains(&Right::Read) {
            self.part(&member);
        }
    }

    /// The sessions that came in by a share.
    pub fn sessions_of_share(&self, share: ShareId) -> Vec<Arc<Session>> {
        let mut sessions = self.sessions();
        sessions
            .retain(|session| matches!(&session.principal().actor, Actor::Guest { share: its, .. } if *its == share));
        sessions
    }

    /// A person came in by this member.
    pub(super) fn tell_arrival(&self, arrived: &Arc<Member>) {
        let (room, who) = (arrived.room().key(), arrived.session().who());
        self.tell_presence(room, who, PresenceState::Online, |member| !Arc::ptr_eq(member, arrived));
    }

    /// Tells one member what has changed since it was told `members`.
    pub(super) fn tell_changes(&self, member: &Member, members: &[Present]) {
        let room = member.room().key();
        let now = self.presence.members(room);
        let push = |who: &Who, state| {
            member.session().push(&Push::Presence { conversation: room.conversation, who: who.clone(), state });
        };
        let is_in = |who: &Who, list: &[Present]| list.iter().any(|other| same_person(&other.who, who));
        for present in now.iter().filter(|present| !is_in(&present.who, members)) {
            push(&present.who, PresenceState::Online);
        }
        for present in members.iter().filter(|present| !is_in(&present.who, &now)) {
            push(&present.who, PresenceState::Offline);
        }
    }

    /// Takes somebody offline whose grace has run out.
    pub(super) fn go_offline(&self, room: RoomKey, who: &Who, now: Instant) {
        if self.presence.expire(room, who, now) {
            self.tell_presence(room, who, PresenceState::Offline, |_| true);
        }
    }

    /// Ends a typing sign that was not renewed.
    pub(super) fn expire_typing(&self, room: RoomKey, who: &Who, now: Instant) {
        if self.typing.expire(room, who, now) {
            self.tell_typing(room, who, false);
        }
    }

    fn tell_presence(&self, room: RoomKey, who: &Who, state: PresenceState, hears: impl Fn(&Arc<Member>) -> bool) {
        let push = |_| Some(Push::Presence { conversation: room.conversation, who: who.clone(), state });
        self.tell(room, push, hears);
        if who.kind == WhoKind::Guest {
            self.inbox().mark(room);
        }
    }

    fn tell_typing(&self, room: RoomKey, who: &Who, active: bool) {
        let expires_ms = TYPING_EXPIRES_MS;
        let push = |_| Some(Push::Typing { conversation: room.conversation, who: who.clone(), active, expires_ms });
        self.tell(room, push, |member| !same_person(member.session().who(), who));
    }

    /// Gives a push to the attached members that hear it, as each view should read it.
    fn tell(&self, room: RoomKey, push: impl Fn(View) -> Option<Push>, hears: impl Fn(&Arc<Member>) -> bool) {
        self.tell_members(room, push, |member| member.is_attached() && hears(member));
    }

    fn tell_members(&self, room: RoomKey, push: impl Fn(View) -> Option<Push>, hears: impl Fn(&Arc<Member>) -> bool) {
        let Some(live) = self.room(room) else { return };
        for view in View::ALL {
            let Some(push) = push(view) else { continue };
            let mut encoded: [Option<Bytes>; 2] = [None, None];
            let members = live.members();
            for member in members.iter().filter(|member| member.session().view() == view) {
                if !hears(member) {
                    continue;
                }
                debug_assert_eq!(member.session().organization(), room.organization, "no sign leaves its organization");
                let codec = member.session().codec();
                let slot = match codec {
                    Codec::Json => &mut encoded[0],
                    Codec::MessagePack => &mut encoded[1],
                };
                let frame = slot.get_or_insert_with(|| frame::message(codec, &push)).clone();
                member.session().push_frame(&push, frame);
            }
        }
    }
}

fn receipt_push(room: RoomKey, receipt: Receipt) -> Push {
    let Receipt { who, received, read } = receipt;
    Push::Receipt { conversation: room.conversation, who, received, read }
}
