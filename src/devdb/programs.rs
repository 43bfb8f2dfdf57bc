//! Finds PostgreSQL's server programs by running them, never by their path alone: links dangle,
//! packages leave halves behind, and a directory name says nothing about the version inside.
//! It must never pick a major version that does not fit data that exists already.
//! Look next in `launch.rs`, which uses what is found here.

use std::path::{Path, PathBuf};

use crate::devdb::account::Account;
use crate::devdb::error::DevDbError;
use crate::devdb::host::Host;

/// Folders of which each child may hold a `bin` (one per major version).
const VERSIONED: [&str; 4] =
    ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt", "/Applications/Postgres.app/Contents/Versions"];

/// `initdb` and `postgres` of one installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Programs {
    pub initdb: PathBuf,
    pub postgres: PathBuf,
    pub major: u32,
}

/// Where packages put PostgreSQL besides `PATH`: Debian and Ubuntu, Homebrew, Postgres.app, Red
/// Hat and source builds.
pub(super) fn package_directories() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = VERSIONED
        .iter()
        .filter_map(|parent| std::fs::read_dir(parent).ok())
        .flat_map(|children| children.flatten())
        .map(|child| child.path().join("bin"))
        .collect();
    for parent in ["/usr", "/usr/local"] {
        let children = std::fs::read_dir(parent).into_iter().flatten().flatten();
        let ours = children.filter(|child| child.file_name().to_string_lossy().starts_with("pgsql"));
        found.extend(ours.map(|child| child.path().join("bin")));
    }
    found.sort();
    found
}

/// The newest programs that run as `account`, or those of `data_major` where data exists already.
pub(super) fn find(
    host: &Host,
    account: &Account,
    data_dir: &Path,
    data_major: Option<u32>,
) -> Result<Programs, DevDbError> {
    let (mut working, rejected) = all(host, account);
    // A stable sort: of two equal majors the one earlier in PATH stays first.
    working.sort_by_key(|programs| std::cmp::Reverse(programs.major));
    if working.is_empty() {
        return Err(DevDbError::ProgramsMissing { rejected });
    }
    let found: Vec<String> = working.iter().map(|one| one.major.to_string()).collect();
    working.into_iter().find(|programs| data_major.is_none_or(|major| programs.major == major)).ok_or_else(|| {
        DevDbError::MajorMismatch {
            data_dir: data_dir.to_owned(),
            data_major: data_major.unwrap_or_default(),
            found: found.join(", "),
        }
    })
}

/// Every installation that runs, and a line for each that exists and does not.
fn all(host: &Host, account: &Account) -> (Vec<Programs>, String) {
    let mut working: Vec<Programs> = Vec::new();
    let mut rejected = String::new();
    for directory in host.search_path.iter().chain(&host.program_dirs) {
        let initdb = directory.join("initdb");
        // `symlink_metadata` also sees a link that leads nowhere: worth a line in the error.
        if initdb.symlink_metadata().is_err() {
            continue;
        }
        match pair(account, &initdb) {
            Ok(programs) if working.contains(&programs) => {}
            Ok(programs) => working.push(programs),
            Err(why) => rejected.push_str(&format!("\n  {} was passed over: {why}", initdb.display())),
        }
    }
    (working, rejected)
}

/// `initdb` and the `postgres` of the same installation, both run and of one major version.
fn pair(account: &Account, initdb: &Path) -> Result<Programs, String> {
    let major = run_version(account, initdb)?;
    // A link in PATH often brings only some of the programs along: look beside its target first.
    let target = initdb.canonicalize().map_err(|error| error.to_string())?;
    let postgres = [target.with_file_name("postgres"), initdb.with_file_name("postgres")];
    let mut why = String::new();
    for postgres in postgres {
        match run_version(account, &postgres) {
            Ok(same) if same == major => {
                return Ok(Programs { initdb: target, postgres, major });
            }
            Ok(other) => why = format!("its postgres is version {other}, not {major}"),
            Err(error) => why = format!("its postgres does not run: {error}"),
        }
    }
    Err(why)
}

