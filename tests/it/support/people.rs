//! Makes tenants, members and keys on a database, as `parlour org|user|apikey create` would, and logs people in.

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
use reqwest::Method;
use secrecy::SecretString;
use serde_json::json;

use crate::support::actors::{Actor, Endpoint};
use crate::support::database::Database;

/// The password of every member of staff.
const PASSWORD: &str = "correct horse battery";
/// An Ed25519 key of the tests' own (PKCS#8 v1, base64 of DER).
pub const TOKEN_KEY: &str = "MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
/// The pepper of the tests.
pub const PEPPER: &str = "a pepper of the tests, long enough to count";

/// Makes people, at a server on a database.
pub struct People {
    /// Where they log in.
    pub endpoint: Endpoint,
    store: Store,
    auth: Auth,
}

/// What admission is made of in tests.
pub fn auth_config() -> AuthConfig {
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
        limits: LimitsProfile::Test,
    }
}

/// A tenant and the members made with it.
pub struct Tenancy {
    /// The tenant.
    pub organization: OrganizationId,
    /// Its administrator.
    pub admin: Actor,
}

impl People {
    /// Makes people at a server.
    pub fn new(endpoint: Endpoint, database: &Database) -> Self {
        let store = Store::new(&database.app_url, 4).expect("a store");
        let auth = Auth::new(store.clone(), auth_config()).expect("the tests' keys");
        Self { endpoint, store, auth }
    }

    /// A tenant with an administrator called Amira.
    pub async fn tenancy(&self, slug: &str) -> Tenancy {
        let organization = OrganizationId::generate();
        let new = NewOrganization {
            id: organization,
            name: "Lagon & Savane",
            slug,
            primary_color: None,
            contact_email: None,
            contact_phone: None,
            logo: None,
        };
        self.store.create_organization(&new).await.expect("an organization");
        Tenancy { organization, admin: self.staff(organization, "dmc_admin", "Amira").await }
    }

    /// A member of staff, logged in.
    pub async fn staff(&self, organization: OrganizationId, role: &str, name: &str) -> Actor {
        let person = PersonId::generate();
        let email = format!("{person}@example.test");
        let hash = self.auth.passwords().hash(SecretString::from(PASSWORD)).await.expect("a hash");
        self.store.create_person(person, &email, name, &hash).await.expect("a person");
        self.store.add_membership(organization, person, role).await.expect("a membership");
        let body = json!({ "email": email, "password": PASSWORD });
        let (status, answer) = self.endpoint.request(Method::POST, "/api/v1/auth/login", None, Some(&body)).await;
        assert!(status.is_success(), "log-in: {status} {answer}");
        let token = answer["data"]["access_token"].as_str().expect("a token").to_owned();
        Actor { endpoint: self.endpoint.clone(), token }
    }

    /// A system with an API key.
    pub async fn service(&self, organization: OrganizationId, permissions: &[&str]) -> Actor {
        let secret = random::secret(SecretKind::ApiKey).expect("randomness");
        let id = ApiKeyId::generate();
        let permissions: Vec<String> = permissions.iter().map(|word| (*word).to_owned()).collect();
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
        Actor { endpoint: self.endpoint.clone(), token: secret.expose().to_owned() }
    }
}
