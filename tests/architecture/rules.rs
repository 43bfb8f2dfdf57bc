//! The rules of the house that a program can check, each with samples that break it. Rules look at one file at a time and never
//! at types. `../architecture.rs` runs them; `source.rs` reads the files.

use crate::source::Source;

/// What a rule finds in one file: sentences with line numbers.
pub type Check = fn(&Source) -> Vec<String>;

/// A rule with files that break it; the self-check proves that each of them is caught.
pub struct Rule {
    pub name: &'static str,
    pub check: Check,
    pub broken_by: &'static [(&'static str, &'static str)],
}

/// The floors. A file imports its own module and lower floors; assembly may import everything.
const FLOORS: &[(&str, u8)] = &[
    ("domain", 10),
    ("store", 20),
    ("bus", 20),
    ("devdb", 20),
    ("auth", 30),
    ("hub", 30),
    ("commands", 31),
    ("http", 40),
    ("ws", 40),
    ("listener", 40),
    ("app", ASSEMBLY),
    ("cli", ASSEMBLY),
    ("config", ASSEMBLY),
    ("lifecycle", ASSEMBLY),
    ("telemetry", ASSEMBLY),
    ("main", ASSEMBLY),
    ("lib", ASSEMBLY),
];
const ASSEMBLY: u8 = 50;

const LINES_MAX: usize = 600;

/// On the way from COMMIT to the sockets nothing waits in a queue of a task: order and bounds are the outbox's alone.
pub const DELIVERY_PATH: [&str; 4] =
    ["src/hub/room.rs", "src/hub/delivery.rs", "src/hub/outbox.rs", "src/hub/frame.rs"];

pub const RULES: &[Rule] = &[
    Rule {
        name: "a file imports its own module and lower floors only",
        check: imports_only_lower_floors,
        broken_by: &[
            ("src/domain/policy.rs", "//! x\nuse crate::store::Store;"),
            ("src/store/log/read.rs", "//! x\nuse crate::{domain::room, hub::Hub};"),
            ("src/auth/token.rs", "//! x\nuse crate::hub::Hub;"),
            ("src/hub/room.rs", "//! x\nuse crate::auth::Auth;"),
            ("src/hub/room.rs", "//! x\nfn f() { crate::commands::send() }"),
            ("src/ws/mod.rs", "//! x\nuse crate::app::App;"),
            ("src/commands/post.rs", "//! x\nuse crate::config::Config;"),
            ("src/store/mod.rs", "//! x\nuse crate::devdb::Cluster;"),
            ("src/unheard_of/mod.rs", "//! x\nuse crate::domain::room;"),
            ("src/hub/mod.rs", "//! x\nuse crate::unheard_of::Thing;"),
        ],
    },
    Rule {
        name: "imports say `crate::`, never `super` across modules, and never a glob of `super`",
        check: no_super,
        broken_by: &[
            ("src/hub/room.rs", "//! x\nuse super::*;"),
            ("src/hub/mod.rs", "//! x\nuse super::commands::send;"),
            ("src/store/log/read.rs", "//! x\nuse super::super::tenant;"),
        ],
    },
    Rule {
        name: "only `store` names sqlx",
        check: sqlx_only_in_store,
        broken_by: &[
            ("src/http/entries.rs", "//! x\nuse sqlx::PgPool;"),
            ("src/devdb/cluster.rs", "//! x\nfn f(e: sqlx::Error) {}"),
            ("src/cli/migrate.rs", "//! x\nuse sqlx as database;"),
        ],
    },
    Rule {
        name: "only config, cli, telemetry and main read the environment",
        check: environment_only_in_assembly,
        broken_by: &[
            ("src/store/mod.rs", "//! x\nfn f() { std::env::var(\"X\"); }"),
            ("src/app.rs", "//! x\nuse std::env;"),
            ("src/hub/mod.rs", "//! x\nuse std::{env, fs};"),
            ("src/devdb/host.rs", "//! x\nfn f() { std::env::split_paths(&std::env::var_os(\"PATH\")); }"),
        ],
    },
    Rule {
        name: "the delivery path spawns no task and uses no channel",
        check: delivery_neither_spawns_nor_queues,
        broken_by: &[
            ("src/hub/delivery.rs", "//! x\nfn f() { tokio::spawn(async {}); }"),
            ("src/hub/room.rs", "//! x\nfn f(t: &TaskTracker) { t.spawn(async {}); }"),
            ("src/hub/outbox.rs", "//! x\nuse tokio::sync::mpsc;"),
            ("src/hub/outbox.rs", "//! x\nuse tokio::sync::{Notify, broadcast};"),
            ("src/hub/frame.rs", "//! x\nfn f() { tx.send(1); }"),
            ("src/hub/frame.rs", "//! x\nuse tokio::sync::oneshot::Sender;"),
        ],
    },
    Rule {
        name: "every file opens with what it is for",
        check: opens_with_its_purpose,
        broken_by: &[("src/hub/room.rs", "use crate::domain::room;"), ("src/hub/room.rs", "\n// A room.\nfn f() {}")],
    },
    Rule {
        name: "no file is longer than 600 lines",
        check: no_longer_than_the_limit,
        broken_by: &[("src/hub/room.rs", LONG)],
    },
    Rule {
        name: "the domain is pure: no async, no runtime, no database, no clock",
        check: domain_is_pure,
        broken_by: &[
            ("src/domain/share.rs", "//! x\nasync fn f() {}"),
            ("src/domain/share.rs", "//! x\nfn f() { g().await }"),
            ("src/domain/share.rs", "//! x\nuse tokio::time::Instant;"),
            ("src/domain/share.rs", "//! x\nfn f(e: sqlx::Error) {}"),
            ("src/domain/share.rs", "//! x\nfn f() { SystemTime::now(); }"),
            ("src/domain/share.rs", "//! x\nfn f() { std::time::Instant::now(); }"),
            ("src/domain/share.rs", "//! x\nfn f() { OffsetDateTime::now_utc(); }"),
        ],
    },
];

