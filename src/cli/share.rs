//! `parlour share create`: a link for a client, in the name of a member of staff. It is shown once.
//!
//! It goes through the same command as the API, by a server of its own that nobody can reach and that ends at once; servers
//! that run learn of the link's entry from the log.

use std::net::Ipv4Addr;

use clap::{Args, Subcommand};
use parlour_protocol::id::{ClientId, ConversationId};
use serde_json::json;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::app::App;
use crate::cli::error::{CliError, Exit};
use crate::cli::output::Outcome;
use crate::cli::{org, token};
use crate::config::ServeSettings;
use crate::domain::share::ShareRequest;

#[derive(Debug, Subcommand)]
pub enum ShareCommand {
    /// Make a link to a conversation
    Create(Box<CreateShare>),
}

#[derive(Debug, Args)]
pub struct CreateShare {
    /// The conversation's id.
    conversation: Uuid,
    /// The slug of the organization.
    #[arg(long, value_name = "SLUG")]
    org: String,
    /// The e-mail address of the member of staff who shares it.
    #[arg(long = "as", value_name = "EMAIL")]
    author: String,
    /// After how many hours it ends [default: 48].
    #[arg(long, value_name = "HOURS")]
    expiry_hours: Option<i64>,
    /// What it allows: view, respond, select_options [default: view,respond].
    #[arg(long, value_delimiter = ',', value_name = "WORDS")]
    permissions: Option<Vec<String>>,
    /// A label for staff.
    #[arg(long)]
    label: Option<String>,
    /// How many devices it admits [default: 5].
    #[arg(long)]
    seats: Option<i64>,
    #[command(flatten)]
    settings: ServeSettings,
}

/// Makes what is asked for.
pub async fn run(command: ShareCommand) -> Result<Outcome, CliError> {
    let ShareCommand::Create(args) = command;
    let config = args.settings.check()?.app;
    let (public_url, tokens) = (config.http.public_url.clone(), config.auth.tokens.clone());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let app = App::start(config, listener.map_err(|error| CliError::new(Exit::Unavailable, error))?).await?;
    let request = ShareRequest {
        expiry_hours: args.expiry_hours,
        permissions: args.permissions,
        label: args.label,
        seats: args.seats,
    };
    let made = async {
        let (organization, _) = org::find(app.store(), &args.org).await?;
        let (_, minted) = token::staff_token(app.store(), &tokens, organization, &args.author).await?;
        let principal = app.auth().authenticate(&minted.token).await?.principal;
        let conversation = ConversationId(args.conversation);
        Ok(app.commands().create_share(&principal, conversation, ClientId::generate(), request).await?)
    };
    let made: Result<_, CliError> = made.await;
    app.shutdown().await;
    let created = made?;
    let secret = created.secret.ok_or_else(|| CliError::new(Exit::Internal, "a new link came without its secret"))?;
    let url = format!("{public_url}/s/{}", secret.expose());
    Ok(Outcome { text: url.clone(), json: json!({"url": url, "share": created.share}) })
}
