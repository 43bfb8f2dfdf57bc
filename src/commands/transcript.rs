//! Reading: pages of a transcript, watermarks, receipts, and what guests have seen of cards. Always in the numbering of the reader's own view.

use std::sync::Arc;

use parlour_protocol::command::OptionSeen;
use parlour_protocol::error::ErrorBody;
use parlour_protocol::id::{CardId, ConversationId};
use parlour_protocol::limits::{PAGE_ENTRIES_DEFAULT, PAGE_ENTRIES_MAX, VISIBLE_MS_MAX};
use parlour_protocol::reply::{CardSeen, Page, Receipt, Watermarks};

use crate::bus::message::Mark;
use crate::commands::Commands;
use crate::commands::failure::Failure;
use crate::domain::policy::{Grant, Read, See};
use crate::domain::principal::{Principal, View};
use crate::domain::room::RoomKey;
use crate::domain::selection::CardRecord;
use crate::store::log::Range;
use crate::store::{cards, seen, watermarks};

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

    /// Notes what of a card was on a guest's screen, and tells staff.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`, `INVALID`, or the database's trouble.
    pub async fn seen(
        &self,
        principal: &Arc<Principal>,
        conversation: ConversationId,
        card: CardId,
        version: i32,
        options: &[OptionSeen],
    ) -> Result<(), Failure> {
        // Nothing compares versions here as the log does: the rights of now are read before the write.
        let principal = &self.auth.reload(principal).await?.ok_or_else(Failure::not_found)?;
        let grant = self.grant::<See>(principal, conversation).await?;
        let mut tx = self.store.tenant(principal.scope()).await?;
        let shown = cards::find(&mut tx, conversation, card).await?.ok_or_else(Failure::not_found)?;
        check_seen(&shown, version, options)?;
        let news = seen::note(&mut tx, &grant, card, version, options).await?;
        tx.commit().await?;
        if let Some(seen) = news {
            self.hub.seen(RoomKey { organization: principal.organization.id, conversation }, &seen);
        }
        Ok(())
    }

    /// How far everybody else has read, and, for staff, what guests have seen of cards.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn readers(&self, grant: &Grant<Read>) -> Result<(Vec<Receipt>, Option<Vec<CardSeen>>), Failure> {
        let mut tx = self.store.tenant(grant.principal().scope()).await?;
        let receipts = watermarks::receipts(&mut tx, grant).await?;
        let seen = match grant.principal().view() {
            View::Staff => Some(seen::seen(&mut tx, grant).await?),
            View::Guest => None,
        };
        tx.commit().await?;
        Ok((receipts, seen))
    }
}

/// Only what that version of the card offers can have been seen.
fn check_seen(card: &CardRecord, version: i32, options: &[OptionSeen]) -> Result<(), Failure> {
    let invalid = |path: &str, message: &str| Err(Failure::Refused(ErrorBody::invalid(path, message)));
    if !(1..=card.version).contains(&version) {
        return invalid("version", "the card has no such version");
    }
    if options.is_empty() || options.len() > card.offer.options.len() {
        return invalid("options", "from one to as many as the card has");
    }
    for option in options {
        if !card.offer.options.iter().any(|offered| offered.id == option.id) {
            return invalid("options", "the card has no such option");
        }
        if !(0..=VISIBLE_MS_MAX).contains(&option.visible_ms) {
            return invalid("options", "visible_ms is from 0 to a day");
        }
    }
    Ok(())
}
