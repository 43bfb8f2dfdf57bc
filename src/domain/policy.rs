//! Who may do what: one pure function over one exhaustive table, printed as the golden file `policy.golden.txt`.
//!
//! Only [`authorize`] builds a [`Grant`], and the log and the hub take nothing else, so nothing is read, written or heard
//! without passing here. A grant remembers the versions of what it was decided on; the write transaction compares them
//! again, which is why no rule lives in SQL. Rights never depend on a role's name, only on permissions.

use std::marker::PhantomData;
use std::sync::Arc;

use parlour_protocol::id::{ConversationId, OrganizationId, PersonId};
use parlour_protocol::share::{Permission, Right};

use crate::domain::permission::{PermissionSet, Reach};
use crate::domain::principal::{Actor, Principal};

/// What can be asked for. The first ten concern one conversation, the rest the organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Attach, read history, mark as read.
    Read,
    /// Send a message.
    Send,
    /// Write an internal note.
    Note,
    /// Edit and redact one's own messages and notes.
    Edit,
    /// Redact the messages and notes of others.
    Redact,
    /// Offer a card.
    Offer,
    /// Choose on a card.
    Select,
    /// Tell what of a card one has looked at.
    See,
    /// Create, list, change and revoke shares.
    ManageShares,
    /// Show typing.
    ShowTyping,
    /// Open a new conversation.
    CreateConversation,
    /// List conversations.
    ListConversations,
}

impl Action {
    /// Every action, in the order of the table.
    pub const ALL: &'static [Self] = &[
        Self::Read,
        Self::Send,
        Self::Note,
        Self::Edit,
        Self::Redact,
        Self::Offer,
        Self::Select,
        Self::See,
        Self::ManageShares,
        Self::ShowTyping,
        Self::CreateConversation,
        Self::ListConversations,
    ];
}

/// Ties a type to an action, so that a grant for one cannot be used for another.
pub trait Asked {
    /// The action.
    const ACTION: Action;
}

