//! What staff do with links: make, list, change, revoke. Visitors' side is [`crate::commands::visits`].
//!
//! Each change is one transaction of the share's row and an entry of the log, which also makes it idempotent. After COMMIT the
//! room hears the entry, staff hear the share, and the link's own sessions feel the new rights at once. The secret of a link
//! exists in the answer to its first creation and nowhere else.

use std::sync::Arc;

use parlour_protocol::entry::{ShareAction, ShareChange};
use parlour_protocol::error::{ErrorBody, ErrorCode};
use parlour_protocol::id::{ClientId, ConversationId, ShareId};
use parlour_protocol::share::{Share, ShareStatus};
use parlour_protocol::time::Timestamp;
use serde::Serialize;
use time::OffsetDateTime;

use crate::auth::random;
use crate::commands::Commands;
use crate::commands::failure::Failure;
use crate::domain::draft::Draft;
use crate::domain::policy::{Grant, ManageShares};
use crate::domain::principal::{Actor, Principal};
use crate::domain::room::{Committed, RoomKey};
use crate::domain::secret::{Secret, SecretKind};
use crate::domain::share::{self, LIVE_SHARES_MAX, ShareRequest, Terms};
use crate::domain::violation::Violation;
use crate::store::error::StoreError;
use crate::store::log::append::Verdict;
use crate::store::log::{AppendError, append_in};
use crate::store::organizations::{self, OrganizationRow};
use crate::store::shares::{self, NewShare, ShareChanges, ShareRow};
use crate::store::tenant::TenantTx;

/// Decisions on one command before it is given up.
pub(in crate::commands) const TRIES_MAX: usize = 4;

/// A share, and its secret the first time.
#[derive(Clone, Debug)]
pub struct CreatedShare {
    /// As staff see it.
    pub share: Share,
    /// None on a repeat.
    pub secret: Option<Secret>,
}

/// What a change asks for, as it came in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ShareChangeRequest {
    /// Words of permissions.
    pub permissions: Option<Vec<String>>,
    /// A new end.
    pub expires_at: Option<Timestamp>,
    /// A new number of devices.
    pub seats: Option<i64>,
    /// Ends it now.
    pub revoke: bool,
}

/// What came of an attempt.
pub(in crate::commands) enum Attempt<T> {
    /// Done.
    Done(T),
    /// Rights moved meanwhile: decide again.
    Again,
}

impl Commands {
    /// Makes a link to a conversation.
    ///
    /// # Errors
    /// `INVALID`, `FORBIDDEN`, `NOT_FOUND`, `LIMIT`, `IDEMPOTENCY_MISMATCH`, or the database's trouble.
    pub async fn create_share(
        &self,
        principal: &Arc<Principal>,
        conversation: ConversationId,
        client_id: ClientId,
        request: ShareRequest,
    ) -> Result<CreatedShare, Failure> {
        let mut principal = Arc::clone(principal);
        for _ in 0..TRIES_MAX {
            let grant = self.grant::<ManageShares>(&principal, conversation).await?;
            match self.try_create_share(&grant, client_id, &request).await? {
                Attempt::Done(created) => return Ok(created),
                Attempt::Again => principal = self.fresh(&principal, conversation).await?,
            }
        }
        Err(kept_moving())
    }

    /// The links of a conversation, oldest first.
    ///
    /// # Errors
    /// `FORBIDDEN`, `NOT_FOUND`, or the database's trouble.
    pub async fn shares(
        &self,
        principal: &Arc<Principal>,
        conversation: ConversationId,
    ) -> Result<Vec<Share>, Failure> {
        let grant = self.grant::<ManageShares>(principal, conversation).await?;
        let mut tx = self.store.tenant(principal.scope()).await?;
        let rows = shares::list(&mut tx, grant.conversation()).await?;
        tx.commit().await?;
        Ok(rows.into_iter().map(|row| row.share).collect())
    }

    /// Changes or revokes a link.
    ///
    /// # Errors
    /// `INVALID`, `FORBIDDEN`, `NOT_FOUND`, `CONFLICT` when it was revoked, or the database's trouble.
    pub async fn change_share(
        &self,
        principal: &Arc<Principal>,
        share: ShareId,
        client_id: ClientId,
        request: ShareChangeRequest,
    ) -> Result<Share, Failure> {
        let mut tx = self.store.tenant(principal.scope()).await?;
        let found = shares::find(&mut tx, share).await?;
        tx.commit().await?;
        let conversation = found.ok_or_else(Failure::not_found)?.share.conversation_id;
        let mut principal = Arc::clone(principal);
        for _ in 0..TRIES_MAX {
            let grant = self.grant::<ManageShares>(&principal, conversation).await?;
            match self.try_change_share(&grant, share, client_id, &request).await? {
                Attempt::Done(changed) => return Ok(changed),
                Attempt::Again => principal = self.fresh(&principal, conversation).await?,
            }
        }
        Err(kept_moving())
    }

