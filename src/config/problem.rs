//! What is missing or wrong among the settings: collected while they are checked, told all at once.
//!
//! A problem names the setting, says what it is and shows an example; it never shows the value, which may be a secret.

use std::fmt;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

/// What people must know of a setting to give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The environment variable.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    /// A value as it could be.
    pub example: &'static str,
}

/// All that is missing or wrong; an error only when it is not empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

#[derive(Debug, PartialEq, Eq)]
struct Problem {
    setting: Setting,
    fault: String,
}

impl Problems {
    /// Notes that a setting is not given.
    pub fn missing(&mut self, setting: Setting) {
        self.invalid(setting, "is missing");
    }

    /// Notes what is wrong with a setting, as a predicate ("is no number").
    pub fn invalid(&mut self, setting: Setting, fault: impl Into<String>) {
        self.0.push(Problem { setting, fault: fault.into() });
    }

    /// These problems as an error, if there are any.
    ///
    /// # Errors
    /// The problems themselves.
    pub fn none_or(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }

    /// A required value; blank counts as missing.
    pub fn required<'a>(&mut self, setting: Setting, value: Option<&'a str>) -> Option<&'a str> {
        let value = given(value);
        if value.is_none() {
            self.missing(setting);
        }
        value
    }

    /// A value read by `read`, or the default where none is given or the given one is wrong.
    pub fn read_or<T>(
        &mut self,
        setting: Setting,
        value: Option<&str>,
        default: T,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        match given(value).map(read) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(fault)) => {
                self.invalid(setting, fault);
                default
            }
        }
    }

    /// A secret that must be given, in one of the two ways.
    pub fn required_secret(
        &mut self,
        setting: Setting,
        value: Option<&SecretString>,
        file: Option<&Path>,
    ) -> Option<SecretString> {
        let value = value.filter(|secret| given(Some(secret.expose_secret())).is_some());
        if value.is_none() && file.is_none() {
            self.missing(setting);
        }
        self.secret(setting, value, file)
    }

    /// A secret given as such or as the path of a file that holds it; none when neither is.
    pub fn secret(
        &mut self,
        setting: Setting,
        value: Option<&SecretString>,
        file: Option<&Path>,
    ) -> Option<SecretString> {
        let value = value.and_then(|secret| given(Some(secret.expose_secret())));
        match (value, file) {
            (Some(_), Some(_)) => {
                self.invalid(setting, format!("is given twice: as itself and as {}_FILE", setting.name));
                None
            }
            (Some(value), None) => Some(value.into()),
            (None, Some(file)) => match std::fs::read_to_string(file) {
                Ok(text) if !text.trim().is_empty() => Some(text.trim().into()),
                Ok(_) => {
                    self.invalid(setting, format!("is empty: {}_FILE is {}", setting.name, file.display()));
                    None
                }
                Err(error) => {
                    self.invalid(setting, format!("cannot be read from {}: {error}", file.display()));
                    None
                }
            },
            (None, None) => None,
        }
    }
}

/// A value that says something, without the blanks around it.
pub fn given(value: Option<&str>) -> Option<&str> {
    value.map(str::trim).filter(|value| !value.is_empty())
}

/// The parts of a comma-separated list.
pub fn list(value: Option<&str>) -> impl Iterator<Item = &str> {
    value.unwrap_or_default().split(',').map(str::trim).filter(|part| !part.is_empty())
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "A setting is missing or wrong:")?,
            count => write!(f, "{count} settings are missing or wrong:")?,
        }
        for Problem { setting: Setting { name, what, example }, fault } in &self.0 {
            write!(f, "\n  {name} {fault}\n      {what}\n      for example {name}={example}")?;
        }
        write!(f, "\nEvery setting is in `parlour serve --help` and in .env.example.")
    }
}

impl std::error::Error for Problems {}
