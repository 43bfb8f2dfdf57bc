//! The keys Parlour signs tokens with and stores secrets under; each as itself or as a file.
//!
//! Keys are checked here, before anything starts, and never shown: what is wrong is told by name only. How they are used is
//! in `auth::tokens` and `domain::secret`.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use crate::auth::tokens::{TokenConfig, Tokens};
use crate::config::problem::{Problems, Setting, given, list};
use crate::domain::secret::{Pepper, Peppers};

/// `aud` of every token: only Parlour reads them.
pub const TOKEN_AUDIENCE: &str = "parlour";
const STAFF_SECONDS: u64 = 15 * 60;
const GUEST_SECONDS: u64 = 10 * 60;

const TOKEN_KEY: Setting = Setting {
    name: "TOKEN_KEY",
    what: "the Ed25519 key that signs access tokens: PKCS#8 as PEM or base64 (or TOKEN_KEY_FILE)",
    example: "\"$(openssl genpkey -algorithm ed25519 -outform DER | base64 -w0)\"",
};
const TOKEN_KEYS_OLDER: Setting = Setting {
    name: "TOKEN_KEYS_OLDER",
    what: "keys used before, whose tokens still count, separated by commas (or TOKEN_KEYS_OLDER_FILE)",
    example: "MC4CAQAwBQYDK2VwBCIEI…",
};
const STAFF_LIFE: Setting = Setting {
    name: "STAFF_TOKEN_SECONDS",
    what: "life of a staff access token in seconds, 5 to 86400",
    example: "900",
};
const GUEST_LIFE: Setting =
    Setting { name: "GUEST_TOKEN_SECONDS", what: "life of a guest token in seconds, 5 to 86400", example: "600" };
const SHARE_PEPPER: Setting = Setting {
    name: "SHARE_PEPPER",
    what: "the key under which links and API keys are stored: base64 of at least 32 random bytes (or SHARE_PEPPER_FILE)",
    example: "\"$(openssl rand -base64 32)\"",
};
const SHARE_PEPPER_ID: Setting =
    Setting { name: "SHARE_PEPPER_ID", what: "the number of the pepper in use, 1 to 32767", example: "1" };
const SHARE_PEPPERS_OLDER: Setting = Setting {
    name: "SHARE_PEPPERS_OLDER",
    what: "peppers used before, as NUMBER:BASE64, separated by commas (or SHARE_PEPPERS_OLDER_FILE)",
    example: "1:mSSr3bqs…",
};

/// Keys and lives of tokens.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Tokens")]
pub struct TokenSettings {
    /// The Ed25519 key that signs access tokens; prefer the environment or a file.
    #[arg(long, env = TOKEN_KEY.name, hide_env_values = true, value_name = "KEY")]
    token_key: Option<SecretString>,
    /// A file that holds TOKEN_KEY.
    #[arg(long, env = "TOKEN_KEY_FILE", value_name = "FILE")]
    token_key_file: Option<PathBuf>,
    /// Keys used before, separated by commas.
    #[arg(long, env = TOKEN_KEYS_OLDER.name, hide_env_values = true, value_name = "KEYS")]
    token_keys_older: Option<SecretString>,
    /// A file that holds TOKEN_KEYS_OLDER.
    #[arg(long, env = "TOKEN_KEYS_OLDER_FILE", value_name = "FILE")]
    token_keys_older_file: Option<PathBuf>,
    /// Who issues tokens [default: the public URL].
    #[arg(long, env = "TOKEN_ISSUER", value_name = "URL")]
    token_issuer: Option<String>,
    /// Life of a staff access token [default: 900].
    #[arg(long, env = STAFF_LIFE.name, value_name = "SECONDS")]
    staff_token_seconds: Option<String>,
    /// Life of a guest token [default: 600].
    #[arg(long, env = GUEST_LIFE.name, value_name = "SECONDS")]
    guest_token_seconds: Option<String>,
}

