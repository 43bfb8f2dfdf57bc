//! Delivery: gives a room's turns to its members, one deliverer at a time, outside every lock.
//!
//! Nothing is spawned and nothing is sent to a channel here: the caller itself writes to the members' sockets. A panic costs
//! the room, never the node.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::task::yield_now;

use crate::hub::frame::Turn;
use crate::hub::member::Member;
use crate::hub::room::Room;

/// Members served before others get the thread.
const MEMBERS_PER_STRETCH: usize = 256;

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    /// Everything pending was given, by this call or by the one that is at it.
    Done,
    /// A turn panicked: the room must be given up.
    Panicked,
}

/// Gives everything that is pending. Dropped on its way, it leaves its turn to the next call.
pub(super) async fn run(room: &Room) -> Delivered {
    let Some(mut delivering) = room.deliverer() else { return Delivered::Done };
    while let Some((turn, members)) = delivering.next() {
        let mut stretches = members.chunks(MEMBERS_PER_STRETCH).peekable();
        while let Some(stretch) = stretches.next() {
            if catch_unwind(AssertUnwindSafe(|| give(&turn, stretch))).is_err() {
                return Delivered::Panicked;
            }
            if stretches.peek().is_some() {
                yield_now().await;
            }
        }
    }
    Delivered::Done
}

fn give(turn: &Arc<Turn>, members: &[Arc<Member>]) {
    for member in members {
        member.deliver(turn);
    }
}
