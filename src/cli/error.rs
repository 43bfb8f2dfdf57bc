//! Why a command failed, and with which exit code: those of BSD's sysexits where they fit.
//!
//! The reader is the operator, so inner detail is shown here, unlike at the edges; secrets never are.

use std::fmt;
use std::process::ExitCode;

use crate::app::AppError;
use crate::auth::AuthError;
use crate::auth::passwords::PasswordError;
use crate::auth::random::NoRandomness;
use crate::commands::failure::Failure;
use crate::config::problem::Problems;
use crate::devdb::DevDbError;
use crate::store::error::StoreError;

/// The exit codes, for `--help`.
pub const EXIT_CODES: &str = "Exit codes: 0 done, 1 refused, 2 wrong arguments, 69 something needed is unavailable, \
                              70 internal error, 78 missing or wrong settings";

/// How a command that failed ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for cannot be: taken, unknown, not allowed.
    Refused = 1,
    /// Wrong arguments (what clap finds ends with 2 by itself).
    Usage = 2,
    /// The database or an address is not available.
    Unavailable = 69,
    /// A defect of ours.
    Internal = 70,
    /// Missing or wrong settings.
    Configuration = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed.
#[derive(Debug)]
pub struct CliError {
    /// How the process ends.
    pub exit: Exit,
    message: String,
}

impl CliError {
    /// An error for people.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string() }
    }

    /// What was asked for cannot be.
    pub fn refused(message: impl fmt::Display) -> Self {
        Self::new(Exit::Refused, message)
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "parlour: {}", self.message)
    }
}

impl From<Problems> for CliError {
    fn from(problems: Problems) -> Self {
        Self::new(Exit::Configuration, problems)
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let exit = match error {
            StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_) => Exit::Unavailable,
            StoreError::Unexpected(_) => Exit::Internal,
        };
        Self::new(exit, error)
    }
}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(body) => Self::refused(body),
            Failure::Store(error) => error.into(),
            Failure::Internal(text) => Self::new(Exit::Internal, text),
        }
    }
}

impl From<AuthError> for CliError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Store(error) => error.into(),
            AuthError::Defect(text) => Self::new(Exit::Internal, text),
            refused => Self::refused(refused),
        }
    }
}

impl From<PasswordError> for CliError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Length => Self::new(Exit::Usage, error),
            PasswordError::Hasher(_) => Self::new(Exit::Internal, error),
        }
    }
}

impl From<NoRandomness> for CliError {
    fn from(error: NoRandomness) -> Self {
        Self::new(Exit::Internal, error)
    }
}

impl From<DevDbError> for CliError {
    fn from(error: DevDbError) -> Self {
        Self::new(Exit::Unavailable, error)
    }
}

impl From<AppError> for CliError {
    fn from(error: AppError) -> Self {
        match error {
            AppError::Store(error) => error.into(),
            AppError::Auth(error) => error.into(),
            AppError::NotDurable | AppError::RoleTooPowerful | AppError::Redis(_) => {
                Self::new(Exit::Configuration, error)
            }
            AppError::NotMigrated | AppError::Listen(_) => Self::new(Exit::Unavailable, error),
        }
    }
}
