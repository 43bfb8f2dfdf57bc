//! A value that breaks a rule, named by its path: what the constructors of the domain's checked types return.
//!
//! The path is written as in the request (`options[2].label`); the message is for people. Neither repeats the value.

use std::borrow::Cow;

/// Which rule was broken where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A value outside its range or form.
    #[error("{path}: {message}")]
    Invalid {
        /// Where in the request.
        path: String,
        /// What would be right.
        message: Cow<'static, str>,
    },
    /// More than is accepted at all.
    #[error("{path}: {message}")]
    TooLarge {
        /// Where in the request.
        path: String,
        /// What would be right.
        message: Cow<'static, str>,
    },
}

impl Violation {
    /// A value outside its range or form.
    pub fn invalid(path: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid { path: path.into(), message: message.into() }
    }

    /// More than is accepted at all.
    pub fn too_large(path: impl Into<String>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::TooLarge { path: path.into(), message: message.into() }
    }
}
