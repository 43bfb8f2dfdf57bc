//! Takes a password from the person in front of it: never from an argument, which every process list shows.
//!
//! On a terminal it is asked for twice without echo; with `--password-stdin` it is the first line of stdin.

use std::io::{BufRead, IsTerminal, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::{ExposeSecret, SecretString};

use crate::cli::error::{CliError, Exit};

/// A password from stdin or from a prompt.
pub fn take(from_stdin: bool) -> Result<SecretString, CliError> {
    if from_stdin {
        return read_line();
    }
    if !std::io::stdin().is_terminal() {
        let message = "there is no terminal to ask for a password: use --password-stdin";
        return Err(CliError::new(Exit::Usage, message));
    }
    let first = ask("Password: ")?;
    let second = ask("The same again: ")?;
    if first.expose_secret() != second.expose_secret() {
        return Err(CliError::refused("the two passwords differ; nothing was made"));
    }
    Ok(first)
}

fn ask(prompt: &str) -> Result<SecretString, CliError> {
    let mut stderr = std::io::stderr().lock();
    let _ = write!(stderr, "{prompt}").and_then(|()| stderr.flush());
    let echo = NoEcho::begin()?;
    let line = read_line();
    drop(echo);
    let _ = writeln!(stderr);
    line
}

fn read_line() -> Result<SecretString, CliError> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| CliError::new(Exit::Usage, format!("cannot read a password from stdin: {error}")))?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(CliError::new(Exit::Usage, "the password is empty"));
    }
    Ok(password.into())
}

/// A terminal that does not show what is typed, until this is dropped.
struct NoEcho(Termios);

impl NoEcho {
    fn begin() -> Result<Self, CliError> {
        let failed = |error| CliError::new(Exit::Internal, format!("cannot hide what is typed: {error}"));
        let before = tcgetattr(std::io::stdin()).map_err(failed)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Now, &silent).map_err(failed)?;
        Ok(Self(before))
    }
}

impl Drop for NoEcho {
    fn drop(&mut self) {
        // The terminal went away: there is nothing left to put right.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}
