//! Principals: who acts, and the proof of what their rights were decided on.
//!
//! Only `auth` builds principals, from a verified token, link or key. An [`OrgScope`] comes only from a principal, so no
//! query can name an organization that nobody was admitted to. Names here are what others see; nothing is a secret.

use parlour_protocol::entry::{Audience, Who, WhoKind};
use parlour_protocol::id::{ApiKeyId, ConversationId, GuestId, OrganizationId, PersonId, ShareId};
use parlour_protocol::share::Permission;
use parlour_protocol::time::Timestamp;
use uuid::Uuid;

use crate::domain::permission::PermissionSet;
use crate::domain::role::Role;

/// The right to open a transaction on one organization's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OrgScope(OrganizationId);

impl OrgScope {
    /// The organization.
    pub fn organization(self) -> OrganizationId {
        self.0
    }

    /// A scope for the platform's own commands (`parlour org …`, seeding) and for a link whose secret was just found, which
    /// act for no principal yet.
    pub fn for_platform(organization: OrganizationId) -> Self {
        Self(organization)
    }
}

/// A tenant, as far as rights and greetings need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// Identity.
    pub id: OrganizationId,
    /// The name people see.
    pub name: String,
    /// Whether it may write.
    pub active: bool,
    /// Moves when anything that rights depend on changes.
    pub version: i32,
}

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The tenant.
    pub organization: Organization,
    /// The name others see.
    pub name: String,
    /// Moves when anything about the membership, share or key that rights depend on changes.
    pub version: i32,
    /// When the membership's token, the link or the key ends by the database's clock.
    pub ends_at: Option<Timestamp>,
    /// Staff, guest or service.
    pub actor: Actor,
}

/// The three kinds of principals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A person of the organization.
    Staff {
        /// Who.
        person: PersonId,
        /// In which role.
        role: Role,
        /// What the role allows.
        permissions: PermissionSet,
        /// Moves at logout-everywhere and password change; what came in with an older one is over.
        session_version: i32,
    },
    /// A person on a share link.
    Guest {
        /// The device's identity on the link.
        guest: GuestId,
        /// The link.
        share: ShareId,
        /// The one conversation of the link.
        conversation: ConversationId,
        /// What the link allows.
        permissions: Vec<Permission>,
    },
    /// A system behind an API key.
    Service {
        /// The key in use.
        key: ApiKeyId,
        /// The first key of its line: what a service is known by, over rotations.
        lineage: ApiKeyId,
        /// What the key allows.
        permissions: PermissionSet,
    },
}

impl Principal {
    /// The right to open a transaction on the principal's organization.
    pub fn scope(&self) -> OrgScope {
        OrgScope(self.organization.id)
    }

    /// What kind of principal.
    pub fn kind(&self) -> WhoKind {
        match self.actor {
            Actor::Staff { .. } => WhoKind::Staff,
            Actor::Guest { .. } => WhoKind::Guest,
            Actor::Service { .. } => WhoKind::Service,
        }
    }

    /// What the principal is known by as an author and reader.
    pub fn author(&self) -> Uuid {
        match &self.actor {
            Actor::Staff { person, .. } => person.0,
            Actor::Guest { guest, .. } => guest.0,
            Actor::Service { lineage, .. } => lineage.0,
        }
    }

    /// The row whose version and end decide whether rights still hold: membership, share or API key.
    pub fn holder(&self) -> HolderKey {
        let id = match &self.actor {
            Actor::Staff { person, .. } => person.0,
            Actor::Guest { share, .. } => share.0,
            Actor::Service { key, .. } => key.0,
        };
        HolderKey { kind: self.kind(), organization: self.organization.id, id }
    }

    /// The version of the person's log-ins that the principal came in with; none where no person logs in.
    pub fn session_version(&self) -> Option<i32> {
        match self.actor {
            Actor::Staff { session_version, .. } => Some(session_version),
            Actor::Guest { .. } | Actor::Service { .. } => None,
        }
    }

    /// The principal as others see it.
    pub fn who(&self) -> Who {
        Who { kind: self.kind(), id: self.author().to_string(), name: self.name.clone() }
    }

    /// The view the principal reads.
    pub fn view(&self) -> View {
        match self.actor {
            Actor::Staff { .. } | Actor::Service { .. } => View::Staff,
            Actor::Guest { .. } => View::Guest,
        }
    }
}

/// Whose rights a session stands on: the row whose version and end are read again while the session is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HolderKey {
    /// Membership (staff), share (guest) or API key (service).
    pub kind: WhoKind,
    /// The tenant.
    pub organization: OrganizationId,
    /// Person, share or key.
    pub id: Uuid,
}

/// What one audience reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum View {
    /// Every entry.
    Staff,
    /// Entries for everyone, numbered on their own.
    Guest,
}

impl View {
    /// Both views.
    pub const ALL: [Self; 2] = [Self::Staff, Self::Guest];

    /// Whether an entry for this audience is in the view.
    pub fn holds(self, audience: Audience) -> bool {
        match self {
            Self::Staff => true,
            Self::Guest => audience == Audience::Everyone,
        }
    }
}
