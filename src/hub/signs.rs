//! Signs: what a room says besides entries (presence, typing, receipts, permissions, shares), and who hears it.
//!
//! Except for permissions and shares they are never stored, never queued behind anything, and may be lost without harm; they
//! must never hold up an entry. Each is encoded at most once per view and codec. Who is there: [`crate::hub::told`].

use std::sync::Arc;

use bytes::Bytes;
use parlour_protocol::codec::Codec;
use parlour_protocol::entry::Who;
use parlour_protocol::id::{ConversationId, ShareId};
use parlour_protocol::limits::TYPING_EXPIRES_MS;
use parlour_protocol::push::Push;
use parlour_protocol::reply::{CardSeen, Member as Present, Receipt};
use parlour_protocol::share::{Right, Share};
use tokio::time::Instant;

use crate::bus::Channel;
use crate::bus::message::{Mark, Message, Sign};
use crate::domain::policy::{Grant, Read, ShowTyping};
use crate::domain::principal::{Actor, View};
use crate::domain::room::RoomKey;
use crate::hub::agenda::Due;
use crate::hub::member::Member;
use crate::hub::presence::Settled;
use crate::hub::room::Room;
use crate::hub::session::Session;
use crate::hub::{Hub, frame, same_person, typing};

impl Hub {
    /// A session's person shows or ends a typing sign.
    pub fn typing(&self, session: &Arc<Session>, grant: &Grant<ShowTyping>, active: bool) {
        let room = RoomKey { organization: session.organization(), conversation: grant.conversation() };
        if !active {
            return self.stop_typing(session, room);
        }
        let now = Instant::now();
        if self.typing.begin(room, session.who(), Some(session.id()), now) {
            self.show_typing(room, session.who(), true, now);
            self.publish_sign(room, Sign::Typing { who: session.who().clone(), active: true });
        }
    }

    /// Ends a session's typing sign, if it shows one: it sent what it typed, or left.
    pub fn stop_typing(&self, session: &Session, room: RoomKey) {
        if self.typing.end(room, session.id()) {
            self.show_typing(room, session.who(), false, Instant::now());
            self.publish_sign(room, Sign::Typing { who: session.who().clone(), active: false });
        }
    }

    /// Who is present in the grant's conversation.
    pub fn members(&self, grant: &Grant<Read>) -> Vec<Present> {
        let organization = grant.principal().organization.id;
        let room = RoomKey { organization, conversation: grant.conversation() };
        self.presence.members(room, grant.principal().view())
    }

    /// A session's person looks at the conversation, or no longer does. It counts while the session is attached.
    pub fn view(&self, session: &Arc<Session>, grant: &Grant<Read>, viewing: bool) {
        let room = RoomKey { organization: session.organization(), conversation: grant.conversation() };
        self.tell_settled(room, self.presence.view(room, session.who(), session.id(), viewing));
    }

    /// Tells what came of a change on this node: the others here, and peers.
    pub(super) fn tell_settled(&self, room: RoomKey, settled: Settled) {
        if settled.is_news {
            self.announce_soon(room);
        }
        if let Some(change) = settled.change {
            self.tell_change(&change);
        }
    }

    /// Whether a guest is present.
    pub fn has_guest(&self, room: RoomKey) -> bool {
        self.presence.has_guest(room)
    }

    /// Somebody's watermarks may have moved: in the staff view's numbers, and in the guest view's where guests may know. Only
    /// what is news in a view is heard in it: the reading of a note makes no sound for guests.
    pub fn receipt(&self, room: RoomKey, who: &Who, staff: Mark, guest: Option<Mark>) {
        self.tell_receipt(room, who, staff, guest);
        self.publish_sign(room, Sign::Receipt { who: who.clone(), staff, guest });
    }

    /// Tells this node's members a receipt, from here or from a peer.
    pub(super) fn tell_receipt(&self, room: RoomKey, who: &Who, staff: Mark, guest: Option<Mark>) {
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
        self.tell_share(room, share);
        self.publish_sign(room, Sign::Share { share: Box::new(share.clone()) });
    }

    /// Tells this node's staff members a share, from here or from a peer.
    pub(super) fn tell_share(&self, room: RoomKey, share: &Share) {
        let push = |view| match view {
            View::Staff => Some(Push::Share { conversation: room.conversation, share: Box::new(share.clone()) }),
            View::Guest => None,
        };
        self.tell(room, push, |_| true);
    }

    /// A guest has seen more of a card; staff hear it.
    pub fn seen(&self, room: RoomKey, seen: &CardSeen) {
        self.tell_seen(room, seen);
        self.publish_sign(room, Sign::Seen { seen: Box::new(seen.clone()) });
    }

    /// Tells this node's staff members what a guest has seen, as reported here or to a peer.
    pub(super) fn tell_seen(&self, room: RoomKey, seen: &CardSeen) {
        let push = |view| match view {
            View::Staff => Some(seen_push(room, seen.clone())),
            View::Guest => None,
        };
        self.tell_members(room, push, |member| member.hears_seen(seen) && member.is_attached());
    }

    /// Tells a member that was just answered what guests have seen since the answer was made.
    pub(super) fn tell_seen_since(&self, member: &Member, told: &[CardSeen]) {
        for seen in member.told_seen().into_iter().filter(|seen| !told.contains(seen)) {
            member.session().push(&seen_push(member.room().key(), seen));
        }
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

    /// Lets somebody go whose grace has run out here; another node may still hold them.
    pub(super) fn go_offline(&self, room: RoomKey, who: &Who, now: Instant) {
        self.tell_settled(room, self.presence.expire(room, who, now));
    }

    /// Ends a typing sign that was not renewed. Peers end theirs by themselves.
    pub(super) fn expire_typing(&self, room: RoomKey, who: &Who, now: Instant) {
        if self.typing.expire(room, who, now) {
            self.tell_typing(room, who, false);
        }
    }

    /// Tells this node's members a typing sign, from here or from a peer, and ends it in time.
    pub(super) fn show_typing(&self, room: RoomKey, who: &Who, active: bool, now: Instant) {
        self.tell_typing(room, who, active);
        if active {
            self.agenda.at(now + typing::EXPIRES, Due::TypingEnd(room, who.clone()));
        }
    }

    fn publish_sign(&self, room: RoomKey, sign: Sign) {
        self.bus.publish(Channel::Conversation(room), Message::Sign(sign));
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
        if let Some(live) = self.room(room) {
            self.tell_members_of(&live, push, hears);
        }
    }

    /// Gives a push to those of a room's members that hear it.
    pub(super) fn tell_members_of(
        &self,
        room: &Room,
        push: impl Fn(View) -> Option<Push>,
        hears: impl Fn(&Arc<Member>) -> bool,
    ) {
        for view in View::ALL {
            let Some(push) = push(view) else { continue };
            let mut encoded: [Option<Bytes>; 2] = [None, None];
            let members = room.members();
            for member in members.iter().filter(|member| member.session().view() == view) {
                if !hears(member) {
                    continue;
                }
                debug_assert_eq!(
                    member.session().organization(),
                    room.key().organization,
                    "no sign leaves its organization"
                );
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

fn seen_push(room: RoomKey, seen: CardSeen) -> Push {
    Push::Seen { conversation: room.conversation, seen: Box::new(seen) }
}

fn receipt_push(room: RoomKey, receipt: Receipt) -> Push {
    let Receipt { who, received, read } = receipt;
    Push::Receipt { conversation: room.conversation, who, received, read }
}
