//! The scenarios of `protocol/scenarios`, carried in the program, and the steps they are made of.
//!
//! Here is what a step may say; what it does is [`crate::cli::conformance::player`]'s, and `protocol/README.md` explains both to
//! people. A new file wants a line in [`FILES`], which a test compares with the folder.

use serde::Deserialize;
use serde_json::{Map, Value};

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../protocol/scenarios/", $name, ".json")))),*]
    };
}

/// Every scenario by its name, in the order they are played.
pub(super) const FILES: &[(&str, &str)] = files!["hello",];

/// Steps that several scenarios begin with, by the name `play` calls them.
pub(super) const PARTS: &[(&str, &str)] = files!["parts/conversation", "parts/guest", "parts/join"];

/// A scripted session.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scenario {
    /// What it is called by.
    pub name: String,
    /// What it proves.
    #[expect(dead_code, reason = "for whoever reads the file; the name is enough for the table")]
    pub title: String,
    /// Where the contract says so.
    pub spec: String,
    /// What it cannot be played without.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// What happens, filled in and read when their turn comes.
    pub steps: Vec<Value>,
}

/// What a scenario cannot be played without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Need {
    /// The token is that of a member of staff, not of a service.
    Staff,
    /// Two addresses of one server were given.
    TwoNodes,
}

/// One step.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Step {
    /// Plays the steps of a part, with variables of its own.
    Play {
        part: String,
        #[serde(default)]
        with: Map<String, Value>,
    },
    /// Gives variables their values.
    Let { vars: Map<String, Value> },
    /// Plays steps again and again.
    Repeat {
        times: u64,
        #[serde(default, rename = "as")]
        counter: Option<String>,
        #[serde(default)]
        until: Option<Value>,
        steps: Vec<Value>,
    },
    /// Asks over HTTP.
    Http {
        request: String,
        #[serde(default)]
        token: Option<String>,
        #[serde(default)]
        key: Option<String>,
        #[serde(default)]
        node: usize,
        #[serde(default)]
        body: Option<Value>,
        #[serde(default)]
        status: Option<u16>,
        #[serde(default)]
        expect: Option<Value>,
    },
    /// Opens a socket.
    Open {
        socket: String,
        #[serde(default)]
        node: usize,
    },
    /// Sends a command, and with `reply` waits for its answer.
    Send {
        socket: String,
        command: Value,
        #[serde(default)]
        tag: Option<String>,
        #[serde(default)]
        reply: Option<Value>,
    },
    /// Sends text as it is, in the frame of the codec or in the other one.
    Raw {
        socket: String,
        data: String,
        #[serde(default)]
        wrong_frame: bool,
    },
    /// Waits for the answers to tagged commands: each expectation is met by another of them.
    Replies { tags: Vec<String>, expect: Vec<Value> },
    /// Waits for the next reply without a number.
    Unnumbered { socket: String, expect: Value },
    /// Waits for the next push of a type.
    Push {
        socket: String,
        expect: Value,
        #[serde(default)]
        among: bool,
    },
    /// No push that was heard so far is like this.
    Never { socket: String, expect: Value },
    /// The entries pushed so far are numbered without hole or repeat from here on; the last number is bound.
    Entries { socket: String, after: i64, bind: String },
    /// Waits for the server to close the socket.
    Closed { socket: String, code: u16 },
    /// Cuts the socket without a word.
    Cut { socket: String },
    /// Stops reading the socket.
    Stall { socket: String },
    /// Goes on reading it.
    Resume { socket: String },
    /// Goes on only if a tagged command was answered like this; otherwise the scenario is skipped.
    Require { tags: Vec<String>, expect: Value, reason: String },
}

/// A scenario of a file.
pub(super) fn read(name: &str, text: &str) -> Result<Scenario, String> {
    serde_json::from_str(text).map_err(|error| format!("{name}.json: {error}"))
}

/// The steps of a part.
pub(super) fn part(name: &str) -> Result<Vec<Value>, String> {
    let named = PARTS.iter().find(|(file, _)| file.strip_prefix("parts/") == Some(name));
    let (_, text) = named.ok_or_else(|| format!("there is no part `{name}`"))?;
    serde_json::from_str(text).map_err(|error| format!("parts/{name}.json: {error}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    fn names_in(folder: &str) -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol/scenarios").join(folder);
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let files = paths.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
        files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn every_file_of_the_folder_is_played_under_its_name() {
        let listed: BTreeSet<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(listed, names_in("."));
        assert_eq!(listed.len(), FILES.len());
        for (name, text) in FILES {
            let scenario = read(name, text).unwrap();
            assert_eq!(scenario.name, *name);
            assert!(scenario.spec.starts_with('§'), "{name} says where the contract says so");
        }
        let parts: BTreeSet<String> = PARTS.iter().map(|(name, _)| name.replace("parts/", "")).collect();
        assert_eq!(parts, names_in("parts"));
        assert!(parts.iter().all(|name| part(name).is_ok()));
    }
}
