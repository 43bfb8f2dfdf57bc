//! Conversations as staff and services see them: made, listed, found. What happens in them is the log's.
//!
//! Restricted sight is decided here and applied in SQL, so that pages and totals count only what the caller may see.

use std::sync::Arc;

use parlour_protocol::id::{ClientId, ConversationId};
use parlour_protocol::push::ConversationRow;
use sha2::{Digest, Sha256};
use uuid::Builder;

use crate::commands::Commands;
use crate::commands::failure::Failure;
use crate::domain::permission::Reach;
use crate::domain::policy::{Action, Read, authorize_organization, sight};
use crate::domain::principal::{Actor, Principal};
use crate::domain::room::RoomKey;
use crate::domain::text::is_blank;
use crate::domain::violation::Violation;
use crate::store::conversations::{self, ListQuery, NewConversation, Sort};

/// Where a conversation stands in the sale.
const STAGES: &[&str] = &["lead", "qualified", "quoted", "booked", "completed", "lost"];
/// Where it came from.
const CHANNELS: &[&str] = &["web", "link", "api", "phone", "walk_in", "ota", "agent"];
const STATUSES: &[&str] = &["open", "snoozed", "closed"];
const TITLE_CHARS_MAX: usize = 200;
const LIMIT_DEFAULT: u32 = 50;
const LIMIT_MAX: u32 = 200;
/// Further down a list nobody turns pages; searching is better.
const OFFSET_MAX: u64 = 10_000;
const SEARCH_CHARS_MAX: usize = 200;

/// A conversation to be, as it came in.
#[derive(Clone, Debug, Default)]
pub struct ConversationRequest {
    /// The title people see.
    pub title: String,
    /// One of the stages.
    pub stage: Option<String>,
    /// One of the channels.
    pub channel: Option<String>,
}

/// Which part of the list, as it came in.
#[derive(Clone, Debug, Default)]
pub struct ListRequest {
    /// 1, 2, 3 …
    pub page: Option<u32>,
    /// Rows a page.
    pub limit: Option<u32>,
    /// The order's word.
    pub sort: Option<String>,
    /// Only those of this status.
    pub status: Option<String>,
    /// Only those of this stage.
    pub stage: Option<String>,
    /// Only those whose title holds this.
    pub q: Option<String>,
}

/// A page of the list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The rows.
    pub rows: Vec<ConversationRow>,
    /// Which page this is.
    pub page: u32,
    /// Rows a page.
    pub limit: u32,
    /// Rows on all pages.
    pub total: i64,
}

impl Commands {
    /// Opens a new conversation; its maker is responsible for it. A repeated key gives the first one again, and true.
    ///
    /// # Errors
    /// `INVALID`, `FORBIDDEN`, `IDEMPOTENCY_MISMATCH`, or the database's trouble.
    pub async fn create_conversation(
        &self,
        principal: &Arc<Principal>,
        client_id: ClientId,
        request: ConversationRequest,
    ) -> Result<(ConversationRow, bool), Failure> {
        authorize_organization(principal, Action::CreateConversation)?;
        let new = NewConversation {
            id: id_of(principal, client_id),
            title: title(&request.title)?,
            stage: one_of("stage", request.stage, STAGES)?.unwrap_or_else(|| "lead".to_owned()),
            channel: one_of("channel", request.channel, CHANNELS)?.unwrap_or_else(|| channel_of(principal).to_owned()),
            user_id: match principal.actor {
                Actor::Staff { person, .. } => Some(person),
                Actor::Guest { .. } | Actor::Service { .. } => None,
            },
        };
        let mut tx = self.store.tenant(principal.scope()).await?;
        let is_new = conversations::insert(&mut tx, &new).await?;
        let (rows, _) = conversations::list(&mut tx, &only(principal, new.id)).await?;
        tx.commit().await?;
        let row = rows.into_iter().next().ok_or_else(Failure::not_found)?;
        if is_new {
            self.hub.row_changed(RoomKey { organization: principal.organization.id, conversation: new.id });
        } else if (&row.title, &row.stage, &row.channel) != (&new.title, &new.stage, &new.channel) {
            return Err(Failure::mismatch());
        }
        Ok((row, !is_new))
    }

    /// The conversations the caller may see.
    ///
    /// # Errors
    /// `INVALID`, `FORBIDDEN`, or the database's trouble.
    pub async fn conversations(&self, principal: &Arc<Principal>, request: ListRequest) -> Result<Listed, Failure> {
        authorize_organization(principal, Action::ListConversations)?;
        let (page, limit) = (request.page.unwrap_or(1), request.limit.unwrap_or(LIMIT_DEFAULT));
        let query = list_query(principal, request, page, limit)?;
        let mut tx = self.store.tenant(principal.scope()).await?;
        let (rows, mut total) = conversations::list(&mut tx, &query).await?;
        if rows.is_empty() && query.offset > 0 {
            // Past the end no row tells how many there are.
            (_, total) = conversations::list(&mut tx, &ListQuery { offset: 0, limit: 1, ..query }).await?;
        }
        tx.commit().await?;
        Ok(Listed { rows: self.with_presence(principal, rows), page, limit, total })
    }

