//! How far readers have come, each in its own numbering; translated for whoever hears of it.
//!
//! Staff see a guest's watermark as the staff number of that entry. Guests see a staff watermark as the newest entry of
//! their own view at or below it, so that the reading of a note leaves no trace.

use parlour_protocol::entry::{Who, WhoKind};
use parlour_protocol::id::ConversationId;
use parlour_protocol::reply::Receipt;

use crate::domain::policy::{Grant, Read};
use crate::domain::principal::View;
use crate::store::error::StoreError;
use crate::store::tenant::TenantTx;

/// A reader's watermarks in both numberings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// In the reader's own numbering.
    pub own: (i64, i64),
    /// `(received, read)` as staff hear it.
    pub staff: (i64, i64),
    /// `(received, read)` as guests hear it.
    pub guest: (i64, i64),
}

/// Moves a reader's watermarks forward, never back and never beyond the head.
///
/// # Errors
/// When the database does not answer.
pub async fn advance(
    tx: &mut TenantTx,
    grant: &Grant<Read>,
    received: Option<i64>,
    read: Option<i64>,
) -> Result<Marks, StoreError> {
    let organization = tx.scope().organization();
    let conversation = grant.conversation();
    let who = grant.principal().who();
    let is_guest = grant.principal().view() == View::Guest;
    let row = sqlx::query!(
        r#"
        insert into watermarks (organization_id, conversation_id, reader_kind, reader_id, reader_name, received, read)
        select $1, $2, $3, $4, $5, least(h.head, greatest($6::bigint, $7::bigint)), least(h.head, $7::bigint)
          from (select case when $8 then guest_seq else seq end as head
                  from conversations where organization_id = $1 and id = $2) h
        on conflict (organization_id, conversation_id, reader_kind, reader_id) do update
          set received = greatest(watermarks.received, excluded.received), read = greatest(watermarks.read, excluded.read),
              reader_name = excluded.reader_name, updated_at = now()
        returning received, read"#,
        organization.0,
        conversation.0,
        who.kind.as_str(),
        grant.principal().author(),
        who.name,
        received.unwrap_or(0),
        read.unwrap_or(0),
        is_guest
    )
    .fetch_one(tx.conn())
    .await?;
    let other = (
        translate(tx, conversation, is_guest, row.received).await?,
        translate(tx, conversation, is_guest, row.read).await?,
    );
    let own = (row.received, row.read);
    let (staff, guest) = if is_guest { (other, own) } else { (own, other) };
    Ok(Marks { own, staff, guest })
}

/// What everybody else has read, in the numbering of the grant's principal.
///
/// # Errors
/// When the database does not answer.
pub async fn receipts(tx: &mut TenantTx, grant: &Grant<Read>) -> Result<Vec<Receipt>, StoreError> {
    let organization = tx.scope().organization();
    let conversation = grant.conversation();
    let to_guest = grant.principal().view() == View::Guest;
    // In one statement, translation included: a storm of returning clients asks this once each.
    let rows = sqlx::query!(
        r#"
        select w.reader_kind, w.reader_id, w.reader_name, t.marks[1] as "received!", t.marks[2] as "read!"
          from (select * from watermarks where organization_id = $1 and conversation_id = $2
                 order by updated_at desc limit 50) w
         cross join lateral (
           select array_agg(
                    case when (w.reader_kind = 'guest') = $3 then m.mark
                         when $3 then coalesce((select e.guest_seq from entries e
                                where e.organization_id = $1 and e.conversation_id = $2 and e.seq <= m.mark
                                  and e.guest_seq is not null order by e.seq desc limit 1), 0)
                         else coalesce((select e.seq from entries e
                                where e.organization_id = $1 and e.conversation_id = $2 and e.guest_seq <= m.mark
                                order by e.guest_seq desc limit 1), 0) end
                    order by m.place) as marks
             from unnest(array[w.received, w.read]) with ordinality m(mark, place)) t
         order by w.updated_at desc"#,
        organization.0,
        conversation.0,
        to_guest
    )
    .fetch_all(tx.conn())
    .await?;
    let mut receipts = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(kind) = WhoKind::find(&row.reader_kind) else { continue };
        if kind == grant.principal().kind() && row.reader_id == grant.principal().author() {
            continue;
        }
        let (received, read) = (row.received, row.read);
        if to_guest && (received, read) == (0, 0) {
            // Who has read only notes has, for a guest, read nothing.
            continue;
        }
        let who = Who { kind, id: row.reader_id.to_string(), name: row.reader_name };
        receipts.push(Receipt { who, received, read });
    }
    Ok(receipts)
}

/// A number of one view in the numbering of the other: the newest entry of that view at or below it.
async fn translate(
    tx: &mut TenantTx,
    conversation: ConversationId,
    from_guest: bool,
    seq: i64,
) -> Result<i64, StoreError> {
    if seq == 0 {
        return Ok(0);
    }
    let organization = tx.scope().organization();
    let translated = if from_guest {
        sqlx::query_scalar!(
            r#"select seq as "seq!" from entries
                where organization_id = $1 and conversation_id = $2 and guest_seq <= $3
                order by guest_seq desc limit 1"#,
            organization.0,
            conversation.0,
            seq
        )
        .fetch_optional(tx.conn())
        .await?
    } else {
        sqlx::query_scalar!(
            r#"select guest_seq as "guest_seq!" from entries
                where organization_id = $1 and conversation_id = $2 and seq <= $3 and guest_seq is not null
                order by seq desc limit 1"#,
            organization.0,
            conversation.0,
            seq
        )
        .fetch_optional(tx.conn())
        .await?
    };
    Ok(translated.unwrap_or(0))
}
