//! What the project depends on: permissive licences, crates.io alone, and no second version of a crate but the listed ones.
//!
//! The lists are those of `deny.toml`, so that whoever has cargo-deny gets the same answer. The facts come from
//! `cargo metadata`, offline; nothing is downloaded here.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// The same platform as in `deny.toml`: the answer must not depend on where the test runs.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

struct Package {
    name: String,
    version: String,
    license: String,
    source: Option<String>,
}

/// Every package that is built for the server, its tests and its tools.
fn packages() -> Vec<Package> {
    let arguments = ["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", PLATFORM];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata failed; `cargo fetch` brings what is missing:\n{errors}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let resolved: BTreeSet<&str> = nodes.iter().map(|node| node["id"].as_str().unwrap()).collect();
    let all = metadata["packages"].as_array().unwrap().iter();
    all.filter(|package| resolved.contains(package["id"].as_str().unwrap())).map(package).collect()
}

fn package(value: &Value) -> Package {
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    Package {
        name: text("name").unwrap(),
        version: text("version").unwrap(),
        license: text("license").unwrap_or_default(),
        source: text("source"),
    }
}

/// The strings of a list in `deny.toml`: the first of each line.
fn list(key: &str) -> BTreeSet<String> {
    let file = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml")).unwrap();
    let (_, rest) = file.split_once(&format!("\n{key} = [\n")).unwrap();
    let lines = rest.lines().take_while(|line| *line != "]");
    lines.filter_map(|line| line.split('"').nth(1)).map(str::to_owned).collect()
}

#[test]
fn every_licence_is_permissive() {
    let allowed = list("allow");
    let wrong: Vec<String> = packages()
        .iter()
        .filter(|package| !permits(&package.license, &allowed))
        .map(|package| format!("{} {}: {:?}", package.name, package.version, package.license))
        .collect();
    assert!(wrong.is_empty(), "licences that deny.toml does not allow:\n{}", wrong.join("\n"));
}

#[test]
fn every_crate_comes_from_crates_io_or_from_here() {
    for package in packages() {
        let source = package.source.as_deref();
        assert!(matches!(source, None | Some(CRATES_IO)), "{} {} comes from {source:?}", package.name, package.version);
        assert!(source.is_some() || package.name.starts_with("parlour"), "{} is a path dependency", package.name);
    }
}

#[test]
fn a_second_version_of_a_crate_is_on_the_list() {
    let mut versions: BTreeMap<String, Vec<Vec<u64>>> = BTreeMap::new();
    for package in packages() {
        let numbers = package.version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect();
        versions.entry(package.name).or_default().push(numbers);
    }
    let mut second = BTreeSet::new();
    for (name, mut numbers) in versions {
        numbers.sort();
        numbers.pop();
        second.extend(numbers.iter().map(|number| format!("{name}@{}", compatible(number))));
    }
    let listed = list("skip");
    let unlisted: Vec<&String> = second.difference(&listed).collect();
    let stale: Vec<&String> = listed.difference(&second).collect();
    assert!(unlisted.is_empty(), "older versions beside newer ones, not in deny.toml: {unlisted:?}");
    assert!(stale.is_empty(), "deny.toml lists versions that nobody uses any more: {stale:?}");
}

/// The part of a version that semantic versioning holds stable: `1`, or `0.8`.
fn compatible(version: &[u64]) -> String {
    match version {
        [0, minor, ..] => format!("0.{minor}"),
        [major, ..] => major.to_string(),
        [] => String::new(),
    }
}

/// Whether an SPDX expression can be satisfied with the allowed licences alone. Older crates write `/` for OR.
fn permits(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let (permitted, rest) = either(&tokens, allowed);
    permitted && rest.is_empty()
}

fn either<'a>(tokens: &'a [&'a str], allowed: &BTreeSet<String>) -> (bool, &'a [&'a str]) {
    let (mut permitted, mut rest) = both(tokens, allowed);
    while let ["OR", tail @ ..] = rest {
        let (next, after) = both(tail, allowed);
        (permitted, rest) = (permitted || next, after);
    }
    (permitted, rest)
}

fn both<'a>(tokens: &'a [&'a str], allowed: &BTreeSet<String>) -> (bool, &'a [&'a str]) {
    let (mut permitted, mut rest) = one(tokens, allowed);
    while let ["AND", tail @ ..] = rest {
        let (next, after) = one(tail, allowed);
        (permitted, rest) = (permitted && next, after);
    }
    (permitted, rest)
}

fn one<'a>(tokens: &'a [&'a str], allowed: &BTreeSet<String>) -> (bool, &'a [&'a str]) {
    match tokens {
        ["(", inside @ ..] => match either(inside, allowed) {
            (permitted, [")", rest @ ..]) => (permitted, rest),
            (_, rest) => (false, rest),
        },
        [license, "WITH", exception, rest @ ..] => (allowed.contains(&format!("{license} WITH {exception}")), rest),
        [license, rest @ ..] => (allowed.contains(*license), rest),
        [] => (false, &[]),
    }
}

#[test]
fn licence_expressions_are_understood() {
    let allowed: BTreeSet<String> = ["MIT", "Apache-2.0", "ISC"].map(str::to_owned).into();
    for good in
        ["MIT", "MIT OR GPL-3.0", "GPL-3.0/MIT", "(GPL-3.0 OR MIT) AND ISC", "ISC AND (Apache-2.0 OR X) AND MIT"]
    {
        assert!(permits(good, &allowed), "{good}");
    }
    let bad = [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "MIT AND (GPL-3.0 OR X)",
        "Apache-2.0 WITH LLVM-exception",
        "(MIT",
        "MIT MIT",
    ];
    for bad in bad {
        assert!(!permits(bad, &allowed), "{bad}");
    }
}

#[test]
fn the_lists_are_really_read() {
    assert!(list("allow").contains("MIT"));
    assert!(list("skip").iter().all(|entry| entry.contains('@')));
}
