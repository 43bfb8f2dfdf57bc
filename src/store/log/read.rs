//! Reading the log: pages of one view, and what rooms need to close a hole. Always from the primary.
//!
//! A page never holds more than 200 entries or 128 KiB, and never a hole: where it is cut, it is cut at the far end.

use std::sync::Arc;
use std::time::Duration;

use parlour_protocol::entry::{Audience, Content, Entry, NumberedEntry, Who, WhoKind};
use parlour_protocol::id::{ClientId, EntryId};
use parlour_protocol::limits::{EDIT_WINDOW_MS, PAGE_BYTES_MAX, PAGE_ENTRIES_MAX};
use parlour_protocol::time::Timestamp;
use serde_json::Value;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::policy::{Grant, Read};
use crate::domain::principal::{OrgScope, View};
use crate::domain::revision::Target;
use crate::domain::room::{Committed, Head, RoomKey};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::log::{Bounds, LogFuture, LogPage, Range, ReadLog};
use crate::store::tenant::TenantTx;

/// What an entry costs in a page beside its body, in bytes of JSON.
const ENTRY_OVERHEAD_BYTES: usize = 320;

/// The entry content of a stored kind and body; none when this version of the code does not know them. Why is not told, because
/// it would repeat what people wrote, and errors are logged.
pub(in crate::store) fn content(kind: &str, body: Value) -> Option<Content> {
    Content::read(kind, body).ok()
}

struct EntryRow {
    seq: i64,
    guest_seq: Option<i64>,
    id: Uuid,
    client_id: Uuid,
    kind: String,
    audience: String,
    author_kind: String,
    author_id: Uuid,
    author_name: String,
    at: OffsetDateTime,
    body: Json<Value>,
    bytes: i32,
}

impl EntryRow {
    fn seq_in(&self, view: View) -> Option<i64> {
        match view {
            View::Staff => Some(self.seq),
            View::Guest => self.guest_seq,
        }
    }

    fn into_entry(self) -> Result<Entry, StoreError> {
        let unknown = |what: &str| StoreError::Unexpected(format!("entry {} cannot be read: unknown {what}", self.id));
        Ok(Entry {
            id: EntryId(self.id),
            client_id: ClientId(self.client_id),
            audience: Audience::find(&self.audience).ok_or_else(|| unknown("audience"))?,
            author: Who {
                kind: WhoKind::find(&self.author_kind).ok_or_else(|| unknown("author"))?,
                id: self.author_id.to_string(),
                name: self.author_name.clone(),
            },
            at: Timestamp(self.at),
            content: content(&self.kind, self.body.0).ok_or_else(|| unknown("body"))?,
        })
    }
}

/// Which rows to fetch, before they are put in order and cut.
#[derive(Clone, Copy)]
enum Side {
    /// Above a number, ascending.
    Up(i64),
    /// Below a number, descending.
    Down(i64),
}

async fn rows(
    tx: &mut TenantTx,
    room: RoomKey,
    view: View,
    side: Side,
    limit: i64,
) -> Result<Vec<EntryRow>, StoreError> {
    let (organization, conversation) = (room.organization.0, room.conversation.0);
    macro_rules! select {
        ($condition:literal, $number:expr) => {
            sqlx::query_as!(
                EntryRow,
                r#"select seq, guest_seq, id, client_id, kind, audience, author_kind, author_id, author_name, at,
                          body as "body: Json<Value>", octet_length(body::text) as "bytes!"
                     from entries where organization_id = $1 and conversation_id = $2 and "#
                    + $condition
                    + " limit $4",
                organization,
                conversation,
                $number,
                limit
            )
            .fetch_all(tx.conn())
            .await?
        };
    }
    Ok(match (view, side) {
        (View::Staff, Side::Up(seq)) => select!("seq > $3 order by seq", seq),
        (View::Staff, Side::Down(seq)) => select!("seq < $3 order by seq desc", seq),
        (View::Guest, Side::Up(seq)) => select!("guest_seq > $3 order by guest_seq", seq),
        (View::Guest, Side::Down(seq)) => select!("guest_seq < $3 order by guest_seq desc", seq),
    })
}

/// Keeps as many rows, from the first on, as fit a page.
fn cut(mut rows: Vec<EntryRow>, bytes_max: usize) -> (Vec<EntryRow>, usize) {
    let mut bytes = 0;
    let fitting = rows.iter().take_while(|row| {
        bytes += usize::try_from(row.bytes).unwrap_or(0) + ENTRY_OVERHEAD_BYTES;
        bytes <= bytes_max
    });
    let kept = fitting.count().max(1);
    rows.truncate(kept);
    (rows, bytes)
}

async fn bounds(tx: &mut TenantTx, room: RoomKey, view: View) -> Result<Option<Bounds>, StoreError> {
    let row = sqlx::query!(
        r#"select epoch, seq, guest_seq, floor, guest_floor from conversations where organization_id = $1 and id = $2"#,
        room.organization.0,
        room.conversation.0
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| match view {
        View::Staff => Bounds { epoch: row.epoch, floor: row.floor, head: row.seq },
        View::Guest => Bounds { epoch: row.epoch, floor: row.guest_floor, head: row.guest_seq },
    }))
}

fn numbered(rows: Vec<EntryRow>, view: View) -> Result<Vec<NumberedEntry>, StoreError> {
    rows.into_iter()
        .map(|row| {
            let seq = row.seq_in(view).ok_or_else(|| StoreError::Unexpected("entry outside its view".into()))?;
            Ok(NumberedEntry { seq, entry: row.into_entry()? })
        })
        .collect()
}