    async fn try_create_share(
        &self,
        grant: &Grant<ManageShares>,
        client_id: ClientId,
        request: &ShareRequest,
    ) -> Result<Attempt<CreatedShare>, Failure> {
        let mut tx = self.store.tenant(grant.principal().scope()).await?;
        let organization = organizations::find(&mut tx).await?.ok_or_else(Failure::not_found)?;
        let terms = Terms::check(request.clone(), organization.share_hours_max)?;
        let secret = random::secret(SecretKind::Share).map_err(|error| Failure::Internal(error.to_string()))?;
        let created_at = shares::now(&mut tx).await?;
        let new = NewShare {
            id: ShareId::generate(),
            conversation: grant.conversation(),
            digest: self.auth.peppers().digest(&secret),
            terms: &terms,
            created_by: match grant.principal().actor {
                Actor::Staff { person, .. } => Some(person),
                Actor::Guest { .. } | Actor::Service { .. } => None,
            },
            created_at: Timestamp(created_at),
            expires_at: Timestamp(created_at + time::Duration::hours(i64::from(terms.hours))),
        };
        let draft = Draft::share(grant, client_id, request, created(&new));
        match settle(append_in(&mut tx, &draft).await)? {
            Settled::AskAgain => Ok(Attempt::Again),
            Settled::Before(seq) => {
                let row = first_made(&mut tx, grant.conversation(), seq).await?;
                Ok(Attempt::Done(CreatedShare { share: row.share, secret: None }))
            }
            Settled::Now(entry) => {
                check_room_for_one_more(&mut tx, grant.conversation()).await?;
                shares::insert(&mut tx, &new).await?;
                let share = self.commit_share(tx, new.id, Some(entry)).await?;
                Ok(Attempt::Done(CreatedShare { share, secret: Some(secret) }))
            }
        }
    }

    async fn try_change_share(
        &self,
        grant: &Grant<ManageShares>,
        share: ShareId,
        client_id: ClientId,
        request: &ShareChangeRequest,
    ) -> Result<Attempt<Share>, Failure> {
        let mut tx = self.store.tenant(grant.principal().scope()).await?;
        let before = shares::lock(&mut tx, share).await?.ok_or_else(Failure::not_found)?.share;
        if request.revoke && before.status == ShareStatus::Revoked || *request == ShareChangeRequest::default() {
            return Ok(Attempt::Done(before));
        }
        let organization = organizations::find(&mut tx).await?.ok_or_else(Failure::not_found)?;
        let now = shares::now(&mut tx).await?;
        let changes = check_changes(request, &before, &organization, now)?;
        let draft = Draft::share(grant, client_id, &(share, request), changed(&before, &changes)?);
        match settle(append_in(&mut tx, &draft).await)? {
            Settled::AskAgain => Ok(Attempt::Again),
            Settled::Before(_) => Ok(Attempt::Done(before)),
            Settled::Now(entry) => {
                if before.status == ShareStatus::Expired && changes.expires_at.is_some() {
                    check_room_for_one_more(&mut tx, grant.conversation()).await?;
                }
                shares::change(&mut tx, share, &changes).await?;
                let after = self.commit_share(tx, share, Some(entry)).await;
                // Also when the outcome is not known: whatever it is, it is read.
                self.renew_share(grant.principal().organization.id, share).await;
                Ok(Attempt::Done(after?))
            }
        }
    }

    /// Commits what was done to a share and tells everybody it concerns: first the entry, then the share as it now stands.
    pub(in crate::commands) async fn commit_share(
        &self,
        mut tx: TenantTx,
        share: ShareId,
        entry: Option<Committed>,
    ) -> Result<Share, Failure> {
        let organization = tx.scope().organization();
        let row = shares::find(&mut tx, share).await?.ok_or_else(Failure::not_found)?;
        let room = RoomKey { organization, conversation: row.share.conversation_id };
        // The caller may be gone, or the outcome not be known, when it is committed.
        let promised = entry.map(|entry| (self.hub.pledge(room), entry));
        tx.commit().await?;
        if let Some((pledge, entry)) = promised {
            pledge.deliver(entry).await;
        }
        self.hub.push_share(room, &row.share);
        Ok(row.share)
    }

