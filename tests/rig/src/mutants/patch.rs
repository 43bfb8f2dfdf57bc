//! A planted bug: a unified diff with a header that says what it is, who must catch it, and what provokes it.
//!
//! Applied here, without git, so that a source archive can do it, too. A hunk may have moved since it was written, as with
//! `git apply`; its lines may not have changed: a patch that no longer fits is stale and says how to make it anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A mutant, as its file says.
#[derive(Clone, Debug)]
pub struct Patch {
    /// The file's name, without its ending: `07-idempotency-in-memory`.
    pub name: String,
    /// The first line: the bug in a few words.
    pub title: String,
    /// The checker that must catch it.
    pub checker: String,
    /// The words of [`super::plans`] for what provokes it; none where the workload alone does.
    pub faults: Vec<String>,
    changes: Vec<Change>,
}

/// What becomes of one file.
#[derive(Clone, Debug)]
struct Change {
    path: PathBuf,
    hunks: Vec<Hunk>,
}

/// Lines in their place, and what replaces them.
#[derive(Clone, Debug, Default)]
struct Hunk {
    /// The line where it began when it was written, from 1.
    line: usize,
    before: Vec<String>,
    after: Vec<String>,
}

/// Why a patch is of no use.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// It does not say what it should.
    #[error("{name}: {what}")]
    Malformed {
        /// Of the patch.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// The product has changed where the bug is planted.
    #[error(
        "{name} is stale: the lines that it changes in {} (line {line} when it was written) are not there any more.\n\
         Make it anew: `git apply --3way tests/rig/mutants/{name}.patch` in a clean checkout, set right by hand what it could not \
         do, replace everything below the header by the output of `git diff HEAD`, and try it with `bin/rig --mutants {name}`.",
        path.display()
    )]
    Stale {
        /// Of the patch.
        name: String,
        /// The file.
        path: PathBuf,
        /// The hunk.
        line: usize,
    },
    /// A file cannot be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl Patch {
    /// All patches of a directory, by name.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn all(directory: &Path) -> Result<Vec<Self>, PatchError> {
        let io = |error| PatchError::Io { path: directory.to_owned(), error };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if path.extension().is_some_and(|extension| extension == "patch") {
                paths.push(path);
            }
        }
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Result<Self, PatchError> {
        let text = text_of(path)?;
        Self::parse(&path.file_stem().unwrap_or_default().to_string_lossy(), &text)
    }

    /// Reads a patch from its text.
    ///
    /// # Errors
    /// When it has no header of the form wanted, or no changes.
    pub fn parse(name: &str, text: &str) -> Result<Self, PatchError> {
        let malformed = |what: &str| PatchError::Malformed { name: name.to_owned(), what: what.to_owned() };
        let (header, diff) =
            text.split_once("\n--- a/").ok_or_else(|| malformed("there is no diff below the header"))?;
        let word = |key: &str| header.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let title = header.lines().next().unwrap_or_default().trim_end_matches('.').to_owned();
        let checker = word("Checker: ").and_then(|line| line.split_whitespace().next());
        let checker =
            checker.filter(|checker| checker.starts_with('C')).ok_or_else(|| malformed("no `Checker: C…`"))?;
        let faults = word("Faults: ").ok_or_else(|| malformed("no `Faults: …`"))?;
        for key in ["Bug: ", "How one comes to have it: "] {
            word(key).ok_or_else(|| malformed(&format!("no `{key}…`")))?;
        }
        let faults = match faults {
            "none" => Vec::new(),
            some => some.split(", ").map(str::to_owned).collect(),
        };
        let changes = changes(&format!("--- a/{diff}")).map_err(|what| malformed(&what))?;
        Ok(Self { name: name.to_owned(), title, checker: checker.to_owned(), faults, changes })
    }

    /// The files that it changes, as they are then, by their path in the sources.
    ///
    /// # Errors
    /// When a file is missing or the patch is stale.
    pub fn apply(&self, root: &Path) -> Result<BTreeMap<PathBuf, String>, PatchError> {
        let mut changed = BTreeMap::new();
        for change in &self.changes {
            let text = text_of(&root.join(&change.path))?;
            let stale = |line| PatchError::Stale { name: self.name.clone(), path: change.path.clone(), line };
            changed.insert(change.path.clone(), change.apply(&text).map_err(stale)?);
        }
        Ok(changed)
    }
}

fn text_of(path: &Path) -> Result<String, PatchError> {
    std::fs::read_to_string(path).map_err(|error| PatchError::Io { path: path.to_owned(), error })
}

