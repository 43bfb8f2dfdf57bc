//! Conversations as rows: made, found and listed. Their numbers are the log's business, never written here.

use parlour_protocol::entry::{Audience, Content, Who, WhoKind};
use parlour_protocol::id::{ConversationId, PersonId};
use parlour_protocol::push::{ConversationRow, Preview};
use parlour_protocol::time::Timestamp;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::policy::Facts;
use crate::domain::text::preview;
use crate::store::error::StoreError;
use crate::store::log::read::content;
use crate::store::tenant::TenantTx;

/// Longest preview in a list, in characters.
const PREVIEW_CHARS_MAX: usize = 120;

/// A conversation, as far as rights and greetings need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationFacts {
    /// What rights are decided on.
    pub facts: Facts,
    /// The title.
    pub title: String,
    /// `open`, `snoozed` or `closed`.
    pub status: String,
    /// The sales stage.
    pub stage: String,
}

/// A new conversation.
#[derive(Clone, Debug)]
pub struct NewConversation {
    /// Identity.
    pub id: ConversationId,
    /// 1–200 characters.
    pub title: String,
    /// The sales stage.
    pub stage: String,
    /// Where it came from.
    pub channel: String,
    /// Who makes it; none for a service.
    pub user_id: Option<PersonId>,
}

/// Which conversations to list, for one member of staff.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// Whose watermarks and sight; none for a service.
    pub person: Option<PersonId>,
    /// Only those the person is creator, assignee or watcher of, or nobody is assigned to.
    pub assigned_only: bool,
    /// Only this status.
    pub status: Option<String>,
    /// Only this stage.
    pub stage: Option<String>,
    /// Only titles that contain this text.
    pub title: Option<String>,
    /// Only these; for the live list.
    pub only: Option<Vec<ConversationId>>,
    /// Order.
    pub sort: Sort,
    /// Rows to skip.
    pub offset: i64,
    /// Rows to return.
    pub limit: i64,
}

/// Orders of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Newest entry first.
    NewestEntry,
    /// Oldest entry first.
    OldestEntry,
    /// Newest conversation first.
    NewestCreated,
    /// Oldest conversation first.
    OldestCreated,
}

impl Sort {
    fn word(self) -> &'static str {
        match self {
            Self::NewestEntry => "-last_entry_at",
            Self::OldestEntry => "last_entry_at",
            Self::NewestCreated => "-created_at",
            Self::OldestCreated => "created_at",
        }
    }
}