    /// One conversation as a row of the list.
    ///
    /// # Errors
    /// `FORBIDDEN`, `NOT_FOUND`, or the database's trouble.
    pub async fn conversation(
        &self,
        principal: &Arc<Principal>,
        conversation: ConversationId,
    ) -> Result<ConversationRow, Failure> {
        // Sight first: what is not the caller's to know is absent even for who may not list.
        let grant = self.grant::<Read>(principal, conversation).await?;
        authorize_organization(principal, Action::ListConversations)?;
        let mut tx = self.store.tenant(principal.scope()).await?;
        let (rows, _) = conversations::list(&mut tx, &only(principal, grant.conversation())).await?;
        tx.commit().await?;
        self.with_presence(principal, rows).into_iter().next().ok_or_else(Failure::not_found)
    }

    fn with_presence(&self, principal: &Principal, mut rows: Vec<ConversationRow>) -> Vec<ConversationRow> {
        for row in &mut rows {
            let room = RoomKey { organization: principal.organization.id, conversation: row.id };
            row.online = self.hub.has_guest(room);
        }
        rows
    }
}

fn list_query(principal: &Principal, request: ListRequest, page: u32, limit: u32) -> Result<ListQuery, Violation> {
    if limit == 0 || limit > LIMIT_MAX {
        return Err(Violation::invalid("limit", "1 to 200"));
    }
    let offset = u64::from(page.saturating_sub(1)) * u64::from(limit);
    if page == 0 || offset > OFFSET_MAX {
        return Err(Violation::invalid("page", "from 1, and not beyond 10,000 rows"));
    }
    if request.q.as_ref().is_some_and(|text| text.chars().count() > SEARCH_CHARS_MAX || text.contains('\0')) {
        return Err(Violation::invalid("q", "at most 200 characters"));
    }
    Ok(ListQuery {
        status: one_of("status", request.status, STATUSES)?,
        stage: one_of("stage", request.stage, STAGES)?,
        title: request.q.filter(|text| !text.trim().is_empty()),
        sort: sort(request.sort.as_deref())?,
        offset: i64::try_from(offset).unwrap_or(i64::MAX),
        limit: i64::from(limit),
        ..everything(principal)
    })
}

fn sort(word: Option<&str>) -> Result<Sort, Violation> {
    match word {
        None | Some("-last_entry_at") => Ok(Sort::NewestEntry),
        Some("last_entry_at") => Ok(Sort::OldestEntry),
        Some("-created_at") => Ok(Sort::NewestCreated),
        Some("created_at") => Ok(Sort::OldestCreated),
        Some(_) => Err(Violation::invalid("sort", "last_entry_at or created_at, newest first with - in front")),
    }
}

/// The id of the conversation an author makes under a key: the same for a repeat, nobody else's otherwise (UUID version 8).
fn id_of(principal: &Principal, client_id: ClientId) -> ConversationId {
    let hash = Sha256::new()
        .chain_update(b"conversation")
        .chain_update(principal.organization.id.0)
        .chain_update(principal.author())
        .chain_update(client_id.0)
        .finalize();
    let (bytes, _) = hash.split_first_chunk().expect("SHA-256 has more than 16 bytes");
    ConversationId(Builder::from_custom_bytes(*bytes).into_uuid())
}

/// All the principal may see, newest first.
fn everything(principal: &Principal) -> ListQuery {
    let sees_all = sight(principal) == Some(Reach::Organization);
    let is_blind = matches!(principal.actor, Actor::Service { .. }) && !sees_all;
    ListQuery {
        person: match principal.actor {
            Actor::Staff { person, .. } => Some(person),
            Actor::Guest { .. } | Actor::Service { .. } => None,
        },
        assigned_only: !sees_all,
        status: None,
        stage: None,
        title: None,
        // What is assigned is assigned to people: a service is never among them.
        only: is_blind.then(Vec::new),
        sort: Sort::NewestEntry,
        offset: 0,
        limit: 1,
    }
}

fn only(principal: &Principal, conversation: ConversationId) -> ListQuery {
    ListQuery { only: Some(vec![conversation]), ..everything(principal) }
}

fn channel_of(principal: &Principal) -> &'static str {
    match principal.actor {
        Actor::Service { .. } => "api",
        Actor::Staff { .. } | Actor::Guest { .. } => "web",
    }
}

fn title(text: &str) -> Result<String, Violation> {
    let title = text.trim();
    let is_plain = !title.chars().any(char::is_control);
    if title.chars().count() <= TITLE_CHARS_MAX && is_plain && !is_blank(title) {
        return Ok(title.to_owned());
    }
    Err(Violation::invalid("title", "1 to 200 characters on one line"))
}

fn one_of(path: &str, word: Option<String>, known: &[&str]) -> Result<Option<String>, Violation> {
    match word {
        Some(word) if !known.contains(&word.as_str()) => Err(Violation::invalid(path, known.join(", "))),
        word => Ok(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_one_line_of_bounded_length() {
        assert_eq!(title("  Maldives, 2 people ").unwrap(), "Maldives, 2 people");
        assert!(title(&"é".repeat(200)).is_ok() && title(&"é".repeat(201)).is_err());
        for broken in ["", "  ", "\u{200b}", "a\nb", "a\0b"] {
            assert!(title(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn words_are_known_or_refused() {
        assert_eq!(one_of("stage", Some("quoted".into()), STAGES), Ok(Some("quoted".into())));
        assert!(one_of("stage", Some("Quoted".into()), STAGES).is_err());
        assert_eq!(sort(None), Ok(Sort::NewestEntry));
        assert!(sort(Some("title; drop table")).is_err());
    }
}
