//! The only writer to stdout: a command's result, for people or as one line of JSON. Complaints go to stderr.
//!
//! Nothing that merely informs may be printed here; scripts read it.

use std::io::Write;
use std::process::ExitCode;

use serde_json::Value;

/// What a command did, in both forms.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// For people.
    pub text: String,
    /// For programs.
    pub json: Value,
}

/// Prints a result. A reader that went away early is no failure.
pub fn print(result: &str) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    match writeln!(stdout, "{result}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            complain(&format!("cannot write to stdout: {error}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Tells the person in front of it something that is no result.
pub fn complain(text: &str) {
    // There is nobody left to tell when stderr is closed.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
