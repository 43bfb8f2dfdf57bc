//! Settings as an operator gives them: everything wrong is told at once, secrets stay secret, files work like values.
//!
//! No test here reads or changes the environment: whoever runs them may have one of their own. Look next in `problem.rs`.

use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser};
use secrecy::ExposeSecret;

use super::*;
use crate::auth::tokens::key_from_random;
use crate::bus::BusConfig;
use crate::bus::redis::config::{RedisConfig, Topology};

#[derive(Debug, Parser)]
struct Serve {
    #[command(flatten)]
    settings: ServeSettings,
}

/// 32 bytes, in base64.
const PEPPER: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn token_key() -> String {
    key_from_random([7; 32]).expose_secret().to_owned()
}

/// Settings from arguments alone: whoever runs the tests may have an environment of their own.
fn parse(arguments: &[&str]) -> ServeSettings {
    let command = Serve::command().mut_args(|argument| argument.env(None::<&str>));
    let matches = command.get_matches_from(["serve"].iter().chain(arguments));
    Serve::from_arg_matches(&matches).unwrap().settings
}

fn check(arguments: &[&str]) -> Result<ServeConfig, Problems> {
    parse(arguments).check()
}

fn complete<'a>(key: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let needed = [
        "--database-url=postgres://parlour_app:hidden@db/parlour",
        "--public-url=https://chat.example.com/",
        "--token-key",
        key,
        "--share-pepper",
        PEPPER,
    ];
    needed.iter().chain(more).copied().collect()
}

fn names(problems: &Problems) -> Vec<String> {
    let text = problems.to_string();
    let lines = text.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    lines.filter_map(|line| line.split_whitespace().next().map(ToOwned::to_owned)).collect()
}

#[test]
fn all_that_is_missing_is_told_at_once() {
    let problems = check(&[]).unwrap_err();
    assert_eq!(names(&problems), ["DATABASE_URL", "PUBLIC_URL", "TOKEN_KEY", "SHARE_PEPPER"]);
    assert!(problems.to_string().contains("for example PUBLIC_URL=https://"), "{problems}");
}

#[test]
fn blank_is_missing() {
    let problems = check(&["--database-url= ", "--public-url=", "--token-key=", "--share-pepper= "]).unwrap_err();
    assert_eq!(names(&problems), ["DATABASE_URL", "PUBLIC_URL", "TOKEN_KEY", "SHARE_PEPPER"]);
}

#[test]
fn all_that_is_wrong_is_told_at_once_and_no_value_of_a_secret() {
    let problems = check(&[
        "--database-url=mysql://user:sesame@db",
        "--database-connections-max=1",
        "--public-url=https://chat.example.com/path",
        "--listen-addr=8080",
        "--admin-addr=here",
        "--allowed-origins=https://a.example,*",
        "--trusted-proxies=10.0.0.0/8,everybody",
        "--token-key=sesame",
        "--guest-token-seconds=0",
        "--share-pepper=c2VzYW1l",
        "--share-pepper-id=0",
        "--share-peppers-older=sesame",
        "--drain-seconds=-1",
        "--upgrades-per-second=0",
        "--room-members-max=10001",
        "--refresh-token-days=many",
        "--limits-profile=loose",
        "--redis-url=redis://:sesame@one,redis://two",
        "--redis-topology=ring",
    ])
    .unwrap_err();
    let mut found = names(&problems);
    found.sort();
    let expected = [
        "ADMIN_ADDR",
        "ALLOWED_ORIGINS",
        "DATABASE_CONNECTIONS_MAX",
        "DATABASE_URL",
        "DRAIN_SECONDS",
        "GUEST_TOKEN_SECONDS",
        "LIMITS_PROFILE",
        "LISTEN_ADDR",
        "PUBLIC_URL",
        "REDIS_TOPOLOGY",
        "REDIS_URL",
        "REFRESH_TOKEN_DAYS",
        "ROOM_MEMBERS_MAX",
        "SHARE_PEPPER",
        "SHARE_PEPPERS_OLDER",
        "SHARE_PEPPER_ID",
        "TOKEN_KEY",
        "TRUSTED_PROXIES",
        "UPGRADES_PER_SECOND",
    ];
    assert_eq!(found, expected);
    assert!(!problems.to_string().contains("sesame") && !problems.to_string().contains("c2VzYW1l"));
}

