//! How fast a conversation may grow: by one link, and in all. Against flooding; sizes and rights are checked elsewhere.
//!
//! Every entry somebody posts counts, whatever its kind, but for a redaction: taking a text back must always be possible. A
//! refusal stores nothing and says when to come back. Each node counts for itself, so a client has a little more who is
//! spread over several.

use std::time::{Duration, Instant};

use parlour_protocol::id::ShareId;
use parlour_protocol::limits::{LINK_ENTRIES_PER_MINUTE, ROOM_ENTRIES_PER_SECOND};

use crate::auth::rates::{Rate, Rates};
use crate::commands::failure::Failure;
use crate::commands::post::{Post, What};
use crate::domain::limits::LimitsProfile;
use crate::domain::principal::Actor;
use crate::domain::room::RoomKey;

/// Entries by everybody on one link.
pub const ENTRIES_OF_LINK: Rate = Rate::per_minute(LINK_ENTRIES_PER_MINUTE);
/// Entries of one conversation.
pub const ENTRIES_OF_ROOM: Rate = Rate { burst: ROOM_ENTRIES_PER_SECOND, per: Duration::from_secs(1) };

/// What was posted lately.
pub(in crate::commands) struct Pace {
    links: Rates<ShareId>,
    rooms: Rates<RoomKey>,
}

impl Pace {
    /// Nothing yet.
    pub fn new(profile: LimitsProfile) -> Self {
        Self { links: Rates::under(profile, ENTRIES_OF_LINK), rooms: Rates::under(profile, ENTRIES_OF_ROOM) }
    }

    /// Counts one more, which its author may post.
    ///
    /// # Errors
    /// `RATE_LIMITED` when it is one too many.
    pub fn charge(&self, post: &Post, now: Instant) -> Result<(), Failure> {
        if matches!(post.what, What::Redaction(_)) {
            return Ok(());
        }
        let link = match post.principal.actor {
            Actor::Guest { share, .. } => Some(share),
            Actor::Staff { .. } | Actor::Service { .. } => None,
        };
        if let Some(link) = link {
            self.links.charge(&link, now)?;
        }
        let room = RoomKey { organization: post.principal.organization.id, conversation: post.conversation };
        self.rooms.charge(&room, now).inspect_err(|_| {
            if let Some(link) = link {
                self.links.refund(&link);
            }
        })?;
        Ok(())
    }
}
