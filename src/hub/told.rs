//! What the members of a room were told of who is there: every change once, in the order in which it was so, and the last word is
//! true.
//!
//! Changes come from several threads and peers at once. Whoever learns of one has it told: under the room's lock it is looked how
//! somebody stands by then, and told if members do not know it yet. Whoever attaches is told what the others know, and hears from
//! then on what they hear. Nothing may wait here: frames are only put into outboxes. Look at [`crate::hub::presence`] for who is
//! there, at [`crate::hub::signs`] for how it is said.

use std::collections::HashMap;
use std::sync::Arc;

use parlour_protocol::entry::{Who, WhoKind};
use parlour_protocol::push::Push;
use parlour_protocol::reply::{Member as Present, PresenceState};

use crate::domain::principal::View;
use crate::domain::room::RoomKey;
use crate::hub::Hub;
use crate::hub::member::{Member, WentLive};
use crate::hub::presence::{Change, Standing};
use crate::hub::room::Room;

/// Who is there, as far as a room's members know. What guests do not learn is in it, too.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    people: Vec<Present>,
    /// How often it has changed.
    changes: u64,
}

impl Told {
    /// As a view is told it.
    pub(super) fn in_view(&self, view: View) -> Vec<Present> {
        let seen = |present: &Present| {
            let Standing { state, viewing } = standing(present).in_view(view);
            Present { who: present.who.clone(), state, viewing }
        };
        self.people.iter().map(seen).collect()
    }

    /// Notes how somebody stands; how they stood before, if that is another way.
    fn note(&mut self, who: &Who, now: Standing) -> Option<Standing> {
        let at = self.people.iter().position(|present| person(present) == (who.kind, &*who.id));
        let before = at.map_or(Standing::GONE, |at| standing(&self.people[at]));
        if before == now {
            return None;
        }
        self.changes += 1;
        let Standing { state, viewing } = now;
        match at {
            Some(at) if state == PresenceState::Offline => {
                self.people.swap_remove(at);
            }
            Some(at) => (self.people[at].state, self.people[at].viewing) = (state, viewing),
            None => self.people.push(Present { who: who.clone(), state, viewing }),
        }
        Some(before)
    }
}

impl Hub {
    /// Tells this node's members a change of presence, from here or from a peer.
    pub(super) fn tell_change(&self, change: &Change) {
        let Change { room, who, before, standing } = change;
        if let Some(live) = self.room(*room) {
            let mut told = live.told();
            // How they stand by now: whoever changed it since has told that already, or is about to.
            let now = self.presence.standing(*room, who);
            if let Some(before) = told.note(who, now) {
                self.tell_standing(&live, who, before, now);
            }
        }
        // A row tells whether a guest is online, not whether they look: that may change ten times a second.
        if who.kind == WhoKind::Guest && before.state != standing.state {
            // Every node with staff of the organization hears of it by itself.
            self.inbox().mark(*room);
        }
    }

    /// What members know of who is there, once it is how things stand.
    pub(super) fn known(&self, room: &Room) -> Told {
        let mut told = room.told();
        let people = self.presence.members(room.key(), View::Staff);
        if told.people != people {
            for (who, before, now) in differences(&told.people, &people) {
                self.tell_standing(room, who, before, now);
            }
            told.people = people;
            told.changes += 1;
        }
        told.clone()
    }

    /// Lets a member go live that knows this much: nobody is told anything meanwhile, and what was told since is told to it.
    pub(super) fn go_live_knowing(
        &self,
        member: &Arc<Member>,
        known: &Told,
        go_live: impl FnOnce() -> WentLive,
    ) -> WentLive {
        let told = member.room().told();
        let went = go_live();
        if went == WentLive::Yes && told.changes != known.changes {
            let view = member.session().view();
            for (who, before, now) in differences(&known.people, &told.people) {
                if let Some(push) = push(member.room().key(), who, before.in_view(view), now.in_view(view)) {
                    member.session().push(&push);
                }
            }
        }
        went
    }

    /// What is no news in a view is not heard in it: guests do not learn when staff look.
    fn tell_standing(&self, room: &Room, who: &Who, before: Standing, now: Standing) {
        let push = |view| push(room.key(), who, before.in_view(view), now.in_view(view));
        self.tell_members_of(room, push, |member| member.is_attached());
    }
}

fn push(room: RoomKey, who: &Who, before: Standing, now: Standing) -> Option<Push> {
    let Standing { state, viewing } = now;
    (before != now).then(|| Push::Presence { conversation: room.conversation, who: who.clone(), state, viewing })
}

/// Who stands in another way, how they did and how they do. Found by person: in a large room everybody is compared with everybody.
fn differences<'a>(before: &'a [Present], now: &'a [Present]) -> Vec<(&'a Who, Standing, Standing)> {
    let (was, is) = (standings(before), standings(now));
    let here = now.iter().map(|present| {
        let before = was.get(&person(present)).copied().unwrap_or(Standing::GONE);
        (&present.who, before, standing(present))
    });
    let left = before.iter().filter(|present| !is.contains_key(&person(present)));
    let left = left.map(|present| (&present.who, standing(present), Standing::GONE));
    here.filter(|(_, before, now)| before != now).chain(left).collect()
}

fn standings(people: &[Present]) -> HashMap<(WhoKind, &str), Standing> {
    people.iter().map(|present| (person(present), standing(present))).collect()
}

fn standing(present: &Present) -> Standing {
    Standing { state: present.state, viewing: present.viewing }
}

fn person(present: &Present) -> (WhoKind, &str) {
    (present.who.kind, &present.who.id)
}