#[test]
fn complete_settings_have_sensible_defaults() {
    let key = token_key();
    let config = check(&complete(&key, &[])).unwrap();
    assert_eq!(config.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(config.admin.map(|address| address.to_string()).as_deref(), Some("127.0.0.1:9090"));
    assert_eq!(config.app.http.public_url, "https://chat.example.com");
    assert_eq!(config.app.ws.allowed_origins, ["https://chat.example.com"]);
    assert_eq!(config.app.auth.tokens.issuer, "https://chat.example.com");
    assert_eq!(config.app.http.durability, RequireDurability::Yes);
    assert_eq!(config.app.http.limits, LimitsProfile::Standard);
    let config = check(&complete(&key, &["--port=9000", "--admin-addr=off"])).unwrap();
    assert_eq!((config.listen.port(), config.admin), (9000, None));
}

#[test]
fn secrets_never_show_in_debug() {
    let key = token_key();
    let older = "--share-peppers-older=2:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=";
    let arguments = complete(&key, &[older, "--redis-url=redis://:hidden@cache"]);
    let settings = parse(&arguments);
    let before = format!("{settings:?}");
    let after = format!("{:?}", settings.check().unwrap());
    for text in [before, after] {
        assert!(!text.contains("hidden") && !text.contains(&key) && !text.contains("AAAAAAAA"), "{text}");
    }
}

#[test]
fn help_shows_no_value_of_a_secret_from_the_environment() {
    for argument in Serve::command().get_arguments() {
        let name = argument.get_id().as_str();
        let is_secret =
            ["database_url", "redis_url", "token_key", "token_keys_older", "share_pepper", "share_peppers_older"]
                .contains(&name);
        assert!(!is_secret || argument.is_hide_env_values_set(), "{name}");
        assert!(argument.get_env().is_some(), "{name} has no name in the environment");
    }
}

#[test]
fn a_secret_can_be_a_file_but_not_both() {
    let directory = std::env::temp_dir().join(format!("parlour-config-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let write = |name: &str, text: &str| -> PathBuf {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let url = write("url", "postgres://parlour_app@db/parlour\n");
    let key = write("key", &format!("{}\n", token_key()));
    let (pepper, empty) = (write("pepper", PEPPER), write("empty", "\n"));
    let file = |flag: &str, path: &PathBuf| format!("--{flag}-file={}", path.display());
    let files = [file("database-url", &url), file("token-key", &key), file("share-pepper", &pepper)];
    let good: Vec<&str> = files.iter().map(String::as_str).chain(["--public-url=http://localhost:8080"]).collect();
    let config = check(&good).unwrap();
    assert_eq!(config.app.database_url.expose_secret(), "postgres://parlour_app@db/parlour");

    let twice = [&good[..], &["--share-pepper", PEPPER]].concat();
    assert_eq!(names(&check(&twice).unwrap_err()), ["SHARE_PEPPER"]);
    let (empty, absent) = (file("token-key", &empty), file("database-url", &directory.join("absent")));
    let broken = ["--public-url=http://localhost", "--share-pepper", PEPPER, &empty, &absent];
    assert_eq!(names(&check(&broken).unwrap_err()), ["DATABASE_URL", "TOKEN_KEY"]);
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn without_redis_a_node_has_no_peers_and_with_it_the_topology_counts() {
    let key = token_key();
    let bus = |more: &[&str]| check(&complete(&key, more)).map(|config| config.app.bus);
    assert!(matches!(bus(&[]), Ok(BusConfig::Memory)));
    assert!(matches!(bus(&["--redis-url="]), Ok(BusConfig::Memory)));
    let of = |result: Result<BusConfig, Problems>| match result.unwrap() {
        BusConfig::Redis(RedisConfig { urls, topology }) => (urls.len(), topology),
        other => panic!("{other:?}"),
    };
    assert_eq!(of(bus(&["--redis-url=redis+unix:///run/redis.sock"])), (1, Topology::Single));
    let seeds = "--redis-url=rediss://one:6379, rediss://two:6379";
    assert_eq!(of(bus(&[seeds, "--redis-topology=cluster"])), (2, Topology::Cluster));
    for wrong in [&[seeds][..], &["--redis-url=http://one"], &["--redis-url=,"], &["--redis-topology=cluster"]] {
        assert_eq!(names(&bus(wrong).unwrap_err()), ["REDIS_URL"], "{wrong:?}");
    }
}

#[test]
fn lifted_limits_are_refused_where_others_can_reach_the_server() {
    let key = token_key();
    let with = |public_url: &str, listen: &str| {
        let (public_url, listen) = (format!("--public-url={public_url}"), format!("--listen-addr={listen}"));
        let mut arguments = complete(&key, &["--limits-profile=test"]);
        arguments.retain(|argument| !argument.starts_with("--public-url"));
        check(&[&arguments[..], &[&public_url, &listen]].concat())
    };
    for (public_url, listen) in [
        ("https://chat.example.com", "127.0.0.1:8080"),
        ("http://localhost:8080", "0.0.0.0:8080"),
        ("http://localhost:8080", "192.168.1.2:8080"),
        ("http://127.evil.example", "127.0.0.1:8080"),
    ] {
        assert_eq!(names(&with(public_url, listen).unwrap_err()), ["LIMITS_PROFILE"], "{public_url} {listen}");
    }
    for (public_url, listen) in [("http://localhost:8080", "127.0.0.1:8080"), ("http://[::1]:8080", "[::1]:8080")] {
        assert_eq!(with(public_url, listen).unwrap().app.http.limits, LimitsProfile::Test);
    }
}

#[test]
fn the_example_file_names_every_setting() {
    let example = include_str!("../../.env.example");
    for argument in Serve::command().get_arguments() {
        let name = argument.get_env().and_then(|name| name.to_str()).unwrap();
        assert!(example.contains(&format!("{name}=")), "{name} is not in .env.example");
    }
}