/// Files that break no rule, although a careless reader would think so.
pub const INNOCENT: &[(&str, &str)] = &[
    (
        "src/hub/room.rs",
        "//! Nothing here may use crate::ws or tokio::spawn(\n/* crate::http */\nuse crate::hub::frame;\nuse crate::domain::room;",
    ),
    (
        "src/hub/outbox.rs",
        "//! x\nconst WHY: &str = \"mpsc \\\" .send( \"; const RAW: &str = r#\"oneshot\"#; fn respawn(c: char) -> bool { c == '\"' || c == '\\'' }",
    ),
    (
        "src/domain/text.rs",
        "//! x\nfn f<'a>(async_word: &'a str) -> &'a str { async_word }\n#[cfg(test)]\nmod tests { use super::*; fn t() { std::env::var(\"X\"); { tokio::spawn(x) } } }",
    ),
    ("src/devdb/host.rs", "//! x\nfn f(path: &OsStr) { std::env::split_paths(path); env!(\"CARGO_PKG_VERSION\"); }"),
    ("src/app.rs", "//! x\nuse crate::{auth::Auth, cli, config::Config, hub::Hub};"),
    ("src/main.rs", "//! x\nfn main() { std::env::args(); }"),
    (
        "src/store/log/read.rs",
        "//! x\nuse crate::domain::{policy::Grant, room};\nuse crate::store::error::StoreError;\nuse sqlx::Row;",
    ),
    ("src/cli/sqlx_free.rs", "//! x\nfn not_sqlx_at_all() {}"),
];

const LONG: &str = {
    const BYTES: [u8; LINES_MAX + 5] = {
        let mut bytes = [b'\n'; LINES_MAX + 5];
        (bytes[0], bytes[1], bytes[2]) = (b'/', b'/', b'!');
        bytes
    };
    match std::str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => panic!("slashes and line breaks are UTF-8"),
    }
};

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

fn imports_only_lower_floors(file: &Source) -> Vec<String> {
    let own = file.module();
    let Some(own_floor) = floor(own) else {
        return vec![format!("the module `{own}` has no floor: give it one in FLOORS")];
    };
    let wrong = |module: &str| match floor(module) {
        _ if module == own || own_floor == ASSEMBLY => None,
        Some(floor) if floor < own_floor => None,
        Some(floor) => Some(format!("`{own}` (floor {own_floor}) imports `{module}` (floor {floor})")),
        None => Some(format!("`{module}` has no floor: give it one in FLOORS")),
    };
    let found = file.imports().into_iter().filter_map(|(at, module)| Some((at, wrong(&module)?)));
    found.map(|(at, what)| format!("line {}: {what}", file.line_of(at))).collect()
}

fn no_super(file: &Source) -> Vec<String> {
    let forbidden: &[&str] = if file.is_module_root() { &["super::"] } else { &["super::*", "super::super"] };
    named(file, forbidden)
}

fn sqlx_only_in_store(file: &Source) -> Vec<String> {
    if file.module() == "store" { Vec::new() } else { named(file, &["sqlx"]) }
}

fn environment_only_in_assembly(file: &Source) -> Vec<String> {
    if matches!(file.module(), "config" | "cli" | "main" | "telemetry") {
        return Vec::new();
    }
    // Splitting a search path that was passed in reads nothing.
    let pure = |at: &usize| {
        file.code[*at..].starts_with("env::split_paths") || file.code[*at..].starts_with("env::join_paths")
    };
    let reads = |at: &usize| file.code[*at..].starts_with("env::") || imported_from_std(file, *at);
    let places = file.places("env").into_iter().filter(|at| reads(at) && !pure(at));
    places.map(|at| format!("line {}: names std::env", file.line_of(at))).collect()
}

/// Whether a word stands in a `use std::…` of its own or in a group.
fn imported_from_std(file: &Source, at: usize) -> bool {
    let statement = file.code[..at].rsplit(';').next().unwrap_or_default();
    statement.contains("use std::")
}

fn delivery_neither_spawns_nor_queues(file: &Source) -> Vec<String> {
    if !DELIVERY_PATH.contains(&file.path.as_str()) {
        return Vec::new();
    }
    let mut found = named(file, &["spawn(", "spawn_blocking", "spawn_local", "mpsc", "oneshot", "broadcast"]);
    found.extend(file.code.match_indices(".send(").map(|(at, _)| format!("line {}: names `.send(`", file.line_of(at))));
    found
}

fn opens_with_its_purpose(file: &Source) -> Vec<String> {
    if file.text.starts_with("//!") { Vec::new() } else { vec!["does not open with `//!`".to_owned()] }
}

fn no_longer_than_the_limit(file: &Source) -> Vec<String> {
    let lines = file.text.lines().count();
    if lines > LINES_MAX { vec![format!("has {lines} lines")] } else { Vec::new() }
}

fn domain_is_pure(file: &Source) -> Vec<String> {
    if file.module() != "domain" {
        return Vec::new();
    }
    let clocks = ["SystemTime::now", "Instant::now", "OffsetDateTime::now_utc", "OffsetDateTime::now_local"];
    named(file, &[&["async", "await", "tokio", "sqlx"][..], &clocks[..]].concat())
}

fn named(file: &Source, words: &[&str]) -> Vec<String> {
    let places = words.iter().flat_map(|word| file.places(word).into_iter().map(move |at| (at, word)));
    places.map(|(at, word)| format!("line {}: names `{word}`", file.line_of(at))).collect()
}
