//! The log: appending entries by group commit, and reading them. The only way to an entry, in or out.
//!
//! Appends are acknowledged after COMMIT and never before. What was committed is handed to the hook as [`Committed`], in the
//! order of its numbers. Reading is behind [`ReadLog`], so that the hub can be tested and simulated without a database.

use std::pin::Pin;

use parlour_protocol::entry::{NumberedEntry, Position};

use crate::domain::policy::{Grant, Read};
use crate::domain::principal::View;
use crate::domain::room::{Committed, Head, RoomKey};
use crate::store::error::StoreError;

/// A boxed future, so that the trait can be used behind `Arc<dyn ReadLog>`.
pub type LogFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Where a view of a log begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The log's epoch.
    pub epoch: i64,
    /// The oldest entry kept.
    pub floor: i64,
    /// The newest entry.
    pub head: i64,
}

/// Which part of a view to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// The newest entries.
    Newest,
    /// Entries above a number, oldest first.
    After(i64),
    /// Entries below a number, those nearest to it.
    Before(i64),
    /// Entries on both sides of a number.
    Around(i64),
}

/// A part of a view, in order and without hole.
#[derive(Clone, Debug, PartialEq)]
pub struct LogPage {
    /// The entries with their numbers in the reader's view.
    pub entries: Vec<NumberedEntry>,
    /// The view's bounds at the time of reading.
    pub bounds: Bounds,
    /// Whether more entries lie in the direction asked.
    pub has_more: bool,
}

impl LogPage {
    /// The position after this page, for a reader who stood at `before`.
    pub fn position(&self, before: i64) -> Position {
        Position { epoch: self.bounds.epoch, seq: self.entries.last().map_or(before, |last| last.seq) }
    }
}

/// Reading the log. Every method reads from the primary, so that what was acknowledged before the call is in the answer.
pub trait ReadLog: Send + Sync + 'static {
    /// A page of the view the grant's principal reads; at most `limit` entries and 128 KiB. None when the conversation is gone.
    fn page(&self, grant: &Grant<Read>, range: Range, limit: u32) -> LogFuture<'_, Option<LogPage>>;

    /// For rooms: everything after a number of the staff view, in order, at most 200 entries.
    fn after(&self, room: RoomKey, seq: i64) -> LogFuture<'_, Vec<Committed>>;

    /// For rooms: where the logs stand, in one query. Rooms whose conversation is gone are left out.
    fn heads(&self, rooms: Vec<RoomKey>) -> LogFuture<'_, Vec<(RoomKey, Head)>>;
}

/// The view a grant reads.
pub fn view_of(grant: &Grant<Read>) -> View {
    grant.principal().view()
}
