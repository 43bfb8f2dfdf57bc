//! `parlour token mint`: an access token for a member of staff, for scripts and for finding faults.
//!
//! Whoever holds the signing key can make one anyway; rights are still read from the database at every use.

use clap::{Args, Subcommand};
use parlour_protocol::id::{OrganizationId, PersonId};
use serde_json::json;
use time::OffsetDateTime;

use crate::auth::tokens::{Bearer, Minted, TokenConfig, Tokens};
use crate::cli::error::{CliError, Exit};
use crate::cli::org;
use crate::cli::output::Outcome;
use crate::config::database::DatabaseSettings;
use crate::config::edge::PublicUrlSettings;
use crate::config::problem::Problems;
use crate::config::secrets::TokenSettings;
use crate::store::Store;

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make an access token
    Mint(MintToken),
}

#[derive(Debug, Args)]
pub struct MintToken {
    /// The e-mail address of the member of staff.
    email: String,
    /// The slug of the organization.
    #[arg(long, value_name = "SLUG")]
    org: String,
    #[command(flatten)]
    database: DatabaseSettings,
    #[command(flatten)]
    tokens: TokenSettings,
    #[command(flatten)]
    public_url: PublicUrlSettings,
}

/// Makes what is asked for.
pub async fn run(command: TokenCommand) -> Result<Outcome, CliError> {
    let TokenCommand::Mint(args) = command;
    let mut problems = Problems::default();
    args.database.check(&mut problems);
    let public_url = args.public_url.check(&mut problems);
    let tokens = args.tokens.check(public_url.as_deref(), &mut problems);
    problems.none_or()?;
    let Some(tokens) = tokens else { return Err(CliError::new(Exit::Internal, "a key got lost")) };
    let store = org::connect(&args.database)?;
    let (organization, _) = org::find(&store, &args.org).await?;
    let (person, minted) = staff_token(&store, &tokens, organization, &args.email).await?;
    store.close().await;
    let expires_in = minted.expires_in.as_secs();
    let json = json!({"access_token": minted.token, "expires_in": expires_in, "person_id": person,
                      "organization_id": organization});
    Ok(Outcome { text: minted.token, json })
}

/// A token for the member of staff with this e-mail address.
pub async fn staff_token(
    store: &Store,
    config: &TokenConfig,
    organization: OrganizationId,
    email: &str,
) -> Result<(PersonId, Minted), CliError> {
    let absent = || CliError::refused(format!("{email} is no member of this organization"));
    let person = store.person_by_email(email.trim()).await?.ok_or_else(absent)?.person;
    let row = store.staff(organization, person).await?.ok_or_else(absent)?;
    let unusable = |error| CliError::new(Exit::Internal, error);
    let bearer = Bearer::Staff { organization, person, session_version: row.session_version };
    let minted = Tokens::new(config).and_then(|tokens| tokens.mint(&bearer, OffsetDateTime::now_utc()));
    Ok((person, minted.map_err(unusable)?))
}
