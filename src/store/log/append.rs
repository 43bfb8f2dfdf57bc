//! One call of the append function: a batch of drafts in, a verdict for each out. The only caller of `append_v2`.
//!
//! Knows the arrays of the function and the meaning of its verdicts, nothing of queues or retries.

use std::sync::Arc;

use parlour_protocol::entry::{Content, Entry};
use parlour_protocol::id::EntryId;
use parlour_protocol::time::Timestamp;
use serde_json::Value;
use sqlx::postgres::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::domain::draft::Draft;
use crate::domain::revision;
use crate::domain::room::Committed;

/// What the log says to a draft.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Stored now, or by an earlier try of the same batch.
    Accepted(Committed),
    /// The key had stored it before.
    Repeat(Appended),
    /// The key had been refused before, with these facts.
    RepeatRefused(Value),
    /// The refusal the draft carried is remembered.
    Refused(Value),
    /// The key was used with another content.
    Mismatch,
    /// Rights must be decided again on fresh facts.
    StaleGrant,
    /// The link, key or membership is over.
    Ended,
    /// The card moved on: decide again.
    StaleCard,
    /// The entry to be changed was redacted: decide again.
    StaleTarget,
    /// No such conversation.
    NotFound,
    /// The conversation is locked elsewhere; nothing was done.
    Busy,
}

/// An entry as its author is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The entry.
    pub entry: EntryId,
    /// Number in the staff view.
    pub seq: i64,
    /// Number in the guest view.
    pub guest_seq: Option<i64>,
    /// When it was committed.
    pub at: Timestamp,
}

/// Whether to wait for a conversation that is locked elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Answer [`Verdict::Busy`] at once.
    Skip,
    /// Wait, up to the connection's lock timeout.
    Lock,
}

struct VerdictRow {
    verdict: String,
    epoch: Option<i64>,
    entry_id: Uuid,
    seq: Option<i64>,
    guest_seq: Option<i64>,
    at: time::OffsetDateTime,
    outcome: Option<Json<Value>>,
}

/// The function's parallel arrays.
#[derive(Default)]
struct Columns {
    organization: Vec<Uuid>,
    conversation: Vec<Uuid>,
    entry: Vec<Uuid>,
    client: Vec<Uuid>,
    hash: Vec<Vec<u8>>,
    kind: Vec<String>,
    audience: Vec<String>,
    author_kind: Vec<String>,
    author: Vec<Uuid>,
    author_name: Vec<String>,
    body: Vec<String>,
    holder: Vec<Uuid>,
    organization_version: Vec<i32>,
    holder_version: Vec<i32>,
    access_version: Vec<i32>,
    refusal: Vec<Option<String>>,
    card: Vec<Option<Uuid>>,
    card_revision: Vec<Option<i32>>,
    card_change: Vec<Option<String>>,
    target: Vec<Option<i64>>,
}

impl Columns {
    fn push(&mut self, draft: &Draft) {
        let principal = &draft.principal;
        self.organization.push(draft.room.organization.0);
        self.conversation.push(draft.room.conversation.0);
        self.entry.push(draft.entry.0);
        self.client.push(draft.client_id.0);
        self.hash.push(draft.hash.to_vec());
        self.kind.push(draft.content.kind().to_owned());
        self.audience.push(draft.audience.as_str().to_owned());
        self.author_kind.push(principal.kind().as_str().to_owned());
        self.author.push(principal.author());
        self.author_name.push(principal.name.clone());
        self.body.push(body(draft));
        self.holder.push(principal.holder().id);
        self.organization_version.push(principal.organization.version);
        self.holder_version.push(principal.version);
        self.access_version.push(draft.access_version);
        self.refusal.push(draft.refusal.clone().map(|facts| Value::Object(facts).to_string()));
        self.card.push(draft.card.as_ref().map(|change| change.card.0));
        self.card_revision.push(draft.card.as_ref().map(|change| change.revision));
        self.card_change.push(draft.card.as_ref().map(|change| change.change.to_string()));
        self.target.push(draft.target);
    }
}

fn body(draft: &Draft) -> String {
    match serde_json::to_value(&draft.content) {
        Ok(Value::Object(mut content)) => content.remove("body").unwrap_or(Value::Null).to_string(),
        _ => "null".to_owned(),
    }
}

