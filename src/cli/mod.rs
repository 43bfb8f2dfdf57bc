//! The command line: one file per subcommand, and here what they share.
//!
//! stdout carries a command's result and nothing else ([`output`]); words for people in front of it and logs go to stderr.
//! Passwords are never arguments. What went wrong decides the exit code ([`error::Exit`]).

mod apikey;
mod contract;
pub mod dev;
pub mod error;
mod migrate;
mod org;
mod output;
mod password;
mod serve;
mod share;
mod signals;
mod token;
mod user;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cli::dev::DevArgs;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Outcome;
use crate::config::ServeSettings;
use crate::config::operation::LogSettings;
use crate::telemetry;

/// The real-time room in which a travel company's staff, its clients and its systems meet.
#[derive(Debug, Parser)]
#[command(name = "parlour", version, after_help = error::EXIT_CODES, max_term_width = 100)]
struct Cli {
    /// Print the result as one line of JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    log: LogSettings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything on this machine, with a database and a demonstration of its own
    Dev(Box<DevArgs>),
    /// Run the server
    Serve(Box<ServeSettings>),
    /// Bring the database up to date, or show where it stands
    Migrate(migrate::MigrateArgs),
    /// Organizations
    #[command(subcommand)]
    Org(org::OrgCommand),
    /// People who log in
    #[command(subcommand)]
    User(user::UserCommand),
    /// Keys for systems
    #[command(subcommand)]
    Apikey(apikey::ApikeyCommand),
    /// Links for clients
    #[command(subcommand)]
    Share(share::ShareCommand),
    /// Access tokens
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// The HTTP interface, as an OpenAPI 3.1 document
    Openapi,
    /// The socket, as an AsyncAPI 3.0 document, which refers to `schema`
    Asyncapi,
    /// Every message of the socket, as a JSON Schema
    Schema,
}

/// Reads the arguments, does what they say and answers with the exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.json;
    match start(cli) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(outcome)) => output::print(&if json { outcome.json.to_string() } else { outcome.text }),
        Err(error) => {
            output::complain(&error.to_string());
            error.exit.into()
        }
    }
}

fn start(cli: Cli) -> Result<Option<Outcome>, CliError> {
    let is_dev = matches!(cli.command, Command::Dev(_));
    telemetry::start_logs(cli.log.log_format, is_dev).map_err(|error| CliError::new(Exit::Configuration, error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::new(Exit::Internal, format!("no runtime: {error}")))?;
    runtime.block_on(run(cli.command, cli.json))
}

async fn run(command: Command, json: bool) -> Result<Option<Outcome>, CliError> {
    match command {
        Command::Dev(args) => dev::run(*args, json).await.map(|()| None),
        Command::Serve(settings) => serve::run(*settings).await.map(|()| None),
        Command::Migrate(args) => migrate::run(args).await.map(Some),
        Command::Org(command) => org::run(command).await.map(Some),
        Command::User(command) => user::run(command).await.map(Some),
        Command::Apikey(command) => apikey::run(command).await.map(Some),
        Command::Share(command) => share::run(command).await.map(Some),
        Command::Token(command) => token::run(command).await.map(Some),
        Command::Openapi => contract::openapi().map(Some),
        Command::Asyncapi => Ok(Some(contract::asyncapi())),
        Command::Schema => contract::schema().map(Some),
    }
}

#[cfg(test)]
mod tests;
