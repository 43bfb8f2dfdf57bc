//! Tenants, members and systems at a running server, logged in like everybody else.

use std::sync::Arc;

use parlour::auth::Auth;
use parlour::domain::limits::LimitsProfile;
use parlour::store::Store;
use parlour_protocol::id::OrganizationId;
use reqwest::Method;
use serde_json::json;

use crate::actors::{Actor, Endpoint};
use crate::database::Database;
use crate::seeder::{PASSWORD, Seeder, auth_config};

/// Makes people, at a server on a database.
pub struct People {
    /// Where they log in.
    pub endpoint: Endpoint,
    seeder: Seeder,
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
        let auth = Auth::new(store.clone(), auth_config(LimitsProfile::Test)).expect("the tests' keys");
        Self { endpoint, seeder: Seeder::new(store, Arc::new(auth)) }
    }

    /// A tenant with an administrator called Amira.
    pub async fn tenancy(&self, slug: &str) -> Tenancy {
        let organization = self.seeder.organization(slug).await;
        Tenancy { organization, admin: self.staff(organization, "dmc_admin", "Amira").await }
    }

    /// A member of staff, logged in.
    pub async fn staff(&self, organization: OrganizationId, role: &str, name: &str) -> Actor {
        let email = self.seeder.person(organization, role, name).await;
        let body = json!({ "email": email, "password": PASSWORD });
        let (status, answer) = self.endpoint.request(Method::POST, "/api/v1/auth/login", None, Some(&body)).await;
        assert!(status.is_success(), "log-in: {status} {answer}");
        let token = answer["data"]["access_token"].as_str().expect("a token").to_owned();
        Actor { endpoint: self.endpoint.clone(), token }
    }

    /// A system with an API key.
    pub async fn service(&self, organization: OrganizationId, permissions: &[&str]) -> Actor {
        let (_, token) = self.seeder.api_key(organization, permissions).await;
        Actor { endpoint: self.endpoint.clone(), token }
    }
}