fn run_version(account: &Account, program: &Path) -> Result<u32, String> {
    let ran = account.command(program).arg("--version").output().map_err(|error| error.to_string())?;
    if !ran.status.success() {
        return Err(format!("--version ended with {}", ran.status));
    }
    let words = String::from_utf8_lossy(&ran.stdout).into_owned();
    parse_major(&words).ok_or_else(|| format!("--version said {:?}", words.trim()))
}

/// `initdb (PostgreSQL) 15.18 (Debian …)` → 15; also `18beta1`.
fn parse_major(words: &str) -> Option<u32> {
    let version = words.split("(PostgreSQL) ").nth(1)?;
    let end = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn versions_are_read_from_what_the_program_says() {
        assert_eq!(parse_major("initdb (PostgreSQL) 15.18 (Debian 15.18-0)"), Some(15));
        assert_eq!(parse_major("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(parse_major("initdb (EnterpriseThing) 15"), None);
        assert_eq!(parse_major(""), None);
    }

    /// A machine with made-up installations below one directory.
    struct Machine {
        root: PathBuf,
        host: Host,
    }

    impl Machine {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("parlour-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&root);
            std::fs::create_dir_all(&root).unwrap();
            std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755)).unwrap();
            let mut host = Host::observe(|_| None);
            host.program_dirs.clear();
            Self { root, host }
        }

        fn install(&mut self, directory: &str, program: &str, version: &str) {
            let directory = self.root.join(directory);
            std::fs::create_dir_all(&directory).unwrap();
            let file = directory.join(program);
            let script = format!("#!/bin/sh\necho '{program} (PostgreSQL) {version}'\n");
            std::fs::write(&file, script).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
            if !self.host.search_path.contains(&directory) {
                self.host.search_path.push(directory);
            }
        }

        fn find(&self, data_major: Option<u32>) -> Result<Programs, DevDbError> {
            let account = Account::choose(&self.host, Path::new("/nonexistent")).unwrap();
            find(&self.host, &account, Path::new("/data"), data_major)
        }
    }

    impl Drop for Machine {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.root);
        }
    }

    #[test]
    fn the_newest_major_wins_unless_data_asks_for_its_own() {
        let mut machine = Machine::new("newest");
        for (directory, version) in [("a", "15.2"), ("b", "17.1"), ("c", "9.6")] {
            machine.install(directory, "initdb", version);
            machine.install(directory, "postgres", version);
        }
        assert_eq!(machine.find(None).unwrap().major, 17);
        assert_eq!(machine.find(Some(15)).unwrap().major, 15);
        let error = machine.find(Some(16)).unwrap_err().to_string();
        assert!(error.contains("PostgreSQL 16") && error.contains("17, 15, 9"), "{error}");
        assert!(error.contains("--reset"), "{error}");
    }

    #[test]
    fn dangling_links_and_broken_pairs_are_passed_over_with_a_reason() {
        let mut machine = Machine::new("dangling");
        machine.install("half", "initdb", "16.1");
        machine.install("mixed", "initdb", "16.1");
        machine.install("mixed", "postgres", "14.1");
        let links = machine.root.join("links");
        std::fs::create_dir_all(&links).unwrap();
        std::os::unix::fs::symlink("/nonexistent/initdb", links.join("initdb")).unwrap();
        machine.host.search_path.push(links);
        let error = machine.find(None).unwrap_err().to_string();
        for part in ["half/initdb", "mixed/initdb", "links/initdb", "version 14, not 16", "apt-get"] {
            assert!(error.contains(part), "{part} is missing in {error}");
        }
        machine.install("good", "initdb", "15.3");
        machine.install("good", "postgres", "15.3");
        assert_eq!(machine.find(None).unwrap().major, 15);
    }
}