/// Makes a conversation; false when one of that id is there already.
///
/// # Errors
/// When the database does not answer or refuses the row.
pub async fn insert(tx: &mut TenantTx, new: &NewConversation) -> Result<bool, StoreError> {
    let organization = tx.scope().organization();
    let done = sqlx::query!(
        r#"insert into conversations (organization_id, id, title, stage, channel, user_id)
           values ($1, $2, $3, $4, $5, $6) on conflict (organization_id, id) do nothing"#,
        organization.0,
        new.id.0,
        new.title,
        new.stage,
        new.channel,
        new.user_id.map(|person| person.0)
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What rights in a conversation are decided on; none when it is not there.
///
/// # Errors
/// When the database does not answer.
pub async fn facts(tx: &mut TenantTx, conversation: ConversationId) -> Result<Option<ConversationFacts>, StoreError> {
    Ok(facts_of(tx, &[conversation]).await?.pop())
}

/// The same for many conversations at once; those that are not there are left out.
///
/// # Errors
/// When the database does not answer.
pub async fn facts_of(
    tx: &mut TenantTx,
    conversations: &[ConversationId],
) -> Result<Vec<ConversationFacts>, StoreError> {
    let organization = tx.scope().organization();
    let ids: Vec<Uuid> = conversations.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select id, title, status, stage, user_id, assigned_to, watchers, access_version
             from conversations where organization_id = $1 and id = any ($2)"#,
        organization.0,
        &ids
    )
    .fetch_all(tx.conn())
    .await?;
    let facts = rows.into_iter().map(|row| ConversationFacts {
        facts: Facts {
            organization,
            conversation: ConversationId(row.id),
            user_id: row.user_id.map(PersonId),
            assigned_to: row.assigned_to.map(PersonId),
            watchers: row.watchers.into_iter().map(PersonId).collect(),
            access_version: row.access_version,
        },
        title: row.title,
        status: row.status,
        stage: row.stage,
    });
    Ok(facts.collect())
}

/// A page of the list and the number of conversations it is a page of. `online` is left false: presence is not stored.
///
/// # Errors
/// When the database does not answer.
pub async fn list(tx: &mut TenantTx, query: &ListQuery) -> Result<(Vec<ConversationRow>, i64), StoreError> {
    let organization = tx.scope().organization();
    let only: Option<Vec<Uuid>> = query.only.as_ref().map(|ids| ids.iter().map(|id| id.0).collect());
    let pattern = query.title.as_ref().map(|text| format!("%{}%", escape_like(text)));
    let rows = sqlx::query_as!(
        Row,
        r#"
        with shown as (
          select c.*, count(*) over () as total
            from conversations c
           where c.organization_id = $1
             and (not $3 or c.user_id = $2 or c.assigned_to = $2 or c.assigned_to is null or $2 = any (c.watchers))
             and ($4::text is null or c.status = $4)
             and ($5::text is null or c.stage = $5)
             and ($6::text is null or c.title ilike $6)
             and ($7::uuid[] is null or c.id = any ($7))
           order by case when $8 = '-last_entry_at' then c.last_entry_at end desc nulls last,
                    case when $8 = 'last_entry_at' then c.last_entry_at end asc nulls first,
                    case when $8 = '-created_at' then c.created_at end desc,
                    case when $8 = 'created_at' then c.created_at end asc, c.id
           offset $9 limit $10
        )
        select s.id, s.title, s.status, s.stage, s.channel, s.user_id, s.assigned_to, s.seq as head, s.last_entry_at,
               s.created_at, s.updated_at, s.total as "total!", coalesce(w.read, 0) as "read!", u.unread as "unread!",
               e.kind as "kind?", e.audience as "audience?", e.author_kind as "author_kind?",
               e.author_id as "author_id?", e.author_name as "author_name?", e.at as "at?",
               case when edited.text is null then e.body else jsonb_set(e.body, '{text}', to_jsonb(edited.text)) end
                 as "body?: Json<serde_json::Value>"
          from shown s
          left join watermarks w on w.organization_id = s.organization_id and w.conversation_id = s.id
                                and w.reader_kind = 'staff' and w.reader_id = $2
          left join lateral (
            select * from entries e where e.organization_id = s.organization_id and e.conversation_id = s.id
                                      and e.kind not in ('share', 'edit', 'redaction')
             order by e.seq desc limit 1) e on true
          left join lateral (
            select t.body->>'text' as text from entries t
             where t.organization_id = s.organization_id and t.conversation_id = s.id and t.target_seq = e.seq and t.kind = 'edit'
             order by t.seq desc limit 1) edited on true
          left join lateral (
            select count(*) as unread from (
              select 1 from entries n where n.organization_id = s.organization_id and n.conversation_id = s.id
                 -- Not coalesce: PostgreSQL takes it for leaky, and behind a policy would read the whole log.
                 and n.seq > case when w.read is null then 0 else w.read end and n.kind not in ('share', 'edit', 'redaction') and n.author_id is distinct from $2 limit 100) n
          ) u on true
         order by case when $8 = '-last_entry_at' then s.last_entry_at end desc nulls last,
                  case when $8 = 'last_entry_at' then s.last_entry_at end asc nulls first,
                  case when $8 = '-created_at' then s.created_at end desc,
                  case when $8 = 'created_at' then s.created_at end asc, s.id"#,
        organization.0,
        query.person.map(|person| person.0),
        query.assigned_only,
        query.status,
        query.stage,
        pattern,
        only.as_deref(),
        query.sort.word(),
        query.offset,
        query.limit
    )
    .fetch_all(tx.conn())
    .await?;
    let total = rows.first().map_or(0, |row| row.total);
    Ok((rows.into_iter().map(Row::into_row).collect(), total))
}

fn escape_like(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

struct Row {
    id: Uuid,
    title: String,
    status: String,
    stage: String,
    channel: String,
    user_id: Option<Uuid>,
    assigned_to: Option<Uuid>,
    head: i64,
    last_entry_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    total: i64,
    read: i64,
    unread: i64,
    kind: Option<String>,
    audience: Option<String>,
    author_kind: Option<String>,
    author_id: Option<Uuid>,
    author_name: Option<String>,
    at: Option<OffsetDateTime>,
    body: Option<Json<serde_json::Value>>,
}

impl Row {
    fn into_row(self) -> ConversationRow {
        let last_entry = self.last_entry();
        ConversationRow {
            id: ConversationId(self.id),
            title: self.title,
            status: self.status,
            stage: self.stage,
            channel: self.channel,
            user_id: self.user_id.map(PersonId),
            assigned_to: self.assigned_to.map(PersonId),
            head: self.head,
            last_entry_at: self.last_entry_at.map(Timestamp),
            last_entry,
            read: self.read,
            unread: self.unread,
            online: false,
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
        }
    }

    fn last_entry(&self) -> Option<Preview> {
        let kind = self.kind.clone()?;
        let content = content(&kind, self.body.as_ref()?.0.clone()).ok()?;
        let line = match &content {
            Content::Message(text) | Content::Note(text) => text.text.as_str(),
            Content::Card(card) => card.card.offer.title.as_str(),
            Content::Selection(selection) => selection.labels.first().map_or("", String::as_str),
            Content::Share(_) | Content::Edit(_) | Content::Redaction(_) | Content::Other(_) => "",
        };
        Some(Preview {
            audience: Audience::find(self.audience.as_deref()?)?,
            author: Who {
                kind: WhoKind::find(self.author_kind.as_deref()?)?,
                id: self.author_id?.to_string(),
                name: self.author_name.clone()?,
            },
            preview: preview(line, PREVIEW_CHARS_MAX),
            at: Timestamp(self.at?),
            kind,
        })
    }
}