/// Appends a batch in one statement, which is its own transaction unless the connection is in one. Verdicts come in the
/// order of the drafts.
///
/// # Errors
/// Whatever the database says; the transaction then has no effect, unless the connection was lost around its commit.
pub async fn call(connection: &mut PgConnection, drafts: &[&Draft], wait: Wait) -> Result<Vec<Verdict>, sqlx::Error> {
    let mut columns = Columns::default();
    for draft in drafts {
        columns.push(draft);
    }
    let rows = sqlx::query_as!(
        VerdictRow,
        r#"select verdict as "verdict!", epoch, entry_id as "entry_id!", seq, guest_seq, at as "at!",
                  outcome as "outcome: Json<Value>"
             from append_v2($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)"#,
        wait == Wait::Lock,
        &columns.organization,
        &columns.conversation,
        &columns.entry,
        &columns.client,
        &columns.hash,
        &columns.kind,
        &columns.audience,
        &columns.author_kind,
        &columns.author,
        &columns.author_name,
        &columns.body,
        &columns.holder,
        &columns.organization_version,
        &columns.holder_version,
        &columns.access_version,
        &columns.refusal as &[Option<String>],
        &columns.card as &[Option<Uuid>],
        &columns.card_revision as &[Option<i32>],
        &columns.card_change as &[Option<String>],
        &columns.target as &[Option<i64>]
    )
    .fetch_all(connection)
    .await?;
    if rows.len() != drafts.len() {
        return Err(sqlx::Error::Protocol(format!("{} verdicts for {} drafts", rows.len(), drafts.len())));
    }
    rows.into_iter().zip(drafts).map(|(row, draft)| verdict(row, draft)).collect()
}

fn verdict(row: VerdictRow, draft: &Draft) -> Result<Verdict, sqlx::Error> {
    let outcome = row.outcome.map(|outcome| outcome.0);
    Ok(match row.verdict.as_str() {
        "accepted" => {
            Verdict::Accepted(committed(&row.epoch, row.seq, row.guest_seq, row.at, draft, draft.content.clone())?)
        }
        "repeat" => match (row.seq, outcome) {
            (None, Some(facts)) if row.entry_id == draft.entry.0 => Verdict::Refused(facts),
            (None, facts) => Verdict::RepeatRefused(facts.unwrap_or_default()),
            // Our own earlier try, whose answer was lost: nobody was told of it yet. It may have been redacted since.
            (Some(_), redacted) if row.entry_id == draft.entry.0 => {
                let mut content = draft.content.clone();
                if redacted.is_some() {
                    content = revision::blanked(&content);
                }
                Verdict::Accepted(committed(&row.epoch, row.seq, row.guest_seq, row.at, draft, content)?)
            }
            (Some(seq), _) => Verdict::Repeat(Appended {
                entry: EntryId(row.entry_id),
                seq,
                guest_seq: row.guest_seq,
                at: Timestamp(row.at),
            }),
        },
        "refused" => Verdict::Refused(draft.refusal.clone().map(Value::Object).unwrap_or_default()),
        "mismatch" => Verdict::Mismatch,
        "stale_grant" => Verdict::StaleGrant,
        "ended" => Verdict::Ended,
        "stale_card" => Verdict::StaleCard,
        "stale_target" => Verdict::StaleTarget,
        "not_found" => Verdict::NotFound,
        "busy" => Verdict::Busy,
        other => return Err(sqlx::Error::Protocol(format!("unknown verdict {other}"))),
    })
}

fn committed(
    epoch: &Option<i64>,
    seq: Option<i64>,
    guest_seq: Option<i64>,
    at: time::OffsetDateTime,
    draft: &Draft,
    content: Content,
) -> Result<Committed, sqlx::Error> {
    let (Some(epoch), Some(seq)) = (*epoch, seq) else {
        return Err(sqlx::Error::Protocol("an accepted draft without numbers".into()));
    };
    let entry = Entry {
        id: draft.entry,
        client_id: draft.client_id,
        audience: draft.audience,
        content,
        author: draft.principal.who(),
        at: Timestamp(at),
    };
    Ok(Committed { room: draft.room, epoch, seq, guest_seq, entry: Arc::new(entry) })
}
