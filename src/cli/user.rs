//! `parlour user create`: a person who logs in, and their place in an organization.
//!
//! The password is asked for or read from stdin, never an argument.

use clap::{Args, Subcommand};
use parlour_protocol::id::PersonId;
use serde_json::json;

use crate::auth::passwords::{Passwords, Work};
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Outcome;
use crate::cli::{org, password};
use crate::config::database::DatabaseSettings;
use crate::domain::role::{ROLES, Role};

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make a person and a member of an organization
    Create(CreateUser),
}

#[derive(Debug, Args)]
pub struct CreateUser {
    /// The e-mail address they log in with.
    email: String,
    /// The name others see.
    #[arg(long)]
    name: String,
    /// The slug of their organization.
    #[arg(long, value_name = "SLUG", required_unless_present = "system_admin")]
    org: Option<String>,
    /// Their role in it: owner, dmc_admin, dmc_manager, dmc_staff, support or guide.
    #[arg(long, value_parser = role, required_unless_present = "system_admin")]
    role: Option<Role>,
    /// Not supported yet: everybody belongs to an organization in this version.
    #[arg(long)]
    system_admin: bool,
    /// Take the password from the first line of stdin instead of asking.
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    database: DatabaseSettings,
}

/// Makes what is asked for.
pub async fn run(command: UserCommand) -> Result<Outcome, CliError> {
    let UserCommand::Create(args) = command;
    let (Some(slug), Some(role), false) = (&args.org, args.role, args.system_admin) else {
        return Err(CliError::refused(
            "people without an organization are not supported in this version: use --org SLUG --role owner",
        ));
    };
    let (email, name) = (args.email.trim().to_lowercase(), args.name.trim());
    if !email.contains('@') || !(3..=254).contains(&email.len()) {
        return Err(CliError::new(Exit::Usage, format!("{email} is no e-mail address")));
    }
    if name.is_empty() || name.chars().count() > 120 {
        return Err(CliError::new(Exit::Usage, "a name has 1 to 120 characters"));
    }
    let store = org::connect(&args.database)?;
    let (organization, organization_name) = org::find(&store, slug).await?;
    if store.person_by_email(&email).await?.is_some() {
        return Err(CliError::refused(format!("somebody with the e-mail address {email} exists already")));
    }
    let password = password::take(args.password_stdin)?;
    let hash = Passwords::new(Work::Production)?.hash(password).await?;
    let person = PersonId::generate();
    store.create_person(person, &email, name, &hash).await?;
    store.add_membership(organization, person, role.key).await?;
    store.close().await;
    let json = json!({"person_id": person, "email": email, "organization_id": organization, "role": role.key});
    Ok(Outcome { text: format!("{name} <{email}> is {} of {organization_name}: {person}", role.key), json })
}

fn role(text: &str) -> Result<Role, String> {
    let known = || ROLES.iter().map(|role| role.key).collect::<Vec<_>>().join(", ");
    Role::find(text).ok_or_else(|| format!("the roles are {}", known()))
}
