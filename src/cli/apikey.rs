//! `parlour apikey create`: a key for a system. It is shown once; only its digest is stored.
//!
//! The demonstration makes its keys here too ([`create`]). What a key may do is decided in `domain::policy`, from its words.

use clap::{Args, Subcommand};
use parlour_protocol::id::{ApiKeyId, OrganizationId};
use serde_json::json;
use time::OffsetDateTime;

use crate::auth::random;
use crate::cli::error::{CliError, Exit};
use crate::cli::org;
use crate::cli::output::Outcome;
use crate::config::database::DatabaseSettings;
use crate::config::problem::Problems;
use crate::config::secrets::PepperSettings;
use crate::domain::permission::{self, UnknownPermission};
use crate::domain::principal::OrgScope;
use crate::domain::secret::{Peppers, Secret, SecretKind};
use crate::store::Store;
use crate::store::api_keys::{self, NewApiKey};

/// What a key may do unless said otherwise.
const PERMISSIONS_DEFAULT: [&str; 2] = ["conversations:*", "shares:*"];

#[derive(Debug, Subcommand)]
pub enum ApikeyCommand {
    /// Make a key
    Create(CreateKey),
}

#[derive(Debug, Args)]
pub struct CreateKey {
    /// The system's name, as others see it.
    name: String,
    /// The slug of the organization.
    #[arg(long, value_name = "SLUG")]
    org: String,
    /// What it may do, separated by commas.
    #[arg(long, value_delimiter = ',', default_values = PERMISSIONS_DEFAULT, value_name = "WORDS")]
    #[arg(value_parser = known_permission)]
    permissions: Vec<String>,
    /// After how many days it ends; never, unless said.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: Option<u16>,
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    peppers: PepperSettings,
}

/// Makes what is asked for.
pub async fn run(command: ApikeyCommand) -> Result<Outcome, CliError> {
    let ApikeyCommand::Create(args) = command;
    let mut problems = Problems::default();
    let peppers = args.peppers.check(&mut problems);
    args.database.check(&mut problems);
    problems.none_or()?;
    let Some(peppers) = peppers else { return Err(CliError::new(Exit::Internal, "a pepper got lost")) };
    let store = org::connect(&args.database)?;
    let (organization, organization_name) = org::find(&store, &args.org).await?;
    let expires_at = args.days.map(|days| OffsetDateTime::now_utc() + time::Duration::days(i64::from(days)));
    let new = NewKey { organization, name: args.name.trim(), permissions: &args.permissions, expires_at };
    let (id, secret) = create(&store, &peppers, &new).await?;
    store.close().await;
    let text = format!("{}\nThe key of {} at {organization_name}; it is not shown again.", secret.expose(), new.name);
    let json = json!({"api_key": secret.expose(), "api_key_id": id, "organization_id": organization,
                      "permissions": args.permissions});
    Ok(Outcome { text, json })
}

/// A key to be.
pub struct NewKey<'a> {
    /// Whose.
    pub organization: OrganizationId,
    /// The system's name.
    pub name: &'a str,
    /// What it may do.
    pub permissions: &'a [String],
    /// When it ends.
    pub expires_at: Option<OffsetDateTime>,
}

/// Makes a key and stores what is kept of it.
pub async fn create(store: &Store, peppers: &Peppers, new: &NewKey<'_>) -> Result<(ApiKeyId, Secret), CliError> {
    let secret = random::secret(SecretKind::ApiKey)?;
    let id = ApiKeyId::generate();
    let mut tx = store.tenant(OrgScope::for_platform(new.organization)).await?;
    let row = NewApiKey {
        id,
        lineage: id,
        name: new.name,
        hint: secret.hint(),
        digest: peppers.digest(&secret),
        permissions: new.permissions,
        expires_at: new.expires_at,
    };
    api_keys::insert(&mut tx, &row).await?;
    tx.commit().await?;
    Ok((id, secret))
}

fn known_permission(word: &str) -> Result<String, UnknownPermission> {
    permission::check(word)?;
    Ok(word.to_owned())
}
