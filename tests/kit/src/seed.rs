//! Tenants, people, conversations and links put straight into the database, for tests below the HTTP floor.

use std::sync::Arc;

use parlour::domain::policy::{Asked, Facts, Grant, authorize};
use parlour::domain::principal::{Actor, OrgScope, Organization, Principal};
use parlour::domain::role::Role;
use parlour::store::Store;
use parlour::store::conversations::{self, NewConversation};
use parlour::store::platform::NewOrganization;
use parlour_protocol::id::{ConversationId, GuestId, OrganizationId, PersonId, ShareId};
use parlour_protocol::share::Permission;

use crate::database::Database;

/// An organization with an owner, a conversation and a live link to it.
pub struct Tenant {
    /// As the server reaches the database.
    pub store: Store,
    /// The tenant.
    pub organization: OrganizationId,
    /// Its owner.
    pub staff: Arc<Principal>,
    /// A guest on the link, with every permission.
    pub guest: Arc<Principal>,
    /// The conversation.
    pub conversation: ConversationId,
}

impl Tenant {
    /// Seeds one more tenant.
    pub async fn create(database: &Database, slug: &str) -> Self {
        let store = Store::new(&database.app_url, 4).expect("a store");
        let organization = OrganizationId::generate();
        let new = NewOrganization {
            id: organization,
            name: slug,
            slug,
            primary_color: None,
            contact_email: None,
            contact_phone: None,
            logo: None,
        };
        store.create_organization(&new).await.expect("an organization");
        let person = PersonId::generate();
        store.create_person(person, &format!("{person}@example.test"), "Amira", "-").await.expect("a person");
        store.add_membership(organization, person, "owner").await.expect("a membership");
        let conversation = create_conversation(&store, organization, person).await;
        let (share, guest) = create_share(database, organization, conversation).await;
        Self {
            staff: Arc::new(staff(organization, person)),
            guest: Arc::new(guest_principal(organization, conversation, share, guest)),
            store,
            organization,
            conversation,
        }
    }

    /// What rights in the conversation are decided on.
    pub async fn facts(&self) -> Facts {
        let mut tx = self.store.tenant(self.staff.scope()).await.expect("a transaction");
        let found = conversations::facts(&mut tx, self.conversation).await.expect("facts");
        found.expect("the conversation").facts
    }

    /// The staff member's grant.
    pub async fn staff_grant<A: Asked>(&self) -> Grant<A> {
        authorize(&self.staff, &self.facts().await).expect("the owner may")
    }

    /// The guest's grant.
    pub async fn guest_grant<A: Asked>(&self) -> Grant<A> {
        authorize(&self.guest, &self.facts().await).expect("the guest may")
    }

    /// One more conversation of the tenant.
    pub async fn another_conversation(&self) -> ConversationId {
        create_conversation(&self.store, self.organization, PersonId(self.staff.author())).await
    }
}

async fn create_conversation(store: &Store, organization: OrganizationId, person: PersonId) -> ConversationId {
    let new = NewConversation {
        id: ConversationId::generate(),
        title: "Mauritius in March".into(),
        stage: "lead".into(),
        channel: "web".into(),
        user_id: Some(person),
    };
    let mut tx = store.tenant(OrgScope::for_platform(organization)).await.expect("a transaction");
    conversations::insert(&mut tx, &new).await.expect("a conversation");
    tx.commit().await.expect("a commit");
    new.id
}

async fn create_share(
    database: &Database,
    organization: OrganizationId,
    conversation: ConversationId,
) -> (ShareId, GuestId) {
    let (share, guest) = (ShareId::generate(), GuestId::generate());
    let mut admin = database.admin().await;
    sqlx::query(
        "insert into shares (organization_id, id, conversation_id, digest, pepper_id, permissions, expires_at)
         values ($1, $2, $3, $4, 1, '{view,respond,select_options}', now() + interval '1 hour')",
    )
    .bind(organization.0)
    .bind(share.0)
    .bind(conversation.0)
    .bind(share.0.as_bytes().as_slice())
    .execute(&mut admin)
    .await
    .expect("a share");
    sqlx::query(
        "insert into guests (organization_id, id, share_id, name, device_digest) values ($1, $2, $3, 'Maria', $4)",
    )
    .bind(organization.0)
    .bind(guest.0)
    .bind(share.0)
    .bind(guest.0.as_bytes().as_slice())
    .execute(&mut admin)
    .await
    .expect("a guest");
    (share, guest)
}

fn organization_of(id: OrganizationId) -> Organization {
    Organization { id, name: "Lagon & Savane".into(), active: true, version: 1 }
}

fn staff(organization: OrganizationId, person: PersonId) -> Principal {
    let role = Role::find("owner").expect("a built-in role");
    Principal {
        organization: organization_of(organization),
        name: "Amira".into(),
        version: 1,
        ends_at: None,
        actor: Actor::Staff { person, role, permissions: role.permissions(), session_version: 1 },
    }
}

fn guest_principal(
    organization: OrganizationId,
    conversation: ConversationId,
    share: ShareId,
    guest: GuestId,
) -> Principal {
    Principal {
        organization: organization_of(organization),
        name: "Maria".into(),
        version: 1,
        ends_at: None,
        actor: Actor::Guest {
            guest,
            share,
            conversation,
            permissions: vec![Permission::View, Permission::Respond, Permission::SelectOptions],
        },
    }
}