macro_rules! asked {
    ($( $(#[$doc:meta])* $name:ident ),* $(,)?) => {
        $( $(#[$doc])* #[derive(Clone, Copy, Debug)] pub struct $name; impl Asked for $name { const ACTION: Action = Action::$name; } )*
    };
}

asked! {
    /// See [`Action::Read`].
    Read,
    /// See [`Action::Send`].
    Send,
    /// See [`Action::Note`].
    Note,
    /// See [`Action::Edit`].
    Edit,
    /// See [`Action::Redact`].
    Redact,
    /// See [`Action::Offer`].
    Offer,
    /// See [`Action::Select`].
    Select,
    /// See [`Action::See`].
    See,
    /// See [`Action::ManageShares`].
    ManageShares,
    /// See [`Action::ShowTyping`].
    ShowTyping,
}

/// What the decision needs to know about a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The tenant the conversation belongs to.
    pub organization: OrganizationId,
    /// Which conversation.
    pub conversation: ConversationId,
    /// Who made it.
    pub user_id: Option<PersonId>,
    /// Who is responsible.
    pub assigned_to: Option<PersonId>,
    /// Who follows it.
    pub watchers: Vec<PersonId>,
    /// Moves when any of these three changes.
    pub access_version: i32,
}

/// Proof that a principal may do `A` in one conversation, as of the versions it holds.
#[derive(Debug)]
pub struct Grant<A> {
    principal: Arc<Principal>,
    conversation: ConversationId,
    access_version: i32,
    action: PhantomData<A>,
}

impl<A> Clone for Grant<A> {
    fn clone(&self) -> Self {
        Self {
            principal: Arc::clone(&self.principal),
            conversation: self.conversation,
            access_version: self.access_version,
            action: PhantomData,
        }
    }
}

impl<A> Grant<A> {
    /// Who may.
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// Where.
    pub fn conversation(&self) -> ConversationId {
        self.conversation
    }

    /// The conversation's version the decision was made on.
    pub fn access_version(&self) -> i32 {
        self.access_version
    }
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It must not even be known that the conversation exists.
    #[error("not found")]
    NotFound,
    /// It is known, and not allowed.
    #[error("forbidden")]
    Forbidden,
    /// The organization is read-only.
    #[error("the organization is suspended")]
    Suspended,
}

/// Decides whether `principal` may do `A` in the conversation of `facts`.
///
/// # Errors
/// `NotFound` when the conversation is foreign or out of sight, else `Forbidden` or `Suspended`.
pub fn authorize<A: Asked>(principal: &Arc<Principal>, facts: &Facts) -> Result<Grant<A>, Denied> {
    decide(principal, facts, A::ACTION)?;
    Ok(Grant {
        principal: Arc::clone(principal),
        conversation: facts.conversation,
        access_version: facts.access_version,
        action: PhantomData,
    })
}

/// Decides on an action that concerns the organization, not one conversation.
///
/// # Errors
/// `Forbidden` or `Suspended`.
pub fn authorize_organization(principal: &Principal, action: Action) -> Result<(), Denied> {
    if reach(principal, action).is_none() {
        return Err(Denied::Forbidden);
    }
    check_active(principal, action)
}

/// What a principal may do in a conversation, as clients are told it.
pub fn rights(principal: &Principal, facts: &Facts) -> Vec<Right> {
    Action::ALL.iter().filter(|action| decide(principal, facts, **action).is_ok()).filter_map(|a| right(*a)).collect()
}

/// Whether the principal may see the conversation at all.
pub fn sees(principal: &Principal, facts: &Facts) -> bool {
    decide(principal, facts, Action::Read).is_ok()
}

/// How far the principal's sight reaches, for lists.
pub fn sight(principal: &Principal) -> Option<Reach> {
    reach(principal, Action::ListConversations)
}

fn decide(principal: &Principal, facts: &Facts, action: Action) -> Result<(), Denied> {
    if facts.organization != principal.organization.id || !allowed(principal, facts, Action::Read) {
        return Err(Denied::NotFound);
    }
    if !allowed(principal, facts, action) {
        return Err(Denied::Forbidden);
    }
    check_active(principal, action)
}

fn check_active(principal: &Principal, action: Action) -> Result<(), Denied> {
    let reads = matches!(action, Action::Read | Action::ListConversations);
    if principal.organization.active || reads { Ok(()) } else { Err(Denied::Suspended) }
}

fn allowed(principal: &Principal, facts: &Facts, action: Action) -> bool {
    match (&principal.actor, reach(principal, action)) {
        (_, None) => false,
        (Actor::Guest { conversation, .. }, Some(_)) => *conversation == facts.conversation,
        (_, Some(Reach::Organization)) => true,
        (Actor::Staff { person, .. }, Some(Reach::Assigned)) => is_assigned(*person, facts),
        (Actor::Service { .. }, Some(Reach::Assigned)) => false,
    }
}

/// Assigned = own, assigned, watched, or claimable because nobody is responsible.
fn is_assigned(person: PersonId, facts: &Facts) -> bool {
    facts.user_id == Some(person)
        || facts.assigned_to.is_none_or(|assignee| assignee == person)
        || facts.watchers.contains(&person)
}

/// The table: what each kind of principal needs for each action.
fn reach(principal: &Principal, action: Action) -> Option<Reach> {
    match &principal.actor {
        Actor::Staff { permissions, .. } => staff_reach(permissions, action),
        Actor::Service { permissions, .. } => match action {
            Action::Select | Action::See | Action::ShowTyping => None,
            _ => staff_reach(permissions, action),
        },
        Actor::Guest { permissions, .. } => {
            guest_needs(action).is_some_and(|needed| permissions.contains(&needed)).then_some(Reach::Organization)
        }
    }
}

fn staff_reach(permissions: &PermissionSet, action: Action) -> Option<Reach> {
    let needs: &[(&str, &str)] = match action {
        Action::Read | Action::ListConversations => &[("conversations", "read")],
        Action::Send | Action::Note | Action::Edit | Action::ShowTyping => {
            &[("conversations", "write"), ("conversations", "reply")]
        }
        Action::Redact => &[("conversations", "redact")],
        Action::Offer => &[("bookings", "write")],
        Action::ManageShares => &[("shares", "create")],
        Action::CreateConversation => &[("conversations", "create")],
        // A choice is the client's: staff confirm and withdraw, they never choose in a client's place. What staff look at while
        // they prepare an offer is nobody's evidence.
        Action::Select | Action::See => &[],
    };
    needs.iter().filter_map(|(resource, action)| permissions.reach(resource, action)).max()
}

fn guest_needs(action: Action) -> Option<Permission> {
    match action {
        Action::Read | Action::See => Some(Permission::View),
        Action::Send | Action::Edit | Action::ShowTyping => Some(Permission::Respond),
        Action::Select => Some(Permission::SelectOptions),
        Action::Note
        | Action::Redact
        | Action::Offer
        | Action::ManageShares
        | Action::CreateConversation
        | Action::ListConversations => None,
    }
}

fn right(action: Action) -> Option<Right> {
    match action {
        Action::Read => Some(Right::Read),
        Action::Send => Some(Right::Send),
        Action::Note => Some(Right::Note),
        Action::Redact => Some(Right::Redact),
        Action::Offer => Some(Right::Card),
        Action::Select => Some(Right::Select),
        Action::ManageShares => Some(Right::Share),
        Action::ShowTyping => Some(Right::Typing),
        // Whoever may send may edit, and every guest may tell what they see: there is no right of its own to announce.
        Action::Edit | Action::See | Action::CreateConversation | Action::ListConversations => None,
    }
}
