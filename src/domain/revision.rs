//! Edits and redactions: what may be done to an entry that is already in the log.
//!
//! Pure rules over the target as it was read. An entry's author and audience never change, so only one thing can have moved by
//! the time of the write: that somebody redacted it. The append function compares that once more, in its transaction.

use parlour_protocol::entry::{Audience, Content, Entry};
use parlour_protocol::id::EntryId;

use crate::domain::principal::Principal;

/// An entry that is to be edited or redacted, as read for whoever wants to.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Number in the staff view.
    pub seq: i64,
    /// The entry.
    pub entry: Entry,
    /// Whether it is young enough to be edited, by the database's clock.
    pub is_recent: bool,
}

/// Why an entry can never be changed by this principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Only messages and notes have a text to change.
    Kind,
    /// Somebody else wrote it.
    Foreign,
}

/// Why an entry can no longer be changed. It could have been before, so a repeat of an earlier command still succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// The time for edits is over.
    TooOld,
    /// It was redacted.
    Redacted,
}

impl Late {
    /// The word in `details.reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooOld => "too_old",
            Self::Redacted => "redacted",
        }
    }
}

/// A target that is the principal's to change, as drafts need it; only the rules here make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revisable {
    entry: EntryId,
    seq: i64,
    audience: Audience,
    late: Option<Late>,
}

impl Revisable {
    /// The entry's identity.
    pub fn entry(&self) -> EntryId {
        self.entry
    }

    /// Its number in the staff view.
    pub fn seq(&self) -> i64 {
        self.seq
    }

    /// Who may see it, and what is said about it.
    pub fn audience(&self) -> Audience {
        self.audience
    }

    /// Why it is too late, if it is.
    pub fn late(&self) -> Option<Late> {
        self.late
    }
}

/// Whose entries may be redacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// One's own.
    Own,
    /// Everybody's.
    Anybodys,
}

/// Whether `principal` may replace the text.
///
/// # Errors
/// When it never may.
pub fn edit(principal: &Principal, target: &Target) -> Result<Revisable, Refusal> {
    if !is_own(principal, target) {
        return Err(Refusal::Foreign);
    }
    let revisable = revisable(target)?;
    let too_old = (!target.is_recent).then_some(Late::TooOld);
    Ok(Revisable { late: revisable.late.or(too_old), ..revisable })
}

/// Whether `principal` may blank the text. Own entries may be redacted at any age.
///
/// # Errors
/// When it never may.
pub fn redact(principal: &Principal, target: &Target, whose: Whose) -> Result<Revisable, Refusal> {
    match whose {
        Whose::Own if !is_own(principal, target) => Err(Refusal::Foreign),
        Whose::Own | Whose::Anybodys => revisable(target),
    }
}

fn is_own(principal: &Principal, target: &Target) -> bool {
    let author = &target.entry.author;
    author.kind == principal.kind() && author.id == principal.author().to_string()
}

fn revisable(target: &Target) -> Result<Revisable, Refusal> {
    let Entry { id, audience, content, .. } = &target.entry;
    match content {
        Content::Message(text) | Content::Note(text) => {
            let late = text.redacted.then_some(Late::Redacted);
            Ok(Revisable { entry: *id, seq: target.seq, audience: *audience, late })
        }
        Content::Edit(_)
        | Content::Redaction(_)
        | Content::Card(_)
        | Content::Selection(_)
        | Content::Share(_)
        | Content::Other(_) => Err(Refusal::Kind),
    }
}

/// The content without its text, as it is stored and kept once it was redacted. Nothing but texts is redacted.
pub fn blanked(content: &Content) -> Content {
    let mut content = content.clone();
    match &mut content {
        Content::Message(body) | Content::Note(body) => {
            body.text.clear();
            body.redacted = true;
        }
        Content::Edit(body) => {
            body.text.clear();
            body.redacted = true;
        }
        Content::Redaction(_) | Content::Card(_) | Content::Selection(_) | Content::Share(_) | Content::Other(_) => {}
    }
    content
}

/// Takes the text out of an entry that a redaction of `target` concerns; whether it does.
pub fn forget(target: EntryId, entry: &mut Entry) -> bool {
    let is_concerned = concerns(target, entry);
    if is_concerned {
        entry.content = blanked(&entry.content);
    }
    is_concerned
}

/// Whether a redaction of `target` concerns the entry: it is the target itself, or an edit of it.
pub fn concerns(target: EntryId, entry: &Entry) -> bool {
    match &entry.content {
        Content::Message(_) | Content::Note(_) => entry.id == target,
        Content::Edit(edit) => edit.entry_id == target,
        Content::Redaction(_) | Content::Card(_) | Content::Selection(_) | Content::Share(_) | Content::Other(_) => {
            false
        }
    }
}
