//! The command line as people meet it: what `--help` says, and what arguments mean.
//!
//! Nothing is run here; `tests/it/command_line.rs` and `tests/it/dev.rs` do that with the real program.

use clap::CommandFactory;

use super::*;

fn parse(arguments: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(["parlour"].iter().chain(arguments))
}

#[test]
fn the_arguments_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn the_help_says_what_there_is() {
    let help = Cli::command().render_help().to_string();
    insta::assert_snapshot!(help);
}

#[test]
fn a_password_is_never_an_argument() {
    let user = ["user", "create", "a@b.example", "--name", "A", "--org", "abc", "--role", "owner"];
    assert!(parse(&user).is_ok());
    assert!(parse(&[&user[..], &["--password", "secret"]].concat()).is_err());
    assert!(parse(&[&user[..], &["--password-stdin"]].concat()).is_ok());
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_done() {
    for arguments in [
        &["org", "create", "A", "--slug", "Not a slug"][..],
        &["org", "create", "A", "--slug", "abc", "--color", "green"],
        &["user", "create", "a@b.example", "--name", "A", "--org", "abc", "--role", "boss"],
        &["user", "create", "a@b.example", "--name", "A"],
        &["apikey", "create", "A", "--org", "abc", "--days", "0"],
        &["share", "create", "not-a-uuid", "--org", "abc", "--as", "a@b.example"],
        &["dev", "--port", "70000"],
        &["dev", "--limits-profile", "none"],
        &["dev", "--guest-token-seconds", "1"],
    ] {
        assert_eq!(parse(arguments).unwrap_err().exit_code(), Exit::Usage as i32, "{arguments:?}");
    }
}

#[test]
fn every_command_can_answer_in_json() {
    for arguments in [&["--json", "migrate"][..], &["migrate", "status", "--json"], &["dev", "--json"]] {
        assert!(parse(arguments).unwrap().json, "{arguments:?}");
    }
}

#[test]
fn the_contract_is_printed_without_settings() {
    for (printed, wanted) in [
        (contract::openapi().unwrap(), parlour_protocol::documents::OPENAPI),
        (contract::schema().unwrap(), parlour_protocol::documents::SOCKET),
        (contract::asyncapi(), parlour_protocol::documents::ASYNCAPI),
    ] {
        assert_eq!(format!("{}\n", printed.text), wanted);
        assert!(printed.json.is_object());
    }
}