/// Peppers of stored secrets.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Stored secrets")]
pub struct PepperSettings {
    /// The key under which links and API keys are stored; prefer the environment or a file.
    #[arg(long, env = SHARE_PEPPER.name, hide_env_values = true, value_name = "BASE64")]
    share_pepper: Option<SecretString>,
    /// A file that holds SHARE_PEPPER.
    #[arg(long, env = "SHARE_PEPPER_FILE", value_name = "FILE")]
    share_pepper_file: Option<PathBuf>,
    /// The number of the pepper in use [default: 1].
    #[arg(long, env = SHARE_PEPPER_ID.name, value_name = "N")]
    share_pepper_id: Option<String>,
    /// Peppers used before, as NUMBER:BASE64, separated by commas.
    #[arg(long, env = SHARE_PEPPERS_OLDER.name, hide_env_values = true, value_name = "PEPPERS")]
    share_peppers_older: Option<SecretString>,
    /// A file that holds SHARE_PEPPERS_OLDER.
    #[arg(long, env = "SHARE_PEPPERS_OLDER_FILE", value_name = "FILE")]
    share_peppers_older_file: Option<PathBuf>,
}

impl TokenSettings {
    /// Checks everything; `public_url` is the default issuer.
    pub fn check(&self, public_url: Option<&str>, problems: &mut Problems) -> Option<TokenConfig> {
        let key = problems.required_secret(TOKEN_KEY, self.token_key.as_ref(), self.token_key_file.as_deref());
        let older =
            problems.secret(TOKEN_KEYS_OLDER, self.token_keys_older.as_ref(), self.token_keys_older_file.as_deref());
        let staff_life = life(STAFF_LIFE, self.staff_token_seconds.as_deref(), STAFF_SECONDS, problems);
        let guest_life = life(GUEST_LIFE, self.guest_token_seconds.as_deref(), GUEST_SECONDS, problems);
        // Without a public URL nothing starts, and that is told where it is checked.
        let issuer = given(self.token_issuer.as_deref()).or(public_url).unwrap_or_default();
        let config = TokenConfig {
            issuer: issuer.to_owned(),
            audience: TOKEN_AUDIENCE.to_owned(),
            signing_key: key?,
            older_keys: vec![],
            staff_life,
            guest_life,
        };
        if let Err(fault) = Tokens::new(&config) {
            problems.invalid(TOKEN_KEY, format!("cannot be used: {fault}"));
            return None;
        }
        let older_keys = list(older.as_ref().map(ExposeSecret::expose_secret)).map(SecretString::from).collect();
        let config = TokenConfig { older_keys, ..config };
        if let Err(fault) = Tokens::new(&config) {
            problems.invalid(TOKEN_KEYS_OLDER, format!("cannot be used: {fault}"));
            return None;
        }
        Some(config)
    }
}

impl PepperSettings {
    /// Checks everything.
    pub fn check(&self, problems: &mut Problems) -> Option<Peppers> {
        let read_id = |text: &str| pepper_id(text).ok_or_else(|| "is no number from 1 to 32767".to_owned());
        let id = problems.read_or(SHARE_PEPPER_ID, self.share_pepper_id.as_deref(), 1, read_id);
        let key = problems.required_secret(SHARE_PEPPER, self.share_pepper.as_ref(), self.share_pepper_file.as_deref());
        let older = problems.secret(
            SHARE_PEPPERS_OLDER,
            self.share_peppers_older.as_ref(),
            self.share_peppers_older_file.as_deref(),
        );
        let mut older_peppers = vec![];
        for part in list(older.as_ref().map(ExposeSecret::expose_secret)) {
            match part.split_once(':').and_then(|(id, key)| pepper(pepper_id(id)?, key)) {
                Some(pepper) => older_peppers.push(pepper),
                None => {
                    problems.invalid(SHARE_PEPPERS_OLDER, "holds one that is not NUMBER:BASE64 of 32 bytes or more")
                }
            }
        }
        let current = pepper(id, key?.expose_secret());
        if current.is_none() {
            problems.invalid(SHARE_PEPPER, "is not base64 of 32 bytes or more");
        }
        Some(Peppers::new(current?, older_peppers))
    }
}

/// The pepper of a number and the base64 of its key; none when that is no base64 or too short.
pub fn pepper(id: i16, key: &str) -> Option<Pepper> {
    Pepper::new(id, STANDARD.decode(key.trim()).ok()?)
}

fn pepper_id(text: &str) -> Option<i16> {
    text.trim().parse().ok().filter(|id| *id > 0)
}

fn life(setting: Setting, value: Option<&str>, default: u64, problems: &mut Problems) -> Duration {
    let read = |text: &str| {
        let seconds = text.parse().ok().filter(|seconds| (5..=86_400).contains(seconds));
        seconds.ok_or_else(|| "is no number from 5 to 86400".to_owned())
    };
    Duration::from_secs(problems.read_or(setting, value, default, read))
}
