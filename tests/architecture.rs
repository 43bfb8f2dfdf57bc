//! The architecture, checked: who may import whom, who may touch the database, the environment, the clock, and other rules of
//! the house. A rule that catches nothing is worse than none, so each one is first tried on samples that break it.
//!
//! To change a rule, or to give a new module its floor, see `architecture/rules.rs`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::fs;
use std::path::Path;

use rules::{DELIVERY_PATH, INNOCENT, RULES};
use source::Source;

#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;

/// Beyond this many lines a file is worth a look.
const LINES_LONG: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn no_file_breaks_a_rule() {
    let mut found = Vec::new();
    for file in Source::tree(root()) {
        for rule in RULES {
            found.extend((rule.check)(&file).into_iter().map(|what| format!("{}: {what} ({})", file.path, rule.name)));
        }
        let lines = file.text.lines().count();
        if lines > LINES_LONG {
            println!("{} has {lines} lines: can it be two files?", file.path);
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_rule_catches_what_breaks_it() {
    for rule in RULES {
        assert!(!rule.broken_by.is_empty(), "`{}` has no sample", rule.name);
        for (path, text) in rule.broken_by {
            let found = (rule.check)(&Source::new(path, text));
            assert!(!found.is_empty(), "`{}` does not catch {path}:\n{text}", rule.name);
        }
    }
}

#[test]
fn no_rule_catches_the_innocent() {
    for (path, text) in INNOCENT {
        for rule in RULES {
            let found = (rule.check)(&Source::new(path, text));
            assert!(found.is_empty(), "`{}` blames {path} for {found:?}:\n{text}", rule.name);
        }
    }
}

#[test]
fn the_delivery_path_is_where_its_rule_looks() {
    if !root().join("src/hub").exists() {
        return;
    }
    for path in DELIVERY_PATH {
        assert!(root().join(path).exists(), "{path} is gone: the delivery rule would protect nothing");
    }
}

#[test]
fn the_tree_is_really_read() {
    let files = Source::tree(root());
    assert!(files.iter().any(|file| file.path == "src/domain/policy.rs" && file.code.contains("fn decide")));
    let permission = files.iter().find(|file| file.path == "src/domain/permission.rs").unwrap();
    assert!(permission.text.contains("mod tests") && !permission.code.contains("mod tests"));
}

#[test]
fn test_modules_are_found_where_rust_finds_them() {
    let modules = |path: &str, text: &str| Source::new(path, text).test_modules();
    assert_eq!(modules("src/hub/mod.rs", "\n#[cfg(test)]\nmod fixture;"), ["src/hub/fixture.rs", "src/hub/fixture/"]);
    assert_eq!(
        modules("src/hub/room.rs", "\n#[cfg(test)]\nmod tests;"),
        ["src/hub/room/tests.rs", "src/hub/room/tests/"]
    );
    assert_eq!(modules("src/a/b.rs", "\n#[cfg(test)]\n#[path = \"b_tests.rs\"]\nmod tests;"), ["src/a/b_tests.rs"]);
    assert!(modules("src/a/b.rs", "\nmod real;\n#[cfg(test)]\nmod tests { mod inner; }").is_empty());
}

/// The names in a manifest's tables of dependencies, but for tests.
fn dependencies(manifest: &str) -> Vec<String> {
    let (mut names, mut inside) = (Vec::new(), false);
    for line in manifest.lines().map(str::trim) {
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            let counts = table.contains("dependencies") && !table.contains("dev-dependencies");
            inside = counts && table.ends_with("dependencies");
            names.extend(table.split_once("dependencies.").filter(|_| counts).map(|(_, name)| name.to_owned()));
        } else if inside && let Some((key, _)) = line.split_once('=') {
            names.push(key.split('.').next().unwrap_or(key).trim().to_owned());
        }
    }
    names
}

/// The contract needs words and bytes; whoever adds IO to it takes that away from every client.
/// Only a build that asks for feature `schema` has schemars.
const CONTRACT_NEEDS: [&str; 7] = ["rmp-serde", "schemars", "serde", "serde_json", "thiserror", "time", "uuid"];

#[test]
fn the_contract_depends_on_no_runtime_and_no_database() {
    let manifest = fs::read_to_string(root().join("protocol/Cargo.toml")).unwrap();
    let names = dependencies(&manifest);
    assert!(names.contains(&"serde".to_owned()), "the manifest was not understood");
    let foreign: Vec<&String> = names.iter().filter(|name| !CONTRACT_NEEDS.contains(&name.as_str())).collect();
    assert!(foreign.is_empty(), "protocol/Cargo.toml depends on {foreign:?}");
    assert!(manifest.contains("schemars = { workspace = true, optional = true }"), "no client needs schemars");
}

#[test]
fn a_dependency_is_found_however_it_is_written() {
    let manifest = "[dependencies]\ntokio = \"1\"\nserde.workspace = true\n[dependencies.axum]\nversion = \"0.8\"\n\
        [target.'cfg(unix)'.dependencies]\nnix = \"1\"\n[dev-dependencies]\nproptest = \"1\"\n[lints]\nworkspace = true\n";
    assert_eq!(dependencies(manifest), ["tokio", "serde", "axum", "nix"]);
}