async fn page(
    store: &Store,
    scope: OrgScope,
    room: RoomKey,
    view: View,
    range: Range,
    limit: u32,
) -> Result<Option<LogPage>, StoreError> {
    let limit = i64::from(limit.clamp(1, PAGE_ENTRIES_MAX));
    let mut tx = store.tenant(scope).await?;
    let Some(mut bounds) = bounds(&mut tx, room, view).await? else { return Ok(None) };
    let entries = match range {
        Range::After(seq) => cut(rows(&mut tx, room, view, Side::Up(seq), limit).await?, PAGE_BYTES_MAX).0,
        Range::Newest => below(&mut tx, room, view, i64::MAX, limit).await?,
        Range::Before(seq) => below(&mut tx, room, view, seq, limit).await?,
        Range::Around(seq) => {
            // The newer half first: what a redaction in it has ended is then ended in the older half, too.
            let above = rows(&mut tx, room, view, Side::Up(seq.saturating_sub(1)), limit - limit / 2).await?;
            let (lower, used) = cut(rows(&mut tx, room, view, Side::Down(seq), limit / 2).await?, PAGE_BYTES_MAX / 2);
            let upper = cut(above, PAGE_BYTES_MAX.saturating_sub(used)).0;
            lower.into_iter().rev().chain(upper).collect()
        }
    };
    tx.commit().await?;
    let entries = numbered(entries, view)?;
    let first = entries.first().map(|entry| entry.seq);
    let last = entries.last().map(|entry| entry.seq);
    // An entry committed between the two reads is in the page: the head is never behind it.
    bounds.head = bounds.head.max(last.unwrap_or(0));
    let more_above = last.is_some_and(|last| last < bounds.head);
    let more_below = first.is_some_and(|first| first > bounds.floor);
    let has_more = match range {
        Range::After(_) => more_above,
        Range::Newest | Range::Before(_) => more_below,
        Range::Around(_) => more_above || more_below,
    };
    Ok(Some(LogPage { entries, bounds, has_more }))
}

async fn below(
    tx: &mut TenantTx,
    room: RoomKey,
    view: View,
    seq: i64,
    limit: i64,
) -> Result<Vec<EntryRow>, StoreError> {
    let (mut rows, _) = cut(rows(tx, room, view, Side::Down(seq), limit).await?, PAGE_BYTES_MAX);
    rows.reverse();
    Ok(rows)
}

async fn after(store: &Store, room: RoomKey, seq: i64) -> Result<Vec<Committed>, StoreError> {
    let mut tx = store.tenant(OrgScope::for_platform(room.organization)).await?;
    let Some(bounds) = bounds(&mut tx, room, View::Staff).await? else { return Ok(Vec::new()) };
    let rows = rows(&mut tx, room, View::Staff, Side::Up(seq), i64::from(PAGE_ENTRIES_MAX)).await?;
    tx.commit().await?;
    rows.into_iter()
        .map(|row| {
            let (seq, guest_seq) = (row.seq, row.guest_seq);
            Ok(Committed { room, epoch: bounds.epoch, seq, guest_seq, entry: Arc::new(row.into_entry()?) })
        })
        .collect()
}

/// The entry that the grant's principal knows by this number and identity, to be changed; none when it is not in their view.
///
/// # Errors
/// When the database does not answer.
pub async fn target<A>(
    tx: &mut TenantTx,
    grant: &Grant<A>,
    seq: i64,
    entry: EntryId,
) -> Result<Option<Target>, StoreError> {
    let principal = grant.principal();
    let (scope, view) = (principal.scope(), principal.view());
    let room = RoomKey { organization: scope.organization(), conversation: grant.conversation() };
    let found = rows(tx, room, view, Side::Up(seq.saturating_sub(1)), 1).await?.into_iter().next();
    let Some(row) = found.filter(|row| row.seq_in(view) == Some(seq) && row.id == entry.0) else { return Ok(None) };
    let at = row.at;
    let is_recent = sqlx::query_scalar!(
        r#"select clock_timestamp() - $1 < make_interval(secs => $2) as "is_recent!""#,
        at,
        Duration::from_millis(EDIT_WINDOW_MS).as_secs_f64()
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(Some(Target { seq: row.seq, entry: row.into_entry()?, is_recent }))
}

/// [`ReadLog`] over PostgreSQL.
#[derive(Clone, Debug)]
pub struct LogReader {
    store: Store,
}

impl LogReader {
    /// A reader on the store's pool.
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

impl ReadLog for LogReader {
    fn page(&self, grant: &Grant<Read>, range: Range, limit: u32) -> LogFuture<'_, Option<LogPage>> {
        let (scope, view) = (grant.principal().scope(), grant.principal().view());
        let room = RoomKey { organization: scope.organization(), conversation: grant.conversation() };
        Box::pin(page(&self.store, scope, room, view, range, limit))
    }

    fn after(&self, room: RoomKey, seq: i64) -> LogFuture<'_, Vec<Committed>> {
        Box::pin(after(&self.store, room, seq))
    }

    fn heads(&self, rooms: Vec<RoomKey>) -> LogFuture<'_, Vec<(RoomKey, Head)>> {
        Box::pin(async move { self.store.heads(&rooms).await })
    }
}
