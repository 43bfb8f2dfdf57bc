//! What guests have seen of cards, option by option. Totals only grow: a repeated or late report changes nothing.

use parlour_protocol::command::OptionSeen;
use parlour_protocol::entry::{Who, WhoKind};
use parlour_protocol::id::CardId;
use parlour_protocol::reply::CardSeen;
use parlour_protocol::time::Timestamp;
use sqlx::types::Json;

use crate::domain::policy::{Grant, Read, See};
use crate::store::error::StoreError;
use crate::store::tenant::TenantTx;

/// Guests times card versions told to staff who attach; the newest.
const TOLD_MAX: i64 = 50;

/// Notes how long options of a card version were visible to the grant's guest so far; all that is known of them and that
/// version then, or none when nothing was new.
///
/// # Errors
/// When the database does not answer.
pub async fn note(
    tx: &mut TenantTx,
    grant: &Grant<See>,
    card: CardId,
    version: i32,
    options: &[OptionSeen],
) -> Result<Option<CardSeen>, StoreError> {
    let (organization, conversation) = (tx.scope().organization(), grant.conversation());
    let who = grant.principal().who();
    let ids: Vec<String> = options.iter().map(|option| option.id.clone()).collect();
    let visible: Vec<i64> = options.iter().map(|option| option.visible_ms).collect();
    // One report of a guest after the other: the later one reads what the earlier one brought, and tells it along.
    sqlx::query!(
        r#"select id from guests where organization_id = $1 and id = $2 for no key update"#,
        organization.0,
        grant.principal().author()
    )
    .fetch_optional(tx.conn())
    .await?;
    let news = sqlx::query!(
        r#"
        insert into card_views as v
               (organization_id, conversation_id, card_id, version, guest_id, guest_name, option_id, visible_ms)
        select $1, $2, $3, $4, $5, $6, o.id, max(o.visible_ms)
          from unnest($7::text[], $8::bigint[]) o(id, visible_ms) group by o.id order by o.id
        on conflict (organization_id, conversation_id, card_id, version, guest_id, option_id) do update
          set visible_ms = excluded.visible_ms, guest_name = excluded.guest_name, last_at = clock_timestamp()
          where excluded.visible_ms > v.visible_ms"#,
        organization.0,
        conversation.0,
        card.0,
        version,
        grant.principal().author(),
        who.name,
        &ids,
        &visible
    )
    .execute(tx.conn())
    .await?
    .rows_affected();
    if news == 0 {
        return Ok(None);
    }
    let row = sqlx::query!(
        r#"select jsonb_agg(jsonb_build_object('id', option_id, 'visible_ms', visible_ms) order by option_id)
                  as "options!: Json<Vec<OptionSeen>>",
                  min(first_at) as "first_at!", max(last_at) as "last_at!"
             from card_views where organization_id = $1 and conversation_id = $2 and card_id = $3 and version = $4
              and guest_id = $5"#,
        organization.0,
        conversation.0,
        card.0,
        version,
        grant.principal().author()
    )
    .fetch_one(tx.conn())
    .await?;
    let (first_at, last_at) = (Timestamp(row.first_at), Timestamp(row.last_at));
    Ok(Some(CardSeen { who, card, version, options: row.options.0, first_at, last_at }))
}

/// What guests have seen in the grant's conversation, the newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn seen(tx: &mut TenantTx, grant: &Grant<Read>) -> Result<Vec<CardSeen>, StoreError> {
    let rows = sqlx::query!(
        r#"select card_id, version, guest_id, max(guest_name) as "name!",
                  jsonb_agg(jsonb_build_object('id', option_id, 'visible_ms', visible_ms) order by option_id)
                  as "options!: Json<Vec<OptionSeen>>",
                  min(first_at) as "first_at!", max(last_at) as "last_at!"
             from card_views where organization_id = $1 and conversation_id = $2
            group by card_id, version, guest_id order by max(last_at) desc limit $3"#,
        tx.scope().organization().0,
        grant.conversation().0,
        TOLD_MAX
    )
    .fetch_all(tx.conn())
    .await?;
    let seen = rows.into_iter().map(|row| CardSeen {
        who: Who { kind: WhoKind::Guest, id: row.guest_id.to_string(), name: row.name },
        card: CardId(row.card_id),
        version: row.version,
        options: row.options.0,
        first_at: Timestamp(row.first_at),
        last_at: Timestamp(row.last_at),
    });
    Ok(seen.collect())
}