/// The part of a patch below its header.
fn changes(diff: &str) -> Result<Vec<Change>, String> {
    let mut changes: Vec<Change> = Vec::new();
    // Context and changes of the hunk at hand: the counts in its head tell where it ends.
    let mut left = (0, 0);
    for line in diff.lines() {
        if left == (0, 0) {
            if let Some(path) = line.strip_prefix("--- a/") {
                changes.push(Change { path: path.into(), hunks: Vec::new() });
            } else if line.starts_with("@@ ") {
                let change = changes.last_mut().ok_or("a hunk of no file")?;
                let (at, counts) = head(line).ok_or_else(|| format!("not the head of a hunk: {line}"))?;
                change.hunks.push(Hunk { line: at, ..Hunk::default() });
                left = counts;
            }
            // The rest between hunks is git's own: `diff`, `index`, `+++`.
            continue;
        }
        let hunk = changes.last_mut().and_then(|change| change.hunks.last_mut()).ok_or("a line of no hunk")?;
        let (kind, text) = line.split_at_checked(1).unwrap_or((" ", ""));
        let (is_before, is_after) = match kind {
            " " => (1, 1),
            "-" => (1, 0),
            "+" => (0, 1),
            _ => return Err(format!("not a line of a hunk: {line}")),
        };
        let less = |count: usize, by: usize| count.checked_sub(by).ok_or_else(|| format!("one line too many: {line}"));
        left = (less(left.0, is_before)?, less(left.1, is_after)?);
        hunk.before.extend((is_before == 1).then(|| text.to_owned()));
        hunk.after.extend((is_after == 1).then(|| text.to_owned()));
    }
    if left != (0, 0) {
        return Err("the last hunk is cut off".to_owned());
    }
    match changes.iter().all(|change| change.hunks.iter().any(|hunk| hunk.before != hunk.after)) {
        true => Ok(changes),
        false => Err("a file is named and not changed".to_owned()),
    }
}

/// `@@ -12,3 +12,4 @@ …`: where it began, and how many lines it has before and after.
fn head(line: &str) -> Option<(usize, (usize, usize))> {
    let mut words = line.split_whitespace().skip(1);
    let mut span = |sign| {
        let (at, count) = words.next()?.strip_prefix(sign).map(|span| span.split_once(',').unwrap_or((span, "1")))?;
        Some((at.parse::<usize>().ok()?, count.parse::<usize>().ok()?))
    };
    let (at, before) = span('-')?;
    let (_, after) = span('+')?;
    Some((at, (before, after)))
}

impl Change {
    /// The text with all hunks applied; otherwise the line of the first one that has no place.
    fn apply(&self, text: &str) -> Result<String, usize> {
        let lines: Vec<&str> = text.lines().collect();
        let mut out: Vec<&str> = Vec::with_capacity(lines.len());
        let mut done = 0;
        for hunk in &self.hunks {
            let expected = hunk.line.saturating_sub(1);
            let fits = |at: &usize| {
                lines[*at..].iter().zip(&hunk.before).filter(|(is, was)| **is == was.as_str()).count()
                    == hunk.before.len()
            };
            let last = lines.len().saturating_sub(hunk.before.len());
            let at = (done..=last).filter(fits).min_by_key(|at| at.abs_diff(expected)).ok_or(hunk.line)?;
            out.extend(&lines[done..at]);
            out.extend(hunk.after.iter().map(String::as_str));
            done = at + hunk.before.len();
        }
        out.extend(&lines[done..]);
        let mut changed = out.join("\n");
        changed.push('\n');
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutants::plans;

    const PATCH: &str = "A bug.\n\nBug: b\nHow one comes to have it: h\nChecker: C4 (why)\nFaults: kill_node\n\n\
        --- a/file\n+++ b/file\n@@ -2,3 +2,3 @@\n two\n-three\n+3\n four\n";

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    fn apply(text: &str) -> Result<String, usize> {
        Patch::parse("p", PATCH).unwrap().changes[0].apply(text)
    }

    #[test]
    fn every_mutant_still_applies_and_says_what_it_is() {
        let patches = Patch::all(&root().join("tests/rig/mutants")).unwrap_or_else(|error| panic!("{error}"));
        for (number, patch) in (1..).zip(&patches) {
            assert!(patch.name.starts_with(&format!("{number:02}-")), "{}: numbers have no hole", patch.name);
            let changed = patch.apply(&root()).unwrap_or_else(|error| panic!("{error}"));
            assert!(
                changed.keys().all(|path| path.starts_with("src") || path.starts_with("migrations")),
                "{}",
                patch.name
            );
            plans::plan(&patch.faults, 0).unwrap_or_else(|word| panic!("{}: no fault is called {word}", patch.name));
        }
        assert!(patches.len() >= 14, "a mutant was lost");
    }

    #[test]
    fn a_hunk_finds_its_lines_where_they_have_moved_and_nowhere_else() {
        assert_eq!(apply("one\ntwo\nthree\nfour\n").unwrap(), "one\ntwo\n3\nfour\n");
        assert_eq!(apply("0\n0\n0\none\ntwo\nthree\nfour\nfive\n").unwrap(), "0\n0\n0\none\ntwo\n3\nfour\nfive\n");
        assert_eq!(apply("one\ntwo\nthree!\nfour\n"), Err(2));
        assert_eq!(apply("two\n"), Err(2));
    }

    #[test]
    fn a_patch_without_its_words_or_its_end_is_refused() {
        for (was, is) in
            [("Checker: ", "Check: "), ("Faults: ", ""), ("Bug: ", ""), ("--- a/", "--- "), (" four\n", "")]
        {
            assert!(Patch::parse("p", &PATCH.replace(was, is)).is_err(), "{was}");
        }
        let patch = Patch::parse("p", PATCH).unwrap();
        assert_eq!((patch.title.as_str(), patch.checker.as_str()), ("A bug", "C4"));
        assert_eq!(patch.faults, ["kill_node"]);
    }
}
