//! `parlour org create`: a new tenant; and how the other commands find one by its slug.
//!
//! Nobody is a member of it yet: that is `parlour user create`. These commands act for no principal, so whoever has the
//! database's URL may use them.

use clap::{Args, Subcommand};
use parlour_protocol::id::OrganizationId;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::cli::error::{CliError, Exit};
use crate::cli::output::Outcome;
use crate::config::database::DatabaseSettings;
use crate::config::problem::Problems;
use crate::domain::brand::Color;
use crate::store::Store;
use crate::store::platform::NewOrganization;

/// A command of one statement needs no more.
const CONNECTIONS: u32 = 2;

#[derive(Debug, Subcommand)]
pub enum OrgCommand {
    /// Make an organization
    Create(CreateOrg),
}

#[derive(Debug, Args)]
pub struct CreateOrg {
    /// The name people see.
    name: String,
    /// How commands call it: 3 to 50 of a-z, 0-9 and -.
    #[arg(long, value_parser = slug)]
    slug: String,
    /// Its colour, such as #0b5d5b.
    #[arg(long)]
    color: Option<Color>,
    /// The e-mail address clients are shown.
    #[arg(long)]
    contact_email: Option<String>,
    /// The telephone number clients are shown.
    #[arg(long)]
    contact_phone: Option<String>,
    #[command(flatten)]
    database: DatabaseSettings,
}

/// Makes what is asked for.
pub async fn run(command: OrgCommand) -> Result<Outcome, CliError> {
    let OrgCommand::Create(args) = command;
    let store = connect(&args.database)?;
    let (name, slug) = (args.name.trim(), args.slug.as_str());
    if name.is_empty() || name.chars().count() > 120 {
        return Err(CliError::new(Exit::Usage, "a name has 1 to 120 characters"));
    }
    if store.organization_by_slug(slug).await?.is_some() {
        return Err(CliError::refused(format!("an organization {slug} exists already")));
    }
    let id = OrganizationId::generate();
    let color = args.color.map(|color| color.to_string());
    let new = NewOrganization {
        id,
        name,
        slug,
        primary_color: color.as_deref(),
        contact_email: args.contact_email.as_deref(),
        contact_phone: args.contact_phone.as_deref(),
        logo: None,
    };
    store.create_organization(&new).await?;
    store.close().await;
    let json = json!({"organization_id": id, "name": name, "slug": slug});
    Ok(Outcome { text: format!("Organization {name} ({slug}) is made: {id}"), json })
}

/// The store, from settings that hold no more than where it is.
pub fn connect(database: &DatabaseSettings) -> Result<Store, CliError> {
    let mut problems = Problems::default();
    let url = database.check(&mut problems);
    let Some(url) = url else { return Err(problems.into()) };
    Ok(Store::new(url.expose_secret(), CONNECTIONS)?)
}

/// An organization by its slug.
pub async fn find(store: &Store, slug: &str) -> Result<(OrganizationId, String), CliError> {
    let found = store.organization_by_slug(slug).await?;
    found.ok_or_else(|| CliError::refused(format!("there is no organization {slug}; see parlour org create")))
}

fn slug(text: &str) -> Result<String, String> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_slug = (3..=50).contains(&text.len()) && text.bytes().all(is_allowed);
    if is_slug { Ok(text.to_owned()) } else { Err("a slug is 3 to 50 of a-z, 0-9 and -".to_owned()) }
}
