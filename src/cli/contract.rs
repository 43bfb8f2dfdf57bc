//! `parlour openapi`, `parlour asyncapi`, `parlour schema`: the contract's documents, as the server serves them.
//!
//! The same bytes as `/openapi.json`, `/asyncapi.yaml` and `/schema/socket.json`; no database and no settings are needed.

use parlour_protocol::documents;
use serde_json::{Value, json};

use crate::cli::error::{CliError, Exit};
use crate::cli::output::Outcome;

/// The HTTP interface.
pub fn openapi() -> Result<Outcome, CliError> {
    document(documents::OPENAPI)
}

/// Every message of the socket.
pub fn schema() -> Result<Outcome, CliError> {
    document(documents::SOCKET)
}

/// The socket. It is YAML, which a program that asked for JSON gets as one string.
pub fn asyncapi() -> Outcome {
    Outcome { text: documents::ASYNCAPI.trim_end().to_owned(), json: json!({ "yaml": documents::ASYNCAPI }) }
}

fn document(text: &str) -> Result<Outcome, CliError> {
    let json: Value = serde_json::from_str(text).map_err(|error| CliError::new(Exit::Internal, error))?;
    Ok(Outcome { text: text.trim_end().to_owned(), json })
}
