//! What `parlour dev` remembers between two starts: `dev.json` beside the data, readable by its owner only.
//!
//! It holds everything that a second start must not change: keys, log-ins, the API key, the link. It is written whole or not
//! at all. A file without a demonstration means that the first start never got that far.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parlour_protocol::id::{ConversationId, OrganizationId, ShareId};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::auth::random;
use crate::auth::tokens::key_from_random;
use crate::cli::error::{CliError, Exit};

const FILE: &str = "dev.json";

/// Everything a second start must find again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevState {
    /// Base64 of the key under which secrets are stored.
    pub pepper: String,
    /// The key that signs tokens.
    pub token_key: String,
    /// None until the demonstration is complete.
    pub demo: Option<Demo>,
}

/// The demonstration, as far as it is printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demo {
    /// The tenant.
    pub organization: OrganizationId,
    /// The conversation the link leads to.
    pub conversation: ConversationId,
    /// Who logs in; the first one leads.
    pub staff: Vec<LogIn>,
    /// A key for systems.
    pub api_key: String,
    /// The client's link.
    pub link: Link,
}

/// A person's log-in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogIn {
    pub email: String,
    pub password: String,
}

/// A link for the client.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub share: ShareId,
    pub token: String,
}

impl DevState {
    /// Fresh keys, no demonstration yet.
    pub fn fresh() -> Result<Self, CliError> {
        Ok(Self {
            pepper: STANDARD.encode(random::bytes()?),
            token_key: key_from_random(random::bytes()?).expose_secret().to_owned(),
            demo: None,
        })
    }

    /// What an earlier start left in `data_dir`; none when there was none.
    pub fn load(data_dir: &Path) -> Result<Option<Self>, CliError> {
        let path = path(data_dir);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
                let message = format!("{} cannot be read ({error}); parlour dev --reset begins anew", path.display());
                CliError::new(Exit::Unavailable, message)
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(trouble("read", &path, &error)),
        }
    }

    /// Writes it all, so that a crash leaves either the old or the new file.
    pub fn save(&self, data_dir: &Path) -> Result<(), CliError> {
        let path = path(data_dir);
        let written = path.with_extension("json.new");
        let write = || {
            let text = serde_json::to_vec_pretty(self)?;
            let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&written)?;
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&written, &path)?;
            File::open(data_dir)?.sync_all()
        };
        write().map_err(|error| trouble("write", &path, &error))
    }
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE)
}

fn trouble(what: &str, path: &Path, error: &std::io::Error) -> CliError {
    CliError::new(Exit::Unavailable, format!("cannot {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_second_start_finds_what_the_first_wrote_and_nobody_else_can() {
        let data_dir = std::env::temp_dir().join(format!("parlour-state-{}", std::process::id()));
        std::fs::create_dir_all(&data_dir).unwrap();
        assert!(DevState::load(&data_dir).unwrap().is_none());
        let state = DevState::fresh().unwrap();
        state.save(&data_dir).unwrap();
        let mode = std::fs::metadata(path(&data_dir)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(DevState::load(&data_dir).unwrap() == Some(state));
        std::fs::remove_dir_all(data_dir).unwrap();
    }
}