    /// The principal and the facts of now, after the log found those of before outdated.
    async fn fresh(&self, principal: &Arc<Principal>, conversation: ConversationId) -> Result<Arc<Principal>, Failure> {
        self.forget(principal, conversation);
        self.auth.reload(principal).await?.ok_or_else(Failure::unauthenticated)
    }
}

fn created(new: &NewShare<'_>) -> ShareChange {
    ShareChange {
        share: new.id,
        action: ShareAction::Created,
        label: new.terms.label.clone(),
        name: None,
        permissions: Some(new.terms.permissions.clone()),
        expires_at: Some(new.expires_at),
    }
}

fn changed(before: &Share, changes: &ShareChanges) -> Result<ShareChange, Failure> {
    let permissions = changes.permissions.as_deref().map(share::permissions).transpose()?;
    Ok(ShareChange {
        share: before.id,
        action: if changes.revoke { ShareAction::Revoked } else { ShareAction::Changed },
        label: before.label.clone(),
        name: None,
        permissions: (!changes.revoke).then(|| permissions.unwrap_or_else(|| before.permissions.clone())),
        expires_at: (!changes.revoke).then(|| changes.expires_at.map_or(before.expires_at, Timestamp)),
    })
}

fn check_changes(
    request: &ShareChangeRequest,
    before: &Share,
    organization: &OrganizationRow,
    now: OffsetDateTime,
) -> Result<ShareChanges, Failure> {
    if before.status == ShareStatus::Revoked {
        let body = ErrorBody::new(ErrorCode::Conflict, "the link was revoked; make a new one");
        return Err(Failure::Refused(body.with("status", "revoked")));
    }
    let permissions = request.permissions.as_deref().map(share::permissions).transpose()?;
    let expires_at = request.expires_at.map(|at| at.0);
    let longest = share::longest_life(organization.share_hours_max);
    if expires_at.is_some_and(|at| at <= now) {
        return Err(Violation::invalid("expires_at", "must lie ahead; to end a link now, revoke it").into());
    }
    if expires_at.is_some_and(|at| at > now + longest) {
        return Err(Violation::invalid("expires_at", "further ahead than your organization allows").into());
    }
    Ok(ShareChanges {
        permissions: permissions.map(|held| held.iter().map(|one| one.as_str().to_owned()).collect()),
        expires_at,
        seats: request.seats.map(share::seats).transpose()?,
        revoke: request.revoke,
    })
}

/// Counted under the conversation's lock, which the append took.
async fn check_room_for_one_more(tx: &mut TenantTx, conversation: ConversationId) -> Result<(), Failure> {
    if shares::live(tx, conversation).await? < LIVE_SHARES_MAX {
        return Ok(());
    }
    Err(Failure::refused(ErrorCode::Limit, "a conversation has at most 20 live links; revoke one first"))
}

async fn first_made(tx: &mut TenantTx, conversation: ConversationId, seq: i64) -> Result<ShareRow, Failure> {
    let share = shares::of_entry(tx, conversation, seq).await?.ok_or_else(Failure::not_found)?;
    shares::find(tx, share).await?.ok_or_else(Failure::not_found)
}

/// What the log made of a draft inside a transaction.
pub(in crate::commands) enum Settled {
    /// Stored; true once the transaction is committed.
    Now(Committed),
    /// The same key had stored it before, under this number.
    Before(i64),
    /// Rights must be decided again on fresh facts.
    AskAgain,
}

pub(in crate::commands) fn settle(verdict: Result<Verdict, AppendError>) -> Result<Settled, Failure> {
    match verdict? {
        Verdict::Accepted(entry) => Ok(Settled::Now(entry)),
        Verdict::Repeat(first) => Ok(Settled::Before(first.seq)),
        Verdict::StaleGrant => Ok(Settled::AskAgain),
        Verdict::Ended => Err(Failure::unauthenticated()),
        Verdict::NotFound => Err(Failure::not_found()),
        Verdict::Mismatch => Err(Failure::mismatch()),
        Verdict::Busy => Err(StoreError::Unavailable("the conversation is locked".into()).into()),
        Verdict::StaleCard | Verdict::StaleTarget | Verdict::Refused(_) | Verdict::RepeatRefused(_) => {
            Err(Failure::Internal("a share was answered like something else".into()))
        }
    }
}

pub(in crate::commands) fn kept_moving() -> Failure {
    StoreError::Unavailable("rights kept moving".into()).into()
}
