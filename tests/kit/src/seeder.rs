//! Makes tenants, members and keys on a database, as `parlour org|user|apikey create` would. No request is made here.

use std::sync::Arc;
use std::time::Duration;

use parlour::auth::passwords::Work;
use parlour::auth::random;
use parlour::auth::tokens::TokenConfig;
use parlour::auth::{Auth, AuthConfig};
use parlour::domain::limits::LimitsProfile;
use parlour::domain::principal::OrgScope;
use parlour::domain::secret::{Pepper, Peppers, SecretKind};
use parlour::store::Store;
use parlour::store::api_keys::{self, NewApiKey};
use parlour::store::platform::NewOrganization;
use parlour_protocol::id::{ApiKeyId, OrganizationId, PersonId};
use secrecy::SecretString;

/// The password of every member of staff.
pub const PASSWORD: &str = "correct horse battery";
/// An Ed25519 key of the tests' own (PKCS#8 v1, base64 of DER).
pub const TOKEN_KEY: &str = "MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
/// The pepper of the tests.
pub const PEPPER: &str = "a pepper of the tests, long enough to count";

/// What admission is made of in tests.
pub fn auth_config(limits: LimitsProfile) -> AuthConfig {
    AuthConfig {
        tokens: TokenConfig {
            issuer: "parlour".into(),
            audience: "parlour".into(),
            signing_key: SecretString::from(TOKEN_KEY),
            older_keys: Vec::new(),
            staff_life: Duration::from_secs(900),
            guest_life: Duration::from_secs(600),
        },
        peppers: Peppers::new(Pepper::new(1, PEPPER.into()).expect("long enough"), Vec::new()),
        refresh_life: Duration::from_secs(3_600),
        password_work: Work::Test,
        limits,
    }
}

/// Makes rows.
pub struct Seeder {
    store: Store,
    auth: Arc<Auth>,
}

impl Seeder {
    /// A seeder on a database, with the secrets of the server that runs on it.
    pub fn new(store: Store, auth: Arc<Auth>) -> Self {
        Self { store, auth }
    }

    /// A tenant.
    pub async fn organization(&self, slug: &str) -> OrganizationId {
        let id = OrganizationId::generate();
        let new = NewOrganization {
            id,
            name: "Lagon & Savane",
            slug,
            primary_color: Some("#0f766e"),
            contact_email: Some("hello@lagon.example"),
            contact_phone: None,
            logo: None,
        };
        self.store.create_organization(&new).await.expect("an organization");
        id
    }

    /// A member of staff; their e-mail.
    pub async fn person(&self, organization: OrganizationId, role: &str, name: &str) -> String {
        let person = PersonId::generate();
        let email = format!("{person}@example.test");
        let hash = self.auth.passwords().hash(SecretString::from(PASSWORD)).await.expect("a hash");
        self.store.create_person(person, &email, name, &hash).await.expect("a person");
        self.store.add_membership(organization, person, role).await.expect("a membership");
        email
    }

    /// A service's key.
    pub async fn api_key(&self, organization: OrganizationId, permissions: &[&str]) -> (ApiKeyId, String) {
        let secret = random::secret(SecretKind::ApiKey).expect("randomness");
        let permissions: Vec<String> = permissions.iter().map(|word| (*word).to_owned()).collect();
        let id = ApiKeyId::generate();
        let new = NewApiKey {
            id,
            lineage: id,
            name: "Fare watch",
            hint: secret.hint(),
            digest: self.auth.peppers().digest(&secret),
            permissions: &permissions,
            expires_at: None,
        };
        let mut tx = self.store.tenant(OrgScope::for_platform(organization)).await.expect("a transaction");
        api_keys::insert(&mut tx, &new).await.expect("a key");
        tx.commit().await.expect("a commit");
        (id, secret.expose().to_owned())
    }

    /// Ends a service's key.
    pub async fn revoke_key(&self, organization: OrganizationId, key: ApiKeyId) {
        let mut tx = self.store.tenant(OrgScope::for_platform(organization)).await.expect("a transaction");
        assert!(api_keys::revoke(&mut tx, key).await.expect("a key"));
        tx.commit().await.expect("a commit");
    }
}
