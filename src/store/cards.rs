//! Cards as they stand. Only the append function changes them; here they are read for `domain::selection` to decide on.

use parlour_protocol::card::{CardState, Offer};
use parlour_protocol::id::{CardId, ConversationId};

use crate::domain::selection::{CardRecord, Holder};
use crate::store::error::StoreError;
use crate::store::tenant::TenantTx;

/// A card of a conversation; none when it is not there.
///
/// # Errors
/// When the database does not answer.
pub async fn find(
    tx: &mut TenantTx,
    conversation: ConversationId,
    card: CardId,
) -> Result<Option<CardRecord>, StoreError> {
    let organization = tx.scope().organization();
    let row = sqlx::query!(
        r#"select version, state, revision, offer as "offer: sqlx::types::Json<Offer>",
                  holder as "holder: sqlx::types::Json<Holder>"
             from cards where organization_id = $1 and id = $2 and conversation_id = $3"#,
        organization.0,
        card.0,
        conversation.0
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(|row| {
        let state = CardState::find(&row.state)
            .ok_or_else(|| StoreError::Unexpected(format!("card {card} is in state {}", row.state)))?;
        Ok(CardRecord {
            id: card,
            version: row.version,
            state,
            revision: row.revision,
            offer: row.offer.0,
            holder: row.holder.map(|holder| holder.0),
        })
    })
    .transpose()
}
