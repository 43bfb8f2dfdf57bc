//! Reading: pages of a transcript, watermarks and receipts. Always in the numbering of the reader's own view.

use std::sync::Arc;

use parlour_protocol::error::ErrorBody;
use parlour_protocol::id::ConversationId;
use parlour_protocol::limits::{PAGE_ENTRIES_DEFAULT, PAGE_ENTRIES_MAX};
use parlour_protocol::reply::{Page, Receipt, Watermarks};

use crate::bus::message::Mark;
use crate::commands::Commands;
use crate::commands::failure::Failure;
use crate::domain::policy::{Grant, Read};
use crate::domain::principal::Principal;
use crate::domain::room::RoomKey;
use crate::store::log::Range;
use crate::store::watermarks;

impl Commands {
    /// A page of the transcript.
    ///
    /// # Errors
    /// `NOT_FOUND`, `INVALID`, or the database's trouble.
    pub async fn history(
        &self,
        principal: &Arc<Principal>,
        conversation: ConversationId,
        range: Range,
        limit: Option<u32>,
    ) -> Result<Page, Failure> {
        let limit = limit.unwrap_or(PAGE_ENTRIES_DEFAULT);
        if limit == 0 || limit > PAGE_ENTRIES_MAX {
            return Err(Failure::Refused(ErrorBody::invalid("limit", "1 to 200")));
        }
        let grant = self.grant::<Read>(principal, conversation).await?;
        let page = self.reader.page(&grant, range, limit).await?.ok_or_else(Failure::not_found)?;
        Ok(Page { entries: page.entries, epoch: page.bounds.epoch, head: page.bounds.head, has_more: page.has_more })
    }

    /// Moves the caller's watermarks forward and tells the room.
    ///
    /// # Errors
    /// `NOT_FOUND`, `INVALID`, or the database's trouble.
    pub async fn read(
        &self,
        principal: &Arc<Principal>,
        conversation: ConversationId,
        received: Option<i64>,
        read: Option<i64>,
    ) -> Result<Watermarks, Failure> {
        for (path, seq) in [("received", received), ("read", read)] {
            if seq.is_some_and(|seq| seq < 0) {
                return Err(Failure::Refused(ErrorBody::invalid(path, "must not be negative")));
            }
        }
        let grant = self.grant::<Read>(principal, conversation).await?;
        let mut tx = self.store.tenant(principal.scope()).await?;
        let marks = watermarks::advance(&mut tx, &grant, received, read).await?;
        tx.commit().await?;
        let room = RoomKey { organization: principal.organization.id, conversation };
        let mark = |(received, read)| Mark { received, read };
        self.hub.receipt(room, &principal.who(), mark(marks.staff), Some(mark(marks.guest)));
        self.hub.row_changed(room);
        let (received, read) = marks.own;
        Ok(Watermarks { received, read })
    }

    /// How far everybody else has read.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn receipts(&self, grant: &Grant<Read>) -> Result<Vec<Receipt>, Failure> {
        let mut tx = self.store.tenant(grant.principal().scope()).await?;
        let receipts = watermarks::receipts(&mut tx, grant).await?;
        tx.commit().await?;
        Ok(receipts)
    }
}
