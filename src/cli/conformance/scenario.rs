//! The scenarios of `protocol/scenarios`, carried in the program, and the steps they are made of.
//!
//! Here is what a step may say; what it does is [`crate::cli::conformance::player`]'s, and `protocol/README.md` explains both to
//! people. A new file wants a line in [`FILES`], which a test compares with the folder.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../protocol/scenarios/", $name, ".json")))),*]
    };
}

/// Every scenario by its name, in the order they are begun: first the one that takes longest, for the others to pass beside it.
pub(super) const FILES: &[(&str, &str)] = files![
    "blocked-reader",
    "hello",
    "hello-refused",
    "hello-late",
    "hello-twice",
    "ticket",
    "links",
    "conversation",
    "http-entries",
    "attach-newest",
    "attach-pages",
    "attach-bytes",
    "resume-after-gap",
    "attach-reset",
    "detach",
    "not-yours",
    "history",
    "duplicate-send",
    "duplicate-at-once",
    "pipelined-order",
    "audience-wall",
    "edit",
    "redact",
    "selection",
    "seen",
    "permission-change",
    "revoked",
    "link-ends",
    "guest-refresh",
    "typing",
    "presence",
    "viewing",
    "receipts",
    "inbox",
    "malformed",
    "too-large",
    "wrong-frame",
    "rate-limit",
    "slow-reader",
    "two-nodes",
    "two-nodes-revoked",
];

/// Steps that several scenarios begin with, by the name `play` calls them.
pub(super) const PARTS: &[(&str, &str)] =
    files!["parts/conversation", "parts/guest", "parts/join", "parts/room", "parts/say", "parts/card"];

/// A scripted session.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scenario {
    /// What it is called by.
    pub name: String,
    /// What it proves.
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
    /// Waits for the next push of a type, or of those like it `among` them, for so many seconds.
    Push {
        socket: String,
        expect: Value,
        #[serde(default)]
        among: bool,
        #[serde(default)]
        within: Option<u64>,
    },
    /// No push that was heard so far is like this.
    Never { socket: String, expect: Value },
    /// The entries pushed so far are numbered without hole or repeat from here on; the last number is bound.
    Entries { socket: String, after: i64, bind: String },
    /// Waits for the server to close the socket.
    Closed {
        socket: String,
        code: Value,
        #[serde(default)]
        report: Option<String>,
    },
    /// Cuts the socket without a word.
    Cut { socket: String },
    /// Stops reading the socket.
    Stall { socket: String },
    /// Goes on reading it.
    Resume { socket: String },
    /// Goes on only if a tagged command was answered like this; otherwise the scenario is skipped.
    Require { tags: Vec<String>, expect: Value, reason: String },
}

/// Scenarios and the parts they call.
#[derive(Debug)]
pub(super) struct Book {
    /// In the order they are played.
    pub scenarios: Vec<Scenario>,
    parts: HashMap<String, Vec<Value>>,
}

impl Book {
    /// Those in the program.
    pub fn embedded() -> Result<Self, String> {
        Ok(Self {
            scenarios: FILES.iter().map(|(name, text)| read(name, text)).collect::<Result<_, _>>()?,
            parts: PARTS
                .iter()
                .map(|(name, text)| Ok((own_name(name), read(name, text)?)))
                .collect::<Result<_, String>>()?,
        })
    }

    /// Those of a folder, by name, and of the folder `parts` in it.
    pub fn of_folder(folder: &Path) -> Result<Self, String> {
        let parts = texts(&folder.join("parts"))?;
        let scenarios = texts(folder)?;
        Ok(Self {
            scenarios: scenarios.iter().map(|(name, text)| read(name, text)).collect::<Result<_, _>>()?,
            parts: parts
                .iter()
                .map(|(name, text)| Ok((name.clone(), read(name, text)?)))
                .collect::<Result<_, String>>()?,
        })
    }

    /// The steps of a part.
    pub fn part(&self, name: &str) -> Result<Vec<Value>, String> {
        self.parts.get(name).cloned().ok_or_else(|| format!("there is no part `{name}`"))
    }
}

fn read<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("{name}.json: {error}"))
}

fn own_name(file: &str) -> String {
    file.rsplit('/').next().unwrap_or(file).to_owned()
}

/// The JSON files of a folder by their name.
fn texts(folder: &Path) -> Result<BTreeMap<String, String>, String> {
    let unreadable = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            let name = own_name(&path.with_extension("").display().to_string());
            found.insert(name, fs::read_to_string(&path).map_err(unreadable)?);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names_in(folder: &str) -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol/scenarios").join(folder);
        texts(&folder).unwrap().into_keys().collect()
    }

    #[test]
    fn every_file_of_the_folder_is_played_under_its_name() {
        let book = Book::embedded().unwrap();
        let listed: BTreeSet<String> = book.scenarios.iter().map(|scenario| scenario.name.clone()).collect();
        assert_eq!(listed, names_in("."));
        assert_eq!(listed.len(), FILES.len());
        assert!(FILES.iter().zip(&book.scenarios).all(|((file, _), scenario)| *file == scenario.name));
        for Scenario { name, spec, title, .. } in &book.scenarios {
            assert!(spec.starts_with('§') && title.ends_with('.'), "{name} says what it proves, and where that stands");
        }
        assert_eq!(book.parts.keys().cloned().collect::<BTreeSet<_>>(), names_in("parts"));
    }
}
